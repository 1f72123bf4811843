"""Operators over HTTP: every role tries every verb in and out of its scope; who is refused leaves no act and no trace
of a token.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from faces import MINUTE, NOW, Town, serving, town_view

from alerts.acting import Acted
from alerts.driving import BusyError, UnsureError
from alerts.incidents.incident import Approval, Hand, Incident, Member
from alerts.incidents.verbs import (
    Acknowledge,
    Act,
    Approve,
    Assign,
    Close,
    Comment,
    Ease,
    OfficialLevel,
    Raise,
    RefusedError,
    Reschedule,
    Silence,
)
from alerts.ledger import audit
from alerts.ledger.audit import Audit, Entry
from alerts.ledger.people import By, People
from alerts.ledger.store import Store
from alerts.people.user import Role, User
from alerts.staff import Staff
from alerts.web import operators
from alerts.web.app import create_app
from alerts.web.sources import Desks, PeopleDesk, Standing
from ingest.city import City, parse_city
from ingest.entries import Position

MACHINE = "0123456789abcdef" * 2
API = "/api/v1"
FLOOD, RAIN, SOUTH, SECRET, DRILL = (
    "flood.north-1.1", "rain.north-1.1", "flood.south.1", "flood.north-1.2", "flood.south.2",
)  # fmt: skip
UNTIL = "2022-10-14T21:00:00+07:00"
UNTIL_MS = 1_665_756_000_000


def city() -> City:
    text = '[city]\nname = "Đà Nẵng"\ntimezone = "Asia/Ho_Chi_Minh"\n'
    for code, parent in (("north", ""), ("north-1", "north"), ("north-2", "north"), ("south", "")):
        text += f'[[area]]\ncode = "{code}"\nname = "Khu {code}"\nname_en = "{code.title()}"\nlat = 16.0\nlon = 108.2\n'
        text += f'parent = "{parent}"\n' if parent else ""
    for code in ("north-1", "north-2", "south"):
        for k in range(3):
            text += f'[[sensor]]\nid = "tower-{code}-{k}"\nquantity = "street_depth"\narea = "{code}"\nperiod = "60s"\n'
    return parse_city(text)


def incident(id_: str, *, version: int = 1, drill: bool = False, level: int = 2, event: str = "") -> Incident:
    hazard, area, _ = id_.split(".")
    sensor = Member(f"tower-{area}-0", "depth", 3, NOW - MINUTE, 0.4, NOW - MINUTE, 3)
    return Incident(
        id_, hazard, area, level if version else 0, level, version, NOW - MINUTE, NOW - MINUTE, None, (sensor,),
        drill=drill, event=event, asked_at=(NOW, 0) if not version else (0, 0),
        approvals=(Approval("vy", 2, NOW),) if version else (),
    )  # fmt: skip


@dataclass
class Spine:
    """Takes acts as the spine does: once a key, on disk with their row of the audit when the call returns."""

    store: Store
    acts: list[Act] = field(default_factory=list)
    silences: tuple[Silence, ...] = ()
    official: OfficialLevel | None = None
    fails: Exception | None = None

    def act(self, act: Act) -> Acted:
        if self.fails is not None:
            raise self.fails
        entry = Entry(act.at, act.by, type(act.verb).__name__.lower(), "", act.key)
        with self.store.writing() as db:
            row, new = audit.append(db, entry)
        if new:
            self.acts.append(act)
        return Acted(row.entry.at, (FLOOD,), ((FLOOD, 2),), already=not new)

    def standing(self) -> Standing:
        return Standing(self.silences, self.official)


@dataclass
class House:
    """A town with people: `ask` as one of them."""

    town: Town
    spine: Spine
    people: People
    url: str = ""
    tokens: dict[str, str] = field(default_factory=lambda: {"machine": MACHINE})

    def engage(self, name: str, role: Role, areas: tuple[str, ...] = (), hazards: tuple[str, ...] = ()) -> None:
        self.people.add(User(name, role, areas, hazards), By("operator", NOW))
        self.tokens[name] = self.people.issue(name, By("operator", NOW))

    def ask(self, who: str, method: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
        bearer = {"Authorization": f"Bearer {self.tokens[who]}"} if who else {}
        return self.client.request(method, API + path, json=body, headers=bearer | headers)

    @property
    def client(self) -> httpx.Client:
        return self._client

    def listen(self, client: httpx.Client) -> None:
        self._client = client


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    town = Town(tmp_path, town_view(city()))
    rows = [
        incident(FLOOD, event="storm-1"), incident(RAIN), incident(SOUTH, event="storm-1"),
        incident(SECRET, version=0), incident(DRILL, drill=True),
    ]  # fmt: skip
    town.ledger.record(Position(1), NOW, incidents=rows)
    people, spine = People(town.ledger.store), Spine(town.ledger.store)
    staff = Staff(people, lambda: town.view.city, lambda: NOW)
    desk = PeopleDesk(staff, Audit(town.ledger.store), spine.act)
    app = create_app(replace(town.sources(Desks(MACHINE, None, people=desk)), standing=spine.standing))  # type: ignore[arg-type]  # no letters here
    with serving(town, app) as url, httpx.Client(base_url=url, timeout=10) as client:
        made = House(town, spine, people, url)
        made.listen(client)
        yield made
    town.ledger.close()


STORM = {"template": "storm", "level": 3, "areas": ["north"], "until": UNTIL,
         "fields": {"name": "Sơn Ca", "where": "cả khu"}}  # fmt: skip
LEVEL = {"issuer": "Đài KTTV", "bulletin": "LULU-12", "valid_from": "2022-10-14T18:00:00+07:00", "valid_until": UNTIL}
# What is sent, about which hazard and areas it is ("": all), and which of viewer, operator, approver, admin may do it.
TRIED: tuple[tuple[str, str, Any, str, str, str], ...] = (
    ("POST", f"/alerts/{FLOOD}/ack", None, "flood", "north-1", "-xxx"),
    ("POST", f"/alerts/{FLOOD}/assign", {"to": ""}, "flood", "north-1", "-xxx"),
    ("POST", f"/alerts/{FLOOD}/comment", {"text": "x"}, "flood", "north-1", "-xxx"),
    ("POST", f"/alerts/{FLOOD}/approve", None, "flood", "north-1", "--xx"),
    ("POST", f"/alerts/{FLOOD}/ease", {"level": 1}, "flood", "north-1", "--xx"),
    ("POST", f"/alerts/{FLOOD}/close", None, "flood", "north-1", "--xx"),
    ("POST", f"/alerts/{FLOOD}/close", {"withdraw": True}, "flood", "north-1", "--xx"),
    ("POST", f"/alerts/{SOUTH}/ack", None, "flood", "south", "-xxx"),
    ("POST", f"/alerts/{RAIN}/close", {}, "rain", "north-1", "--xx"),
    ("POST", "/alerts/approve", {"event": "storm-1"}, "flood", "", "--xx"),
    ("POST", "/alerts", STORM | {"areas": ["north-2"]}, "storm", "north-2",
     "-xxx"),
    ("POST", "/alerts", STORM | {"template": "seen", "hazard": "flood", "fields": {"where": "chợ"}},
     "flood", "north", "-xxx"),
    ("POST", "/alerts", STORM | {"template": "evacuation", "areas": ["north-1"],
                                 "fields": {"where": "chợ", "shelter": "trường"}}, "evacuation",
     "north-1", "--xx"),
    ("POST", "/silences", {"hazard": "flood", "areas": ["north"], "until": UNTIL, "reason": "x"}, "flood", "north",
     "--xx"),
    ("POST", "/silences", {"hazard": "flood", "until": UNTIL, "reason": "x"}, "flood", "", "--xx"),
    ("POST", "/silences", {"sensor": "tower-south-1", "until": UNTIL, "reason": "x"}, "", "south", "--xx"),
    ("POST", "/planned-outages", {"areas": ["north-1"], "until": UNTIL, "reason": "x"}, "power", "north-1", "-xxx"),
    ("POST", "/planned-outages", {"sensor": "tower-south-1", "until": UNTIL, "reason": "x"}, "power", "south", "-xxx"),
    ("DELETE", "/silences/silence-1", None, "flood", "north-1", "-xxx"),
    ("DELETE", "/planned-outages/outage-1", None, "power", "south", "-xxx"),
    ("PATCH", "/planned-outages/outage-1", {"until": UNTIL}, "power", "south", "-xxx"),
    ("POST", "/official-level", LEVEL | {"level": 3}, "", "", "--xx"),
    ("POST", "/official-level", LEVEL | {"level": 0, "hazard": "flood", "areas": ["north"]}, "flood", "north", "--xx"),
    ("GET", "/silences", None, "*", "*", "xxxx"),
    ("GET", "/planned-outages", None, "*", "*", "xxxx"),
    ("GET", "/alerts?unpublished=true", None, "*", "*", "-xxx"),
    ("GET", "/users", None, "*", "*", "---x"),
    ("GET", "/audit", None, "", "", "---x"),
    ("GET", "/audit/verify", None, "", "", "---x"),
    ("GET", "/health/sensors", None, "", "", "xxxx"),
)  # fmt: skip
# Areas, hazards, and what of the above lies within: written out, not worked out.
SCOPES: tuple[tuple[str, tuple[str, ...], tuple[str, ...], set[tuple[str, str]] | None], ...] = (
    ("all", (), (), None),
    ("north", ("north",), (), {("flood", "north-1"), ("rain", "north-1"), ("storm", "north-2"), ("flood", "north"),
                               ("evacuation", "north-1"), ("power", "north-1")}),
    ("ward", ("north-1",), ("flood", "evacuation"), {("flood", "north-1"), ("evacuation", "north-1")}),
    ("flood", (), ("flood",), {("flood", "north-1"), ("flood", "south"), ("flood", "north"), ("flood", "")}),
    ("power", ("south",), ("power",), {("power", "south")}),
)  # fmt: skip


def test_every_role_tries_every_verb_in_and_out_of_its_scope(house: House) -> None:
    span = {"begins": NOW, "until": UNTIL_MS, "reason": "x", "by": "x"}
    house.spine.silences = (
        Silence("silence-1", **span, hazard="flood", areas=("north-1",)),  # type: ignore[arg-type]
        Silence("outage-1", **span, hazard="power", areas=("south",), planned=True),  # type: ignore[arg-type]
    )
    tried = 0
    for n, role in enumerate(Role):
        for scope, areas, hazards, within in SCOPES:
            who = f"{role}-{scope}"
            house.engage(who, role, areas, hazards)
            for method, path, body, hazard, area, row in TRIED:
                inside = within is None or hazard == "*" or (hazard, area) in within
                before = len(house.spine.acts)
                answer = house.ask(who, method, path, body)
                allowed = row[n] == "x" and inside
                assert answer.status_code == (200 if allowed else 403), (who, method, path, body, answer.text)
                done = len(house.spine.acts) - before
                assert done == (1 if allowed and method != "GET" else 0), (who, path)
                tried += 1
    assert tried == len(Role) * len(SCOPES) * len(TRIED)
    assert Audit(house.town.ledger.store).verify()[1] is None


def test_what_is_handed_on_is_what_was_asked(house: House) -> None:
    house.engage("vy", Role.APPROVER)
    house.engage("lan", Role.OPERATOR)
    body = STORM | {"areas": ["north", "north-1"]}
    for path, sent in (
        (f"/alerts/{FLOOD}/ack", {"why": "seen"}), (f"/alerts/{FLOOD}/assign", {"to": "lan"}),
        (f"/alerts/{FLOOD}/comment", {"text": "nước rút"}), (f"/alerts/{FLOOD}/approve", {"level": 3}),
        ("/alerts/approve", {"event": "storm-1"}), (f"/alerts/{FLOOD}/ease", {"level": 1}),
        (f"/alerts/{FLOOD}/close", {"withdraw": True}), ("/alerts", body | {"drill": True}),
        ("/official-level", LEVEL | {"level": 3, "areas": ["north"]}),
        ("/silences", {"sensor": "tower-south-1", "areas": ["north", "south"], "until": UNTIL, "reason": "tilted"}),
        ("/planned-outages",
         {"areas": ["north"], "begins": "2022-10-14T20:00:00+07:00", "until": UNTIL, "reason": "EVN"}),
    ):  # fmt: skip
        assert house.ask("vy", "POST", path, sent).status_code == 200, path
    hand = Hand("storm", 3, UNTIL_MS, "vy", (("name", "Sơn Ca"), ("where", "cả khu")))
    whole = ("north", "north-1", "north-2")
    *acts, silence, outage = (act.verb for act in house.spine.acts)
    assert acts == [
        Acknowledge(FLOOD), Assign(FLOOD, "lan"), Comment(FLOOD, "nước rút"), Approve(FLOOD, level=3),
        Approve(event="storm-1", hazards=("flood",)), Ease(FLOOD, 1), Close(FLOOD, withdraw=True),
        Raise(hand, "storm", whole, drill=True, approver=True),
        OfficialLevel(3, "Đài KTTV", "LULU-12", 1_665_745_200_000, UNTIL_MS, "", ("north",)),
    ]  # fmt: skip
    assert isinstance(silence, Silence)
    assert isinstance(outage, Silence)
    assert silence == Silence(silence.id, NOW, UNTIL_MS, "tilted", "vy", "tower-south-1", "", (*whole, "south"))
    assert outage == Silence(outage.id, 1_665_752_400_000, UNTIL_MS, "EVN", "vy", "", "power", whole, planned=True)
    assert {(act.by, act.at) for act in house.spine.acts} == {("vy", NOW)}
    assert [act.why for act in house.spine.acts][:2] == ["seen", ""]
    house.ask("lan", "POST", "/alerts", body)
    raised = house.spine.acts[-1].verb
    assert isinstance(raised, Raise)
    assert not raised.approver, "an operator's word alone is no approval"


def test_what_is_not_named_of_an_outage_stays_as_it_is(house: House) -> None:
    house.engage("lan", Role.OPERATOR)
    house.spine.silences = (
        Silence("outage-1", NOW + 60_000, UNTIL_MS, "x", "x", "", "power", ("south",), planned=True),
        Silence("silence-1", NOW, UNTIL_MS, "x", "x", hazard="power"),
    )
    for sent, begins, until in (
        ({"until": "2022-10-14T21:00:00+07:00"}, NOW + 60_000, 1_665_756_000_000),
        ({"begins": "2022-10-14T20:00:00+07:00"}, 1_665_752_400_000, UNTIL_MS),
        ({}, NOW + 60_000, UNTIL_MS),
    ):
        assert house.ask("lan", "PATCH", "/planned-outages/outage-1", sent).status_code == 200, sent
        assert house.spine.acts[-1].verb == Reschedule("outage-1", begins, until)
    before = len(house.spine.acts)
    for path, sent, status in (
        ("/planned-outages/silence-1", {"until": UNTIL}, 404),
        ("/planned-outages/outage-2", {"until": UNTIL}, 404),
        ("/planned-outages/outage-1", {"until": "2022-10-13T20:00:00+07:00"}, 422),
        ("/planned-outages/outage-1", {"begins": "2023-10-13T20:00:00+07:00"}, 422),
        ("/planned-outages/outage-1", {"areas": ["north"]}, 422),
    ):
        assert house.ask("lan", "PATCH", path, sent).status_code == status, sent
    assert len(house.spine.acts) == before


def test_the_same_key_again_is_the_same_act_and_something_else_is_not(house: House) -> None:
    house.engage("vy", Role.APPROVER)
    house.engage("an", Role.APPROVER)
    path, one = "/silences", {"hazard": "flood", "until": UNTIL, "reason": "pump test"}
    key = {"Idempotency-Key": "6f9c"}
    first, again = (house.ask("vy", "POST", path, one, **key) for _ in range(2))
    assert (first.json()["already"], again.json()["already"]) == (False, True)
    assert first.json() | {"already": True} == again.json()
    assert first.headers["idempotency-key"] == "6f9c"
    other = house.ask("vy", "POST", path, one | {"reason": "another"}, **key)
    assert not other.json()["already"], "the same key by mistake drops nothing"
    assert other.json()["id"] != first.json()["id"]
    assert not house.ask("an", "POST", path, one, **key).json()["already"], "a key belongs to a person"
    house.town.view = replace(house.town.view, arrival=NOW + 1)
    without = [house.ask("vy", "POST", f"/alerts/{FLOOD}/comment", {"text": "x"}) for _ in range(2)]
    assert len({answer.headers["idempotency-key"] for answer in without}) == 2
    assert not any(answer.json()["already"] for answer in without)
    ended = Silence("silence-1", NOW, UNTIL_MS, "x", "vy", hazard="flood")
    house.spine.silences = (ended,)
    assert not house.ask("vy", "DELETE", "/silences/silence-1", **key).json()["already"]
    house.spine.silences = ()
    assert house.ask("vy", "DELETE", "/silences/silence-1", **key).json()["already"]
    assert house.ask("vy", "DELETE", "/silences/silence-1").status_code == 404
    for wrong in ("x" * 65, "a b"):
        assert house.ask("vy", "POST", path, one, **{"Idempotency-Key": wrong}).status_code == 422


def test_no_key_of_an_admins_call_is_that_of_a_verb(house: House) -> None:
    """Else the verb would be answered with what became of a user, or done without its row of the audit."""
    house.engage("boss", Role.ADMIN)
    path, key = f"/alerts/{FLOOD}/ack", {"Idempotency-Key": "k"}
    named = house.ask("boss", "POST", path, **key).json()["key"]
    lan = {"name": "lan", "role": "operator"}
    assert house.ask("boss", "POST", "/users", lan, **{"Idempotency-Key": named}).status_code == 200
    found = [row["verb"] for row in house.ask("machine", "GET", "/audit?by=boss").json()["rows"]]
    assert found == ["user_add", "acknowledge"]


WRONG: tuple[tuple[str, Any, str], ...] = (
    (f"/alerts/{FLOOD}/assign", {}, "to"),
    (f"/alerts/{FLOOD}/assign", {"to": "nobody"}, "to: no user 'nobody'"),
    (f"/alerts/{FLOOD}/assign", {"to": "an"}, "to: this needs the role operator"),
    (f"/alerts/{FLOOD}/comment", {"text": ""}, "text"),
    (f"/alerts/{FLOOD}/ease", {"level": 4}, "level"),
    (f"/alerts/{FLOOD}/ease", {"level": 0}, "level"),
    (f"/alerts/{FLOOD}/close", {"colour": "red"}, "colour"),
    (f"/alerts/{FLOOD}/ack", {"why": "x" * 501}, "why"),
    ("/alerts", STORM | {"template": "flood!"}, "template: found 'flood!'"),
    ("/alerts", STORM | {"fields": {"name": "<b>", "where": "x"}}, "name: found"),
    ("/alerts", STORM | {"fields": {"name": "Sơn Ca"}}, "where: found ''"),
    ("/alerts", STORM | {"hazard": "flood"}, "hazard: found 'flood'"),
    ("/alerts", STORM | {"level": 5}, "level"),
    ("/alerts", STORM | {"areas": []}, "areas"),
    ("/alerts", STORM | {"areas": ["nowhere"]}, "areas: 'nowhere'"),
    ("/alerts", STORM | {"until": "2022-10-14T21:00:00"}, "until"),
    ("/alerts", STORM | {"until": "2022-10-14T18:00:00+07:00"}, "until: in the future"),
    ("/alerts", STORM | {"until": "2022-12-14T18:00:00+07:00"}, "within 7 days"),
    ("/silences", {"until": UNTIL, "reason": "x"}, "at least one"),
    ("/silences", {"hazard": "flood", "reason": "x"}, "until"),
    ("/silences", {"hazard": "flood", "until": UNTIL, "reason": ""}, "reason"),
    ("/silences", {"hazard": "flood", "until": UNTIL, "reason": "<b>\u202e"}, "visible characters"),
    ("/silences", {"hazard": "flood", "until": "2022-10-14T18:00:00+07:00", "reason": "x"}, "in the future"),
    ("/silences", {"hazard": "flood", "until": "2022-11-14T18:00:00+07:00", "reason": "x"}, "within 7 days"),
    ("/silences", {"sensor": "tower-9", "until": UNTIL, "reason": "x"}, "sensor: the city has no"),
    ("/planned-outages", {"until": UNTIL, "reason": "x"}, "at least one"),
    ("/planned-outages", {"areas": ["south"], "hazard": "flood", "until": UNTIL, "reason": "x"}, "hazard"),
    ("/official-level", LEVEL | {"level": 6}, "level"),
    ("/official-level", LEVEL | {"level": 3, "valid_until": "2022-10-14T17:00:00+07:00"}, "after valid_from"),
    ("/official-level", LEVEL | {"level": 3, "bulletin": ""}, "bulletin"),
)  # fmt: skip


def test_a_wrong_call_is_told_what_is_wrong_and_does_nothing(house: House) -> None:
    house.engage("an", Role.VIEWER)
    for path, body, name in WRONG:
        answer = house.ask("machine", "POST", path, body)
        assert answer.status_code == 422, (path, body)
        assert answer.headers["content-type"] == "application/problem+json"
        assert name in answer.json()["detail"], answer.text
    assert house.spine.acts == []


def test_who_may_not_assign_learns_nothing_of_users(house: House) -> None:
    house.engage("an", Role.OPERATOR, ("south",))
    house.engage("binh", Role.OPERATOR, ("north-2",))
    said = {house.ask("an", "POST", f"/alerts/{FLOOD}/assign", {"to": name}).text for name in ("binh", "nobody")}
    assert len(said) == 1
    assert "binh" not in said.pop()


def test_what_is_not_published_is_shown_within_ones_scope(house: House) -> None:
    south = [incident(f"{hazard}.south.9", version=0) for hazard in ("rain", "flood")]
    house.town.ledger.record(Position(2), NOW, incidents=south)

    def ids(who: str, query: str = "") -> set[str]:
        answer = house.ask(who, "GET", f"/alerts?unpublished=true{query}").raise_for_status()
        return {row["id"] for row in answer.json()["alerts"]}

    house.engage("north", Role.OPERATOR, ("north",))
    house.engage("rain", Role.OPERATOR, (), ("rain",))
    house.engage("both", Role.OPERATOR, ("south", "north-2"), ("flood", "power"))
    assert ids("machine") == {FLOOD, RAIN, SOUTH, SECRET, "rain.south.9", "flood.south.9"}
    assert ids("north") == {FLOOD, RAIN, SECRET}
    assert ids("north", "&area=south") == set()
    assert ids("rain") == {RAIN, "rain.south.9"}
    assert ids("rain", "&hazard=flood") == set()
    assert ids("both") == {SOUTH, "flood.south.9"}
    assert ids("both", "&hazard=flood&limit=1&area=south") < ids("both")


def test_what_does_not_fit_is_refused_and_what_was_not_done_is_said(house: House) -> None:
    path = f"/alerts/{FLOOD}/close"
    for error, status, said in (
        (RefusedError("it is over"), 409, "it is over"),
        (BusyError("too many"), 503, "nothing was done: too many"),
        (UnsureError("time was over"), 503, "again with the same Idempotency-Key"),
    ):
        house.spine.fails = error
        answer = house.ask("machine", "POST", path)
        assert (answer.status_code, said in answer.json()["detail"]) == (status, True)
        assert ("retry-after" in answer.headers) == (status == 503)
    assert house.ask("machine", "POST", "/alerts/none/close").status_code == 404
    assert house.ask("machine", "POST", "/alerts/approve", {"event": "none"}).status_code == 404


def test_only_what_is_published_is_public_and_drills_stand_apart(house: House) -> None:
    def ids(who: str, query: str) -> set[str]:
        return {row["id"] for row in house.ask(who, "GET", f"/alerts?{query}").raise_for_status().json()["alerts"]}

    assert ids("", "") == {FLOOD, RAIN, SOUTH}
    assert ids("", "drill=true") == {DRILL}
    assert ids("", "area=north") == ids("", "area=north-1") == {FLOOD, RAIN}
    assert ids("", "area=north-2") == set()
    assert house.ask("", "GET", "/alerts?unpublished=true").status_code == 401
    assert ids("machine", "unpublished=true&area=north") == {FLOOD, RAIN, SECRET}
    assert house.ask("machine", "GET", "/alerts?unpublished=true").headers["cache-control"] == "no-store"
    (waiting,) = (
        row for row in house.ask("machine", "GET", "/alerts?unpublished=true").json()["alerts"] if row["id"] == SECRET
    )
    assert (waiting["version"], waiting["wanted"], waiting["awaiting"]) == (0, 3, True)
    assert house.ask("", "GET", f"/alerts/{SECRET}").status_code == 404
    assert house.ask("", "GET", f"/alerts/{DRILL}").json()["drill"] is True
    assert "approved_by" not in house.ask("", "GET", f"/alerts/{FLOOD}").json()


def test_an_area_speaks_for_what_is_part_of_it(house: House) -> None:
    def situation(area: str) -> Any:
        return house.ask("", "GET", f"/situation/{area}?lang=en").json()

    assert {row["id"] for row in situation("north")["alerts"]} == {FLOOD, RAIN}
    assert situation("north")["sensors"] == 6
    assert situation("north")["sentence"].startswith("North: 2 warnings in force")
    assert situation("north-2")["sentence"] == "No warnings in North-2 right now."
    assert {row["id"] for row in situation("city")["alerts"]} == {FLOOD, RAIN, SOUTH}
    house.town.ledger.record(Position(2), NOW, incidents=[incident("storm.north.1")])
    house.town.view = replace(house.town.view, position=2)
    assert {row["id"] for row in situation("north-2")["alerts"]} == {"storm.north.1"}, "it concerns them as well"


def test_the_official_level_is_public_while_it_is_in_force_and_is_no_level_of_ours(house: House) -> None:
    assert house.ask("", "GET", "/official-level").json()["official_level"] is None
    house.spine.official = OfficialLevel(3, "Đài KTTV", "LULU-12", NOW, NOW + MINUTE, "flood", ("north",))
    shown = house.ask("", "GET", "/official-level").json()["official_level"]
    assert shown == {"level": 3, "issuer": "Đài KTTV", "bulletin": "LULU-12", "hazard": "flood", "areas": ["north"],
                     "valid_from": "2022-10-14T18:23:00.000+07:00",
                     "valid_until": "2022-10-14T18:24:00.000+07:00"}  # fmt: skip
    house.town.now_ms = NOW + MINUTE
    assert house.ask("", "GET", "/official-level").json()["official_level"] is None


def test_who_replaces_an_official_level_needs_the_rights_to_the_one_in_force(house: House) -> None:
    house.engage("ward", Role.APPROVER, ("north",), ("flood",))
    house.engage("city", Role.APPROVER)
    mine = LEVEL | {"level": 0, "hazard": "flood", "areas": ["north"]}
    house.spine.official = OfficialLevel(4, "Đài KTTV", "LULU-12", NOW, NOW + MINUTE)
    assert house.ask("ward", "POST", "/official-level", mine).status_code == 403
    assert house.ask("city", "POST", "/official-level", mine).status_code == 200
    house.spine.official = replace(house.spine.official, hazard="flood", areas=("north-1",))
    assert house.ask("ward", "POST", "/official-level", mine).status_code == 200


def test_silences_are_listed_until_they_are_over(house: House) -> None:
    span = {"begins": NOW, "until": NOW + MINUTE, "reason": "tilted", "by": "vy"}
    planned = Silence("outage-1", **span, hazard="power", areas=("south",), planned=True)  # type: ignore[arg-type]
    house.spine.silences = (Silence("silence-1", **span, sensor="tower-south-1"), planned)  # type: ignore[arg-type]
    (one,) = house.ask("machine", "GET", "/silences").json()["silences"]
    assert (one["id"], one["reason"], one["sensor"], one["planned"]) == ("silence-1", "tilted", "tower-south-1", False)
    assert [row["id"] for row in house.ask("machine", "GET", "/planned-outages").json()["silences"]] == ["outage-1"]
    house.town.now_ms = NOW + MINUTE
    assert house.ask("machine", "GET", "/silences").json()["silences"] == []


def test_admins_make_users_within_their_own_scope(house: House) -> None:
    house.engage("chief", Role.ADMIN, ("north",))
    lan = {"name": "lan", "role": "operator", "areas": ["north-1"], "hazards": ["flood"], "centre": "ward"}
    assert house.ask("chief", "POST", "/users", lan).json() == lan | {"active": True}
    assert house.ask("chief", "POST", "/users", lan).status_code == 200, "again it changes nothing"
    assert house.ask("chief", "POST", "/users", lan | {"role": "admin"}).status_code == 409
    for beyond in ({"areas": ["south"]}, {"areas": []}):
        assert house.ask("chief", "POST", "/users", lan | {"name": "an"} | beyond).status_code == 403
        assert house.ask("chief", "PATCH", "/users/lan", beyond).status_code == 403
    house.engage("boss", Role.ADMIN)
    for method, path in (("PATCH", "/users/boss"), ("POST", "/users/boss/tokens"), ("DELETE", "/users/boss/tokens")):
        assert house.ask("chief", method, path, {} if method == "PATCH" else None).status_code == 403
    assert {row["name"] for row in house.ask("chief", "GET", "/users").json()["users"]} == {"chief", "lan"}

    token = house.ask("chief", "POST", "/users/lan/tokens").json()["token"]
    house.tokens["lan"] = token
    assert house.ask("lan", "POST", f"/alerts/{FLOOD}/ack").status_code == 200
    assert house.spine.acts[-1].by == "lan"
    (listed,) = (row for row in house.ask("boss", "GET", "/users").json()["users"] if row["name"] == "lan")
    assert [row["id"] for row in listed["tokens"]] == [token[3:15]]
    assert house.ask("chief", "PATCH", "/users/lan", {"role": "viewer"}).json()["role"] == "viewer"
    assert house.ask("lan", "POST", f"/alerts/{FLOOD}/ack").status_code == 403
    assert house.ask("chief", "DELETE", f"/users/lan/tokens/{token[3:15]}").json() == {"revoked": [token[3:15]]}
    assert house.ask("lan", "GET", "/silences").status_code == 401
    assert house.ask("chief", "POST", "/users/none/tokens").status_code == 409
    for wrong, name in (({"name": "operator"}, "name"), ({"name": "a", "areas": ["x"]}, "areas: 'x'"),
                        ({"name": "a", "hazards": ["Flood "]}, "hazards"), ({"name": "a", "role": "king"}, "role"),
                        ({"name": "a", "areas": ["north-1", "north-1"]}, "each once")):  # fmt: skip
        answer = house.ask("chief", "POST", "/users", lan | wrong)
        assert (answer.status_code, name in answer.json()["detail"]) == (422, True), answer.text


def test_the_audit_is_read_page_by_page_and_verified(house: House) -> None:
    house.engage("lan", Role.OPERATOR)
    house.ask("lan", "POST", f"/alerts/{FLOOD}/ack")
    page = house.ask("machine", "GET", "/audit?limit=2").json()
    assert [row["verb"] for row in page["rows"]] == ["acknowledge", "token_issue"]
    assert page["rows"][0]["at_ms"] == NOW
    assert page["head"] == f"3:{page['rows'][0]['hash']}"
    rest = house.ask("machine", "GET", f"/audit?cursor={page['next']}").json()
    assert ([row["verb"] for row in rest["rows"]], rest["next"]) == (["user_add"], None)
    assert len(house.ask("machine", "GET", "/audit?by=lan").json()["rows"]) == 1
    assert house.ask("machine", "GET", f"/audit/verify?head={page['head']}").json()["whole"] is True
    missing = house.ask("machine", "GET", f"/audit/verify?head=9:{'0' * 64}").json()
    assert (missing["whole"], missing["broken"]) == (False, 4)
    assert house.ask("machine", "GET", "/audit/verify?head=x").status_code == 422


def test_wrong_tokens_are_answered_alike_and_many_of_them_have_to_wait(house: House) -> None:
    house.engage("lan", Role.OPERATOR)
    house.people.add(User("gone", Role.ADMIN), By("operator", NOW))
    house.tokens |= {"gone": house.people.issue("gone", By("operator", NOW))}
    house.people.revoke("gone", "", By("operator", NOW))
    right = house.tokens["lan"]
    for name, token in (("cut", right[:-1]), ("swapped", right[:16] + house.tokens["gone"][16:]), ("none", "cb_x")):
        house.tokens[name] = token
    said = {house.ask(name, "GET", "/silences").text for name in ("gone", "cut", "swapped", "none")}
    assert len(said) == 1
    for _ in range(2 * int(operators.WRONG_BURST)):
        last = house.ask("none", "GET", "/silences")
    assert last.status_code == 429
    assert int(last.headers["retry-after"]) > 0
    assert house.ask("lan", "GET", "/silences").status_code == 200, "whoever has a right one is not locked out"
    assert house.ask("machine", "GET", "/silences").status_code == 200


def test_no_token_reaches_a_log_the_audit_or_an_error(house: House, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    house.engage("lan", Role.VIEWER)
    secret = house.tokens["lan"][16:]
    answers = [
        house.ask("lan", "POST", f"/alerts/{FLOOD}/close"),
        house.ask("lan", "GET", "/silences"),
        house.ask("machine", "GET", "/audit"),
        house.ask("machine", "GET", "/users"),
    ]
    house.tokens["lan"] += "0"
    answers.append(house.ask("lan", "GET", "/silences"))
    house.spine.fails = ZeroDivisionError()
    answers.append(house.ask("machine", "POST", f"/alerts/{FLOOD}/close"))
    assert answers[-1].status_code == 500
    for said in (caplog.text, *(answer.text + str(answer.headers) for answer in answers)):
        assert secret not in said
        assert MACHINE not in said
    assert "lan was refused POST" in caplog.text


def test_the_api_describes_what_operators_may_ask_and_how_they_are_refused(house: House) -> None:
    paths = house.client.get("/openapi.json").json()["paths"]
    for method, path, *_ in TRIED:
        shape = path.partition("?")[0].replace(FLOOD, "{id}").replace(RAIN, "{id}").replace(SOUTH, "{id}")
        shape = API + shape.replace("silence-1", "{id}").replace("outage-1", "{id}")
        operation = paths[shape][method.lower()]
        assert operation["summary"], path
        refused = [row for status, row in operation["responses"].items() if int(status) >= 400]
        assert refused, path
        assert all("application/problem+json" in row["content"] for row in refused), path


def test_a_body_is_bounded_before_it_is_read(house: House) -> None:
    large = json.dumps({"text": "x" * operators.BODY_BYTES_MAX})
    bearer = {"Authorization": f"Bearer {MACHINE}"}
    assert house.client.post(f"{API}/alerts/{FLOOD}/comment", content=large, headers=bearer).status_code == 413
    endless = house.client.post(f"{API}/alerts/{FLOOD}/comment", content=iter([b"{}"]), headers=bearer)
    assert endless.status_code == 411


def test_what_reopens_unconfirmed_is_over_to_the_public_until_it_is_published(house: House) -> None:
    again = replace(incident("flood.north-2.7"), level=0, version=2)
    house.town.ledger.record(Position(2), NOW, incidents=[again])
    house.town.view = replace(house.town.view, position=2)
    active = house.ask("", "GET", "/alerts?active=true").json()["alerts"]
    assert again.id not in {row["id"] for row in active}
    assert house.ask("", "GET", "/situation/north-2?lang=en").json()["sentence"] == "No warnings in North-2 right now."
    past = {row["id"]: row for row in house.ask("", "GET", "/alerts?active=false").json()["alerts"]}
    for shown in (past[again.id], house.ask("", "GET", f"/alerts/{again.id}").json()):
        assert (shown["active"], shown["level"], shown["because"]) == (False, 0, [])
    mine = house.ask("machine", "GET", "/alerts?active=true&unpublished=true").json()["alerts"]
    assert again.id in {row["id"] for row in mine}
