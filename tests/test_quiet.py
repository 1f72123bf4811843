"""Quiet hours on the clocks of a city, also where clocks jump."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.people.quiet import checked, quiet_until

DA_NANG, BERLIN = ZoneInfo("Asia/Ho_Chi_Minh"), ZoneInfo("Europe/Berlin")
NIGHT = "22:00-07:00"
TIMES = st.times().map(lambda t: f"{t:%H:%M}")
SPANS = st.tuples(TIMES, TIMES).filter(lambda span: span[0] != span[1]).map("-".join)


def ms(text: str, zone: ZoneInfo = DA_NANG) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=zone).timestamp() * 1000)


@pytest.mark.parametrize(
    ("now", "until"),
    [
        ("2022-10-14 21:59:59.999", None),
        ("2022-10-14 22:00", "2022-10-15 07:00"),
        ("2022-10-14 23:59:59.999", "2022-10-15 07:00"),
        ("2022-10-15 00:00", "2022-10-15 07:00"),
        ("2022-10-15 06:59:59.999", "2022-10-15 07:00"),
        ("2022-10-15 07:00", None),
        ("2022-12-31 22:30", "2023-01-01 07:00"),
    ],
)
def test_a_night_ends_in_the_morning_after(now: str, until: str | None) -> None:
    assert quiet_until(NIGHT, ms(now), DA_NANG) == (None if until is None else ms(until))


def test_a_rest_at_noon_does_not_reach_into_the_next_day() -> None:
    assert quiet_until("12:00-13:30", ms("2022-10-14 12:15"), DA_NANG) == ms("2022-10-14 13:30")
    assert quiet_until("12:00-13:30", ms("2022-10-14 13:30"), DA_NANG) is None


def test_who_wants_none_has_none() -> None:
    assert quiet_until("", ms("2022-10-14 23:00"), DA_NANG) is None


def test_where_clocks_jump_the_night_is_an_hour_shorter_or_longer_and_ends_when_they_show_seven() -> None:
    spring, autumn = "2024-03-30 23:00", "2024-10-26 23:00"
    for evening, hours in ((spring, 7), (autumn, 9)):
        until = quiet_until(NIGHT, ms(evening, BERLIN), BERLIN)
        assert until == ms(evening, BERLIN) + hours * 3_600_000


def test_an_end_that_comes_twice_counts_the_first_time_and_after_it_again() -> None:
    before = int(datetime(2024, 10, 26, 23, 50, tzinfo=UTC).timestamp() * 1000)  # 01:50, clocks go back at 03:00
    first = quiet_until("22:00-02:30", before, BERLIN)
    assert first == before + 40 * 60_000
    again = first + 35 * 60_000  # 02:05 for the second time
    assert quiet_until("22:00-02:30", again, BERLIN) == again + 25 * 60_000


@given(
    SPANS,
    st.datetimes(datetime(1990, 1, 1), datetime(2060, 1, 1)),  # noqa: DTZ001
    st.sampled_from([DA_NANG, BERLIN, ZoneInfo("America/St_Johns"), ZoneInfo("Australia/Lord_Howe")]),
)
def test_whatever_the_span_and_the_place_it_ends_within_a_day_and_an_hour_and_then_it_is_over(
    quiet: str, at: datetime, zone: ZoneInfo
) -> None:
    now = int(at.replace(tzinfo=UTC).timestamp() * 1000)
    until = quiet_until(quiet, now, zone)

    clock, (begins, ends) = datetime.fromtimestamp(now / 1000, zone).strftime("%H:%M"), quiet.split("-")
    inside = begins <= clock < ends if begins < ends else clock >= begins or clock < ends
    assert (until is not None) == inside
    if until is not None:
        assert now < until <= now + timedelta(hours=25) / timedelta(milliseconds=1)
        shown = datetime.fromtimestamp(until / 1000, zone).strftime("%H:%M")
        gap = (
            datetime.fromtimestamp(until / 1000, zone).utcoffset()
            != datetime.fromtimestamp(now / 1000, zone).utcoffset()
        )
        assert shown == ends or gap


@pytest.mark.parametrize(
    "wrong", ["22-7", "22:00-22:00", "24:00-07:00", "22:60-07:00", "22:00–07:00", "２2:00-07:00", "x"]
)
def test_what_is_no_span_is_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match=r"quiet hours|times of the day"):
        checked(wrong)
