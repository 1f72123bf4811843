"""The spine on a clock that is moved by hand: the 15 minutes, silence, ticks, and what a crash leaves behind."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
from conftest import Tally
from sqlalchemy import select

from alerts import intake
from alerts.acting import Acted
from alerts.brought import Bring, Brought
from alerts.driving import Asked, Drive, Driven
from alerts.folds import RecoveryError
from alerts.incidents.verbs import Acknowledge, Act, Comment, EndSilence, RefusedError, Silence
from alerts.ledger import schema
from alerts.ledger.ledger import Ledger
from alerts.snapshots import Snapshots
from alerts.spine import Spine, Texts
from alerts.way import Clock, StoppedError, Stores
from ingest import letter_quota
from ingest.city import ConfigError
from ingest.entries import ORIGIN, Batch, ClockMode, Configuration, Entry, Position, Start, Tick
from ingest.formats import Decoded, decode
from ingest.inbox import Message
from ingest.journal import Journal, JournalError
from processing.replay import Tally as Counts
from processing.replay import replay_journal

NOON = 1_665_723_600_000  # 14 Oct 2022, 12:00 in Da Nang
MINUTE = 60_000
HOUR = 60 * MINUTE
CITY = """
[city]
name = "Đà Nẵng"
timezone = "Asia/Ho_Chi_Minh"
[[area]]
code = "20242"
name = "Hải Châu"
[[gateway]]
id = "gw-1"
[[quantity]]
name = "water_level"
quality.off = "all"
[[quantity]]
name = "street_depth"
quality.off = "all"
[[sensor]]
id = "river"
quantity = "water_level"
area = "20242"
gateway = "gw-1"
period = "60s"
[[sensor]]
id = "street"
quantity = "street_depth"
area = "20242"
gateway = "gw-1"
"""
RULES = """
[[rule]]
name = "river"
hazard = "flood"
quantity = "water_level"
statistic = "last"
levels = { advisory = 1.0, danger = 2.5 }
[[rule]]
name = "street"
hazard = "flood"
quantity = "street_depth"
statistic = "max"
window = "10m"
levels = { warning = 0.2 }
[hazard.flood]
confirm_by = "none"
"""


class CrashError(Exception):
    """The process dies here."""


@dataclass
class World:
    """One data folder, a wall's clock moved by hand, and a broker that repeats what was not acknowledged."""

    folder: Path
    rules: str = RULES
    city: str = CITY
    now: int = NOON
    seq: int = 0
    waiting: list[Message] = field(default_factory=list)
    acknowledged: list[Message] = field(default_factory=list)
    published: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    crash: Callable[[str], None] = lambda _: None
    clock: ClockMode = "wall"
    stores: Stores | None = None
    connected: bool = True
    asked: Callable[[], Sequence[Asked[Drive, Driven]]] = tuple
    brought: Callable[[], Sequence[Asked[Bring, Brought]]] = tuple
    prefixes: dict[str, str] = field(default_factory=dict)

    def start(self, journal: Callable[[Journal], Journal] = lambda j: j) -> Spine:
        self.end()
        self.stores = Stores(journal(Journal.open(self.folder / "journal")), Ledger.open(self.folder / "ledger.sqlite"),
                             Snapshots(self.folder / "snapshots"))  # fmt: skip
        clock = Clock(self.clock, lambda: self.now, lambda: self.now / 1000, lambda _: False)
        spine = Spine(
            self.drain, self, self.stores, Texts(self.city, self.rules), clock, lambda _: None, asked=self.asked,
            brought=self.brought, prefixes=self.prefixes,
        )  # fmt: skip
        spine.begin()
        return spine

    def end(self) -> None:
        if self.stores is not None:
            self.stores.journal.close()
            self.stores.ledger.close()

    def send(self, sensor: str, t: int, value: float | None) -> None:
        self.seq += 1
        payload = {"boot": "9f0c31d2a7b84e65", "seq": self.seq, "first": 1,
                   "readings": [{"sensor": sensor, "t": t, "v": value}]}  # fmt: skip
        self.waiting.append(Message("canhbao/v1/gw-1/readings", json.dumps(payload).encode(), False, 1, self.seq, 1))

    def drain(self, _wait_s: float) -> Sequence[Message]:
        return list(self.waiting)

    def acknowledge(self, messages: Sequence[Message]) -> None:
        self.crash("acknowledge")
        self.waiting = [message for message in self.waiting if message not in messages]
        self.acknowledged += messages

    def publish(self, topic: str, payload: bytes) -> bool:
        self.crash("publish")
        self.published.append((topic, json.loads(payload)))
        return True

    def entries(self) -> list[Entry]:
        return [entry for _, entry in Journal.open(self.folder / "journal", read_only=True).read(ORIGIN)]

    def told(self) -> list[str]:
        assert self.stores is not None
        return [one.to_json() for _, one in self.stores.ledger.transitions(limit=10**6)]

    def rows(self, table: Any) -> list[Any]:
        assert self.stores is not None
        with self.stores.ledger.store.reading() as db:
            return list(db.execute(select(table)))


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_a_reading_is_receipted_and_acknowledged_only_when_it_is_on_disk(world: World) -> None:
    spine = world.start()
    on_disk = []
    world.crash = lambda what: on_disk.append((what, sum(isinstance(entry, Batch) for entry in world.entries())))
    world.send("river", NOON, 0.4)
    spine.turn()

    assert on_disk == [("publish", 1), ("acknowledge", 1)]
    assert world.published == [("canhbao/v1/gw-1/receipt", {"boot": "9f0c31d2a7b84e65", "seq": 1})]


def test_a_retained_message_is_refused_and_its_number_receipted(world: World) -> None:
    spine = world.start()
    world.send("river", NOON, 3.0)
    world.waiting = [replace(message, retained=True) for message in world.waiting]
    spine.turn()

    assert [letter.reason for entry in world.entries() if isinstance(entry, Batch) for letter in entry.refused] == [
        "retained"
    ]
    assert world.told() == []
    assert world.published == [("canhbao/v1/gw-1/receipt", {"boot": "9f0c31d2a7b84e65", "seq": 1})]


def test_while_the_disk_refuses_nothing_is_acknowledged_and_nothing_is_lost(world: World) -> None:
    class Refusing(Journal):
        refusals = 3

        def append(self, entry: Entry) -> Position:
            if isinstance(entry, Batch) and self.refusals:
                self.refusals -= 1
                assert not world.acknowledged
                assert not world.published
                raise JournalError("database or disk is full")
            return super().append(entry)

    def refusing(journal: Journal) -> Journal:
        journal.close()
        made = Refusing.open(world.folder / "journal")
        assert isinstance(made, Refusing)
        return made

    spine = world.start(refusing)
    world.send("river", NOON, 3.0)
    spine.turn()

    assert len(world.acknowledged) == 1
    assert len(world.told()) == 1
    assert not spine.fault
    assert spine.counters['canhbao_errors_total{loop="spine"}'] == 3


def test_a_message_that_breaks_the_decoder_is_a_dead_letter_and_stops_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaking(topic: str, payload: bytes, **given: Any) -> Decoded:
        if b"99.0" in payload:
            raise RecursionError
        return decode(topic, payload, **given)

    monkeypatch.setattr(intake, "decode", breaking)
    spine = world.start()
    world.send("river", NOON, 99.0)
    world.send("river", NOON + 1, 3.0)
    spine.turn()

    assert len(world.told()) == 1
    assert len(world.acknowledged) == 2
    assert world.stores is not None
    assert world.stores.journal.dead_letter_counts() == {"wrong_shape": 1}


def test_a_service_that_ends_while_the_disk_refuses_acknowledges_nothing(world: World) -> None:
    spine = world.start()
    assert world.stores is not None
    world.stores.journal.append = _full  # type: ignore[method-assign]
    object.__setattr__(spine._clock, "pause", lambda _: True)
    world.send("river", NOON, 3.0)

    with pytest.raises(StoppedError):
        spine.turn()
    assert not world.acknowledged
    assert not world.published


def _full(_entry: Entry) -> Position:
    raise JournalError("database or disk is full")


@pytest.mark.parametrize(("age", "judged"), [(15 * MINUTE, True), (15 * MINUTE + 1, False)])
def test_a_reading_is_judged_up_to_fifteen_minutes_after_it_was_measured(world: World, age: int, judged: bool) -> None:
    spine = world.start()
    world.send("river", NOON - age, 3.0)
    spine.turn()

    assert len(world.told()) == int(judged)
    assert len(world.rows(schema.late_breach)) == int(not judged)


def test_a_reading_that_is_not_fresh_fills_the_windows_of_the_next_fresh_one(world: World) -> None:
    spine = world.start()
    world.send("street", NOON - 20 * MINUTE, 0.5)
    spine.turn()
    assert world.told() == []

    world.now += MINUTE
    world.send("street", NOON - 11 * MINUTE, 0.05)
    spine.turn()
    assert ['"value":0.5' in line for line in world.told()] == [True]


def test_a_tick_is_written_every_ten_seconds_while_nothing_arrives_and_only_then(world: World) -> None:
    spine = world.start()
    for _ in range(70):
        world.now += 500
        spine.turn()
    assert [entry for entry in world.entries() if isinstance(entry, Tick)] == [
        Tick(NOON + n * 10_000) for n in (1, 2, 3)
    ]

    world.now += 6_000
    world.send("river", world.now, 0.1)
    spine.turn()
    world.waiting.clear()
    spine.turn()
    assert sum(isinstance(entry, Tick) for entry in world.entries()) == 3  # the reading implies the fourth


def test_what_is_due_before_an_act_is_an_entry_of_its_own_also_where_the_act_is_refused(world: World) -> None:
    spine = world.start()
    world.send("street", NOON, 0.5)
    spine.turn()
    world.now += 11 * MINUTE
    world.send("street", world.now, 0.0)
    spine.turn()
    (incident,) = world.rows(schema.incident)
    world.now += 30 * MINUTE + 1
    with pytest.raises(RefusedError, match="is over"):
        spine.way.act(Act(Acknowledge(incident.id), "vy", world.now, "k-1"))

    assert world.entries()[-1] == Tick(world.now)
    assert [row.entry for row in world.rows(schema.notice)][-1] == spine.way.folds.position
    assert world.rows(schema.audit) == []

    world.now += 1
    spine.way.act(Act(Comment(incident.id, "seen"), "vy", world.now, "k-2"))
    (audited,) = world.rows(schema.audit)
    assert json.loads(audited.detail)["position"] == spine.way.folds.position == world.rows(schema.progress)[0].position


def test_of_a_planned_outage_residents_are_told_once_however_often_the_service_is_started(world: World) -> None:
    outage = Silence("outage-1", NOON + 30 * HOUR, NOON + 31 * HOUR, "PC", "vy", "", "power", ("20242",), planned=True)
    world.start().way.act(Act(outage, "vy", world.now, "k-1"))
    for hours in (5, 5.9, 6.1, 6.2, 20, 28.9, 29.1, 29.2):
        world.now = NOON + int(hours * HOUR)
        world.start().turn()
        world.start()
    assert [(row.incident, row.version, row.planned) for row in world.rows(schema.notice)] == [
        ("outage-1.20242", 1, True), ("outage-1.20242", 2, True),
    ]  # fmt: skip
    world.start().way.act(Act(EndSilence("outage-1"), "vy", world.now + 1, "k-2"))
    world.start().turn()
    assert [row.version for row in world.rows(schema.notice)] == [1, 2, 3]
    assert [json.loads(row.notice)["reason"] for row in world.rows(schema.notice)][-1] == "called_off"


def test_a_sensor_is_silent_after_three_minutes_and_heard_again_at_the_next_tick(world: World) -> None:
    spine = world.start()
    world.send("river", NOON, 3.0)
    for _ in range(20):
        spine.turn()
        world.now += 10_000
    assert [(row.at, row.sensor, row.from_status, row.to_status) for row in world.rows(schema.health)] == [
        (NOON + 180_000, "river", "ok", "silent")
    ]
    assert spine.view is not None
    assert spine.view.level.tolist() == [3, 0]  # silence freezes a level, it ends nothing

    world.send("river", world.now, None)
    spine.turn()
    world.now += 10_000
    spine.turn()
    assert [row.to_status for row in world.rows(schema.health)] == ["silent", "no_data"]


def test_time_in_which_the_collector_was_down_is_no_silence(world: World) -> None:
    spine = world.start()
    world.send("river", NOON, 0.1)
    spine.turn()
    world.now += 3 * 3_600_000
    spine = world.start()
    for _ in range(17):
        world.now += 10_000
        spine.turn()
    assert world.rows(schema.health) == []
    world.now += 20_000
    spine.turn()
    assert [row.to_status for row in world.rows(schema.health)] == ["silent"]


def test_changed_rules_are_written_down_and_judge_from_the_next_reading(world: World) -> None:
    spine = world.start()
    world.send("river", NOON, 0.9)
    spine.turn()
    world.rules = RULES.replace("advisory = 1.0", "advisory = 0.8")
    spine = world.start()
    assert sum(isinstance(entry, Configuration) for entry in world.entries()) == 2
    assert world.told() == []

    world.now += MINUTE
    world.send("river", world.now, 0.9)
    spine.turn()
    assert len(world.told()) == 1


@pytest.mark.parametrize("used", [False, True])
def test_wrong_rules_never_reach_the_journal(world: World, *, used: bool) -> None:
    if used:
        world.start()
    world.rules = RULES.replace('"last"', '"sun"')
    with pytest.raises(ConfigError, match="statistic"):
        world.start()
    world.rules = RULES

    spine = world.start()
    world.send("river", NOON, 3.0)
    spine.turn()
    assert len(world.told()) == 1


def test_a_clock_that_was_set_back_is_said_and_nothing_is_started_on_its_future(world: World) -> None:
    spine = world.start()
    world.send("river", NOON, 0.1)
    spine.turn()
    world.now -= 7 * 3_600_000

    assert spine.ahead_ms == 7 * 3_600_000
    with pytest.raises(RecoveryError, match="25200 s ahead of the clock"):
        world.start()


@pytest.mark.parametrize("numbered", [True, False])
def test_time_passes_while_only_what_is_known_already_arrives(world: World, numbered: bool) -> None:
    spine = world.start()
    if numbered:
        world.send("river", NOON, 0.1)
    else:
        bare = b'{"sensor":"river","t":%d,"v":0.1}' % NOON
        world.waiting = [Message("canhbao/v1/gw-1/readings", bare, False, 1, 1, 1)]
    again = list(world.waiting)
    for _ in range(40):
        world.waiting = list(again)
        spine.turn()
        world.now += 5_000

    assert [row.to_status for row in world.rows(schema.health)] == ["no_data"], "it is there, and brings nothing new"
    told = [entry for entry in world.entries() if isinstance(entry, Batch) and len(entry.signs)]
    assert [entry.arrival for entry in told] == [NOON + n * 10_000 for n in range(1, 20)], "once in a tick's time"


def test_a_sensor_whose_every_reading_is_refused_brings_no_data_and_is_not_silent(world: World) -> None:
    spine = world.start()
    for n in range(25):
        world.send("river", world.now + 3_600_000, 0.5)  # from the future
        world.send("river", world.now, 99.0)  # out of bounds
        world.send("nobody", world.now, 1.0)
        world.seq += 1
        bad = b'{"readings":[{"sensor":"river","t":"now","v":1.0}]}'
        world.waiting += [Message("canhbao/v1/gw-1/readings", bad, False, 1, n, 1)]
        spine.turn()
        world.now += 9_000
    world.waiting.clear()
    for _ in range(30):
        spine.turn()
        world.now += 10_000

    told = [(row.at - NOON, row.to_status) for row in world.rows(schema.health)]
    assert told == [(180_000, "no_data"), (210_000 + 180_000, "silent")]
    signs = [entry.signs for entry in world.entries() if isinstance(entry, Batch)]
    assert sum(map(len, signs)) == 22 - 1, "one for each 10 s; in the first it was heard of by the configuration"


def test_another_gateway_or_a_retained_message_is_no_sign_of_a_sensors_life(world: World) -> None:
    world.city = CITY.replace("[[quantity]]", '[[gateway]]\nid = "gw-2"\n[[quantity]]', 1)
    spine = world.start()
    payload = b'{"readings":[{"sensor":"river","t":%d,"v":99.0}]}'
    for _ in range(20):
        world.waiting = [Message("canhbao/v1/gw-2/readings", payload % world.now, False, 1, 1, 1),
                         Message("canhbao/v1/gw-1/readings", payload % world.now, True, 1, 2, 1)]  # fmt: skip
        spine.turn()
        world.now += 10_000

    assert [row.to_status for row in world.rows(schema.health)] == ["silent"]


def test_a_late_danger_is_told_once_however_often_its_gateway_sends_it(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    spine = world.start()
    world.send("river", NOON, 0.1)
    spine.turn()
    for _ in range(4):
        world.now += MINUTE
        world.send("river", NOON - 3 * 3_600_000, 3.0)  # further back than identities are checked
        spine.turn()
        spine = world.start()

    kept = [entry.readings for entry in world.entries() if isinstance(entry, Batch)]
    assert [readings.late.tolist() for readings in kept] == [[0], [1], [1], [1], [1]]
    assert len(world.rows(schema.late_breach)) == 1
    assert [record.message[:17] for record in caplog.records if "danger" in record.message] == ["late: river reach"]


def test_a_start_gives_nobody_a_new_quota_of_dead_letters(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(letter_quota, "QUOTA_BYTES", 1_000)
    for n in range(6):
        spine = world.start()
        world.waiting = [Message("canhbao/v1/gw-1/readings", b"rubbish" * 10, False, 1, n, 1)]
        spine.turn()

    assert world.stores is not None
    assert world.stores.journal.dead_letter_counts() == {"not_json": 3}
    assert spine.counters['canhbao_dead_letters_dropped_total{gateway="gw-1"}'] == 1

    world.now += 24 * 3_600_000
    world.waiting = [Message("canhbao/v1/gw-1/readings", b"rubbish" * 10, False, 1, 7, 1)]
    world.start().turn()
    assert world.stores.journal.dead_letter_counts() == {"not_json": 4}


def test_a_hole_is_given_up_only_after_requests_that_somebody_could_hear(world: World) -> None:
    for deaf in (True, False):
        spine = world.start()
        world.connected = not deaf
        for seq in (1, 3) if deaf else ():
            world.seq = seq - 1
            world.send("river", world.now + seq, 0.1)
            spine.turn()
        for _ in range(40):
            world.now += 10_000
            world.waiting.clear()
            spine.turn()
        asked = [payload for _, payload in world.published if "missing" in payload]
        assert len(asked) == (0 if deaf else 3)
    assert {"boot": "9f0c31d2a7b84e65", "seq": 3} not in [payload for _, payload in world.published]


def test_how_long_old_spools_wait_is_no_time_of_decision(world: World) -> None:
    spine = world.start()
    world.send("river", NOON, 0.1)
    (live,) = world.waiting
    old = replace(live, topic="canhbao/v1/gw-1/backfill", came_s=NOON / 1000 - 40.0)
    for waiting in ([old], [replace(live, came_s=NOON / 1000 - 0.2), replace(old, mid=2)]):
        world.waiting = list(waiting)
        spine.turn()
    samples = spine.decisions.samples()
    assert samples["canhbao_decision_seconds_count"] == 1
    assert samples["canhbao_decision_seconds_sum"] == pytest.approx(0.2)


def test_with_the_datas_clock_nothing_begins_before_a_reading_tells_the_time(world: World) -> None:
    world.clock = "data"
    spine = world.start()
    world.send("nobody", NOON, 1.0)
    spine.turn()
    assert world.entries() == []
    assert not world.acknowledged

    world.waiting.clear()
    world.send("river", NOON, 3.0)
    spine.turn()
    assert {entry.arrival for entry in world.entries()} == {NOON}
    assert len(world.acknowledged) == 2
    assert world.rows(schema.health) == []


def test_a_journal_that_is_older_than_the_ledger_is_not_started_on(world: World) -> None:
    spine = world.start()
    world.send("river", NOON, 3.0)
    spine.turn()
    world.end()
    for file in (world.folder / "journal").iterdir():
        file.unlink()

    with pytest.raises(RecoveryError, match="the journal ends at 0"):
        world.start()


def test_a_start_after_a_clean_end_replays_nothing_and_says_the_same(world: World) -> None:
    spine = world.start()
    world.send("river", NOON, 3.0)
    spine.turn()
    before = world.told()
    world.send("river", NOON + 1, 0.1)
    spine.turn()
    spine.end()
    spine = world.start()

    assert sum(isinstance(entry, Start) for entry in world.entries()) == 2
    assert world.told()[: len(before)] == before
    assert [(row.from_level, row.to_level) for row in world.rows(schema.transition)] == [(0, 3), (3, 0)]


def test_crashes_at_any_moment_lose_nothing_and_tell_nothing_twice(tally: Tally, tmp_path: Path) -> None:
    for seed in tally.seeds(15, 1_000):
        with tally.trial():
            _crash_story(World(tmp_path / str(seed)), Random(seed))


def _crash_story(world: World, r: Random) -> None:
    def crash(_what: str) -> None:
        if r.random() < 0.15:
            raise CrashError

    world.crash = crash
    values = [r.choice([0.1, 0.9, 1.1, 2.6, None]) for _ in range(40)]
    for n, value in enumerate(values):
        world.send("river", NOON + n * 20_000, value)
    offered = {json.loads(message.payload)["readings"][0]["t"] for message in world.waiting}
    world.now += 41 * 20_000
    queue, world.waiting = world.waiting, []
    while queue or world.waiting:
        try:
            spine = world.start()
            while queue or world.waiting:
                if not world.waiting:
                    cut = r.randint(1, 5)
                    world.waiting, queue = queue[:cut], queue[cut:]
                spine.turn()
                crash("after a turn")
        except CrashError:
            world.now += r.choice([0, 1_000, 20_000])
    batches = [entry for entry in world.entries() if isinstance(entry, Batch)]
    stored = [t for batch in batches for t in batch.readings.t.tolist()]
    assert sorted(stored) == sorted(offered)
    assert world.told() == [one.to_json() for one in replay_journal(world.entries(), Counts())]
    assert world.told()
    world.end()


def test_days_that_are_too_old_are_forgotten_and_a_start_still_says_the_same(world: World) -> None:
    spine = world.start()
    for day in (0, 1, 401, 402):
        world.now = NOON + day * 86_400_000
        world.send("river", world.now, 3.0 if day != 1 else 0.1)
        spine.turn()
        world.waiting.clear()
        spine = world.start()  # a clean end takes a snapshot
        spine.end()
    days = sorted(path.name for path in (world.folder / "journal").glob("*.sqlite"))
    before = world.told()

    assert days == ["2023-11-19.sqlite", "2023-11-20.sqlite"]
    world.start()
    assert world.told() == before
    assert len(before) == 3


def test_a_distance_sensor_measures_a_depth_and_keeps_the_distance_beside_it(world: World) -> None:
    world.city = CITY + 'period = "60s"\nmount_height = 3.0\n'  # of the last sensor, the street
    spine = world.start()
    world.send("street", NOON, 2.7)
    world.send("street", NOON + 60_000, 3.6)  # deeper below the sensor than the street is
    spine.turn()

    batch = next(entry for entry in world.entries() if isinstance(entry, Batch))
    assert batch.readings.value.tolist() == pytest.approx([0.3])
    assert batch.readings.raw.tolist() == [2.7]
    assert [letter.reason for letter in batch.refused] == ["out_of_bounds"]
    assert len(world.told()) == 1
    assert spine.view is not None
    assert spine.view.heard.tolist() == [0, NOON]


def test_flags_are_written_down_counted_by_test_and_the_same_after_a_restart(world: World) -> None:
    world.city = CITY.replace('quality.off = "all"', "")
    for minutes, level in enumerate((1.0, 1.15, 3.0, 3.12)):
        spine = world.start()
        world.send("river", NOON + minutes * MINUTE, level)
        spine.turn()
        world.waiting.clear()

    flags = [entry.readings.flag.tolist() for entry in world.entries() if isinstance(entry, Batch)]
    assert flags == [[1], [3], [4], [3]]
    assert spine.counters['canhbao_quality_total{test="rate",flag="3"}'] == 1
    assert [letter for entry in world.entries() if isinstance(entry, Batch) for letter in entry.refused] == []
    assert [(row.from_level, row.to_level) for row in world.rows(schema.transition)] == [(0, 1), (1, 3)]


def test_time_does_not_run_back_behind_what_a_person_did(world: World) -> None:
    spine = world.start()
    world.now = NOON + 13_000  # the tick of 12:00:10 is due in this very turn
    silence: Asked[Act, Acted] = Asked(Act(Silence("works", NOON, NOON + MINUTE, "why", "an"), "an", 0, "key"))
    spine._acts = lambda: [silence]
    spine.turn()
    spine._acts = tuple
    assert world.stores is not None
    assert [type(entry) for entry in world.entries()][-1] is Tick
    assert silence.answer.result().at == world.stores.ledger.passed() == NOON + 13_000

    world.now = NOON + 11_000  # the machine's clock was set back a little
    world.send("river", world.now, 3.0)
    spine.turn()
    assert world.entries()[-1].arrival == world.stores.ledger.passed() == NOON + 13_000

    world.now = NOON + 12_000
    spine = world.start()
    assert world.entries()[-1].arrival == NOON + 13_000
