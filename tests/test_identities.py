"""What a sensor's identities cost: bounded in time and number, whatever it sends, and what that leaves unchecked."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from graded import HOUR, MINUTE, T0, Graded, sensor_toml

from processing import acceptance
from processing.acceptance import IDENTITIES_MOST, Acceptance

RIVER = sensor_toml("s", "water_level", 'quality.off = "all"')
REMEMBERED = 6 * HOUR  # of a sensor whose longest window is shorter


class Sensor:
    """One sensor, and what becomes of what it sends."""

    def __init__(self) -> None:
        self.graded = Graded(RIVER)

    def offer(self, times: Sequence[int], values: Sequence[float | None] | None = None) -> None:
        self.graded.offer([None] * len(times) if values is None else values, times=times)

    def said(self, t: int, value: float | None = None) -> str:
        """Of a reading offered alone."""
        self.offer([t], [value])
        last = self.graded.last
        if len(last.readings):
            return "late" if last.readings.late[0] else "new"
        return "duplicate" if len(last.duplicates) else "conflict"

    @property
    def held(self) -> int:
        sizes: bytes = self.graded.acceptance.to_state()["identities"]["size"]
        return int(np.frombuffer(sizes, np.int64)[0])

    def restart(self) -> None:
        state = self.graded.acceptance.to_state()
        self.graded.acceptance = Acceptance.from_state(state, self.graded.plan)


def test_a_sensor_that_never_measures_anything_is_remembered_for_six_hours() -> None:
    sensor, end = Sensor(), T0 + 40 * HOUR
    sensor.offer(range(T0, end + 1, MINUTE))

    assert sensor.held == REMEMBERED // MINUTE + 1
    sensor.restart()
    assert sensor.said(end - REMEMBERED) == "duplicate"
    assert sensor.said(end - REMEMBERED - 1) == "new", "the floor is what was forgotten, no more"
    assert sensor.said(end - REMEMBERED - MINUTE) == "late"
    assert sensor.said(end - REMEMBERED - MINUTE) == "late", "stored again, and takes no part"
    assert sensor.said(end - REMEMBERED - 2 * MINUTE, 5.0) == "late"
    assert sensor.said(end + MINUTE, 1.0) == "new"
    assert sensor.said(end - HOUR) == "late", "it has measured: its window is what counts again"


def test_one_that_stops_measuring_is_remembered_no_longer_either() -> None:
    sensor, end = Sensor(), T0 + 40 * HOUR
    sensor.offer([T0], [1.0])
    sensor.offer(range(T0 + MINUTE, end + 1, MINUTE))

    assert sensor.held == REMEMBERED // MINUTE + 1
    assert sensor.said(T0 + HOUR, 2.0) == "late"
    assert sensor.said(end - HOUR, 2.0) == "conflict"
    assert sensor.said(end - HOUR + 1, 2.0) == "new"


def test_a_sensor_that_measures_forgets_by_its_window_alone() -> None:
    sensor = Sensor()
    sensor.offer(range(T0, T0 + 40 * HOUR, MINUTE), [1.0] * 2400)

    assert sensor.held == HOUR // MINUTE + 1
    state = sensor.graded.acceptance.to_state()
    assert int(np.frombuffer(state["floor"], np.int64)[0]) < 0
    without = {name: part for name, part in state.items() if name != "floor"}
    assert Acceptance.from_state(without, sensor.graded.plan).to_state() == state, "a snapshot of before there was one"


def test_of_too_many_the_oldest_are_forgotten_and_as_old_counts_as_late(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acceptance, "IDENTITIES_MOST", 100)
    sensor = Sensor()
    sensor.offer(range(T0, T0 + 150))

    assert sensor.held == 100
    assert sensor.said(T0 + 50) == "duplicate"
    assert sensor.said(T0 + 49) == "late"
    assert sensor.said(T0 + 200, 1.0) == "new"
    assert (sensor.said(T0 + 50), sensor.said(T0 + 51)) == ("late", "duplicate")
    assert sensor.held == 100


@pytest.mark.parametrize("falling", [True, False])
def test_a_flood_of_identities_ends_at_its_bound_in_whatever_order(falling: bool) -> None:
    sensor, times = Sensor(), range(T0, T0 + IDENTITIES_MOST + 500)
    sensor.offer(times[::-1] if falling else times)

    assert sensor.held == IDENTITIES_MOST
    kept = sensor.graded.last.readings
    # falling: the first beyond pushes itself out, and what is older still is not looked up
    assert int(kept.late.sum()) == (499 if falling else 0)
    assert [sensor.said(t) for t in (times[-1], times[600], times[499])] == ["duplicate", "duplicate", "late"]


def test_what_is_sent_newest_first_is_known_again() -> None:
    r, sensor = np.random.default_rng(3), Sensor()
    times = [*range(T0 + 4000, T0, -1), *(T0 + 4000 + r.permutation(3000) + 1).tolist(), *range(T0, T0 - 900, -1)]
    for at in range(0, len(times), 37):
        sensor.offer(times[at : at + 37])

    again = [sensor.said(t) for t in r.choice(times, 300).tolist()]
    assert set(again) == {"duplicate"}
    assert sensor.held == len(times)


def test_a_sensor_that_nobody_configured_is_an_error_and_no_foreign_memory() -> None:
    for acceptance_, number in ((Acceptance(), 0), (Sensor().graded.acceptance, 1), (Sensor().graded.acceptance, -1)):
        one = np.array([T0])
        with pytest.raises(IndexError, match=f"sensors {number}"):
            acceptance_.accept(np.array([number], np.int32), one, np.ones(1), np.full(1, 2, np.uint8), one)
