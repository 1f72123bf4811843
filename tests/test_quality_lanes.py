"""Quality control of what comes by other ways: old spools beside what is measured now, devices that flag themselves."""

from __future__ import annotations

import json

import numpy as np
import pytest
from graded import HEAD, HOUR, MINUTE, T0, plan_of, sensor_toml
from test_foreign import CITY, LOOKUP, MESSAGE, NETWORKS, NOW, TTN, changed

from alerts.intake import Taken, offer, take
from ingest.inbox import Message
from ingest.lookup import Lookup
from processing.acceptance import Acceptance

READINGS, BACKFILL = "canhbao/v1/gw-1/readings", "canhbao/v1/gw-1/backfill"
TOWN = HEAD + '[[gateway]]\nid = "gw-1"\n' + sensor_toml("s", "street_depth", 'gateway = "gw-1"')
TWO_DAYS = ('[[rule]]\nname = "r"\nhazard = "flood"\nquantity = "street_depth"\nstatistic = "max"\nwindow = "48h"\n'
            "levels = { danger = 1 }\n")  # fmt: skip
PLAN = plan_of(TOWN, TWO_DAYS)


class Lanes:
    """One acceptance behind both lanes; messages arrive one after the other, each a batch."""

    def __init__(self) -> None:
        self.acceptance, self.now = Acceptance(), T0 - 48 * HOUR
        self.acceptance.configure(PLAN)
        self.taken: list[Taken] = []

    def bring(self, topic: str, t: int, value: float, *, now: int) -> list[int]:
        """The flags that it is written down with."""
        payload = json.dumps({"sensor": "s", "t": t, "v": value}).encode()
        message = Message(topic, payload, retained=False, qos=1, mid=1, epoch=1)
        offered = offer([message], Lookup(PLAN.city, ("s",)), "wall", now=now, last_arrival=self.now)
        self.now = offered.arrival
        self.taken.append(take(offered, self.acceptance, np.zeros(9, np.int64)))
        return [int(flag) for flag in self.taken[-1].batch.readings.flag]


def played(*, backfill: bool) -> tuple[Lanes, list[int], list[int]]:
    """A street stuck at 0.4 m for seven hours; meanwhile, maybe, yesterday's flood with a false echo in ten."""
    lanes, live, old = Lanes(), [], []
    for minute in range(-2 * 1440, -1440):  # the day before yesterday: all was well
        lanes.bring(READINGS, T0 + minute * MINUTE, 0.0, now=T0 + minute * MINUTE)
    for minute in range(7 * 60):
        now = T0 + minute * MINUTE
        live += lanes.bring(READINGS, now, 0.4, now=now)
        echo = 0.9 if minute % 10 == 9 else 0.0
        if backfill:
            old += lanes.bring(BACKFILL, now - 1200 * MINUTE, 0.002 * minute + echo, now=now + 1)
    return lanes, live, old


def test_an_old_spool_is_graded_by_its_own_time_and_changes_no_flag_of_what_is_measured_now() -> None:
    _, alone, _ = played(backfill=False)
    lanes, live, old = played(backfill=True)

    assert live == alone == [1] * 360 + [3] * 60, "stuck for six hours, whatever comes beside it"
    assert [old.count(flag) for flag in (1, 3, 4)] == [337, 41, 42], "each echo fails, and leaves one doubt"
    again = Acceptance()
    again.configure(PLAN)
    for one in lanes.taken:
        again.recall(one.batch.readings)
    assert again.to_state() == lanes.acceptance.to_state(), "the journal's order says it all"


def test_what_an_old_spool_brings_is_held_against_the_reading_before_it_in_time() -> None:
    lanes = Lanes()
    lanes.bring(READINGS, T0, 0.0, now=T0)
    lanes.bring(READINGS, T0 + HOUR, 0.8, now=T0 + HOUR)

    assert lanes.bring(BACKFILL, T0 + MINUTE, 0.7, now=T0 + HOUR) == [4], "0.7 m in a minute"
    assert lanes.bring(BACKFILL, T0 + HOUR - MINUTE, 0.7, now=T0 + HOUR) == [1], "an hour later it may be"
    assert lanes.taken[-2].doubts == {("rate", 4): 1}
    assert lanes.bring(READINGS, T0 + HOUR + MINUTE, 0.81, now=T0 + HOUR + MINUTE) == [1]


@pytest.mark.parametrize(("millimetres", "position", "flag"), [
    (2116, "normal", 1), (2116, "tilt", 3),
    (2006, "normal", 3), (2006, "tilt", 3),
    (1116, "normal", 4), (1116, "tilt", 4),
])  # fmt: skip
def test_a_tilted_sensor_makes_a_flag_worse_and_an_upright_one_none_better(
    millimetres: int, position: str, flag: int
) -> None:
    acceptance, last, found = Acceptance(), 0, []
    acceptance.configure(plan_of(CITY))
    for minute, seen, stands in ((0, 2116, "normal"), (1, millimetres, position)):
        now = NOW + minute * MINUTE
        message = changed(
            MESSAGE, uplink_message__received_at=f"2025-10-27T00:4{minute}:00Z",
            uplink_message__decoded_payload={"distance": seen, "position": stands},
        )  # fmt: skip
        sent = Message(TTN, json.dumps(message).encode(), retained=False, qos=0, mid=1, epoch=1)
        offered = offer([sent], LOOKUP, "wall", now=now, last_arrival=last, networks=NETWORKS)
        last, taken = offered.arrival, take(offered, acceptance, np.zeros(9, np.int64))
        found += taken.batch.readings.flag.tolist()

    assert found == [1, flag]
