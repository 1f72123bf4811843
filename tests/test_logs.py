"""Logs: one line a happening, for eyes or for machines, with one id from a message to its delivery, and no secret."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from brokers import Client, until
from structlog.contextvars import bound_contextvars
from test_delivery import AT, FIRST, People, compose
from test_run import reading
from test_service import RUN, service
from test_spine import CITY, RULES

from alerts.delivery.channels.channel import ChannelError
from alerts.delivery.delivery import Delivery
from alerts.incidents.decision import Outcome
from alerts.ledger.ledger import Ledger
from alerts.ledger.outbox import Outbox
from alerts.watch.logs import END_S, WAITING_MOST, Logs, set_up
from alerts.web.operators import known_token
from ingest.entries import ORIGIN, Batch, Position
from ingest.journal import Journal

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
log = logging.getLogger("tests.of.logs")


@pytest.fixture(autouse=True)
def _root() -> Iterator[None]:
    level = logging.getLogger().level
    yield
    logging.getLogger().setLevel(level)


def said(say: Callable[[], object], form: Any = "json", level: str = "INFO") -> str:
    stream = io.StringIO()
    logs = set_up(form, level, stream)
    say()
    logs.close()
    return stream.getvalue()


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_debug_is_of_ours_and_not_of_the_compiler() -> None:
    def say() -> None:
        logging.getLogger("numba.core.byteflow").debug("stack ['$assertion_error18.0']")
        log.debug("ours")

    assert [line["event"] for line in lines(said(say, level="DEBUG"))] == ["ours"]


def test_a_line_of_json_says_when_how_grave_who_what_and_of_which_entry() -> None:
    def say() -> None:
        with bound_contextvars(entry=17):
            log.warning("mực nước %s", "cao\n2", extra={"sensor": "river"})
        log.info("after it")

    first, second = lines(said(say))
    assert TIME.fullmatch(first.pop("time"))
    assert first == {"level": "warning", "logger": "tests.of.logs", "event": "mực nước cao\n2", "sensor": "river",
                     "entry": 17}  # fmt: skip
    assert "entry" not in second


def test_what_is_raised_is_in_its_line() -> None:
    def say() -> None:
        try:
            int("of ours")
        except ValueError:
            log.exception("it failed")

    (line,) = lines(said(say))
    assert line["exception"].splitlines()[0] == "Traceback (most recent call last):"
    assert line["exception"].splitlines()[-1] == "ValueError: invalid literal for int() with base 10: 'of ours'"


def test_for_eyes_a_stranger_cannot_begin_a_line_or_move_the_cursor() -> None:
    text = said(
        lambda: log.info("gateway %s", "gw\n2026 [error] all is lost\x1b[2J", extra={"sensor": "a\rb"}), "console"
    )
    assert len(text.splitlines()) == 1
    assert text.isprintable() or "\x1b" not in text
    assert r"gw\n2026 [error] all is lost\x1b[2J" in text
    assert r"a\rb" in text


def test_auto_is_json_where_nobody_looks_and_the_level_holds() -> None:
    text = said(lambda: (log.info("no"), log.warning("yes")), "auto", "WARNING")
    assert [line["event"] for line in lines(text)] == ["yes"]


class Stuck(io.StringIO):
    """A pipe that nobody reads."""

    def __init__(self) -> None:
        super().__init__()
        self.read = threading.Event()

    def write(self, text: str) -> int:
        self.read.wait()
        return super().write(text)


def test_a_line_that_waits_holds_no_frame() -> None:
    stuck = Stuck()
    logs = Logs(stuck, "json", "INFO")
    for _ in range(2):  # the writer holds the first
        try:
            int("of ours")
        except ValueError:
            log.exception("it failed")
    waiting = logs._waiting.get()
    stuck.read.set()
    logs.close()
    assert waiting is not None
    assert waiting.exc_info is None
    assert "of ours" in waiting.__dict__["exception"]


def test_a_pipe_that_nobody_reads_holds_up_no_speaker_and_what_is_left_out_is_told() -> None:
    stream = Stuck()
    logs = Logs(stream, "json", "INFO")
    for n in range(WAITING_MOST + 50):  # comes to its end although nothing is written
        log.info("line %d", n)
    stream.read.set()
    logs.close()
    if logs._thread.is_alive():
        logs._thread.join(30)
    events = [line["event"] for line in lines(stream.getvalue())]
    left_out = sum(int(event.split()[0]) for event in events if "left out" in event)
    assert 49 <= left_out <= 50  # one may have been taken for writing before the limit was reached
    assert len([event for event in events if event.startswith("line")]) == WAITING_MOST + 50 - left_out


def test_a_pipe_that_stays_stuck_does_not_hold_up_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("alerts.watch.logs.END_S", END_S / 100)
    stream = Stuck()
    logs = Logs(stream, "json", "INFO")
    log.info("stuck")
    logs.close()
    assert logs._thread.daemon
    stream.read.set()
    logs._thread.join()


def test_one_id_leads_from_a_message_to_its_sending_and_no_secret_is_told(tmp_path: Path) -> None:
    (tmp_path / "city.toml").write_text(CITY)
    (tmp_path / "rules.toml").write_text(RULES)
    warning, refused = json.loads(reading(3.0)), b'{"sensor": "PAYLOAD-OF-SOMEBODY", '
    warning = {"boot": "9f0c31d2a7b84e65", "seq": 4711, "first": 4711, "readings": [warning]}
    command = (*RUN, "--log-level", "DEBUG")
    settings = {"CANHBAO_LOG__FORMAT": "json", "CANHBAO_HISTORY__TOKEN": "TOKEN-OF-HISTORY"}
    with (
        service(tmp_path, command=command, **settings) as (_, url),
        Client(int(url.rpartition(":")[2]), "canhbao/v1/alerts/20242/flood") as gateway,
    ):
        gateway.publish("canhbao/v1/gw-1/readings", refused, json.dumps(warning).encode())
        until(lambda: len(gateway.heard) == 1)
        token = known_token(tmp_path / "data")
    text = (tmp_path / "log").read_text()

    of_message = [line for line in lines_among(text) if any("4711" in one for one in line.get("messages", []))]
    (entered,) = of_message
    way = [line for line in lines_among(text) if line.get("entry") == entered["entry"]]
    events = [line["event"] for line in way]
    assert events.index("entered") < events.index("decided") < events.index("messages made") < events.index("sent")
    assert {line["channel"] for line in way if line["event"] == "sent"} == {"mqtt", "console", "speak"}
    assert len({(line["incident"], line["version"]) for line in way if "incident" in line}) == 1
    (decided,) = (line for line in way if line["event"] == "decided")
    (reached,) = (line["to_level"] for line in way if line["event"] == "transition")
    assert (decided["to_level"], decided["level"]) == (reached, "info")
    assert all(TIME.fullmatch(line["time"]) for line in way)
    entries = dict(Journal.open(tmp_path / "data" / "journal", read_only=True).read(ORIGIN))
    entry = entries[Position(entered["entry"])]
    assert isinstance(entry, Batch)
    assert [header.seq for header in entry.headers] == [4711]

    secrets = [path.read_text() for path in (tmp_path / "data" / "broker").glob("*.password")]
    assert len(secrets) == 3
    for secret in [*secrets, token, "TOKEN-OF-HISTORY", "PAYLOAD-OF-SOMEBODY"]:
        assert secret not in text


def lines_among(text: str) -> list[dict[str, Any]]:
    """The log's, without what commands and the console channel print."""
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


def test_no_address_is_told_whatever_a_provider_answers(tmp_path: Path) -> None:
    address = "+84 905 000 123"
    ledger, people = Ledger.open(tmp_path / "ledger.sqlite"), People([address])
    errors = iter([RuntimeError(f"no {address}"), ChannelError(f"never {address}", permanent=True)])

    async def answers(_: Any) -> None:
        raise next(errors)

    people.answer = answers
    now = [AT]
    delivery = Delivery(Outbox(ledger.store), [people], compose, now_ms=lambda: now[0], random=Random(1))

    async def turns() -> None:
        for _ in range(3):
            await delivery.turn()
            now[0] += 3_600_000

    ledger.record(Position(1), AT, outcome=Outcome([FIRST]))
    text = said(lambda: asyncio.run(turns()), level="DEBUG")
    found = lines(text)
    assert [line["event"] for line in found if line.get("entry") == 1] == ["messages made", "failed", "dead"]
    assert "RuntimeError" in text
    assert address not in text
    ledger.close()
