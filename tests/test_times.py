"""Every way of writing a moment comes to the same exact millisecond, and no guess is made where nobody can know."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.formats.times import device_ms, local_ms, rfc3339_ms, seconds_ms

DA_NANG = ZoneInfo("Asia/Ho_Chi_Minh")
BERLIN = ZoneInfo("Europe/Berlin")
T = 1_761_525_600_000  # 2025-10-27T00:40:00Z, 07:40 in Da Nang


@pytest.mark.parametrize(
    "value",
    [
        "2025-10-27T00:40:00Z", "2025-10-27T07:40:00+07:00", "2025-10-27T00:40:00.000999999Z",
        "2025-10-27T07:40:00", "2025-10-27 07:40", "2025-10-27T07:40:00.000999",
        "27/10/25 07:40", "27/10/2025 07:40:00", "27/10/2025T07:40:00",
        1_761_525_600, 1_761_525_600.0, 1_761_525_600_000, 1_761_525_600_000.9, "1761525600", "1761525600.0009",
        "1761525600000", Decimal("1761525600.0005"),
    ],
)  # fmt: skip
def test_a_moment_is_one_however_it_is_written(value: object) -> None:
    assert device_ms(value, DA_NANG, T) == T


@pytest.mark.parametrize(
    "value",
    [
        None, True, [], {}, "", "now", "12:00", "2025-10-27", "2025-02-30T07:40:00", "31/02/25 07:40",
        "2025-10-27T24:00", "2025-10-27T07:60", "0000-01-01T00:00:00", "10/27/25 07:40", "2025-10-27T07:40:00 ",
        "٢٠٢٥-10-27T07:40:00",
        math.nan, math.inf, -math.inf, Decimal("NaN"), "1e9", "-5", "1" * 17, "2025-10-27T07:40:00.1234567890",
        "0001-01-01T00:00:00", "9999-12-31T23:59:60",
    ],
)  # fmt: skip
def test_what_is_no_moment_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match=r"."):
        device_ms(value, DA_NANG, T)


@given(st.integers(0, 4_102_444_800_000))
def test_seconds_with_three_decimals_lose_no_millisecond(ms: int) -> None:
    assert seconds_ms(ms / 1000) == ms
    assert device_ms(f"{ms // 1000}.{ms % 1000:03}", DA_NANG, 0) == ms


def test_a_time_before_1970_is_floored_too() -> None:
    assert seconds_ms(-0.0005) == -1
    assert device_ms(-1.5, DA_NANG, 0) == -1500


@given(st.datetimes(datetime(1971, 1, 1), datetime(2100, 1, 1)), st.sampled_from([DA_NANG, BERLIN]))  # noqa: DTZ001  # local
def test_local_times_are_those_of_the_citys_clocks(naive: datetime, zone: ZoneInfo) -> None:
    true_ms = (naive.replace(tzinfo=zone) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
    try:
        found = local_ms(naive.isoformat(timespec="milliseconds"), zone, true_ms)
    except ValueError:  # an hour left out: the way back does not lead here
        there = naive.replace(tzinfo=zone).astimezone(UTC).astimezone(zone).replace(tzinfo=None)
        assert there != naive
    else:
        assert found == true_ms


def test_an_hour_that_clocks_show_twice_is_the_one_near_the_arrival() -> None:
    first, second = rfc3339_ms("2025-10-26T00:30:00Z"), rfc3339_ms("2025-10-26T01:30:00Z")

    for t in (first, second):
        assert local_ms("2025-10-26T02:30:00", BERLIN, t + 60_000) == t


def test_an_hour_that_clocks_leave_out_is_no_time() -> None:
    with pytest.raises(ValueError, match="leave this hour out"):
        local_ms("2025-03-30T02:30:00", BERLIN, T)
