"""docs/gateways.md: its examples are refused for the reasons it names, its payload is taken, its numbers are ours."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from alerts.intake import offer
from firmware_sim import window
from ingest import receipts, seqs
from ingest.city import parse_city
from ingest.formats import PAYLOAD_BYTES_MAX, REASONS
from ingest.formats.documents import DEPTH_MAX
from ingest.inbox import Message
from ingest.lookup import FUTURE_MS_MAX, Lookup

PAGE = (Path(__file__).parents[1] / "docs" / "gateways.md").read_text("utf-8")
ROWS = re.findall(
    r"^\| `(\w+)` \| (.*?) \| .+ \|$", PAGE.partition("## What is refused")[2].partition("\n## ")[0], re.MULTILINE
)
EXAMPLES = [(reason, example[1:-1]) for reason, example in ROWS if re.fullmatch(r"`\{.*`", example)]
IN_WORDS = {"not_utf8", "not_cbor", "too_large", "too_deep", "retained", "simulated"}
CITY = parse_city("""
[city]
name = "x"
[[area]]
code = "1"
name = "x"
[[gateway]]
id = "gw-1"
[[gateway]]
id = "gw-2"
[[sensor]]
id = "rain-1"
quantity = "rain"
area = "1"
gateway = "gw-1"
[[sensor]]
id = "rain-hai-chau-1"
quantity = "rain"
area = "1"
[[sensor]]
id = "theirs"
quantity = "rain"
area = "1"
gateway = "gw-2"
""")
NOW = 1_761_525_600_000


def reasons(payload: str) -> list[str]:
    lookup = Lookup(CITY, tuple(CITY.sensors))
    message = Message("canhbao/v1/gw-1/readings", payload.encode(), False, 1, 1, 1)
    return list(offer([message], lookup, "wall", now=NOW, last_arrival=0).reasons.elements())


def test_every_reason_has_its_row_and_its_example() -> None:
    assert [reason for reason, _ in ROWS] == list(REASONS)
    assert {reason for reason, _ in EXAMPLES} == set(REASONS) - IN_WORDS


@pytest.mark.parametrize(("reason", "example"), EXAMPLES)
def test_an_example_is_refused_for_its_reason(reason: str, example: str) -> None:
    assert reasons(example) == [reason]


def test_the_payloads_it_recommends_are_taken() -> None:
    shown = [*re.findall(r"^\{.*\}$", PAGE, re.MULTILINE), *re.findall(r"`(\{\"sensor\".*\})`\. It gets", PAGE)]
    assert len(shown) == 2
    for payload in shown:
        assert reasons(payload) == []
    assert reasons('{"sensor":"rain-1","t":"2025-10-27T07:00:00+07:00","v":null,"u":"cm"}') == []


@pytest.mark.parametrize(
    ("said", "number"),
    [
        (r"At most \*\*([\d,]+) bytes", PAYLOAD_BYTES_MAX),
        (r"more than (\d+) arrays", DEPTH_MAX),
        (r"at most \*\*(\d+) messages", window.ON_WIRE_MAX),
        (r"after (\d+) sends", window.SENDS_MAX),
        (r"\*\*Again\*\*: (\d+) s", window.RESEND_MS // 1000),
        (r"asked for only after (\d+) s", seqs.FIRST_ASKED_AFTER_MS // 1000),
        (r"then every (\d+) s", seqs.ASKED_EVERY_MS // 1000),
        (r"at most (\d+), the oldest first", seqs.MISSING_MAX),
        (r"At most ([\d,]+) holes", seqs.HOLES_MAX),
        (r"the last (\d+) boots", receipts.BOOTS_MAX),
        (r"at most (\d+) in one", receipts.ONLY_MAX),
        (r"up to (\d+) minutes ahead", FUTURE_MS_MAX // 60_000),
    ],
)
def test_its_numbers_are_those_of_the_code(said: str, number: int) -> None:
    (found,) = re.findall(said, PAGE)
    assert int(found.replace(",", "")) == number
