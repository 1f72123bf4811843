"""The checks themselves: each says what is wrong where something is, and nothing where all is well."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest
from chaos.invariants import Truth, damaged, receipts, refusals
from chaos.stage import settled
from chaos.tellings import ends, messages, states

from alerts.incidents.decision import Outcome
from alerts.incidents.incident import Incident, Notice, Reason
from alerts.ledger.ledger import Ledger
from alerts.ledger.outbox import Address, Outbox
from ingest.entries import Position

SOUND: Final = Truth(
    offered={("gw", 1): [("s", 10, 1.0), ("s", 11, None)], ("gw", 2): [("s", 12, 2.0)]},
    settled={"gw": {1, 2}},
    loose=[("d", 5, 0.5), ("d", 6, 0.5)],
    acknowledged=[("d", 5, 0.5)],
)
THERE: Final = {("s", 10): [1.0], ("s", 11): [None], ("s", 12): [2.0], ("d", 5): [0.5]}
FIRST: Final = Notice("flood.a.1", 1, Reason.FIRST, "flood", "a", 2, 0, 100, 100, None)
OVER: Final = replace(FIRST, version=2, reason=Reason.OVER, level=0, previous_level=2)
TOPIC: Final = "canhbao/v1/alerts/a/flood"


@pytest.mark.parametrize(
    ("truth", "there", "said"),
    [
        (SOUND, THERE, []),
        (replace(SOUND, settled={"gw": {1}}), THERE, ["never receipted: gw message 2"]),
        (SOUND, THERE | {("s", 12): []}, ["lost, though receipted: gw message 2: s at 12"]),
        (SOUND, THERE | {("s", 12): [3.0]}, ["receipted: gw message 2: s at 12 was 2.0, the journal has [3.0]"]),
        (SOUND, THERE | {("s", 11): [None, None]}, ["2 times in the journal: s at 11"]),
        (SOUND, THERE | {("d", 5): []}, ["lost, though acknowledged by the broker: d at 5"]),
        (SOUND, THERE | {("d", 7): [0.5]}, ["in the journal and offered by nobody: d at 7"]),
        (replace(SOUND, settled={"gw": {1, 2, 3}}), THERE, ["receipted, and never offered: gw message 3"]),
        (replace(SOUND, parked=2), THERE, ["2 messages were parked: the collector never answered them"]),
    ],
)
def test_whatever_became_of_a_reading_is_said(truth: Truth, there: Any, said: list[str]) -> None:
    assert list(receipts(truth, there)) == said


def test_only_what_was_to_be_refused_may_be_a_dead_letter() -> None:
    assert list(refusals(replace(SOUND, refused=("not_json",)), {"not_json": 3})) == []
    assert list(refusals(SOUND, {"not_json": 3})) == ["refused as not_json: 3 messages"]


def test_receipts_cover_everything_through_their_seq_and_what_they_list() -> None:
    said = ['{"boot":"b","seq":2}', '{"boot":"b","seq":1}', '{"boot":"b","only":[7]}', '{"boot":"b","missing":[3]}']

    assert settled(("gw", text, 0.0) for text in said) == {"gw": {1, 2, 7}}


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = Ledger.open(tmp_path / "ledger.sqlite")
    yield opened
    opened.close()


def decide(ledger: Ledger, *notices: Notice, version: int | None = None) -> None:
    last = notices[-1]
    closed = 100 if last.reason is Reason.OVER else None
    row = Incident(last.incident, "flood", "a", last.level, 2, version or last.version, 100, 100, closed, ())
    ledger.record(Position(1), 100, incidents=[row], outcome=Outcome(list(notices)))


@pytest.mark.parametrize(
    ("notices", "version", "said"),
    [
        ((FIRST, OVER), 2, ""),
        ((FIRST, OVER, replace(FIRST, version=3), replace(OVER, version=4)), 4, ""),
        ((FIRST, replace(OVER, version=3)), 3, "versions are [1, 3]"),
        ((FIRST,), 2, "1 notices, and its row is at version 2"),
        ((FIRST, OVER, replace(OVER, version=3)), 3, "over follows over"),
    ],
)
def test_a_version_that_lacks_and_an_end_that_comes_twice_are_said(
    ledger: Ledger, notices: tuple[Notice, ...], version: int, said: str
) -> None:
    decide(ledger, *notices, version=version)
    found = list(ends([notice for _, notice in ledger.notices()], ledger))

    assert ([said in sentence for sentence in found] == [True]) if said else found == []


def send(ledger: Ledger, *channels: str) -> None:
    """The first notice to these, and marked as sent."""
    outbox = Outbox(ledger.store)
    pending = outbox.pending()
    assert pending is not None
    addresses = [Address(channel, TOPIC if channel == "mqtt" else "operators") for channel in sorted(channels)]
    outbox.queue(pending, addresses, {"incident": FIRST.incident, "version": 1}, 100, complete=True)
    for channel in channels:
        outbox.mark([message.sent(100) for message in outbox.due(channel, 100, 10)])


def test_a_message_that_never_came_or_says_something_else_is_said(ledger: Ledger) -> None:
    decide(ledger, FIRST)
    send(ledger, "console", "mqtt", "sink")
    key, body = (FIRST.incident, 1, "operators"), {"incident": FIRST.incident, "version": 1}

    def said(*received: Any) -> list[str]:
        return [sentence.partition(":")[0] for sentence in messages(received, [FIRST], ledger, "sink")]

    assert said((key, body), (key, body)) == []
    assert said() == ["sent, says the ledger, and never came"]
    assert said((key, body), (key, {})) == ["one key, several contents"]
    assert said((key, body), ((*key[:2], "nobody"), body)) == ["came without a message in the ledger"]


def test_a_notice_without_its_messages_is_said(ledger: Ledger) -> None:
    decide(ledger, FIRST)
    send(ledger, "mqtt")

    assert list(messages([], [FIRST], ledger, "sink")) == [
        f"no message to ('console', 'operators') of {FIRST.incident} version 1"
    ]


def test_a_retained_state_that_is_not_the_ledgers_is_said(ledger: Ledger) -> None:
    decide(ledger, FIRST)
    send(ledger, "mqtt")
    payload = json.dumps({"incident": FIRST.incident, "version": 1}).encode()

    assert list(states([(TOPIC, payload)], {TOPIC: payload}, [FIRST], ledger)) == []
    assert len(list(states([], {}, [FIRST], ledger))) == 1
    assert len(list(states([], {TOPIC: payload}, [FIRST, OVER], ledger))) == 1
    assert len(list(states([(TOPIC, payload[:-1] + b', "more": 1}')], {TOPIC: payload}, [FIRST], ledger))) == 1


def test_a_damaged_file_is_said(ledger: Ledger, tmp_path: Path) -> None:
    decide(ledger, *(replace(FIRST, version=n, incident=f"{n}{'x' * 500}") for n in range(1, 200)))
    ledger.close()
    assert damaged(tmp_path) == []
    file = tmp_path / "ledger.sqlite"
    content = bytearray(file.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 6000] = bytes(6000)
    file.write_bytes(content)

    assert [sentence.partition(":")[0] for sentence in damaged(tmp_path)] == ["ledger.sqlite"]
