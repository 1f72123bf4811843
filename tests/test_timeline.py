"""The language of stories itself: it has to fail where a message is missing, early, late, double or extra."""

import re
from pathlib import Path

import numpy as np
import pytest
from timeline.play import STORIES, Played, StoryError, check, play
from timeline.residents import Inbox
from timeline.script import Resident, WrongLineError, local, read
from timeline.world import sent

from alerts.incidents.decision import Call
from alerts.incidents.incident import Notice, Reason

HEAD = """
story of a test
day 2022-10-14
from 15:00 until 16:00
areas A B
sensor tower street_depth in A every 60s
sensor other street_depth in B every 60s
"""
MINUTE = 60_000
BEGIN = read(HEAD).begin


def notice(minute: float, reason: Reason, level: int, area: str = "A", **more: object) -> Notice:
    at = BEGIN + int(minute * MINUTE)
    made = {"incident": f"flood.{area}", "version": int(minute), "hazard": "flood", "previous_level": 0}
    return Notice(**{**made, "reason": reason, "area": area, "level": level, "at": at, "arrival": at, "cause": None,
                     **more})  # type: ignore[arg-type]  # fmt: skip


def told(wanted: str, *notices: Notice) -> Played:
    """A story in which nothing happens but that `notices` come."""
    played = play(read(HEAD + wanted))
    for one in notices:
        for inbox in played.pipeline.inboxes:
            inbox.take([one])
    return played


FIRST = "expect between 15:05 and 15:10 first warning flood in A"
OVER = "\nexpect between 15:30 and 15:40 over flood in A"


def test_what_comes_as_it_is_wanted_passes() -> None:
    check(told(FIRST + OVER, notice(5, Reason.FIRST, 2), notice(40, Reason.OVER, 0)))


@pytest.mark.parametrize(
    ("notices", "fault"),
    [
        ((), "15:10:00 MISSING  expect between 15:05 and 15:10 first warning flood in A"),
        ((notice(4.9, Reason.FIRST, 2),), "15:04:54 EARLY    first warning flood in A to A"),
        ((notice(10.1, Reason.FIRST, 2),), "15:10:06 LATE     first warning flood in A to A"),
        ((notice(6, Reason.FIRST, 2), notice(7, Reason.FIRST, 2)), "15:07:00 DOUBLE   first warning flood in A to A"),
        ((notice(6, Reason.FIRST, 2), notice(20, Reason.WORSE, 3)), "15:20:00 EXTRA    worse danger flood in A to A"),
        ((notice(6, Reason.FIRST, 2), notice(20, Reason.OVER, 0)), "15:20:00 EXTRA    over  flood in A to A"),
        ((notice(6, Reason.FIRST, 3),), "15:06:00 EXTRA    first danger flood in A to A"),
        ((notice(6, Reason.FIRST, 3),), "15:10:00 MISSING"),
        ((notice(6, Reason.FIRST, 2, "B"),), "15:06:00 EXTRA    first warning flood in B to B"),
    ],
)
def test_a_message_that_is_missing_early_late_double_or_extra_fails_the_story(
    notices: tuple[Notice, ...], fault: str
) -> None:
    with pytest.raises(StoryError, match=re.escape(fault)):
        check(told(FIRST, *notices))


def test_a_failure_prints_the_timeline_with_what_came() -> None:
    quiet = "at 15:30 tower reads 0.05\n"
    with pytest.raises(StoryError) as raised:
        check(told(quiet + FIRST + OVER, notice(6, Reason.FIRST, 2), notice(50, Reason.OVER, 0)))

    assert str(raised.value).splitlines() == [
        "a test",
        "10-14 15:06:00 as told    first warning flood in A to A",
        "10-14 15:30:00          at 15:30 tower reads 0.05",
        "10-14 15:50:00 LATE     over  flood in A to A   (expect between 15:30 and 15:40 over flood in A)",
    ]


@pytest.mark.parametrize(
    ("called", "all_calls", "fault"),
    [
        ([], "", "MISSING  expect between 15:05 and 15:10 a call"),
        ([(11, ("nam",), 0)], "", "LATE     call 0 to nam to approve danger flood in A"),
        ([(6, ("lan",), 0)], "", "MISSING"),
        ([(6, ("nam",), 0), (9, ("lan",), 1)], "", ""),
        ([(6, ("nam",), 0), (9, ("lan",), 1)], "\nand nobody else is called", "EXTRA    call 1 to lan to approve"),
        ([(6, ("nam",), 0), (7, ("nam",), 1)], "\nand nobody else is called", "DOUBLE   call 1 to nam to approve"),
    ],
)
def test_calls_of_operators_are_held_against_the_story_too(
    called: list[tuple[float, tuple[str, ...], int]], all_calls: str, fault: str
) -> None:
    wanted = "expect between 15:05 and 15:10 a call to nam to approve danger flood in A"
    # A warning by the readings of its only tower, so that there is an incident that a call can speak of.
    story = "at 15:20 tower reads 0.15\nexpect between 15:20 and 15:25 first advisory flood in A to hoa\n"
    played = play(read(HEAD + story.partition("\n")[0] + "\nresident hoa lives in B\n" + wanted + all_calls))
    assert played.pipeline.rows, "the tower stands at a level"
    incident = next(iter(played.pipeline.rows))
    for minute, to, number in called:
        at = BEGIN + int(minute * MINUTE)
        played.pipeline.calls.append(Call(incident, number, to, at, "approve", 3))

    if not fault:
        check(played)
        return
    with pytest.raises(StoryError, match=re.escape(fault)):
        check(played)


def test_a_deed_that_is_refused_fails_the_story_unless_it_says_so() -> None:
    with pytest.raises(StoryError, match="nam approve flood is refused"):
        check(play(read(HEAD + "at 15:10 nam approves flood in A")))
    check(play(read(HEAD + "at 15:10 nam approves flood in A, and is refused")))


def test_what_a_story_should_not_say_is_named_with_its_line() -> None:
    for line in (
        "at 15:10 tower explodes", "at 15:10 nam approves flood in C", "at 25:10 tower reads 1", "sensor a b",
        "sensor x rain in A every 60s, painted red",
    ):  # fmt: skip
        with pytest.raises(WrongLineError, match=re.escape(repr(line))):
            read(HEAD + line)
    with pytest.raises(WrongLineError, match="no sensor 'towre'"):
        play(read(HEAD + "at 15:10 towre reads 1"))
    with pytest.raises(WrongLineError, match="times from and until"):
        read("areas A")


# ---- what sensors do ------------------------------------------------------------------------------------------------


def values(*lines: str, every: int = 5) -> list[float]:
    """What the tower sends in the hour, each `every` minutes."""
    found = sent(read(HEAD + "\n".join(lines)), {"up": lambda t: (t - BEGIN) / MINUTE})
    own = found.sensor == 0
    return [float(value) for value in found.value[own][::every]]


def test_a_sensor_reads_rises_follows_and_rains() -> None:
    assert values("at 15:30 tower reads 0.2") == [0.0] * 6 + [0.2] * 6
    assert values("at 15:10 tower rises to 0.4 over 20min")[:8] == [0, 0, 0, 0.1, 0.2, 0.3, 0.4, 0.4]
    assert values("at 15:00 tower reads 1", "at 15:10 tower falls to 0 over 10min")[:5] == [1, 1, 1, 0.5, 0]
    assert values("at 15:55 t* follows up")[-2:] == [0, 55]
    assert values("at 15:55 tower rains 60 mm/h")[-1] == 1.0


def test_a_sensor_that_is_silent_sends_nothing_until_it_is_heard_again() -> None:
    found = sent(read(HEAD + "at 15:10 tower falls silent\nat 15:40 tower is heard again"), {})
    minutes = (found.arrival[found.sensor == 0] - BEGIN) // MINUTE

    assert minutes.tolist() == [*range(10), *range(40, 60)]


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("spikes by 2", [0.1, 0.1, 2.1, 0.1, 0.1]),
        ("stands at 2", [0.1, 0.1, 2.0, 2.0, 0.1]),
        ("sends 5 times too much", [0.1, 0.1, 0.5, 0.5, 0.1]),
        ("drifts by 6 an hour", [0.1, 0.1, 0.1, 0.6, 0.1]),
    ],
)
def test_a_faulty_sensor_lies_from_its_fault_on_until_it_is_well(fault: str, expected: list[float]) -> None:
    story = ("at 15:00 tower reads 0.1", f"at 15:10 tower {fault}", "at 15:20 tower is well again")

    assert values(*story)[:5] == expected


def test_a_stuck_sensor_keeps_what_it_had() -> None:
    story = ("at 15:00 tower rises to 6 over 60min", "at 15:10 tower sticks", "at 15:20 tower is well again")

    assert values(*story)[:5] == [0, 0.5, 1, 1, 2]


def test_a_clock_that_is_behind_and_what_is_sent_again() -> None:
    behind = sent(read(HEAD + "at 15:30 tower has a clock 2h behind"), {})
    late = behind.arrival - behind.t
    assert np.unique(late[behind.arrival >= BEGIN + 30 * MINUTE]).tolist() == [0, 120 * MINUTE]
    assert late[behind.arrival < BEGIN + 30 * MINUTE].max() == 0

    again = sent(read(HEAD + "at 15:30 tower sends its last 10min again"), {})
    own = again.sensor == 0
    assert int(own.sum()) == 70
    assert (again.arrival[own & (again.arrival != again.t)] == BEGIN + 30 * MINUTE).all()
    assert (np.diff(again.arrival) >= 0).all()


# ---- who hears what -------------------------------------------------------------------------------------------------


def heard(*notices: Notice, sleeps: bool = False, areas: tuple[str, ...] = ("A",), wakes: int = 0) -> list[str]:
    inbox = Inbox(Resident("hoa", areas, sleeps=sleeps))
    for at in dict.fromkeys(one.arrival for one in notices):
        inbox.take([one for one in notices if one.arrival == at])
    if wakes:
        inbox.wake(BEGIN + wakes * MINUTE)
    return [f"{local(m.at)[6:11]} {'silent ' * m.silent}{m.reason} {m.level} {' '.join(m.areas)}"
            for m in inbox.messages]  # fmt: skip


def test_residents_hear_from_their_floor_on_and_the_end_once() -> None:
    assert heard(notice(1, Reason.FIRST, 1), notice(2, Reason.OVER, 0)) == []
    assert heard(
        notice(1, Reason.FIRST, 1), notice(2, Reason.WORSE, 2), notice(3, Reason.OVER, 0), notice(4, Reason.OVER, 0)
    ) == ["15:02 worse 2 A", "15:03 over 0 A"]
    assert heard(notice(1, Reason.FIRST, 3), notice(2, Reason.EASED, 1)) == ["15:01 first 3 A", "15:02 eased 1 A"]
    assert heard(notice(1, Reason.FIRST, 3, "B"), notice(2, Reason.FIRST, 3, drill=True)) == []


def test_a_city_event_is_one_message_that_names_the_areas() -> None:
    both = [notice(1, Reason.FIRST, 3, area, event="city.1") for area in "AB"]

    assert heard(*both, areas=("A", "B")) == ["15:01 first 3 A B"]
    assert len(heard(*both, areas=("A",))) == 1


def test_quiet_hours_hold_back_a_first_warning_and_nothing_else() -> None:
    night, morning = 8 * 60, 16 * 60  # 23:00 and 07:00
    assert heard(notice(night, Reason.FIRST, 2), sleeps=True) == []
    assert heard(notice(night, Reason.FIRST, 2), sleeps=True, wakes=morning) == ["07:00 first 2 A"]
    over = notice(night + 60, Reason.OVER, 0)
    assert heard(notice(night, Reason.FIRST, 2), over, sleeps=True, wakes=morning) == []
    assert heard(notice(night, Reason.FIRST, 3), over, sleeps=True) == ["23:00 first 3 A", "00:00 silent over 0 A"]
    worse = notice(night + 10, Reason.WORSE, 3)
    assert heard(notice(night, Reason.FIRST, 2), worse, sleeps=True, wakes=morning) == ["23:10 worse 3 A"]


@pytest.mark.parametrize("story", sorted(STORIES.glob("*.story")), ids=lambda path: path.stem)
def test_every_story_can_be_read_and_says_what_it_wants(story: Path) -> None:
    text = story.read_text("utf-8")

    assert read(text).title
    assert text.endswith("and nothing else arrives\n")
