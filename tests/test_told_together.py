"""Messages that are told with another one of the same city event: what becomes of them when that one is not sent."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from alerts.delivery.channels.channel import ChannelError
from alerts.delivery.pace import Free
from alerts.delivery.parcel import Parcel
from alerts.incidents.incident import Planned, Reason
from alerts.post.queue import PostQueue, release
from tests.post_stage import HOUR, NOON, Provider, Stage, first, later, stage, told

AN, BINH = "+84905000001", "+84905000002"
NIGHT = NOON + 10 * HOUR  # 22:00


def both(on: Stage, level: int = 3, at: int = NOON, *contacts: str, **other: str) -> int:
    """A resident who chose two places, of which one moment of a city event speaks; the number of his contact."""
    number = on.resident(*(contacts or (f"sms {AN}",)), **other)[0]  # type: ignore[arg-type]
    on.also(number, "B")
    on.now = at
    on.decide(*(first(area, level, at, event="city.1") for area in "AB"))
    return number


def said(provider: Provider, area: str) -> list[str]:
    """The addresses that heard of a place, by itself or among others."""
    return [one.address for one in provider.got
            if one.incident.endswith(f".{area}") or f"Phường {area}" in one.body["texts"]["vi"]]  # fmt: skip


async def no_such_number(_: Parcel) -> str:
    raise ChannelError("no such number", permanent=True)


async def later_please(_: Parcel) -> str:
    raise ChannelError("later")


def test_a_fallback_hears_of_all_places_in_one_message(tmp_path: Path) -> None:
    sms, mail = Provider(), Provider("mail")
    sms.answer = no_such_number
    with stage(tmp_path, sms, mail) as on:
        both(on, 3, NOON, f"sms {AN}", fallback="mail an@example.vn")
        on.play()
    assert said(mail, "A") == said(mail, "B") == ["an@example.vn"]
    assert len(mail.got) == 1


def test_so_does_one_of_an_address_that_is_gone(tmp_path: Path) -> None:
    sms, mail = Provider(), Provider("mail")
    with stage(tmp_path, sms, mail) as on:
        number = both(on, 3, NOON, f"sms {AN}", fallback="mail an@example.vn")
        on.make()
        with on.store.writing() as db:
            db.exec_driver_sql(f"UPDATE people.contact SET state='gone' WHERE id={number}")
        on.play()
    assert said(mail, "A") == said(mail, "B") == ["an@example.vn"]
    assert len(mail.got) == 1


def test_a_newer_version_of_one_takes_nothing_from_the_others_while_it_is_tried_again(tmp_path: Path) -> None:
    sms = Provider()
    sms.answer = later_please
    with stage(tmp_path, sms) as on:
        both(on)
        on.play()
        on.decide(later(first("A", 3, event="city.1"), Reason.WORSE, 4, NOON + 1))
        sms.answer = Provider().answer
        on.play(NOON + 600_000)
        left = on.rows()
    assert said(sms, "B") == [AN], left
    assert said(sms, "A") == [AN]


def test_nor_while_it_is_held_over_a_night(tmp_path: Path) -> None:
    sms = Provider()
    planned = Planned(NIGHT + 15 * HOUR, NIGHT + 17 * HOUR, "PC: feeder 471")
    with stage(tmp_path, sms) as on:
        number = on.resident(f"sms {AN}", hazard="power", quiet="22:00-07:00")[0]
        on.also(number, "B", "power")
        on.now = NIGHT
        notices = [replace(first(area, 1, NIGHT), hazard="power", incident=f"outage.{area}", reason=Reason.PLANNED,
                           event="outage", planned=planned) for area in "AB"]  # fmt: skip
        on.decide(*notices)
        on.play()
        on.now += HOUR
        on.decide(later(notices[0], Reason.CALLED_OFF, 0, on.now))
        on.play(NIGHT + 10 * HOUR)
        left = on.rows()
    assert said(sms, "B") == [AN], left


def test_what_is_held_over_a_night_names_all_places_in_the_morning(tmp_path: Path) -> None:
    sms = Provider()
    with stage(tmp_path, sms) as on:
        both(on, 2, NIGHT, f"sms {AN}", quiet="22:00-07:00")
        on.play(NIGHT + 10 * HOUR)
        left = on.rows()
    assert said(sms, "A") == said(sms, "B") == [AN], left
    assert len(sms.got) == 1


def test_danger_waits_for_no_morning_with_what_is_less(tmp_path: Path) -> None:
    sms = Provider()
    with stage(tmp_path, sms) as on:
        number = on.resident(f"sms {AN}", quiet="22:00-07:00")[0]
        on.also(number, "B")
        on.now = NIGHT
        on.decide(first("A", 2, NIGHT, event="city.1"), first("B", 3, NIGHT, event="city.1"))
        on.play()
        assert said(sms, "B") == [AN]


def test_one_that_carries_others_brings_them_where_it_takes_the_place_of_an_older_one(tmp_path: Path) -> None:
    sms = Provider(at_once=1)
    with stage(tmp_path, sms) as on:
        number = on.resident(f"sms {AN}")[0]
        on.also(number, "B")
        on.decide(first("A", 3))
        on.make()
        on.now += 1
        on.decide(later(first("A", 3), Reason.WORSE, 4, on.now, event="city.1"),
                  later(first("B", 3), Reason.WORSE, 4, on.now, event="city.1"))  # fmt: skip
        on.play()
        left = on.rows()
    assert said(sms, "B") == [AN], left


def test_what_comes_at_the_same_moment_when_the_others_are_made_is_told_by_itself(tmp_path: Path) -> None:
    sms = Provider()
    with stage(tmp_path, sms) as on:
        number = on.resident(f"sms {AN}")[0]
        on.also(number, "B")
        on.decide(first("A", 3, event="city.1"))
        on.play()
        on.decide(first("B", 3, event="city.1"))
        on.play()
        left = on.rows()
    assert said(sms, "B") == [AN], left


def test_after_a_crash_the_end_is_told_to_whoever_may_have_heard_of_it_with_another(tmp_path: Path) -> None:
    sms = Provider()
    with stage(tmp_path, sms) as on:
        both(on)
        on.make()
        queue = PostQueue(on.store, "sms", on.composer, on.city.timezone)
        (lost,) = queue.claim(on.now, Free(9, 9), HOUR).parcels
        release(on.store, on.now)
        on.now += HOUR
        on.decide(later(first("B", 3, event="city.1"), Reason.OVER, 0, on.now))
        on.post = on.new_post()
        on.play(on.now + 60_000, 1_000)
        left = on.rows()
    assert ("flood.B", 2, AN) in told(sms), left
    (again,) = (one for one in sms.got if one.key == lost.key)
    assert again.body == lost.body
