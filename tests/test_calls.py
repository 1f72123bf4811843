"""Calls of operators reach the phones of those who have given one: once each, first of all, until somebody answers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from faces import NOW, Town, serving, town_view
from group_house import KINDS, SEAL
from post_stage import HOUR, NOON, Provider, Stage, first, stage
from sqlalchemy import select
from test_operators import MACHINE, Spine, city

from alerts.delivery.channels.channel import Quota
from alerts.delivery.parcel import Lane
from alerts.incidents.decision import Call, Outcome
from alerts.incidents.incident import Chain, Incident
from alerts.ledger.audit import Audit
from alerts.ledger.people import By, People
from alerts.ledger.store import Store
from alerts.people.user import Role, User
from alerts.post import schema
from alerts.post.calls import Calls
from alerts.residents import schema as residents
from alerts.residents.staff_contacts import StaffContacts
from alerts.residents.store import open_residents
from alerts.staff import Staff
from alerts.web.app import create_app
from alerts.web.sources import Desks, PeopleDesk
from ingest.entries import Position

AN, BINH = "+84900000001", "+84900000002"
MINUTE = 60_000
EVERY = 10 * MINUTE
WAITS = Incident(
    "flood.A.1",
    "flood",
    "A",
    2,
    2,
    1,
    NOON - HOUR,
    NOON,
    None,
    (),
    chain=Chain((("an", "binh"), ("chi",)), NOON, EVERY),
)


class Duty:
    """A post on a stage, with the contacts of users."""

    def __init__(self, on: Stage) -> None:
        self.on = on
        self.people = People(on.ledger.store)
        for name, role in (("hoa", Role.ADMIN), ("an", Role.OPERATOR), ("binh", Role.OPERATOR)):
            self.people.add(User(name, role), By("operator", NOON))
        self.book = open_residents(on.data)
        reach = {name: kind.reach for name, kind in KINDS.items()}
        staff = Staff(self.people, lambda: on.city, lambda: on.now)
        self.contacts = StaffContacts(self.book, on.ledger.store, on.seal, reach, staff, lambda: on.now)
        self.hoa = User("hoa", Role.ADMIN)
        self.calls: Calls
        self.restart()

    def restart(self) -> None:
        self.calls = Calls(self.on.store, self.on.ledger, self.on.seal, lambda: self.on.city, "https://cb.vn/")
        self.on.post = self.on.new_post()
        self.on.post._parts = replace(self.on.post._parts, calls=self.calls)

    def call(self, number: int = 0, row: Incident = WAITS, *to: str, asks: str = "approve") -> None:
        one = Call(row.id, number, to or ("an", "binh"), self.on.now, asks, 3)
        self.on.ledger.record(
            Position(self.on.ledger.position() + 1), self.on.now, incidents=[row], outcome=Outcome([], [], [one])
        )


@contextmanager
def duty(tmp_path: Path, *channels: Provider) -> Iterator[Duty]:
    with stage(tmp_path, *channels) as on:
        made = Duty(on)
        yield made
        made.book.close()


def test_who_is_called_and_can_be_reached_is_told_what_waits_where_and_until_when(tmp_path: Path) -> None:
    sms = Provider()
    with duty(tmp_path, sms) as at:
        at.contacts.set("an", "sms", AN, "vi", at.hoa)
        at.contacts.set("binh", "sms", BINH, "en", at.hoa)
        at.call()
        at.on.play()
    assert [one.address for one in sms.got] == [AN, BINH]
    one, other = sms.got
    assert one.body["texts"]["vi"] == (
        "Trực ban: cần duyệt Nguy hiểm – ngập lụt, Phường A, từ 11:00 14/10. "
        "Trả lời bằng bảng điều hành: https://cb.vn/ioc. Đến 12:10 14/10 chưa ai trả lời thì gọi tiếp."
    )
    assert (other.lang, other.lane, other.expires_at) == ("en", Lane.URGENT, NOON + EVERY)
    assert "to approve: Danger – flooding, Phường A, since 11:00, 14 Oct" in other.body["texts"]["en"]
    assert one.body["sms"]["vi"]["segments"] <= 2
    assert not ({"end_url", "manage_url"} & one.body.keys()), "it is nothing that one subscribes to"


def test_each_call_is_one_message_however_often_the_post_is_started(tmp_path: Path) -> None:
    sms = Provider()
    with duty(tmp_path, sms) as at:
        at.contacts.set("an", "sms", AN, "vi", at.hoa)
        at.call()
        at.on.play()
        with at.on.store.writing() as db:  # as if it had died before it moved on
            db.execute(schema.progress.update().values(call=0))
        at.restart()
        at.on.play()
        assert at.calls.made == 0
        at.on.now += EVERY
        at.call(1)
        at.on.play()
    assert [one.address for one in sms.got] == [AN, AN]


@pytest.mark.parametrize(
    "row", [replace(WAITS, chain=None, acknowledged_by="chi"), replace(WAITS, chain=None, closed_at=NOON)]
)
def test_what_somebody_has_answered_calls_nobody_any_more(tmp_path: Path, row: Incident) -> None:
    sms = Provider()
    with duty(tmp_path, sms) as at:
        at.contacts.set("an", "sms", AN, "vi", at.hoa)
        at.call(0, row)
        at.on.play()
    assert sms.got == []


def test_a_call_whose_time_is_over_is_not_made_late(tmp_path: Path) -> None:
    sms = Provider()
    with duty(tmp_path, sms) as at:
        at.contacts.set("an", "sms", AN, "vi", at.hoa)
        at.call()
        at.on.now += EVERY
        at.on.play()
    assert sms.got == []


def test_a_call_goes_before_everything_that_waits_for_the_same_provider(tmp_path: Path) -> None:
    sms = Provider(quota=Quota(per_s=1.0, burst=1))
    with duty(tmp_path, sms) as at:
        for n in range(20):
            at.on.resident(f"sms +8490111{n:04}")
        at.on.decide(first(level=3))
        at.on.play()
        at.contacts.set("an", "sms", AN, "vi", at.hoa)
        at.call()
        at.on.play(at.on.now + 3_000, step=1_000)
    assert AN in [one.address for one in sms.got[:4]]


def test_who_has_no_contact_is_counted_and_who_has_ended_is_not_written_to(tmp_path: Path) -> None:
    sms = Provider()
    with duty(tmp_path, sms) as at:
        at.contacts.set("an", "sms", AN, "vi", at.hoa)
        assert at.contacts.end("an", at.hoa)
        assert not at.contacts.end("an", at.hoa)
        at.call()
        at.on.play()
        assert at.calls.unreached == 2
        assert at.on.post.counters["canhbao_post_calls_unreached_total"] == 2
    assert sms.got == []


def test_what_waits_for_a_contact_that_is_taken_away_is_not_sent(tmp_path: Path) -> None:
    sms = Provider()
    with duty(tmp_path, sms) as at:
        at.contacts.set("an", "sms", AN, "vi", at.hoa)
        at.call()
        at.calls.turn(at.on.now)
        at.contacts.set("an", "sms", BINH, "vi", at.hoa)
        at.on.play()
        assert at.on.rows() == []
    assert sms.got == []


def test_no_daily_number_holds_back_a_call(tmp_path: Path) -> None:
    sms = Provider()
    with duty(tmp_path, sms) as at:
        number = at.on.resident(f"sms {AN}", cap=0)[0]
        at.on.errand(number)
        at.on.play()
    assert len(sms.got) == 1


def test_a_contact_is_audited_without_its_address_which_lies_nowhere_in_the_clear(tmp_path: Path) -> None:
    with duty(tmp_path) as at:
        at.contacts.set("an", "sms", AN, "vi", at.hoa)
        rows, _ = Audit(at.on.ledger.store).page()
        assert [(row.entry.verb, row.entry.object, row.entry.detail) for row in rows][:1] == [
            ("contact_set", "user/an", {"channel": "sms", "lang": "vi"})
        ]
        for file in tmp_path.iterdir():
            assert AN.encode() not in file.read_bytes(), file
        assert at.contacts.listed() == {"an": "sms"}


def test_the_same_address_of_a_resident_is_another_contact(tmp_path: Path) -> None:
    """Whoever signs up with it neither finds nor ends the one that is called."""
    with duty(tmp_path) as at:
        at.contacts.set("an", "sms", AN, "vi", at.hoa)
        with at.book.reading() as db:
            found = db.execute(
                select(residents.contact).where(residents.contact.c.digest == at.on.seal.digest("sms", AN))
            )
            assert found.all() == []


# ---- over HTTP


@pytest.fixture
def house(tmp_path: Path) -> Iterator[tuple[httpx.Client, Store]]:
    town = Town(tmp_path, town_view(city()))
    people = People(town.ledger.store)
    staff, book = Staff(people, city, lambda: NOW), open_residents(tmp_path)
    reach = {name: kind.reach for name, kind in KINDS.items()}
    contacts = StaffContacts(book, town.ledger.store, SEAL, reach, staff, lambda: NOW)
    desk = PeopleDesk(staff, Audit(town.ledger.store), Spine(town.ledger.store).act, contacts)
    app = create_app(town.sources(Desks(MACHINE, None, people=desk)))  # type: ignore[arg-type]  # no letters here
    headers = {"Authorization": f"Bearer {MACHINE}"}
    with serving(town, app) as url, httpx.Client(base_url=f"{url}/api/v1", headers=headers) as client:
        for name, role in (("an", "operator"), ("vy", "approver")):
            assert client.post("/users", json={"name": name, "role": role}).status_code == 200
        yield client, book
    book.close()
    town.ledger.close()


def test_an_admin_sets_and_ends_a_contact_and_nobody_is_shown_the_address(house: Any) -> None:
    client, _ = house
    body = {"channel": "sms", "address": "+84 900 000 001"}
    assert client.put("/users/an/contact", json=body).json() == {"name": "an", "called_by": "sms"}
    listed = client.get("/users")
    assert {one["name"]: one["called_by"] for one in listed.json()["users"]}["an"] == "sms"
    assert "900000001" not in (listed.text + client.get("/audit").text).replace(" ", "")
    for sent, said in (
        ({"channel": "fax", "address": "1"}, "channel: sms or zalo"),
        (body | {"address": "7"}, "mobile"),
    ):
        answer = client.put("/users/an/contact", json=sent)
        assert (answer.status_code, said in answer.text) == (422, True)
    assert client.put("/users/nobody-here/contact", json=body).status_code == 409
    assert client.delete("/users/an/contact").json() == {"name": "an", "called_by": ""}
    token = client.post("/users/vy/tokens").json()["token"]
    wrong = client.put("/users/an/contact", json=body, headers={"Authorization": f"Bearer {token}"})
    assert wrong.status_code == 403


def test_who_is_no_user_any_more_has_no_contact(house: Any) -> None:
    client, book = house
    client.put("/users/an/contact", json={"channel": "sms", "address": AN})
    assert client.patch("/users/an", json={"active": False}).status_code == 200
    with book.reading() as db:
        assert db.execute(select(residents.contact.c.address)).scalars().all() == [b""]
