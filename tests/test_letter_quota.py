"""What is kept of what is refused."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from ingest.entries import Batch, Configuration, DeadLetter
from ingest.journal import Journal
from ingest.letter_quota import DAY_MS, LETTER_BYTES, QUOTA_BYTES, LetterQuota
from ingest.readings import Readings

SIZE = 16_000
OBJECT = 65_536  # of another network
FIT = QUOTA_BYTES // (SIZE + LETTER_BYTES)


def letters(count: int, gateway: str = "gw-1", arrival: int = DAY_MS, size: int = SIZE) -> list[DeadLetter]:
    return [DeadLetter(arrival, f"canhbao/v1/{gateway}/readings", bytes(size), "not_json", "", gateway)] * count


def test_a_gateway_that_sends_rubbish_all_day_fills_its_own_budget_and_no_other() -> None:
    quota = LetterQuota(["gw-1", "gw-2"])
    kept = quota.keep(letters(FIT + 5))

    assert len(kept.letters) == FIT
    assert kept.dropped == {"gw-1": 5}
    assert kept.full == ("gw-1",)
    assert quota.keep(letters(1)).full == ()  # told once a day
    assert len(quota.keep(letters(3, "gw-2")).letters) == 3


def test_the_next_day_has_room_again() -> None:
    quota = LetterQuota(["gw-1"])
    quota.keep(letters(FIT + 1))

    assert len(quota.keep(letters(1, arrival=2 * DAY_MS)).letters) == 1


def test_ids_that_nobody_knows_share_one_budget() -> None:
    quota = LetterQuota(["gw-1"])
    kept = quota.keep([letter for n in range(FIT + 7) for letter in letters(1, f"made-up-{n}")])

    assert kept.dropped == {"": 7}


@pytest.mark.parametrize(
    ("sender", "size", "kept"),
    [("gw-1", SIZE, SIZE), ("gw-1", SIZE + 1, SIZE + 1), ("gw-1", 60_000, SIZE + 1), ("", 60_000, SIZE + 1),
     ("network:chirpstack", 21_000, 21_000), ("network:chirpstack", OBJECT, OBJECT),
     ("network:chirpstack", 200_000, OBJECT + 1)],
)  # fmt: skip
def test_what_its_sender_may_send_is_kept_whole_and_of_more_a_byte_that_tells(
    sender: str, size: int, kept: int
) -> None:
    assert [len(one.payload) for one in LetterQuota(["gw-1"]).keep(letters(1, sender, size=size)).letters] == [kept]


def test_after_a_start_the_day_goes_on_where_it_was(tmp_path: Path) -> None:
    configuration = Configuration(DAY_MS, "[city]", "", ())
    yesterday = Batch(Readings.empty(), refused=tuple(letters(9)), arrival=DAY_MS)
    today = [*letters(FIT - 3, arrival=2 * DAY_MS), *letters(2, "made-up", arrival=2 * DAY_MS)]
    with closing(Journal.open(tmp_path)) as journal:
        for entry in (configuration, yesterday, Batch(Readings.empty(), refused=tuple(today))):
            journal.append(entry)
        held = journal.dead_letter_bytes(2 * DAY_MS)
    assert held == {"gw-1": (FIT - 3, (FIT - 3) * SIZE), "made-up": (2, 2 * SIZE)}

    quota = LetterQuota(["gw-1"])
    quota.begin(2 * DAY_MS + 5, held)

    assert len(quota.keep(letters(9, arrival=2 * DAY_MS + 6)).letters) == 3
    assert quota.keep(letters(FIT, "another", arrival=2 * DAY_MS + 6)).dropped == {"": 2}
    assert len(quota.keep(letters(9, arrival=3 * DAY_MS)).letters) == 9, "and the next day begins anew"
