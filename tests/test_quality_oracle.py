"""Quality control against `ioos-qc`: flag for flag where the definitions agree, else a test for each difference."""

from __future__ import annotations

import numpy as np
from conftest import Tally
from graded import HOUR, MINUTE, T0, Graded, flags, sensor_toml
from ioos_qc import qartod
from numpy.typing import NDArray

from processing.kernels import codes

OPEN = (
    '[[quantity]]\nname = "x"\nunit = "u"\nbounds = [-1e9, 1e9]\n[city]\nname = "c"\n[[area]]\ncode = "a"\nname = "a"\n'
)
Values = NDArray[np.float64]


def ours(values: Values, quality: str, times: NDArray[np.int64]) -> list[int]:
    graded = Graded(sensor_toml("s", "x", f"quality = {{ {quality} }}"), head=OPEN)
    sent = [None if np.isnan(value) else float(value) for value in values]
    return [int(flag) for flag in graded.offer(sent, times=[int(t) for t in times])]


def dates(times: NDArray[np.int64]) -> NDArray[np.datetime64]:
    return times.astype("datetime64[ms]")


def series(r: np.random.Generator, n: int = 300) -> Values:
    """A walk on a grid of quarters, so that values stand on limits exactly, with jumps and missing ones."""
    steps = r.choice([0.0, 0.25, -0.25, 0.5, -0.5, 1.0, -2.0, 8.0, -8.0], n, p=[0.3, 0.2, 0.2, 0.1, 0.1, *[0.025] * 4])
    values = np.cumsum(steps)
    values[r.random(n) < 0.05] = np.nan
    return values


def some_times(r: np.random.Generator, n: int = 300) -> NDArray[np.int64]:
    return np.asarray(T0 + np.cumsum(r.choice([1, 2, 30, 60, 61, 170, 600], n)) * 1000)


def test_the_gross_range_agrees(tally: Tally) -> None:
    for seed in tally.seeds(40, 5_000):
        with tally.trial():
            r = np.random.default_rng(seed)
            values = series(r)
            fail, suspect = (-4.0, 6.0), (-2.0, 4.5)
            expected = qartod.gross_range_test(values, fail, suspect)
            stated = f"fail = {list(fail)}, suspect = {list(suspect)}"
            assert ours(values, stated, some_times(r)) == expected.tolist()


def test_the_rate_of_change_agrees_where_nothing_is_missing(tally: Tally) -> None:
    """But that ours fails only if theirs fails from the last before the reading before as well that did not, and the
    reading before did not rise as steeply.
    """
    for seed in tally.seeds(40, 5_000):
        with tally.trial():
            r = np.random.default_rng(seed)
            values, times = np.nan_to_num(series(r)), some_times(r)
            theirs = qartod.rate_of_change_test(values, dates(times), 0.0625, 0.25).tolist()
            found = ours(values, "rate = [0.0625, 0.25]", times)
            for n in range(len(values)):
                earlier = range(n - 2, max(n - 2 - codes.PASSED_OVER_MAX, -1), -1)
                last = next((one for one in earlier if found[one] != 4), None)
                if theirs[n] == theirs[n - 1] == 4 and values[n] > values[n - 1] > values[n - 2]:
                    assert found[n] == 3
                elif theirs[n] == 4 and last is not None:
                    since = times[[last if found[n - 1] == 4 else n - 1, n]]
                    again = qartod.rate_of_change_test(values[[last, n]], dates(since), 0.0625, 0.25)[1]
                    assert found[n] == (4 if again == 4 else 3)
                else:
                    assert found[n] == theirs[n]
            assert set(theirs) == set(found) == {1, 3, 4}


def test_the_spike_agrees_where_nothing_is_missing(tally: Tally) -> None:
    """Theirs is the flag of the reading itself; ours is told with the reading after it."""
    for seed in tally.seeds(40, 5_000):
        with tally.trial():
            r = np.random.default_rng(seed)
            values = np.nan_to_num(series(r))
            expected = qartod.spike_test(values, 0.25, 4.0, method="differential").tolist()
            graded = Graded(sensor_toml("s", "x", "quality = { spike = [0.25, 4.0] }"), head=OPEN)
            assert set(graded.offer(values.tolist()).tolist()) == {1}
            found = [_spike_flag(int(bits)) for bits in graded.last.found]
            assert found[2:] == expected[1:-1]
            assert (expected[0], expected[-1]) == (2, 2)


def _spike_flag(bits: int) -> int:
    return 4 if bits & codes.SPIKE << codes.FAILED else 3 if bits & codes.SPIKE else 1


def test_the_flat_line_agrees_at_one_pace_where_steps_are_no_smaller_than_the_tolerance(tally: Tally) -> None:
    for seed in tally.seeds(40, 5_000):
        with tally.trial():
            r = np.random.default_rng(seed)
            values = np.repeat(r.integers(0, 4, 60), r.integers(1, 15, 60)).astype(float)
            times = T0 + np.arange(len(values)) * MINUTE
            expected = qartod.flat_line_test(values, dates(times), 600, 10**7, 0.5)
            assert ours(values, 'flat = { for = "10m", within = 0.5 }', times) == expected.tolist()


# -- where we differ, and what the package says of the same ------------------------------------------------------------


def test_infinity_never_gets_as_far_as_a_flag_and_fails_theirs() -> None:
    """Ours is refused at the door (tests/test_native.py, tests/test_lookup.py)."""
    assert qartod.gross_range_test([np.inf], (0, 1)).tolist() == [4]


def test_a_rate_passes_over_what_is_missing_and_theirs_says_nothing_after_it() -> None:
    values = np.array([0.0, np.nan, 30.0])
    times = T0 + np.arange(3) * MINUTE

    assert ours(values, "rate = [0.1, 0.2]", times) == [1, 9, 4]
    assert qartod.rate_of_change_test(values, dates(times), 0.1, 0.2).tolist() == [1, 9, 1]


def test_a_spike_or_a_step_fails_once_and_theirs_fails_the_good_one_after_a_spike_too() -> None:
    times = T0 + np.arange(4) * MINUTE
    spike, step = [20.0, 40.0, 20.0, 20.0], [20.0, 40.0, 40.0, 40.0]

    assert flags(spike, "temperature") == [1, 4, 3, 1]
    assert qartod.rate_of_change_test(spike, dates(times), 0.02, 0.1).tolist() == [1, 4, 4, 1]
    assert flags(step, "temperature") == [1, 4, 1, 1]
    assert qartod.rate_of_change_test(step, dates(times), 0.02, 0.1).tolist() == [1, 4, 1, 1]


def test_a_rate_counts_milliseconds_and_theirs_whole_seconds() -> None:
    times = np.array([T0, T0 + 1900])
    values = np.array([0.0, 1.0])

    assert ours(values, "rate = [0.6, 2.0]", times) == [1, 1]
    assert qartod.rate_of_change_test(values, dates(times), 0.6, 2.0).tolist() == [1, 3]


def test_what_is_impossible_is_compared_with_nothing_and_theirs_fails_the_good_one_after_it() -> None:
    values = [20.0, 99.0, 20.0]
    times = T0 + np.arange(3) * MINUTE

    assert flags(values, "temperature") == [1, 4, 1]
    assert qartod.rate_of_change_test(values, dates(times), 0.02, 0.1).tolist() == [1, 4, 4]


def test_a_spike_passes_over_what_is_missing_and_theirs_does_not_evaluate_its_neighbours() -> None:
    graded = Graded(sensor_toml("s", "x", "quality = { spike = [1, 2] }"), head=OPEN)
    graded.offer([0.0, 9.0, None, 0.0])

    assert graded.told == {("spike", 4): 1}
    assert qartod.spike_test([0.0, 9.0, np.nan, 0.0], 1, 2, method="differential").tolist() == [2, 2, 9, 2]


def test_a_flat_line_is_a_time_and_theirs_a_count_of_samples() -> None:
    """A burst of samples brings the median interval down, and with it what their count stands for is another time."""
    times = np.concatenate([T0 + np.arange(21) * 1000, T0 + 20_000 + np.arange(1, 16) * MINUTE])
    values = np.full(len(times), 5.0)
    expected = qartod.flat_line_test(values, dates(times), 600, 10**7, 0.5)

    found = ours(values, 'flat = { for = "10m", within = 0.5 }', times)
    assert [n for n, flag in enumerate(found) if flag == 3] == list(range(30, 36))
    assert expected.tolist() != found


def test_a_slow_drift_breaks_a_flat_line_at_the_value_that_leaves_it_and_theirs_looks_back_again() -> None:
    """Ours begins anew there, so it may say "flat" later than theirs, and never without it."""
    r = np.random.default_rng(7)
    values = np.cumsum(r.choice([0.0, 0.1, -0.1], 2_000))
    times = T0 + np.arange(2_000) * MINUTE
    expected = qartod.flat_line_test(values, dates(times), 600, 10**7, 0.5)

    found = np.array(ours(values, 'flat = { for = "10m", within = 0.5 }', times))

    assert set(np.flatnonzero(found == 3)) < set(np.flatnonzero(expected == 3))


def test_a_pause_ends_a_flat_line_and_theirs_knows_no_pause() -> None:
    times = T0 + np.concatenate([np.arange(9) * MINUTE, 2 * HOUR + np.arange(9) * MINUTE])
    values = np.full(18, 5.0)

    assert 3 not in ours(values, 'flat = { for = "10m", within = 0.5 }', times)
    assert 3 in qartod.flat_line_test(values, dates(times), 600, 10**7, 0.5)
