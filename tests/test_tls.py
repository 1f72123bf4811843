"""A city on its own Mosquitto over TLS: its own authority, a password a gateway, and the whole service behind it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from brokers import CityMosquitto, Client, until
from certificates import authority, certify
from test_run import failed_run, get
from test_service import service
from test_spine import CITY, RULES

from ingest.city import parse_city
from ingest.inbox import Inbox
from ingest.mqtt.connection import MqttError
from ingest.mqtt.publisher import MqttPublisher
from ingest.mqtt.source import COLLECTOR_TOPICS, MqttSource

pytestmark = pytest.mark.server("mosquitto", "openssl")
STORM_GATEWAYS = 40


class Secured:
    """A broker with a listener in the clear for this machine, and one over TLS at `url`, certified by `ca`."""

    def __init__(self, mosquitto: str, openssl: str, folder: Path, ports: tuple[int, int], gateways: list[str]) -> None:
        self.ca = authority(openssl, folder / "ca")
        self.broker = CityMosquitto(mosquitto, folder / "mosquitto", ports[0], gateways, tls_port=ports[1])
        certify(openssl, self.ca, folder / "mosquitto" / "tls")
        self.url = f"mqtts://127.0.0.1:{ports[1]}"
        self.broker.start()

    @property
    def settings(self) -> dict[str, str]:
        return {**self.broker.settings, "CANHBAO_MQTT__URL": self.url, "CANHBAO_MQTT__CA_FILE": str(self.ca)}

    def source(self, ca: Path | None, url: str = "") -> MqttSource:
        login = ("collector", self.broker.password)
        return MqttSource(url or self.url, *login, "collector-5eed", COLLECTOR_TOPICS, Inbox(), ca_file=ca)


Secure = Callable[[list[str]], Secured]


@pytest.fixture
def secure(tmp_path: Path, free_port: Callable[[], int], program: Callable[[str], str]) -> Iterator[Secure]:
    made: list[Secured] = []

    def begin(gateways: list[str]) -> Secured:
        secured = Secured(program("mosquitto"), program("openssl"), tmp_path, (free_port(), free_port()), gateways)
        made.append(secured)
        return secured

    yield begin
    for secured in made:
        secured.broker.stop()


def simulator(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "firmware_sim", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_the_authority_of_the_city_is_believed_and_no_other(
    secure: Secure, tmp_path: Path, program: Callable[[str], str]
) -> None:
    secured = secure(["gw-1"])
    source = secured.source(secured.ca)
    source.start()
    assert source.connected
    source.stop()

    stranger = authority(program("openssl"), tmp_path / "stranger")
    for ca in (stranger, None):
        with pytest.raises(MqttError, match=r"no TLS with it: \[SSL: CERTIFICATE_VERIFY_FAILED"):
            secured.source(ca).start()
        with pytest.raises(MqttError, match="CERTIFICATE_VERIFY_FAILED"):
            MqttPublisher(secured.url, "collector-out", "any", ca_file=ca).start()


def test_a_connection_over_tls_comes_back(secure: Secure) -> None:
    secured = secure(["gw-1"])
    source = secured.source(secured.ca)
    source.start()
    secured.broker.kill()
    until(lambda: not source.connected)
    secured.broker.start()
    until(lambda: source.connected)
    source.stop()


def test_a_certificate_of_another_host_is_not_believed(secure: Secure) -> None:
    secured = secure(["gw-1"])
    with pytest.raises(MqttError, match=r"CERTIFICATE_VERIFY_FAILED.*localhost"):
        secured.source(secured.ca, secured.url.replace("127.0.0.1", "localhost")).start()


def test_a_listener_without_tls_is_told_from_a_wrong_certificate(secure: Secure) -> None:
    secured = secure(["gw-1"])
    with pytest.raises(MqttError, match=r"127\.0\.0\.1:\d+") as refused:
        secured.source(secured.ca, secured.broker.url.replace("mqtt:", "mqtts:")).start()
    assert "CERTIFICATE" not in str(refused.value)


def test_the_storm_passes_through_gateways_that_log_in_by_their_own_names(secure: Secure, tmp_path: Path) -> None:
    assert simulator("storm", "--city-out", str(tmp_path / "city.toml")).returncode == 0
    (tmp_path / "rules.toml").write_text(RULES)
    gateways = list(parse_city((tmp_path / "city.toml").read_text()).gateways)
    assert len(gateways) == STORM_GATEWAYS
    secured = secure(gateways)
    (tmp_path / "passwords").mkdir()
    for gateway in gateways:
        (tmp_path / "passwords" / gateway).write_text(secured.broker.password_of(gateway) + "\n")

    with service(tmp_path, CANHBAO_CLOCK__ARRIVAL="data", **secured.settings) as (page, url):
        assert url == secured.url
        done = simulator("storm", "--url", url, "--ca-file", str(secured.ca), "--password-file",
                         str(tmp_path / "passwords"), "--for", "4", "--skip", "300")  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert "40 gateways, 0 without a receipt, 0 parked" in done.stderr
        sensors = get(f"{page}api/v1/sensors")["sensors"]
    assert sensors
    log = (tmp_path / "log").read_text()
    assert "refuse" not in log
    for user in ("collector", "collector-out", gateways[0]):
        assert secured.broker.password_of(user) not in log


def test_a_reading_becomes_a_warning_that_a_listener_hears(secure: Secure, tmp_path: Path) -> None:
    (tmp_path / "city.toml").write_text(CITY)
    (tmp_path / "rules.toml").write_text(RULES)
    (tmp_path / "river.csv").write_text(
        "sensor_id,time_utc,quantity,value,unit\nriver,2026-07-01T00:00:00Z,water_level,3.0,m\n"
    )
    secured = secure(["gw-1"])
    (tmp_path / "password").write_text(secured.broker.password_of("gw-1"))
    listener = {"username": "collector-listener", "password": secured.broker.password_of("collector-listener")}
    arguments = ["csv", str(tmp_path / "river.csv"), "--gateway", "gw-1", "--url", secured.url]
    with service(tmp_path, CANHBAO_CLOCK__ARRIVAL="data", **secured.settings):
        trusting = [*arguments, "--ca-file", str(secured.ca)]
        done = simulator(*trusting, "--password-file", str(tmp_path / "password"))
        assert done.returncode == 0, done.stderr
        with Client(secured.broker.port, "canhbao/v1/alerts/#", **listener) as ear:
            until(lambda: ear.heard, "no warning is heard")
            assert (ear.heard[0][0], json.loads(ear.heard[0][1])["level"]) == ("canhbao/v1/alerts/20242/flood", 3)

        (tmp_path / "password").write_text("wrong")
        wrong = simulator(*trusting, "--password-file", str(tmp_path / "password"))
        assert (wrong.returncode, "gw-1: Not authorized" in wrong.stderr) == (2, True)


def test_the_simulator_says_what_may_be_wrong_with_its_authority(
    secure: Secure, tmp_path: Path, program: Callable[[str], str]
) -> None:
    secured = secure(["gw-1"])
    stranger = authority(program("openssl"), tmp_path / "stranger")
    (tmp_path / "city.pem").write_text("no certificate")

    for url, ca, code, said in (
        (secured.url, stranger, 1, "is its certificate signed by those of --ca-file?"),
        (secured.url, tmp_path / "city.pem", 2, "expected a file of certificates in PEM"),
        (secured.url, tmp_path / "nowhere.pem", 2, "nowhere.pem"),
        (secured.broker.url, secured.ca, 2, "expected --url mqtts://"),
    ):
        done = simulator("storm", "--url", url, "--ca-file", str(ca), "--for", "1")
        assert (done.returncode, said in done.stderr, "Traceback" in done.stderr) == (code, True, False), done.stderr


def test_the_service_says_what_is_wrong_with_its_authority(secure: Secure, tmp_path: Path) -> None:
    (tmp_path / "city.toml").write_text(CITY)
    (tmp_path / "rules.toml").write_text(RULES)
    secured = secure(["gw-1"])
    code, said = failed_run(tmp_path, **{**secured.settings, "CANHBAO_MQTT__CA_FILE": ""})

    assert code == 1
    assert "CERTIFICATE_VERIFY_FAILED" in said
    assert "Traceback" not in said
