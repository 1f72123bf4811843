"""Settings are checked as a whole before anything starts, and an error points at the one thing to change."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest

from alerts.given import Secret
from alerts.settings import EMBEDDED_MQTT_PORT, load
from ingest.city import DEFAULT_CITY_FILE, ConfigError
from ingest.history.store import Keep
from processing.rules import DEFAULT_RULES_FILE

Write: TypeAlias = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(text: str) -> Path:
        path = tmp_path / "canhbao.toml"
        path.write_text(text, "utf-8")
        return path

    return write


def test_without_a_file_everything_is_embedded() -> None:
    settings = load(None, {"PATH": "/bin", "HOME": "/root"})

    assert settings.data_path == Path("data")
    assert (settings.city_file, settings.rules_file) == (DEFAULT_CITY_FILE, DEFAULT_RULES_FILE)
    assert settings.clock == "wall"
    assert settings.mqtt.embedded_port == EMBEDDED_MQTT_PORT
    assert settings.mqtt.username == "collector"
    assert settings.mqtt.password is None
    assert settings.networks == {}
    assert (settings.http_host, settings.http_port) == ("127.0.0.1", 8000)
    assert settings.history_url == "duckdb"
    assert settings.history_keep == Keep(raw_days=400, minutes_days=800)


def test_every_section_of_the_file_is_heard(write: Write) -> None:
    path = write(
        """
        [data]
        path = "/srv/canhbao"
        [clock]
        arrival = "data"
        [mqtt]
        url = "mqtts://broker.example:8884"
        username = "reader"
        client_id = "reader"
        backfill_username = "reader-old"
        out_username = "speaker"
        [networks]
        chirpstack = "application"
        shelly = "+"
        [http]
        listen = "[::1]:9000"
        [history]
        url = "influx+http://db.example:8086?org=city&bucket=readings"
        keep_raw_days = "30"
        keep_minutes_days = "30"
        """
    )

    settings = load(path, {})

    assert settings.data_path == Path("/srv/canhbao")
    assert settings.clock == "data"
    assert settings.mqtt.url == "mqtts://broker.example:8884"
    assert settings.mqtt.embedded_port is None
    mqtt = settings.mqtt
    assert (mqtt.username, mqtt.client_id) == ("reader", "reader")
    assert (mqtt.backfill_username, mqtt.out_username) == ("reader-old", "speaker")
    assert settings.networks == {"chirpstack": "application", "shelly": "+"}
    assert (settings.http_host, settings.http_port) == ("::1", 9000)
    assert settings.history_url.startswith("influx+http://")
    assert settings.history_keep == Keep(30, 30)


def test_the_environment_wins_over_the_file(write: Write) -> None:
    path = write('[http]\nlisten = "127.0.0.1:9000"\n[clock]\narrival = "data"\n')

    settings = load(path, {"CANHBAO_HTTP__LISTEN": "0.0.0.0:80"})

    assert (settings.http_host, settings.http_port) == ("0.0.0.0", 80)
    assert settings.clock == "data"


def test_relative_paths_start_at_the_file_and_those_of_the_environment_where_we_stand(
    write: Write, tmp_path: Path
) -> None:
    path = write('[data]\npath = "./data"\n[city]\nfile = "town.toml"\n')
    (tmp_path / "town.toml").touch()

    assert load(path, {}).data_path == tmp_path / "data"
    assert load(path, {}).city_file == tmp_path / "town.toml"
    assert load(path, {"CANHBAO_DATA__PATH": "elsewhere"}).data_path == Path("elsewhere")


def test_a_registry_beside_the_settings_is_taken_without_being_named(write: Write, tmp_path: Path) -> None:
    path = write("")
    (tmp_path / "city.toml").touch()

    assert load(path, {}).city_file == tmp_path / "city.toml"
    assert load(path, {}).rules_file == DEFAULT_RULES_FILE


@pytest.mark.parametrize(
    ("given", "url"),
    [("", ""), ("https://CanhBao.vn", "https://canhbao.vn/"), ("http://192.168.1.5:8000/", "http://192.168.1.5:8000/")],
)
def test_the_public_address_ends_with_a_slash_where_there_is_one(given: str, url: str) -> None:
    assert load(None, {"CANHBAO_HTTP__PUBLIC_URL": given}).public_url == url


@pytest.mark.parametrize(("url", "port"), [("embedded", 1883), ("embedded:0", 0), ("embedded:2883", 2883)])
def test_the_bundled_broker_may_be_given_a_port(url: str, port: int) -> None:
    assert load(None, {"CANHBAO_MQTT__URL": url}).mqtt.embedded_port == port


@pytest.mark.parametrize(
    ("text", "key", "hint"),
    [
        ("[mqt]\n", "[mqt]", "[mqtt]"),
        ('[http]\nlissen = "x:1"\n', "http.lissen", "http.listen"),
        ('[clock]\nzzz = "x"\n', "clock.zzz", "one of clock.arrival"),
        ("[http]\nlisten = 8000\n", "http.listen", "text in quotes"),
        ('http = "x"\n', "http", "[http]"),
        ('[http]\nlisten = "8000"\n', "http.listen", "host:port"),
        ('[http]\nlisten = "127.0.0.1:80000"\n', "http.listen", "65535"),
        ('[http]\nlisten = "127.0.0.1:²"\n', "http.listen", "65535"),
        ('[http]\npublic_url = "canhbao.vn"\n', "http.public_url", "https://host"),
        ('[http]\npublic_url = "https://canhbao.vn/warnings"\n', "http.public_url", "https://host"),
        ('[http]\npublic_url = "https://canhbao.vn?x=1"\n', "http.public_url", "https://host"),
        ('[http]\npublic_url = "ftp://canhbao.vn"\n', "http.public_url", "https://host"),
        ('[http]\npublic_url = "https://a@canhbao.vn"\n', "http.public_url", "an address alone"),
        ('[http]\npublic_url = "https://cảnhbáo.vn"\n', "http.public_url", "https://host"),
        ('[clock]\narrival = "moon"\n', "clock.arrival", '"wall" or "data"'),
        ('[mqtt]\nurl = "http://x"\n', "mqtt.url", "mqtts://"),
        ('[mqtt]\nurl = "embedded:x"\n', "mqtt.url", "port"),
        ('[mqtt]\nurl = "mqtt://x:99999"\n', "mqtt.url", "mqtt://"),
        ('[mqtt]\nusername = ""\n', "mqtt.username", "a name"),
        ('[networks]\ntasmota = "tele/"\n', "networks.tasmota", "before /…/SENSOR"),
        ('[networks]\nttn = "+"\n', "networks.ttn", "/+/devices/…/up"),
        ('[networks]\nchirpstack = "canhbao/v1"\n', "networks.chirpstack", "not beginning with canhbao"),
        ('[networks]\nlora = "x"\n', "networks.lora", "one of"),
        ('[city]\nfile = "nowhere.toml"\n', "city.file", "there is none"),
        ('[history]\nurl = "influx+http://db:8086?org=a"\n', "history.url", "bucket"),
        ('[history]\nkeep_raw_days = "0"\n', "history.keep_raw_days", "1 to 36500"),
        ('[history]\nkeep_raw_days = "1.5"\n', "history.keep_raw_days", "number of days"),
        ('[history]\nkeep_raw_days = "900"\n', "history.keep_raw_days", "800 and 900 days"),
        ('[history]\nkeep_minutes_days = "9"\n', "history.keep_minutes_days", "9 and 400 days"),
        ('[mqtt]\npassword_file = "nowhere"\n', "mqtt.password_file", "can be read"),
        ('[residents]\nkey_file = "data/key"\n', "residents.key_file", "outside the data folder"),
        ('[residents]\nkey_file = "x/../data/sub/key"\n', "residents.key_file", "outside the data folder"),
        ('[residents]\nkey_file = "canhbao.toml"\n', "residents.key_file", "64 hexadecimal digits"),
        ('[residents]\nkey = "00"\n', "residents.key", "CANHBAO_RESIDENTS__KEY"),
        ('[mqtt]\nurl = "mqtts://x"\nca_file = "nowhere.pem"\n', "mqtt.ca_file", "nowhere.pem: No such file"),
        ('[mqtt]\nurl = "mqtts://x"\nca_file = "canhbao.toml"\n', "mqtt.ca_file", "certificates in PEM"),
        ('[mqtt]\nurl = "mqtt://x"\nca_file = "canhbao.toml"\n', "mqtt.ca_file", "no mqtts://"),
        ('[mqtt]\nca_file = "canhbao.toml"\n', "mqtt.ca_file", "no mqtts://"),
        ('[mqtt]\nurl = "mqtts://x"\nkey_file = "x"\n', "mqtt.key_file", "mqtt.certificate_file beside it"),
        (
            '[mqtt]\nurl = "mqtts://x"\nout_certificate_file = "x"\n',
            "mqtt.out_certificate_file",
            "mqtt.out_key_file beside",
        ),
        ('[mqtt]\ncertificate_file = "x"\nkey_file = "x"\n', "mqtt.certificate_file", "no mqtts://"),
        (
            '[mqtt]\nurl = "mqtts://x"\nbackfill_certificate_file = "nowhere.crt"\nbackfill_key_file = "x"\n',
            "mqtt.backfill_certificate_file",
            "nowhere.crt with",
        ),
        (
            '[mqtt]\nurl = "mqtts://x"\ncertificate_file = "canhbao.toml"\nkey_file = "canhbao.toml"\n',
            "mqtt.certificate_file",
            "its key without a pass phrase",
        ),
        ('[mqtt]\npassword = "x"\n', "mqtt.password", "CANHBAO_MQTT__PASSWORD"),
        ("[http\n", "line", "TOML"),
    ],
)
def test_what_is_wrong_is_named_with_what_was_meant(write: Write, text: str, key: str, hint: str) -> None:
    path = write(text)

    with pytest.raises(ConfigError) as caught:
        load(path, {})

    assert caught.value.key == key
    assert caught.value.file == str(path)
    assert hint in caught.value.expected


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("CANHBAO_MQTT_URL", "CANHBAO_MQTT__URL"),
        ("CANHBAO_MQTT__PASWORD", "CANHBAO_MQTT__PASSWORD"),
        ("CANHBAO_HTTP__LISTEN", "host:port"),
    ],
)
def test_a_wrong_variable_is_named_too(name: str, hint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(None, {name: "hush"})

    assert caught.value.key == name
    assert hint in caught.value.expected


def test_an_absent_settings_file_is_said_and_not_passed_over(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"canhbao\.toml.*can be read"):
        load(tmp_path / "canhbao.toml", {})


def test_a_secret_comes_from_the_environment_or_from_a_file_of_its_own(write: Write, tmp_path: Path) -> None:
    (tmp_path / "broker.secret").write_text("from file\n", "utf-8")
    path = write('[mqtt]\npassword_file = "broker.secret"\n')

    from_file = load(path, {}).mqtt.password
    from_environment = load(path, {"CANHBAO_MQTT__PASSWORD": "from environment"}).mqtt.password

    assert from_file == Secret("from file")
    assert from_environment == Secret("from environment")
    assert load(None, {"CANHBAO_HISTORY__TOKEN": "t"}).history_token == Secret("t")


def test_secrets_that_are_not_made_yet_are_left_alone_when_nobody_wants_them(write: Write) -> None:
    path = write(
        '[mqtt]\nurl = "mqtts://x"\npassword_file = "nowhere"\nca_file = "nowhere"\n'
        'certificate_file = "nowhere"\nkey_file = "nowhere"\n'
    )

    mqtt = load(path, {"CANHBAO_HISTORY__TOKEN": "t"}, with_secrets=False).mqtt
    assert (mqtt.password, mqtt.identity) == (None, None)


def test_no_secret_shows_in_a_setting_that_is_printed() -> None:
    names = ("MQTT__PASSWORD", "MQTT__BACKFILL_PASSWORD", "MQTT__OUT_PASSWORD", "HISTORY__TOKEN")
    settings = load(None, {f"CANHBAO_{name}": "hush-hush" for name in names})

    for shown in (repr(settings), str(settings), f"{settings.mqtt.password}", f"{settings.mqtt.out_password!s:>5}"):
        assert "hush-hush" not in shown
    assert settings.mqtt.password is not None
    assert settings.mqtt.password.reveal() == "hush-hush"


@pytest.mark.parametrize(
    "text",
    [
        '[mqtt]\npassword = "hush-hush"\n',
        '[history]\ntoken = "hush-hush"\n',
        '[mqtt]\nurl = "mqtt://collector:hush-hush@broker"\n',
        '[mqtt]\nurl = "http://collector:hush-hush@broker"\n',
        '[mqtt]\nurl = "mqtt://collector:hush-hush@broker:port"\n',
        '[history]\nurl = "influx+http://db:8086?org=a&bucket=b&token=hush-hush"\n',
    ],
)
def test_a_secret_in_the_settings_file_is_refused_without_being_repeated(write: Write, text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(write(text), {})

    assert "hush-hush" not in str(caught.value)
