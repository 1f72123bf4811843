"""What residents are told: by whom it was wanted, in which order, once, and what becomes of the rest."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from post_stage import HOUR, NOON, Provider, Stage, first, later, stage, told
from sqlalchemy import Table, select

from alerts.delivery.channels.channel import ChannelError, Quota
from alerts.delivery.pace import Free
from alerts.delivery.parcel import Answer, Parcel, Status
from alerts.incidents.incident import Notice, Planned, Reason
from alerts.post import schema
from alerts.post.forget import KEEP_COUNTS_MS, KEEP_ERRAND_MS, KEEP_MS, forget, forget_counts
from alerts.post.queue import PostQueue, release

AN, BINH, CHI = "+84905000001", "+84905000002", "+84905000003"
MINUTE = 60_000


def test_those_who_chose_the_place_the_hazard_and_the_level_hear(tmp_path: Path) -> None:
    sms = Provider()
    with stage(tmp_path, sms) as on:
        on.resident(f"sms {AN}")
        on.resident(f"sms {BINH}", floor=3)
        on.resident(f"sms {CHI}", area="B")
        on.resident("sms +84905000004", hazard="rain")
        on.resident("sms +84905000005", area="48")  # the whole city
        on.decide(first(level=2))
        on.play()
    assert sorted(told(sms)) == [("flood.A", 1, AN), ("flood.A", 1, "+84905000005")]
    assert sms.got[0].body["end_url"].startswith("https://cb.vn/api/v1/subscriptions/end/")


def test_what_is_said_of_the_whole_city_reaches_its_parts_once(tmp_path: Path) -> None:
    sms = Provider()
    with stage(tmp_path, sms) as on:
        number = on.resident(f"sms {AN}")[0]
        on.also(number, "B")
        on.decide(first("48", 3))
        on.play()
    assert told(sms) == [("flood.48", 1, AN)]


def test_the_end_is_told_to_those_who_heard_and_once(tmp_path: Path) -> None:
    sms = Provider()
    with stage(tmp_path, sms) as on:
        on.resident(f"sms {AN}")
        one = first()
        on.decide(one)
        on.play()
        on.resident(f"sms {BINH}")  # since then
        over = later(one, Reason.OVER, 0, NOON + HOUR)
        on.now += HOUR
        on.decide(over)
        on.play()
        on.post = on.new_post()
        on.play()
    assert told(sms) == [("flood.A", 1, AN), ("flood.A", 2, AN)]


def test_a_newer_version_takes_the_place_of_one_that_still_waits(tmp_path: Path) -> None:
    sms = Provider(quota=Quota(per_s=0.01, burst=1))
    with stage(tmp_path, sms) as on:
        for who in (AN, BINH):
            on.resident(f"sms {who}")
        one = first(level=3)
        on.decide(one)
        on.play()  # one message goes out, then the quota is used up
        on.decide(later(one, Reason.WORSE, 4, NOON + 1))
        on.play(NOON + 10 * MINUTE)
        assert ("flood.A", 1, 2, "superseded") in on.rows()
    assert told(sms) == [("flood.A", 1, AN), ("flood.A", 2, BINH), ("flood.A", 2, AN)]


def test_who_never_heard_of_the_beginning_is_not_told_the_end(tmp_path: Path) -> None:
    sms = Provider()
    down = ChannelError("the provider is down")

    async def fails(_: Parcel) -> str:
        raise down

    sms.answer = fails
    with stage(tmp_path, sms) as on:
        on.resident(f"sms {AN}")
        one = first(level=3)
        on.decide(one)
        on.play()
        on.now += MINUTE
        on.decide(later(one, Reason.OVER, 0, on.now))
        on.play(on.now + HOUR)
        assert on.rows() == [("flood.A", 1, 1, "superseded"), ("flood.A", 2, 1, "unheard")]
    assert not sms.got


def test_a_try_without_an_answer_may_have_arrived_and_then_the_end_is_told(tmp_path: Path) -> None:
    sms = Provider()

    async def silent(parcel: Parcel) -> str:
        if parcel.version == 1:
            raise ChannelError("no answer", maybe=True)
        return ""

    sms.answer = silent
    with stage(tmp_path, sms) as on:
        on.resident(f"sms {AN}")
        one = first(level=3)
        on.decide(one)
        on.play()
        on.now += MINUTE
        on.decide(later(one, Reason.OVER, 0, on.now))
        on.play(on.now + HOUR)
    assert told(sms) == [("flood.A", 2, AN)]


@pytest.mark.parametrize(
    ("level", "reason", "passes"),
    [(2, Reason.FIRST, False), (2, Reason.WORSE, True), (3, Reason.FIRST, True), (4, Reason.FIRST, True)],
)
def test_quiet_hours_hold_back_what_is_neither_danger_nor_worse(
    tmp_path: Path, level: int, reason: Reason, passes: bool
) -> None:
    sms, night = Provider(), NOON + 11 * HOUR
    with stage(tmp_path, sms) as on:
        on.resident(f"sms {AN}", quiet="22:00-07:00")
        on.now = night
        one = Notice("flood.A", 1, reason, "flood", "A", level, 0, night, night, None)
        on.decide(one)
        on.play()
        assert bool(sms.got) is passes
        on.play(night + 7 * HOUR)
        assert bool(sms.got) is passes  # six in the morning
        on.play(night + 9 * HOUR)
    assert told(sms) == [("flood.A", 1, AN)]


def test_what_waits_until_quiet_hours_have_begun_is_held_then(tmp_path: Path) -> None:
    sms, evening = Provider(), NOON + 9 * HOUR + 30 * MINUTE

    async def down_for_an_hour(_: Parcel) -> str:
        if on.now < evening + HOUR:
            raise ChannelError("503", everybody=True)
        return ""

    sms.answer = down_for_an_hour
    with stage(tmp_path, sms) as on:
        on.resident(f"sms {AN}", quiet="22:00-07:00")
        on.resident(f"sms {BINH}", quiet="")
        on.now = evening
        on.decide(first(at=evening))
        on.play(evening + 9 * HOUR, step=5 * MINUTE)
        assert [one.address for one in sms.got] == [BINH]
        on.play(evening + 10 * HOUR, step=5 * MINUTE)
    assert [one.address for one in sms.got] == [BINH, AN]


def test_a_code_that_somebody_waits_for_is_held_by_neither_night_nor_number(tmp_path: Path) -> None:
    sms = Provider()
    with stage(tmp_path, sms) as on:
        number = on.resident(f"sms {AN}", quiet="22:00-07:00", cap=0)[0]
        on.now = NOON + 11 * HOUR
        on.errand(number)
        on.play()
    assert len(sms.got) == 1


def test_an_end_at_night_makes_no_sound(tmp_path: Path) -> None:
    sms, night = Provider(), NOON + 11 * HOUR
    with stage(tmp_path, sms) as on:
        on.resident(f"sms {AN}", quiet="22:00-07:00")
        on.now = night
        one = first(level=3, at=night)
        on.decide(one)
        on.play()
        on.now += HOUR
        on.decide(later(one, Reason.OVER, 0, on.now))
        on.play()
    assert [(one.version, one.silent) for one in sms.got] == [(1, False), (2, True)]


def test_what_was_held_and_is_over_in_the_morning_is_told_to_nobody(tmp_path: Path) -> None:
    sms, night = Provider(), NOON + 11 * HOUR
    with stage(tmp_path, sms) as on:
        on.resident(f"sms {AN}", quiet="22:00-07:00")
        on.now = night
        one = first(at=night)
        on.decide(one)
        on.play()
        on.now += HOUR
        on.decide(later(one, Reason.OVER, 0, on.now))
        on.play(night + 12 * HOUR)
        assert on.rows() == [("flood.A", 1, 1, "superseded"), ("flood.A", 2, 1, "unheard")]
    assert not sms.got


def test_the_daily_number_holds_back_neither_danger_nor_worse_nor_ends(tmp_path: Path) -> None:
    sms = Provider()
    with stage(tmp_path, sms) as on:
        number = on.resident(f"sms {AN}", cap=1)[0]
        on.also(number, "B")
        on.also(number, "C")
        a, b, c = first("A"), first("B"), first("C", 3)
        on.decide(a)
        on.play()
        on.now += MINUTE
        on.decide(b)
        on.decide(c)
        on.decide(later(a, Reason.WORSE, 3, on.now))
        on.play()
        on.decide(later(b, Reason.OVER, 0, on.now), later(c, Reason.OVER, 0, on.now))
        on.play()
        assert ("flood.B", 1, number, "capped") in on.rows()
        assert ("flood.B", 2, number, "unheard") in on.rows()
    assert sorted(told(sms)) == [("flood.A", 1, AN), ("flood.A", 2, AN), ("flood.C", 1, AN), ("flood.C", 2, AN)]


def test_what_is_urgent_overtakes_what_was_there_before(tmp_path: Path) -> None:
    sms = Provider(quota=Quota(per_s=0.1, burst=1))
    with stage(tmp_path, sms) as on:
        for n in range(5):
            on.resident(f"sms +8490500000{n}")
        on.resident(f"sms {CHI}9", area="B")
        on.decide(first(level=2))
        on.play()
        on.decide(first("B", 4))
        on.play(NOON + 2 * MINUTE, step=1000)
    assert [one.incident for one in sms.got] == ["flood.A", "flood.B", *["flood.A"] * 4]


def test_a_dead_address_falls_back_and_is_left_alone(tmp_path: Path) -> None:
    push, sms = Provider("webpush"), Provider()

    async def gone(_: Parcel) -> str:
        raise ChannelError("410", gone=True)

    push.answer = gone
    with stage(tmp_path, push, sms) as on:
        on.resident("webpush:push.example x", fallback=f"sms {AN}")
        one = first()
        on.decide(one)
        on.play()
        on.now += HOUR
        on.decide(later(one, Reason.OVER, 0, on.now))
        on.play()
        assert on.rows() == [("flood.A", 1, 1, "dead"), ("flood.A", 1, 2, "sent"), ("flood.A", 2, 1, "ended"),
                             ("flood.A", 2, 2, "sent")]  # fmt: skip
    assert told(sms) == [("flood.A", 1, AN), ("flood.A", 2, AN)]


def test_danger_that_cannot_be_sent_goes_to_the_fallback_as_well(tmp_path: Path) -> None:
    push, sms = Provider("webpush"), Provider()

    async def down(_: Parcel) -> str:
        raise ChannelError("503", everybody=True)

    push.answer = down
    with stage(tmp_path, push, sms) as on:
        on.resident("webpush:push.example x", fallback=f"sms {AN}")
        on.decide(first(level=3))
        on.play(NOON + 4 * MINUTE)
        assert not sms.got
        on.play(NOON + 6 * MINUTE)
    assert told(sms) == [("flood.A", 1, AN)]


def test_nothing_goes_out_after_it_has_expired(tmp_path: Path) -> None:
    sms = Provider()

    async def down(_: Parcel) -> str:
        raise ChannelError("503")

    sms.answer = down
    with stage(tmp_path, sms) as on:
        on.resident(f"sms {AN}")
        on.decide(first())
        on.play(NOON + 7 * HOUR, step=5 * MINUTE)
        assert on.rows() == [("flood.A", 1, 1, "dead")]


def test_who_ended_gets_nothing_of_what_still_waits(tmp_path: Path) -> None:
    sms = Provider(quota=Quota(per_s=0.01, burst=1))
    with stage(tmp_path, sms) as on:
        on.resident(f"sms {AN}")
        number = on.resident(f"sms {BINH}")[0]
        on.decide(first())
        on.play()
        with on.store.writing() as db:
            db.exec_driver_sql(f"UPDATE people.contact SET state='ended' WHERE id={number}")
        on.play(NOON + HOUR)
        assert ("flood.A", 1, number, "ended") in on.rows()
    assert told(sms) == [("flood.A", 1, AN)]


def test_a_city_event_is_one_message_that_names_the_places(tmp_path: Path) -> None:
    sms = Provider()
    with stage(tmp_path, sms) as on:
        number = on.resident(f"sms {AN}")[0]
        on.also(number, "B")
        on.resident(f"sms {BINH}", area="B")
        on.decide(*(first(area, 3, event="city.1") for area in "ABC"))
        on.play()
        over = [later(first(area, 3, event="city.1"), Reason.OVER, 0, NOON + HOUR) for area in "ABC"]
        on.now += HOUR
        on.decide(*over)
        on.play()
    assert sorted(told(sms)) == [("flood.A", 1, AN), ("flood.A", 2, AN), ("flood.B", 1, BINH), ("flood.B", 2, BINH)]
    text = next(one.body["texts"]["vi"] for one in sms.got if one.address == AN)
    assert "Phường A" in text
    assert "Phường B" in text
    assert "Phường C" not in text


def test_an_errand_is_one_message_also_to_who_has_not_confirmed(tmp_path: Path) -> None:
    sms = Provider()
    with stage(tmp_path, sms) as on:
        number = on.resident(f"sms {AN}")[0]
        with on.store.writing() as db:
            db.exec_driver_sql("UPDATE people.contact SET state='pending'")
        on.errand(number)
        on.decide(first())
        on.play()
    assert [one.body["kind"] for one in sms.got if one.seq < 0] == ["confirm"]
    assert len(sms.got) == 1


def test_a_restart_sends_what_was_under_way_again_under_its_key(tmp_path: Path) -> None:
    sms = Provider()
    with stage(tmp_path, sms) as on:
        on.resident(f"sms {AN}")
        on.decide(first())
        on.make()
        queue = PostQueue(on.store, "sms", on.composer, on.city.timezone)
        lost = queue.claim(on.now, Free(9, 9), HOUR).parcels
        assert not queue.claim(on.now, Free(9, 9), HOUR).parcels  # it is leased
        on.play()
        assert not sms.got
        assert release(on.store, on.now) == 1
        on.post = on.new_post()
        on.play()
        assert on.rows() == [("flood.A", 1, 1, "sent")]
    assert [one.key for one in lost] == [one.key for one in sms.got]


def test_a_lease_that_ran_out_is_anybodys_and_the_late_answer_counts_no_more(tmp_path: Path) -> None:
    with stage(tmp_path) as on:
        on.resident(f"sms {AN}")
        on.decide(first())
        on.make()
        queue = PostQueue(on.store, "sms", on.composer, on.city.timezone)
        (old,) = queue.claim(on.now, Free(9, 9), HOUR).parcels
        release(on.store, on.now)
        (new,) = queue.claim(on.now, Free(9, 9), HOUR).parcels
        queue.settle([Answer(old, Status.FAILED, on.now, on.now + 1, error="late")])
        assert on.rows() == [("flood.A", 1, 1, "sending")]
        queue.settle([Answer(new, Status.SENT, on.now)])
        assert on.rows() == [("flood.A", 1, 1, "sent")]


# ---- planned outages


def outage(area: str = "A", begins: int = NOON + 8 * HOUR, at: int = NOON, **other: Any) -> Notice:
    planned = Planned(begins, begins + 2 * HOUR, "PC: feeder 471")
    id_ = f"outage-1.{area}"
    return Notice(
        id_, 1, Reason.PLANNED, "power", area, 1, 0, begins, at, None, event="outage-1", planned=planned, **other
    )


def test_of_a_planned_outage_everybody_hears_who_chose_the_hazard_and_once_for_all_areas(tmp_path: Path) -> None:
    sms = Provider()
    with stage(tmp_path, sms) as on:
        number = on.resident(f"sms {AN}", hazard="power", floor=2)[0]
        on.also(number, "B", "power", floor=4)
        on.resident(f"sms {BINH}", hazard="power", floor=4, area="B")
        on.resident(f"sms {CHI}", hazard="flood", floor=1)
        on.decide(outage("A"), outage("B"))
        on.play()
    assert sorted(told(sms)) == [("outage-1.A", 1, AN), ("outage-1.B", 1, BINH)]
    (both,) = [one for one in sms.got if one.address == AN]
    assert "Phường A, Phường B" in both.body["texts"]["vi"]
    assert both.expires_at == NOON + 8 * HOUR


def test_of_a_planned_outage_nobody_hears_when_it_has_begun(tmp_path: Path) -> None:
    sms, night = Provider(), NOON + 11 * HOUR
    with stage(tmp_path, sms) as on:
        on.resident(f"sms {AN}", hazard="power", quiet="22:00-07:00")
        on.resident(f"sms {BINH}", hazard="power")
        on.now = night
        on.decide(outage(begins=night + 7 * HOUR, at=night))
        on.play(night + 10 * HOUR, step=HOUR)
        assert on.rows() == [("outage-1.A", 1, 1, "capped"), ("outage-1.A", 1, 2, "sent")]
    assert told(sms) == [("outage-1.A", 1, BINH)]


def test_of_a_planned_outage_he_who_sleeps_hears_in_the_morning(tmp_path: Path) -> None:
    sms, night = Provider(), NOON + 11 * HOUR
    with stage(tmp_path, sms) as on:
        on.resident(f"sms {AN}", hazard="power", quiet="22:00-07:00")
        on.now = night
        on.decide(one := outage(begins=night + 12 * HOUR, at=night))
        on.play(night + HOUR)
        assert told(sms) == []
        moved = replace(one.planned or Planned(0, 0, ""), begins=night + 14 * HOUR, until=night + 16 * HOUR)
        on.decide(later(one, Reason.MOVED, 1, on.now, planned=moved))
        on.play(night + 9 * HOUR, step=HOUR)
    assert told(sms) == [("outage-1.A", 2, AN)], "the new times, though the first had not reached him"


def test_that_a_planned_outage_is_called_off_those_hear_who_heard_of_it(tmp_path: Path) -> None:
    sms = Provider()
    with stage(tmp_path, sms) as on:
        on.resident(f"sms {AN}", hazard="power")
        on.decide(one := outage())
        on.play()
        on.resident(f"sms {BINH}", hazard="power")
        on.decide(later(one, Reason.CALLED_OFF, 0, on.now + HOUR))
        on.play(on.now + HOUR)
    assert told(sms) == [("outage-1.A", 1, AN), ("outage-1.A", 2, AN)]


def test_warnings_go_before_planned_outages(tmp_path: Path) -> None:
    sms = Provider(at_once=1)
    with stage(tmp_path, sms) as on:
        on.resident(f"sms {AN}", hazard="power")
        on.resident(f"sms {BINH}")
        on.decide(outage(), first(level=2))
        on.play()
    assert told(sms) == [("flood.A", 1, BINH), ("outage-1.A", 1, AN)]


def test_what_waited_for_an_address_that_is_gone_goes_to_the_fallback(tmp_path: Path) -> None:
    push, sms = Provider("webpush"), Provider()

    async def gone(_: Parcel) -> str:
        raise ChannelError("410", gone=True)

    push.answer = gone
    with stage(tmp_path, push, sms) as on:
        number = on.resident("webpush:push.example x", fallback=f"sms {AN}")[0]
        on.also(number, "B")
        push.at_once = 1
        on.decide(first("A"))
        on.decide(first("B"))
        on.play()
    assert sorted(told(sms)) == [("flood.A", 1, AN), ("flood.B", 1, AN)]


def test_the_last_of_a_providers_number_a_day_is_kept_for_what_is_urgent(tmp_path: Path) -> None:
    sms = Provider(quota=Quota(per_day=10, reserve=0.2))
    with stage(tmp_path, sms) as on:
        for n in range(12):
            on.resident(f"sms +849050000{n:02}")
        on.resident(f"sms {CHI}", area="B")
        on.decide(first())
        on.play()
        assert len(sms.got) == 8
        on.decide(first("B", 4))
        on.play(NOON + HOUR)
        assert [one.incident for one in sms.got[8:]] == ["flood.B"]
        on.play(NOON + 13 * HOUR, step=10 * MINUTE)  # the next day; by then the rest has expired
    assert len(sms.got) == 9


def test_a_leader_of_a_ward_group_is_asked_for_an_answer(tmp_path: Path) -> None:
    sms = Provider()
    with stage(tmp_path, sms) as on:
        on.resident(f"sms {AN}", leads=1)
        on.resident(f"sms {BINH}")
        on.decide(first())
        on.play()
    texts = {one.address: one.body["texts"]["vi"] for one in sms.got}
    assert "https://cb.vn/g#" in texts[AN]
    assert "/g#" not in texts[BINH]


def test_counts_and_words_are_forgotten_as_well(tmp_path: Path) -> None:
    with stage(tmp_path, Provider(quota=Quota(per_day=9))) as on:
        number = on.resident(f"sms {AN}")[0]
        on.also(number, "B")
        on.decide(*(first(area, 2, event="city.1") for area in "AB"))
        on.play()
        tables = (schema.told, schema.spent, schema.content)
        assert [len(rows_of(on, table)) for table in tables] == [1, 1, 1]
        forget_counts(on.store, on.now + KEEP_COUNTS_MS + 25 * HOUR)
        assert [len(rows_of(on, table)) for table in tables] == [0, 0, 1]
        forget_counts(on.store, on.now + KEEP_MS + HOUR)
        assert not rows_of(on, schema.content)


def rows_of(on: Stage, table: Table) -> list[Any]:
    with on.store.reading() as db:
        return list(db.execute(select(table)))


def test_old_messages_are_forgotten_and_what_still_waits_is_not(tmp_path: Path) -> None:
    with stage(tmp_path) as on:
        number = on.resident(f"sms {AN}")[0]
        on.errand(number)
        on.decide(first())
        on.play()
        on.now += KEEP_ERRAND_MS + 1
        on.play()
        assert [row[0] for row in on.rows()] == ["flood.A"]
        on.now += KEEP_MS
        for _ in range(3):
            forget(on.store, on.now)
        assert on.rows() == []


def test_versions_that_follow_each_other_do_not_put_off_the_fallback(tmp_path: Path) -> None:
    push, sms = Provider("webpush"), Provider()

    async def down(_: Parcel) -> str:
        raise ChannelError("503", everybody=True)

    push.answer = down
    with stage(tmp_path, push, sms) as on:
        on.resident("webpush:push.example x", fallback=f"sms {AN}")
        one = first(level=3)
        on.decide(one)
        for _ in range(4):  # a version every two minutes
            on.play(on.now + 2 * MINUTE)
            one = later(one, Reason.UPDATED, 3, on.now)
            on.decide(one)
        on.play()
    assert [version for _, version, _ in told(sms)][-1] == 5
    assert told(sms)[0][1] > 1, "the newest that there was then"


def test_what_expires_while_nothing_more_may_be_sent_is_given_up_at_once(tmp_path: Path) -> None:
    sms = Provider(quota=Quota(per_day=1, reserve=0.0))
    with stage(tmp_path, sms) as on:
        for who in (AN, BINH):
            on.resident(f"sms {who}")
        on.decide(first())
        on.play(NOON + 6 * HOUR, step=10 * MINUTE)
        assert [row[3] for row in on.rows()] == ["sent", "dead"]


@pytest.mark.parametrize(("level", "heard"), [(2, []), (3, [AN, BINH])])
def test_a_danger_that_nobody_thinks_of_choosing_reaches_everybody_of_the_place(
    tmp_path: Path, level: int, heard: list[str]
) -> None:
    sms = Provider()
    with stage(tmp_path, sms) as on:
        on.resident(f"sms {AN}", hazard="rain", floor=4)
        on.resident(f"sms {BINH}", hazard="power", area="48")
        on.resident(f"sms {CHI}", area="B")
        one = replace(first(level=level), incident="hand.1", hazard="evacuation")
        on.decide(one)
        on.play()
        on.decide(later(one, Reason.OVER, 0, NOON + 1))
        on.play()
    assert sorted(told(sms)) == sorted(("hand.1", version, who) for who in heard for version in (1, 2))
