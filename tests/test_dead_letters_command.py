"""`canhbao dead-letters` as an operator meets it on a night shift: with the service running, and without."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest
from brokers import Client, until
from hypothesis import example, given
from hypothesis import strategies as st
from test_run import metrics_of
from test_service import service
from test_spine import CITY, RULES

from alerts.__main__ import main
from alerts.commands.dead_letters import _read
from alerts.commands.letter_text import payload_lines, printable
from ingest.city import ConfigError
from ingest.entries import ORIGIN, Batch
from ingest.formats.native import decode, renamed
from ingest.journal import Journal

TOPIC = "canhbao/v1/gw-1/readings"
T = 1_700_000_000_000
Said = Callable[[], tuple[str, str]]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "city.toml").write_text(CITY)
    (tmp_path / "rules.toml").write_text(RULES)
    monkeypatch.setenv("CANHBAO_DATA__PATH", str(tmp_path / "data"))
    return tmp_path


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Said:
    return lambda: tuple(capsys.readouterr())  # type: ignore[return-value]


def letters(*arguments: str) -> int:
    return main(["dead-letters", *arguments])


def reading(sensor: str, n: int) -> bytes:
    return json.dumps({"sensor": sensor, "t": T + n, "v": n / 10}).encode()


def test_a_night_shift(folder: Path, said: Said) -> None:
    with service(folder) as (page, url):
        with Client(int(url.rpartition(":")[2])) as gateway:
            gateway.publish(TOPIC, *(reading("river-old", n) for n in range(70)))
            gateway.publish(TOPIC, "Hồ Thạc Gián \x1b[2J\u202e".encode(), b"\xff\x00\x1b")
            until(lambda: 'canhbao_refused_total{reason="not_utf8"} 1' in metrics_of(page))
        assert letters("list", "--reason", "unknown_sensor", "--gateway", "gw-1", "--limit", "3") == 0
        listed = said()[0].splitlines()
        assert [line.split()[0] for line in listed] == ["70", "69", "68"]
        assert "reading 0: 'river-old'" in listed[0]
        assert letters("list", "--limit", "1000", "--json") == 0
        assert [json.loads(line)["id"] for line in said()[0].splitlines()] == list(range(72, 0, -1))

        assert letters("show", "71") == 0
        shown = said()[0]
        assert "Hồ Thạc Gián \\x1b[2J\\u202e" in shown
        assert "\x1b" not in shown
        assert letters("show", "72") == 0
        assert "00000  ff 00 1b " in said()[0]
        assert letters("show", "5", "--raw") == 0
        (folder / "5.json").write_text(said()[0].replace("river-old", "river"))

        assert letters("fix", "5", "--payload", str(folder / "5.json")) == 0
        assert said()[0] == "5: 1 new\n"
        assert letters("fix", "6", "--map", "river-old=river") == 0
        assert letters("fix", "7", "--map", "river-old=river", "--topic", "canhbao/v1/gw-2/readings") == 1
        assert said()[0] == "6: 1 new\n7: 1 refused again (wrong_gateway)\n"
        assert letters("drive", "--reason", "unknown_sensor") == 1
        assert said()[0].splitlines() == [
            "68 letters driven: 68 refused again (unknown_sensor)", "2 were settled before"
        ]  # fmt: skip
        for wrong in (["show", "999"], ["fix", "5"], ["fix", "5", "--map", "x"], ["fix", "5", "--map", "x=y"],
                      ["fix", "72", "--map", "x=y"], ["fix", "5", "--payload", "nowhere"], ["drive"],
                      ["drive", "5", "--all"], ["list", "--since", "yesterday"]):  # fmt: skip
            assert letters(*wrong) == 2, wrong
            out, err = said()
            assert (out, "Traceback" in err) == ("", False)
            assert err.startswith("canhbao dead-letters: ")

    (folder / "city.toml").write_text(CITY.replace('id = "street"', 'id = "river-old"'))
    assert letters("list", "--limit", "1") == 0, "from the journal"
    assert letters("show", "5") == 0
    assert "by operator, corrected: 1 new" in said()[0]
    for verb in (["drive", "5"], ["drive", "--all"], ["fix", "5", "--map", "river-old=river"]):
        assert letters(*verb) == 1
        assert "the service does not run" in said()[1]

    with service(folder):
        assert letters("drive", "--reason", "unknown_sensor", "--limit", "10") == 0
        assert said()[0].splitlines() == ["8 letters driven: 8 new", "2 were settled before"]
        assert letters("drive", "--reason", "unknown_sensor") == 0
        assert said()[0].splitlines() == ["60 letters driven: 60 new", "10 were settled before"]
        assert letters("drive", "70", "69") == 0
        assert said()[0] == "70: 1 known already\n69: 1 known already\n"
    entries = Journal.open(folder / "data" / "journal", read_only=True).read(ORIGIN)
    there = [t for _, entry in entries if isinstance(entry, Batch) for t in entry.readings.t.tolist()]
    assert sorted(there) == [T + n for n in range(70)], "every reading, once"
    log = (folder / "log").read_text()
    assert (folder / "data" / "operator_token").read_text().strip() not in log


def test_a_file_is_sent_that_is_as_large_as_any_networks_message_and_no_larger_one(tmp_path: Path) -> None:
    file = tmp_path / "payload"
    file.write_bytes(bytes(65_536))
    assert len(_read(file)) == 65_536
    file.write_bytes(bytes(65_537))
    with pytest.raises(ConfigError, match="65536"):
        _read(file)


def test_where_no_service_has_run_there_is_nothing_to_look_at(folder: Path, said: Said) -> None:
    assert letters("list") == 2
    assert "a service that has run" in said()[1]
    assert not (folder / "data").exists(), "looking makes nothing"


@example("\\x1b is no escape")
@given(st.text() | st.text(st.characters(categories=["Cf", "Cc", "Zl", "Zp", "Co", "Cs"])))
def test_nothing_that_a_terminal_obeys_is_shown_and_no_two_texts_look_alike(text: str) -> None:
    shown = printable(text)
    assert shown.isprintable()
    assert not {unicodedata.category(char) for char in shown} & {"Cc", "Cf", "Cs", "Zl", "Zp"}
    assert shown.encode("latin-1", "backslashreplace").decode("unicode_escape") == text


@given(st.binary(max_size=100))
def test_any_payload_is_shown_in_printable_lines(payload: bytes) -> None:
    assert all(line.isprintable() for line in payload_lines(payload))


def test_vietnamese_stays_as_it_is_also_decomposed() -> None:
    for form in ("NFC", "NFD"):
        text = unicodedata.normalize(form, "Đường Nguyễn Văn Linh: ngập 0,4 m")
        assert printable(text) == text


def test_a_sensor_is_renamed_and_all_else_stays() -> None:
    message = (b'{"boot":"9f0c31d2a7b84e65","seq":3,"first":1,"more":"H\xe1\xbb\x93",'
               b'"readings":[{"sensor":"a","t":1,"v":1},{"sensor":"b","t":"x","v":NaN},5,{"sensor":[]}]}')  # fmt: skip
    changed = renamed(message, {"a": "b", "b": "a"})
    assert changed == message.replace(b'"sensor":"a"', b'"sensor":"B"').replace(b'"b"', b'"a"').replace(b'"B"', b'"b"')
    assert renamed(b'{"sensor":"a","t":5,"v":null}', {"a": "x"}) == b'{"sensor":"x","t":5,"v":null}'
    assert decode("gw-1", changed).sensors == ["b"]
    for wrong in (b"", b"\xff", b"5", b"[]", b'{"readings":5}', b'{"readings":[]}', b'{"sensor":"c"}', b"[" * 99):
        with pytest.raises(ValueError, match=r"."):
            renamed(wrong, {"a": "x"})
