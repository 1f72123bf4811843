"""Mutual TLS with Debian's Mosquitto: a certificate lets its gateway in, as itself and for no longer than it holds."""

from __future__ import annotations

import os
import signal
import socket
import ssl
import stat
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

import pytest
from brokers import CityMosquitto, Client, until
from certificates import authority as foreign_authority
from cryptography import x509
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion
from test_run import failed_run, get
from test_service import service
from test_spine import CITY, RULES
from test_tls import simulator

from alerts.__main__ import main
from ingest.broker.authority import Authority
from ingest.broker.certificates import AUTHORITY_LASTS, LASTS
from ingest.broker.knock import lets_in
from ingest.broker.mosquitto import MosquittoFolder
from ingest.broker.reload import Reload, put_out
from ingest.city import parse_city
from ingest.inbox import Inbox
from ingest.mqtt.connection import MqttError
from ingest.mqtt.publisher import MqttPublisher
from ingest.mqtt.source import COLLECTOR_TOPICS, MqttSource
from ingest.tls import Identity, tls_context

needs_mosquitto = pytest.mark.server("mosquitto")
TOWN = '[city]\nname = "x"\n[[gateway]]\nid = "gw-1"\n[[gateway]]\nid = "gw-2"\n'
NOW = datetime.now(UTC)
DAY = timedelta(days=1)


@pytest.fixture
def town(tmp_path: Path) -> Path:
    (tmp_path / "city.toml").write_text(TOWN)
    # Settings name files that `canhbao gateway ca` has yet to make.
    (tmp_path / "canhbao.toml").write_text(
        '[mqtt]\nurl = "mqtts://127.0.0.1:8884"\nca_file = "data/mosquitto/ca/ca.crt"\n'
        'certificate_file = "data/mosquitto/collector.crt"\nkey_file = "data/mosquitto/collector.key"\n'
    )
    (tmp_path / "data" / "mosquitto").mkdir(parents=True)
    return tmp_path


@pytest.fixture
def broker(town: Path, free_port: Callable[[], int], program: Callable[[str], str]) -> Iterator[CityMosquitto]:
    folder = town / "data" / "mosquitto"
    broker = CityMosquitto(program("mosquitto"), folder, free_port(), certificate_port=free_port())
    broker.start()
    yield broker
    broker.stop()


Said = Callable[[], tuple[str, str]]


@pytest.fixture
def said(town: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Said:
    """What `main` has said in the town since the last time."""
    monkeypatch.chdir(town)
    return lambda: tuple(capsys.readouterr())  # type: ignore[return-value]


class Certified:
    """A client that shows a certificate; what became of it."""

    def __init__(
        self, broker: CityMosquitto, identity: Identity | None, client_id: str = "any", username: str = ""
    ) -> None:
        self.connected = self.ended = False
        self.heard: list[str] = []
        self.context = tls_context(broker.ca_file, identity)
        self.client = client = paho.Client(CallbackAPIVersion.VERSION2, client_id, clean_session=True)
        client.tls_set_context(self.context)
        if username:
            client.username_pw_set(username, "any")
        client.on_connect = lambda *_: setattr(self, "connected", True)
        client.on_disconnect = lambda *_: setattr(self, "ended", True)
        client.on_message = lambda _c, _u, message: self.heard.append(message.topic)
        client.connect("127.0.0.1", int(broker.certificate_url.rpartition(":")[2]))
        client.loop_start()
        until(lambda: self.connected or self.ended)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.disconnect()
        self.client.loop_stop()
        self.client._reset_sockets()


def given(folder: Path, gateway: str = "gw-1") -> Identity:
    return Identity(folder / f"{gateway}.crt", folder / f"{gateway}.key")


def certified(broker: CityMosquitto, to: Path, gateway: str = "gw-1", at: datetime = NOW) -> Identity:
    """As `canhbao gateway add --certificate` gives it."""
    credential = broker.authority.issue(gateway, at)
    to.mkdir(exist_ok=True)
    (to / f"{gateway}.crt").write_text(credential.certificate)
    (to / f"{gateway}.key").write_text(credential.key)
    return given(to, gateway)


def let_in(broker: CityMosquitto, identity: Identity | None) -> bool:
    with Certified(broker, identity) as client:
        return client.connected


# --- who is let in ---------------------------------------------------------------------------------------------------


@needs_mosquitto
def test_a_certificate_of_this_authority_lets_its_gateway_in_and_no_other_does(
    broker: CityMosquitto, tmp_path: Path
) -> None:
    assert let_in(broker, certified(broker, tmp_path / "right"))

    stranger = MosquittoFolder(tmp_path / "stranger")
    with stranger.changing():
        Authority(stranger).complete(["x"], NOW)
    credential = Authority(stranger).issue("gw-1", NOW)
    wrong = given(tmp_path)
    wrong.certificate.write_text(credential.certificate)
    wrong.key.write_text(credential.key)
    folder = broker.folder.folder
    for identity in (
        None,
        wrong,
        certified(broker, tmp_path / "ended", at=NOW - LASTS - DAY),
        certified(broker, tmp_path / "to come", at=NOW + 3 * DAY),
        Identity(folder / "tls" / "server.crt", folder / "tls" / "server.key"),  # not a client's
    ):
        assert not let_in(broker, identity), identity


@needs_mosquitto
def test_passwords_count_for_nothing_there_and_a_name_that_is_said_neither(
    broker: CityMosquitto, tmp_path: Path
) -> None:
    identity = certified(broker, tmp_path / "own")
    with (
        Client(broker.port, "#", username="collector", password=broker.password) as collector,
        Certified(broker, identity, "collector", "collector") as gateway,
    ):
        gateway.client.subscribe([("canhbao/v1/+/receipt", 1), ("#", 1)])
        gateway.client.publish("canhbao/v1/gw-1/readings", b"x", 1).wait_for_publish(5)
        until(lambda: collector.heard)
        for user in ("gw-1", "gw-2"):
            collector.publish(f"canhbao/v1/{user}/receipt", b"{}")
        until(lambda: gateway.heard)
        assert gateway.heard == ["canhbao/v1/gw-1/receipt"]
        assert collector.client.is_connected()  # whose client id it called itself by
        for topic in ("canhbao/v1/gw-2/readings", "canhbao/v1/gw-1/receipt", "canhbao/v1/alerts/20242/flood"):
            gateway.connected = gateway.ended = False
            gateway.client.publish(topic, b"not its own", 1)
            until(lambda: gateway.ended, topic)
            until(lambda: gateway.connected, topic)
        gateway.client.publish("canhbao/v1/gw-1/readings", b"last", 1).wait_for_publish(5)
        until(lambda: collector.heard[-1][1] == b"last")
    assert [topic for topic, _, _ in collector.heard] == ["canhbao/v1/gw-1/readings"] * 2


@needs_mosquitto
def test_a_gateway_with_a_certificate_cannot_take_what_waits_for_the_collector(
    broker: CityMosquitto, tmp_path: Path
) -> None:
    inbox = Inbox()
    source = MqttSource(broker.url, "collector", broker.password, "collector-5eed", COLLECTOR_TOPICS, inbox)
    source.start()
    source.stop()
    with Certified(broker, certified(broker, tmp_path / "own"), "collector-5eed") as gateway:
        gateway.client.publish("canhbao/v1/gw-1/readings", b"kept", 1).wait_for_publish(5)
    source = MqttSource(broker.url, "collector", broker.password, "collector-5eed", COLLECTOR_TOPICS, inbox)
    source.start()
    assert [message.payload for message in inbox.drain(5)] == [b"kept"]
    source.stop()


# --- canhbao gateway ------------------------------------------------------------------------------------------------


@needs_mosquitto
def test_what_is_revoked_ends_at_once_and_does_not_come_back(broker: CityMosquitto, tmp_path: Path, said: Said) -> None:
    assert main(["gateway", "add", "gw-1", "--certificate", "out"]) == 0
    assert main(["gateway", "add", "gw-2", "--certificate", "out"]) == 0
    out, err = said()
    assert (out, "PRIVATE" in err) == ("", False)
    with (
        Certified(broker, given(tmp_path / "out")) as gone,
        Certified(broker, given(tmp_path / "out", "gw-2")) as stays,
    ):
        assert main(["gateway", "revoke", "gw-1"]) == 0
        until(lambda: gone.ended)
        assert "the connection has ended" in said()[1]
        gone.connected = False
        until(lambda: gone.context.alert == "certificate revoked")
        assert (gone.connected, stays.ended) == (False, False)
    assert not let_in(broker, given(tmp_path / "out"))
    assert broker.folder.gateways == []
    assert let_in(broker, given(tmp_path / "out", "gw-2"))
    assert lets_in(("127.0.0.1", broker.port), "collector", broker.password)


@needs_mosquitto
def test_what_tls_remembers_of_a_revoked_one_is_of_no_use(broker: CityMosquitto, tmp_path: Path) -> None:
    context = tls_context(broker.ca_file, certified(broker, tmp_path / "own"))
    session, resumed = _session(broker, context, None)
    assert (session is not None, resumed) == (True, False)
    assert _session(broker, context, session)[1]  # without asking for the certificate
    with broker.folder.changing():
        broker.authority.revoke("gw-1", NOW)
        assert put_out(broker.folder, "gw-1") == Reload.SEEN
    with pytest.raises(OSError, match=r"REVOKED|EOF"):
        _session(broker, context, session)


def _session(
    broker: CityMosquitto, context: ssl.SSLContext, session: ssl.SSLSession | None
) -> tuple[ssl.SSLSession | None, bool | None]:
    """Of a connection that was let in; and whether it was the resumption of `session`."""
    port = int(broker.certificate_url.rpartition(":")[2])
    plain = socket.create_connection(("127.0.0.1", port), timeout=5)
    with context.wrap_socket(plain, server_hostname="127.0.0.1", session=session) as sock:
        sock.sendall(b"\x10\x0f\x00\x04MQTT\x04\x02\x00\x0a\x00\x03any")
        assert sock.recv(4) == b"\x20\x02\x00\x00"
        return sock.session, sock.session_reused


@needs_mosquitto
def test_rotated_the_new_one_is_let_in_and_the_old_one_is_not(
    broker: CityMosquitto, tmp_path: Path, said: Said
) -> None:
    assert main(["gateway", "add", "gw-1"]) == 0
    password = said()[0].strip()
    assert main(["gateway", "add", "gw-1", "--certificate", "old"]) == 0
    with Certified(broker, given(tmp_path / "old")) as old:
        assert main(["gateway", "rotate", "gw-1", "--certificate", "new"]) == 0
        until(lambda: old.ended)
        until(lambda: old.context.alert == "certificate revoked")
    assert let_in(broker, given(tmp_path / "new"))
    assert lets_in(("127.0.0.1", broker.port), "gw-1", password)  # that one was not asked about


@needs_mosquitto
def test_where_it_cannot_be_shown_that_the_connection_ended_it_is_said(
    broker: CityMosquitto, said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingest.broker.reload._SEEN_S", 0.3)
    assert main(["gateway", "add", "gw-1", "--certificate", "out"]) == 0
    os.kill(broker.pid, signal.SIGSTOP)
    try:
        assert main(["gateway", "revoke", "gw-1"]) == 1
    finally:
        os.kill(broker.pid, signal.SIGCONT)
    assert "Restart it" in said()[1]
    assert broker.folder.gateways == []


@needs_mosquitto
def test_a_renewed_authority_is_read_by_a_running_broker(broker: CityMosquitto, tmp_path: Path) -> None:
    broker.terminate()
    now = datetime.now(UTC)
    (broker.authority.folder / "ca.crt").unlink()
    first = broker.authority.complete([], now - AUTHORITY_LASTS + timedelta(seconds=3))[0]
    broker.start()
    assert broker.authority.complete([], now)[0].ends > first.ends
    own = certified(broker, tmp_path / "own")
    os.kill(broker.pid, signal.SIGHUP)
    until(lambda: datetime.now(UTC) > first.ends + timedelta(seconds=1))
    assert let_in(broker, own)


@needs_mosquitto
def test_a_citys_own_authority_needs_nothing_of_ours(
    town: Path, said: Said, free_port: Callable[[], int], program: Callable[[str], str]
) -> None:
    city = MosquittoFolder(town / "city")
    with city.changing():
        Authority(city).complete(["127.0.0.1"], NOW)
    folder = town / "data" / "mosquitto"
    for name in ("tls/server.crt", "tls/server.key", "ca/ca.crt", "ca/crl.pem"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes((city.folder / name).read_bytes())
    port, certificates = free_port(), free_port()
    broker = CityMosquitto(program("mosquitto"), folder, port)
    (folder / "mosquitto.conf").unlink()
    for arguments in (["ca", "--host", "127.0.0.1"], ["add", "gw-1", "--certificate", "out"]):
        assert main(["gateway", *arguments]) == 2
    assert "a city's own authority" in said()[1]
    assert not (folder / "ca" / "ca.key").exists()
    conf = (folder / "mosquitto.conf").read_text()
    for written, ours in (("1883 127.0.0.1", port), ("8883 0.0.0.0", free_port()), ("8884 0.0.0.0", certificates)):
        assert f"\nlistener {written}\n" in conf
        conf = conf.replace(f"listener {written}\n", f"listener {ours} 127.0.0.1\n")
    (folder / "mosquitto.conf").write_text(conf)
    broker.certificate_url, broker.authority = f"mqtts://127.0.0.1:{certificates}", Authority(city)
    broker.start()
    try:
        identity = certified(broker, town / "own")
        assert let_in(broker, identity)
        Authority(city).revoke("gw-1", NOW)
        (folder / "ca" / "crl.pem").write_bytes((city.folder / "ca" / "crl.pem").read_bytes())
        os.kill(broker.pid, signal.SIGHUP)
        until(lambda: not let_in(broker, identity))
    finally:
        broker.stop()


def test_ca_makes_everything_once_and_says_when_it_ends(town: Path, said: Said) -> None:
    folder = town / "data" / "mosquitto"
    assert main(["gateway", "ca", "--host", "broker.example", "192.0.2.7"]) == 0
    lines = [line.split("\t") for line in said()[0].splitlines()]
    users = ["collector", "collector-backfill", "collector-out", "collector-networks", "collector-listener"]
    assert [(Path(file).stem, what) for file, _, what in lines] == [(n, "made") for n in ("ca", "server", *users)]
    for file, until_, _ in lines:
        certificate = x509.load_pem_x509_certificate(Path(file).read_bytes())
        assert until_ == f"until {certificate.not_valid_after_utc:%Y-%m-%d}"
    assert "listener 8884 0.0.0.0" in (folder / "mosquitto.conf").read_text().splitlines()

    before = {file: file.read_bytes() for file in folder.rglob("*") if file.is_file() and file.name != "lock"}
    assert main(["gateway", "ca"]) == 0
    out, err = said()
    assert (out.count("as it was"), err) == (7, "")
    assert {file: file.read_bytes() for file in before} == before


def test_files_for_a_gateway_are_its_own_and_nothing_secret_is_printed(town: Path, said: Said) -> None:
    assert main(["gateway", "ca", "--host", "b"]) == 0
    assert main(["gateway", "add", "gw-1", "--certificate", "deep/out"]) == 0
    folder = town / "deep" / "out"
    assert {file.name: stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()} == {
        "gw-1.key": 0o600, "gw-1.crt": 0o600, "ca.crt": 0o600,
    }  # fmt: skip
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    given(folder).try_out()
    assert "PRIVATE" not in "".join(said())
    key = (folder / "gw-1.key").read_bytes()
    assert not any(key in file.read_bytes() for file in (town / "data").rglob("*") if file.is_file())


def test_what_is_asked_for_wrongly_ends_with_2_and_changes_nothing(town: Path, said: Said) -> None:
    def wrong(hint: str, *arguments: str) -> None:
        assert main(["gateway", *arguments]) == 2, arguments
        out, err = said()
        assert (out, hint in err, "Traceback" in err) == ("", True, False), err

    wrong("canhbao gateway ca --host NAME", "add", "gw-1", "--certificate", "out")
    wrong("--host", "ca")
    wrong("without scheme and port", "ca", "--host", "mqtts://b:8884")
    wrong("at most 100", "ca", "--host", *(f"b{n}" for n in range(101)))
    assert main(["gateway", "ca", "--host", "b"]) == 0
    assert main(["gateway", "add", "gw-1", "--certificate", "out"]) == 0
    said()
    files = {file: file.read_bytes() for file in town.rglob("*") if file.is_file() and file.name != "lock"}
    wrong("canhbao gateway rotate gw-1 --certificate DIR", "add", "gw-1", "--certificate", "out2")
    wrong("not alerts, cap, drill, speak, collector", "add", "collector-out", "--certificate", "out")
    wrong("not alerts, cap, drill, speak, collector", "add", "collector", "--certificate", "out")
    wrong("[[gateway]]", "add", "gw-3", "--certificate", "out")
    wrong("one with a certificate", "rotate", "gw-2", "--certificate", "out")
    wrong("one with a password", "rotate", "gw-1")
    wrong("a password or a certificate", "revoke", "gw-2")
    (town / "taken").mkdir()
    (town / "taken" / "gw-2.key").write_text("somebody's")
    wrong("no key is written over", "add", "gw-2", "--certificate", "taken")
    (town / "other").mkdir()
    (town / "other" / "ca.crt").write_text("another's")
    wrong("another authority", "rotate", "gw-1", "--certificate", "other")
    assert {file: file.read_bytes() for file in files} == files


def test_list_says_who_has_one_and_warns_before_it_ends(town: Path, said: Said) -> None:
    folder = MosquittoFolder(town / "data" / "mosquitto")
    authority = Authority(folder)
    with folder.changing():
        authority.complete(["b"], NOW - LASTS + 10 * DAY)
        authority.issue("gw-1", NOW)
        authority.issue("gw-2", NOW - LASTS + 10 * DAY)
        authority.issue("gw-9", NOW)
    assert main(["gateway", "list"]) == 0
    out, err = said()
    soon, late = NOW + 10 * DAY, NOW + LASTS
    assert out.splitlines() == [
        f"gw-1\tno password\tcertificate until {late:%Y-%m-%d}",
        f"gw-2\tno password\tcertificate until {soon:%Y-%m-%d}, 9 days: canhbao gateway add gw-2 --certificate DIR",
        "gw-9\thas a certificate, and the city knows no such gateway: canhbao gateway revoke gw-9",
    ]
    assert f"tls/server.crt ends on {soon:%Y-%m-%d}; make it anew: canhbao gateway ca" in err

    assert main(["gateway", "add", "gw-2", "--certificate", "out"]) == 0  # beside the one that ends
    assert len(x509.load_pem_x509_certificates((authority.folder / "issued" / "gw-2.crt").read_bytes())) == 2
    assert main(["gateway", "ca"]) == 0
    said()
    assert main(["gateway", "list"]) == 0
    out, err = said()
    assert (f"gw-2\tno password\tcertificate until {late:%Y-%m-%d}" in out, err) == (True, "")


def test_an_older_configuration_is_left_alone_and_the_lines_it_needs_are_said(town: Path, said: Said) -> None:
    assert main(["gateway", "add", "gw-2"]) == 0
    conf = town / "data" / "mosquitto" / "mosquitto.conf"
    before = conf.read_text()
    said()
    assert main(["gateway", "ca", "--host", "b"]) == 0
    assert "\nlistener 8884 0.0.0.0\n" in said()[1]
    assert conf.read_text() == before


def test_two_at_once_are_locked_out(town: Path, said: Said) -> None:
    assert main(["gateway", "ca", "--host", "b"]) == 0
    for arguments in (["add", "gw-1", "--certificate", "out"], ["revoke", "gw-1"], ["ca"]):
        with MosquittoFolder(town / "data" / "mosquitto").changing():
            assert main(["gateway", *arguments]) == 1
        assert "in use by process" in said()[1]
    assert not (town / "out").exists()


# --- the service and the simulator -----------------------------------------------------------------------------------


def settings(broker: CityMosquitto) -> dict[str, str]:
    """For `service(folder, **settings(broker))`: by certificates, without a password."""
    files = {"": "collector", "BACKFILL_": "collector-backfill", "OUT_": "collector-out"}
    own = {f"CANHBAO_MQTT__{prefix}{kind}_FILE": str(broker.folder.folder / f"{user}{end}")
           for prefix, user in files.items() for kind, end in (("CERTIFICATE", ".crt"), ("KEY", ".key"))}  # fmt: skip
    return {**own, "CANHBAO_MQTT__URL": broker.certificate_url, "CANHBAO_MQTT__CA_FILE": str(broker.ca_file)}


@needs_mosquitto
def test_the_storm_passes_when_everybody_shows_a_certificate(broker: CityMosquitto, tmp_path: Path) -> None:
    assert simulator("storm", "--city-out", str(tmp_path / "city.toml")).returncode == 0
    (tmp_path / "rules.toml").write_text(RULES)
    gateways = list(parse_city((tmp_path / "city.toml").read_text()).gateways)
    for gateway in gateways:
        certified(broker, tmp_path / "own", gateway)
    with service(tmp_path, CANHBAO_CLOCK__ARRIVAL="data", **settings(broker)) as (page, url):
        assert url == broker.certificate_url
        done = simulator("storm", "--url", url, "--ca-file", str(broker.ca_file), "--certificate-dir",
                         str(tmp_path / "own"), "--for", "4", "--skip", "300")  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert f"{len(gateways)} gateways, 0 without a receipt, 0 parked" in done.stderr
        assert get(f"{page}api/v1/sensors")["sensors"]
    log = (tmp_path / "log").read_text()
    assert "refuse" not in log
    assert "ERROR" not in log


@needs_mosquitto
def test_the_service_names_its_certificate_that_has_ended(broker: CityMosquitto, tmp_path: Path) -> None:
    (tmp_path / "city.toml").write_text(CITY)
    (tmp_path / "rules.toml").write_text(RULES)
    old = NOW - LASTS - DAY
    for user in ("collector", "collector-out"):
        broker.authority.user_file(user).unlink()
    broker.authority.complete([], old)
    code, said = failed_run(tmp_path, **settings(broker))
    assert (code, "Traceback" in said) == (1, False)
    file = broker.authority.user_file("collector-out")
    assert f"the certificate {file} ended on {old + LASTS:%Y-%m-%dT%H:%M:%SZ}" in said


@needs_mosquitto
def test_a_refused_certificate_is_told_in_tlss_own_word(broker: CityMosquitto) -> None:
    file = broker.authority.user_file("collector-out")
    broker.authority.revoke("collector-out", NOW)
    os.kill(broker.pid, signal.SIGHUP)
    until(lambda: "Reloading" in broker.log)
    identity = Identity(file, file.with_suffix(".key"))
    publisher = MqttPublisher(broker.certificate_url, "collector-out", "", ca_file=broker.ca_file, identity=identity)
    with pytest.raises(MqttError, match="it ends TLS: certificate revoked"):
        publisher.start()
    publisher = MqttPublisher(broker.certificate_url, "collector-out", "", ca_file=broker.ca_file)
    with pytest.raises(MqttError, match="it ends TLS: certificate required"):
        publisher.start()


@needs_mosquitto
def test_a_certificate_renewed_while_we_run_is_shown_at_the_next_connection_and_one_that_ends_is_told(
    broker: CityMosquitto, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = broker.authority.user_file("collector")
    own = Identity(tmp_path / "own.crt", tmp_path / "own.key")
    own.key.write_bytes(file.with_suffix(".key").read_bytes())
    own.certificate.write_bytes(file.read_bytes())
    source = MqttSource(broker.certificate_url, "collector", "", "any", COLLECTOR_TOPICS, Inbox(),
                        ca_file=broker.ca_file, identity=own)  # fmt: skip
    source.start()
    broker.authority.revoke("collector", NOW)  # the one that it began with
    file.unlink()
    broker.authority.complete([], NOW - LASTS + DAY)
    own.key.write_bytes(file.with_suffix(".key").read_bytes())
    own.certificate.write_bytes(file.read_bytes())
    broker.kill()
    until(lambda: not source.connected)
    broker.start()
    until(lambda: source.connected)
    assert f"the certificate {own.certificate} ends on" in caplog.text

    own.certificate.write_text("damaged")
    broker.kill()
    until(lambda: "will not let us in" in caplog.text)
    assert str(own.certificate) in caplog.text
    source.stop()


@needs_mosquitto
def test_the_simulator_says_what_is_wrong_with_its_certificates(
    broker: CityMosquitto, tmp_path: Path, program: Callable[[str], str]
) -> None:
    (tmp_path / "river.csv").write_text(
        "sensor_id,time_utc,quantity,value,unit\nriver,2026-07-01T00:00:00Z,water_level,3.0,m\n"
    )
    certified(broker, tmp_path / "own")
    certified(broker, tmp_path / "ended", at=NOW - LASTS - DAY)
    certified(broker, tmp_path / "revoked", "gw-2")
    broker.authority.revoke("gw-2", NOW)
    os.kill(broker.pid, signal.SIGHUP)
    until(lambda: "Reloading" in broker.log)
    stranger = foreign_authority(program("openssl"), tmp_path / "stranger")
    for gateway, folder, ca, url, code, said in (
        ("gw-1", "ended", broker.ca_file, broker.certificate_url, 2, "gw-1.crt ended on"),
        ("gw-2", "own", broker.ca_file, broker.certificate_url, 2, "gw-2.crt"),
        ("gw-2", "revoked", broker.ca_file, broker.certificate_url, 2, "ends TLS: certificate revoked"),
        ("gw-1", "own", broker.ca_file, broker.url, 2, "expected --url mqtts://"),
        ("gw-1", "own", stranger, broker.certificate_url, 1, "signed by those of --ca-file"),
    ):
        done = simulator("csv", str(tmp_path / "river.csv"), "--gateway", gateway, "--url", url, "--ca-file", str(ca),
                         "--certificate-dir", str(tmp_path / folder), "--for", "2")  # fmt: skip
        assert (done.returncode, said in done.stderr, "Traceback" in done.stderr) == (code, True, False), done.stderr
