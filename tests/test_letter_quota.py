"""What is kept of what is refused."""

from __future__ import annotations

from ingest.entries import DeadLetter
from ingest.letter_quota import DAY_MS, LETTER_BYTES, QUOTA_BYTES, LetterQuota

SIZE = 16_000
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


def test_of_a_message_that_is_too_large_the_beginning_is_kept() -> None:
    assert [len(letter.payload) for letter in LetterQuota([]).keep(letters(1, size=60_000)).letters] == [SIZE]
