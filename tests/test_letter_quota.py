"""What is kept of what is refused."""

from __future__ import annotations

import pytest

from ingest.entries import DeadLetter
from ingest.letter_quota import DAY_MS, LETTER_BYTES, QUOTA_BYTES, LetterQuota

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
