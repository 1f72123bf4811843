"""`canhbao gateway` as an operator meets it, against Debian's Mosquitto."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from brokers import CityMosquitto, Client, until

from alerts.__main__ import main
from ingest.broker.knock import lets_in
from ingest.broker.mosquitto import MosquittoFolder

CITY = '[city]\nname = "x"\n[[gateway]]\nid = "gw-1"\n[[gateway]]\nid = "gw-2"\n'


@pytest.fixture(autouse=True)
def town(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A city on Mosquitto, with settings that name password files nobody has made yet."""
    (tmp_path / "city.toml").write_text(CITY)
    (tmp_path / "canhbao.toml").write_text(
        '[mqtt]\nurl = "mqtt://127.0.0.1:1883"\npassword_file = "data/mosquitto/collector.password"\n'
    )
    (tmp_path / "data" / "mosquitto").mkdir(parents=True)  # ours, also where root would give it to Mosquitto's user
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def broker(town: Path, free_port: Callable[[], int], program: Callable[[str], str]) -> Iterator[CityMosquitto]:
    broker = CityMosquitto(program("mosquitto"), town / "data" / "mosquitto", free_port())
    broker.start()
    yield broker
    broker.stop()


Said = Callable[[], tuple[str, str]]


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Said:
    return lambda: tuple(capsys.readouterr())  # type: ignore[return-value]


def test_a_password_stands_alone_on_stdout_and_nowhere_else(town: Path, said: Said) -> None:
    assert main(["gateway", "add", "gw-1"]) == 0
    password, explained = said()

    assert len(bytes.fromhex(password)) == 16
    assert password.count("\n") == 1
    assert password.strip() not in explained
    assert "shown once" in explained
    assert "docker compose kill -s HUP mosquitto" in explained
    for file in (town / "data").rglob("*"):
        assert not file.is_file() or password.strip() not in file.read_text()


def test_what_is_asked_for_wrongly_ends_with_2_and_says_what_to_do(said: Said) -> None:
    assert main(["gateway", "add", "gw-1"]) == 0
    said()
    for arguments, hint in (
        (["add", "gw-1"], "canhbao gateway rotate gw-1"),
        (
            ["add", "gw-3"],
            "city.toml: gateway: found 'gw-3', expected a gateway of the city; add it there: [[gateway]] id = \"gw-3\"",
        ),
        (["add", "collector-2"], "not alerts, cap, drill, speak, collector"),
        (["add", "GW"], "[a-z0-9-]{1,32}"),
        (["add", ""], "[a-z0-9-]{1,32}"),
        (["add", "gw-1:x\ncollector"], "[a-z0-9-]{1,32}"),
        (["rotate", "gw-2"], "canhbao gateway list"),
        (["rotate", "gw-3"], "[[gateway]]"),
        (["revoke", "gw-2"], "canhbao gateway list"),
        (["revoke", "collector"], "not alerts"),
        (["add", "gw-2", "--config", "nowhere.toml"], "nowhere.toml"),
    ):
        assert main(["gateway", *arguments]) == 2, arguments
        out, err = said()
        assert out == ""
        assert hint in err
    for arguments in ([], ["add"], ["forget", "gw-1"]):
        with pytest.raises(SystemExit) as ended:
            main(["gateway", *arguments])
        assert ended.value.code == 2


def test_a_wrong_call_makes_no_folder(town: Path, said: Said) -> None:
    assert main(["gateway", "add", "gw-3", "--folder", "elsewhere"]) == 2
    assert main(["gateway", "list", "--folder", "elsewhere"]) == 0
    assert not (town / "elsewhere").exists()
    assert said()[0].splitlines() == ["gw-1\tno password", "gw-2\tno password"]


def test_list_shows_every_gateway_of_the_city_and_those_it_has_given_up(town: Path, said: Said) -> None:
    for id_ in ("gw-1", "gw-2"):
        assert main(["gateway", "add", id_]) == 0
    (town / "city.toml").write_text(CITY.replace('"gw-2"', '"gw-9"'))
    said()

    assert main(["gateway", "list"]) == 0
    assert said()[0].splitlines() == [
        "gw-1\thas a password",
        "gw-9\tno password",
        "gw-2\thas a password, and the city knows no such gateway: canhbao gateway revoke gw-2",
    ]
    assert main(["gateway", "rotate", "gw-2"]) == 2
    assert main(["gateway", "revoke", "gw-2"]) == 0
    said()
    assert main(["gateway", "list"]) == 0
    assert said()[0].splitlines() == ["gw-1\thas a password", "gw-9\tno password"]


def test_two_at_once_are_locked_out(town: Path, said: Said) -> None:
    with MosquittoFolder(town / "data" / "mosquitto").changing():
        assert main(["gateway", "add", "gw-1"]) == 1
    out, err = said()
    assert out == ""
    assert "in use by process" in err


def test_a_folder_that_cannot_be_used_is_named(town: Path, said: Said) -> None:
    (town / "file").touch()
    for verb in (["add", "gw-1"], ["list"]):
        assert main(["gateway", *verb, "--folder", "file"]) == 1
        assert "file" in said()[1]


def test_with_the_bundled_broker_it_says_that_nobody_needs_a_password(
    said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CANHBAO_MQTT__URL", "embedded")
    assert main(["gateway", "list"]) == 0
    assert "asks no gateway for a password" in said()[1]
    monkeypatch.setenv("CANHBAO_MQTT__URL", "mqtt://127.0.0.1:1883")
    assert main(["gateway", "list"]) == 0
    assert said()[1] == ""


@pytest.mark.server("mosquitto")
def test_a_running_broker_goes_by_it_at_once(broker: CityMosquitto, said: Said) -> None:
    at = ("127.0.0.1", broker.port)
    assert main(["gateway", "add", "gw-1"]) == 0
    first, explained = said()
    assert "from now on" in explained
    with Client(broker.port, username="gw-1", password=first.strip()) as gateway:
        assert gateway.reason == "Success"
        assert main(["gateway", "rotate", "gw-1"]) == 0
        until(lambda: gateway.reason == "Not authorized")
    second = said()[0]
    assert lets_in(at, "gw-1", second.strip())
    assert not lets_in(at, "gw-1", first.strip())

    assert main(["gateway", "revoke", "gw-1"]) == 0
    assert not lets_in(at, "gw-1", second.strip())
    assert lets_in(at, "collector", broker.password)
    assert first.strip() not in broker.log
    assert second.strip() not in broker.log


@pytest.mark.server("mosquitto")
def test_a_broker_that_does_not_show_that_it_goes_by_it_ends_with_1(
    broker: CityMosquitto, said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingest.broker.reload._SEEN_S", 0.3)
    (broker.folder.folder / "passwords").unlink()
    conf = broker.folder.folder / "mosquitto.conf"
    conf.write_text(conf.read_text().replace("password_file passwords", "password_file others"))

    assert main(["gateway", "add", "gw-1"]) == 1
    out, err = said()
    assert len(out) == 33
    assert "its log says why" in err


def test_help_shows_how_it_is_used(said: Said) -> None:
    for arguments in (["gateway"], ["gateway", "add"]):
        with pytest.raises(SystemExit) as ended:
            main([*arguments, "--help"])
        assert ended.value.code == 0
        assert "canhbao gateway add gw-hai-chau-1 > gw-hai-chau-1.password" in said()[0]
