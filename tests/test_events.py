"""The stream of events over real sockets: nothing missed, nothing twice, nobody held up by another."""

import asyncio
import re
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from faces import Town, notice, serving, storm, town_city, town_view
from listening import listening, wait_until

from alerts.incidents.incident import Notice, Planned, Reason
from alerts.ledger.store import LedgerError
from alerts.web import events as events_module
from alerts.web.app import create_app
from alerts.web.events import FanOut


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    made = Town(tmp_path, town_view(town_city()))
    yield made
    made.ledger.close()


@pytest.fixture
def stormy(town: Town) -> Town:
    town.tell(*storm())
    return town


def many(count: int, start: int = 1) -> list[Notice]:
    return [notice("20242", 1 + n % 4, version=n, reason=Reason.WORSE) for n in range(start, start + count)]


def test_a_warning_and_its_areas_sentence_reach_every_listener(town: Town) -> None:
    with serving(town) as url, listening(url) as one, listening(url) as other:
        town.tell(notice("20242", 3))
        for heard in (one, other):
            told = heard.until("alert")
            assert (told.id, told.data["seq"], told.data["level_name"], told.data["area"]) == (
                "1",
                1,
                "danger",
                "20242",
            )
            assert told.data["because"]["place"] == "Nguyễn Văn Linh"
            situations = [heard.until("situation").data for _ in range(2)]
            assert [row["area"] for row in situations] == ["20242", "city"]
            assert situations[0]["sentence"]["vi"] == "Hải Châu: Nguy hiểm – ngập lụt."


def test_what_is_planned_is_no_warning_and_has_a_name_of_its_own(town: Town) -> None:
    planned = Planned(1_665_752_400_000, 1_665_756_000_000, "PC: feeder 471")
    told_before = replace(notice(level=1), hazard="power", reason=Reason.PLANNED, cause=None, planned=planned)
    with serving(town) as url, listening(url) as heard:
        town.tell(replace(told_before, incident="outage-1.20242"), notice("20242", 3))
        outage = heard.until("outage")
        assert (outage.id, outage.data["reason"], outage.data["because"]) == ("1", "planned", None)
        assert outage.data["text"]["vi"].startswith("Báo trước: cắt điện theo kế hoạch")
        assert heard.alerts(1) == [2]


def test_a_new_listener_hears_only_what_is_new(stormy: Town) -> None:
    with serving(stormy) as url, listening(url) as heard:
        stormy.tell(notice("20260", 2, hazard="rain"))
        assert heard.alerts(1) == [7]


def test_who_comes_back_hears_everything_since_in_order_and_once(town: Town) -> None:
    """Many pages of them, while more are being written."""
    town.tell(*many(350))
    with serving(town) as url, listening(url, last=20) as heard:
        town.tell(*many(100, start=351))
        town.tell(*many(50, start=451))
        assert heard.alerts(480) == list(range(21, 501))


def test_what_is_written_while_somebody_catches_up_reaches_him_in_order_and_once(town: Town) -> None:
    class Busy:
        """More is written, and told to the others, between the listener's reading and his getting it."""

        def __getattr__(self, name: str) -> Any:
            return getattr(town.ledger, name)

        def notices(self, after_seq: int, limit: int) -> Any:
            found = town.ledger.notices(after_seq, limit)
            if after_seq == 3:
                town.tell(*many(5, start=11))
                wait_until(lambda: app.state.fan_out.last_seq == 15)
            return found

    town.tell(*many(10))
    app = create_app(replace(town.sources(), ledger=Busy()))
    with serving(town, app) as url, listening(url, last=3) as heard:
        assert heard.alerts(12) == list(range(4, 16))
        town.tell(*many(1, start=16))
        assert heard.alerts(1) == [16]


def test_a_burst_larger_than_one_read_is_told_without_another_wake(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events_module, "WAKE_S_MAX", 60.0)
    with serving(town) as url, listening(url) as heard:
        town.tell(*many(250))
        assert heard.alerts(250) == list(range(1, 251))


def test_a_quiet_service_reads_its_ledger_about_once_a_second(town: Town) -> None:
    class Counted:
        reads = 0

        def __getattr__(self, name: str) -> Any:
            return getattr(town.ledger, name)

        def notices(self, after_seq: int, limit: int) -> Any:
            self.reads += 1
            return town.ledger.notices(after_seq, limit)

    ledger = Counted()
    with serving(town, create_app(replace(town.sources(), ledger=ledger))) as url, listening(url) as heard:
        town.tell(notice())
        heard.alerts(1)
        time.sleep(0.5)
    assert ledger.reads <= 4


@pytest.mark.parametrize("last", ["99999999", "-1", "abc", "9" * 40, "٣"])
def test_an_id_that_was_never_ours_means_from_now_on(stormy: Town, last: str) -> None:
    with serving(stormy) as url, listening(url, last) as heard:
        stormy.tell(notice("20260", 2, hazard="rain"))
        assert heard.alerts(1) == [7]


def test_a_warning_is_told_even_if_the_wake_was_lost(town: Town) -> None:
    with serving(town) as url, listening(url) as heard:
        town.loop = None  # nobody is woken
        town.tell(notice())
        assert heard.alerts(1) == [1]


def test_a_ledger_that_fails_for_a_moment_silences_nobody(town: Town) -> None:
    class Flaky:
        failures = 3

        def __getattr__(self, name: str) -> Any:
            return getattr(town.ledger, name)

        def notices(self, after_seq: int, limit: int) -> Any:
            if after_seq == 0 and self.failures:
                self.failures -= 1
                raise LedgerError("busy")
            return town.ledger.notices(after_seq, limit)

    app = create_app(replace(town.sources(), ledger=Flaky()))
    with pytest.MonkeyPatch.context() as patch, serving(town, app) as url, listening(url) as heard:
        patch.setattr(events_module, "WAKE_S_MAX", 0.05)
        town.tell(notice())
        assert heard.alerts(1) == [1]
        assert app.state.fan_out.errors == 3


def test_a_notice_that_cannot_be_worded_holds_up_none_behind_it(town: Town) -> None:
    app = create_app(town.sources())
    with serving(town, app) as url, listening(url) as heard:
        town.tell(notice("20242", 3, reason=Reason.WORSE, previous=9), notice("20260", 2))
        assert heard.alerts(1) == [2]
        assert app.state.fan_out.errors == 1


def test_a_listener_who_reads_nothing_is_cut_and_slows_nobody(town: Town) -> None:
    app = create_app(town.sources())
    app.state.fan_out._bytes_max = 20_000
    with serving(town, app, send_buffer=8192) as url, socket.socket() as asleep:
        asleep.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        asleep.settimeout(30)
        asleep.connect(("127.0.0.1", int(url.rsplit(":", 1)[1])))
        asleep.sendall(b"GET /api/v1/events HTTP/1.1\r\nHost: x\r\n\r\n")
        wait_until(lambda: app.state.fan_out.streams == 1)
        time.sleep(0.05)
        with listening(url) as awake:
            heard: list[int] = []
            for start in range(1, 1500, 10):
                town.tell(*many(10, start))
                heard += awake.alerts(10)
                if app.state.fan_out.dropped:
                    break
            assert heard == list(range(1, start + 10))
            assert app.state.fan_out.dropped == 1
            wait_until(lambda: app.state.fan_out.streams == 1)
        got = b""
        while chunk := asleep.recv(65536):
            got += chunk
        last = int(re.findall(rb"\nid: (\d+)\ndata: .*\n\n", got)[-1])
        with listening(url, last) as back:
            assert back.alerts(start + 9 - last) == list(range(last + 1, start + 10)), "it resumes without a hole"


def test_an_idle_line_is_kept_alive(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events_module, "HEARTBEAT_S", 0.1)
    with serving(town) as url, httpx.stream("GET", f"{url}/api/v1/events", timeout=2) as answer:
        lines = answer.iter_lines()
        assert [next(lines) for _ in range(5)][2:] == [":", "", ":"]


def test_the_listener_too_many_is_told_when_to_come_back(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events_module, "LISTENERS_MAX", 1)
    with serving(town) as url, listening(url):
        answer = httpx.get(f"{url}/api/v1/events")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "30")
    assert answer.headers["content-type"] == "application/problem+json"


def test_the_end_of_the_service_ends_every_stream(town: Town) -> None:
    with ExitStack() as line:
        with serving(town) as url:
            heard = line.enter_context(listening(url))
        assert list(heard) == []


def test_the_stream_says_nothing_of_a_sensor_that_is_not_public(town: Town) -> None:
    with serving(town) as url, listening(url) as heard:
        town.tell(notice("20305", 3, hazard="school", value=2713.0))
        told = heard.until("alert")

    assert (told.data["hazard"], told.data["area_name"], told.data["because"]) == ("school", "An Khê", None)
    assert "Secret" not in told.raw
    assert "2713" not in told.raw


def test_drills_have_a_stream_of_their_own_and_no_other_carries_one(town: Town) -> None:
    drill = replace(notice("20260", 4), incident="drill-20260", drill=True)
    with serving(town) as url, listening(url) as real, listening(url, query="?drill=true") as drills:
        town.tell(notice("20242", 3), drill)
        town.tell(notice("20275", 2))
        town.tell(replace(drill, version=2, reason=Reason.OVER, level=0, previous_level=4))

        assert real.alerts(2) == [1, 3]
        told = [next(event for event in drills) for _ in range(2)]
        assert [(event.name, event.id, event.data["incident"]) for event in told] == [
            ("drill", "2", "drill-20260"),
            ("drill", "4", "drill-20260"),
        ]
        assert all(event.data["drill"] is True for event in told)
        assert told[0].data["text"]["vi"].startswith("DIỄN TẬP")
        assert told[0].data["text"]["en"].startswith("EXERCISE")
    with serving(town) as url:  # nor when somebody comes back
        with listening(url, last=0) as real:
            town.tell(notice("20300", 1))
            assert real.alerts(3) == [1, 3, 5]
        with listening(url, last=0, query="?drill=true") as drills:
            assert [next(event for event in drills).id for _ in range(2)] == ["2", "4"]


def test_a_drill_changes_no_sentence_of_an_area(town: Town) -> None:
    with serving(town) as url, listening(url) as heard:
        town.tell(replace(notice("20260", 4), incident="drill-20260", drill=True))
        town.tell(notice("20242", 3))

        first = [next(event for event in heard) for _ in range(3)]
        assert [(event.name, event.data["area"]) for event in first] == [
            ("alert", "20242"),
            ("situation", "20242"),
            ("situation", "city"),
        ]


def test_catching_up_goes_no_further_than_what_everybody_was_told(town: Town) -> None:
    """What the ledger has beyond it comes by the common way: by both ways it would come twice."""
    town.tell(*many(30))
    fan_out = FanOut(town.sources())
    fan_out.last_seq = 10

    seq, chunk = asyncio.run(fan_out.after(4, drill=False))

    assert seq == 10
    assert [int(n) for n in re.findall(rb"\nid: (\d+)\n", chunk)] == [5, 6, 7, 8, 9, 10]
