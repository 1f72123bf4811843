"""What became of messages, as operators see it: both sides, within one's scope, no address; one sent again by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest
from faces import Town, notice, town_city, town_view
from post_stage import HOUR, Provider, Stage, later, stage

from alerts.delivery.channels.channel import ChannelError, Quota
from alerts.delivery.desk import LIFE_MS, DeskQueue
from alerts.delivery.parcel import Parcel
from alerts.delivery.send import Sender
from alerts.incidents.incident import Notice, Reason
from alerts.ledger.audit import Audit
from alerts.ledger.deliveries import DESK, Deliveries
from alerts.ledger.outbox import Address, Pending
from alerts.ledger.people import By, People
from alerts.people.user import Role, User
from alerts.post.deliveries import POST
from alerts.staff import Staff
from alerts.web.app import create_app
from alerts.web.operators import operators_token
from alerts.web.sources import Desks, PeopleDesk
from alerts.words.message import bare_message

AN, BINH = "+84905000001", "+84905000002"
PATH = "/api/v1/deliveries"


class Ioc:
    """A channel of the desk that answers as it is told."""

    name, carries_state, at_once, timeout_s = "webhook:ioc", False, 8, 5.0
    quota = Quota()

    def __init__(self) -> None:
        self.got: list[Parcel] = []
        self.error: ChannelError | None = None

    def recipients(self, _: Notice) -> list[str]:
        return ["ioc"]

    async def send(self, parcel: Parcel) -> str:
        if self.error is not None:
            raise self.error
        self.got.append(parcel)
        return ""

    async def close(self) -> None:
        pass


class Office:
    """Both sides on one ledger, and the API over them; time is the stage's."""

    def __init__(self, folder: Path, on: Stage) -> None:
        self.on, self.ioc = on, Ioc()
        self.town = Town(folder, town_view(town_city()))
        self.sms = on.channels[0]
        self._sender = Sender(DeskQueue(on.outbox, self.ioc), self.ioc, Random(1), lambda: on.now)
        ledger = on.ledger.store
        self.people = People(ledger)
        self.audit = Audit(ledger)
        staff = Staff(self.people, lambda: self.town.view.city, lambda: on.now)
        sides: Any = {"desk": Deliveries(DESK, ledger, ledger), "post": Deliveries(POST, on.store, ledger)}
        self.token = operators_token(folder)
        people = PeopleDesk(staff, self.audit, lambda _: pytest.fail("no verb"))
        desks = Desks(self.token, None, None, people, None, sides)  # type: ignore[arg-type]  # letters are not asked for
        self.app = create_app(replace(self.town.sources(desks), now_ms=lambda: on.now))

    def user(self, name: str, role: Role = Role.OPERATOR, **scope: Any) -> str:
        """His token."""
        self.people.add(User(name, role, **scope), By("an", 0, f"add {name}"))
        return self.people.issue(name, By("an", 0, f"issue {name}"))

    def decide(self, *notices: Notice) -> None:
        """And told, by both sides."""
        self.on.decide(*notices)
        for seq, one in self.on.ledger.notices(0, 1000):
            if one in notices:
                again = (Pending(seq, one), Address("webhook:ioc", "ioc"), bare_message(one))
                self.on.outbox.queue_again([again], self.on.now)
        self.deliver()

    def deliver(self) -> None:
        self.on.play()
        asyncio.run(self._send())

    async def _send(self) -> None:
        while await self._sender.turn():
            pass

    def ask(self, path: str, *, method: str = "GET", token: str = "", key: str = "", **sent: Any) -> httpx.Response:
        async def get() -> httpx.Response:
            transport = httpx.ASGITransport(self.app, client=("127.0.0.1", 5))
            headers = {"Authorization": f"Bearer {token or self.token}", **({"Idempotency-Key": key} if key else {})}
            async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1", headers=headers) as asking:
                return await asking.request(method, PATH + path, json=sent or None)

        return asyncio.run(get())

    def rows(self, path: str = "", **more: Any) -> list[dict[str, Any]]:
        answer = self.ask(path, **more)
        assert answer.status_code == 200, answer.text
        rows: list[dict[str, Any]] = answer.json()["deliveries"]
        return rows

    def again(self, side: str, id_: int, **more: Any) -> httpx.Response:
        return self.ask(f"/{side}/{id_}/again", method="POST", **more)


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    with stage(tmp_path, Provider()) as on:
        on.resident(f"sms {AN}", area="20242")
        on.resident(f"sms {BINH}", area="20260", hazard="rain")
        made = Office(tmp_path, on)
        yield made
        made.town.ledger.close()


FLOOD, RAIN = notice("20242", 3), notice("20260", 2, hazard="rain")
NOW = FLOOD.arrival


def fails(office: Office, why: str = "no such number", *, permanent: bool = True) -> None:
    error = ChannelError(why, permanent=permanent)
    office.ioc.error = error

    async def refuse(_: Parcel) -> str:
        raise error

    office.sms.answer = refuse


def works(office: Office) -> None:
    async def take(_: Parcel) -> str:
        return "17"

    office.ioc.error, office.sms.answer = None, take


def test_both_sides_are_shown_and_nobody_s_address(office: Office) -> None:
    office.on.now = NOW
    fails(office)
    office.decide(FLOOD, RAIN)

    desk, post = office.rows(), office.rows("?side=post")
    assert [(row["channel"], row["recipient"], row["status"], row["error"]) for row in desk] == [
        ("webhook:ioc", "ioc", "dead", "no such number")
    ] * 2
    assert [(row["channel"], row["recipient"], row["incident"]) for row in post] == [
        ("sms", "contact 2", "rain-20260"), ("sms", "contact 1", "flood-20242")
    ]  # fmt: skip
    assert AN[3:] not in str(post)
    assert desk[0]["created_at"].endswith("+07:00")


def test_filters_and_pages(office: Office) -> None:
    office.on.now = NOW
    office.decide(FLOOD, RAIN, later(FLOOD, Reason.WORSE, 4, NOW + 1))

    assert len(office.rows("?incident=flood-20242")) == 2
    assert [row["version"] for row in office.rows("?incident=flood-20242&version=2")] == [2]
    assert len(office.rows("?channel=webhook")) == len(office.rows("?channel=webhook:ioc")) == 3
    assert office.rows("?channel=web") == office.rows("?status=dead") == []
    pages, cursor = [], ""
    while True:
        answer = office.ask(f"?limit=2{cursor}").json()
        pages.append([row["id"] for row in answer["deliveries"]])
        if answer["next"] is None:
            break
        cursor = f"&cursor={answer['next']}"
    assert pages == [[3, 2], [1]]


def test_one_sees_and_sends_within_one_s_scope_alone(office: Office) -> None:
    office.on.now = NOW
    fails(office)
    office.decide(FLOOD, RAIN)
    ward, rain = office.user("lan", areas=("20242",)), office.user("minh", hazards=("rain",))

    for side in ("desk", "post"):
        assert [row["incident"] for row in office.rows(f"?side={side}", token=ward)] == ["flood-20242"]
        assert [row["incident"] for row in office.rows(f"?side={side}", token=rain)] == ["rain-20260"]
        assert office.ask("/report?incident=rain-20260", token=ward).json()["channels"] == []
        id_ = office.rows(f"?side={side}", token=ward)[0]["id"]
        assert office.again(side, id_, token=rain).status_code == 403
    assert office.ask("", token=office.user("hoa", Role.VIEWER)).status_code == 403
    assert office.ask("", token="cb_no").status_code == 401


@pytest.mark.parametrize("side", ["desk", "post"])
def test_what_was_given_up_is_sent_again_to_its_one_recipient_with_its_key(office: Office, side: str) -> None:
    office.on.now = NOW
    fails(office)
    office.decide(FLOOD)
    (row,) = office.rows(f"?side={side}")
    works(office)
    office.on.now += 3 * LIFE_MS  # long after it expired
    answer = office.again(side, row["id"], key="k1", why="the number is right again")

    assert answer.status_code == 200, answer.text
    assert (answer.json()["delivery"]["status"], answer.json()["already"]) == ("queued", False)
    office.deliver()
    got = office.ioc.got if side == "desk" else office.sms.got
    assert [(one.incident, one.version) for one in got] == [("flood-20242", 1)]
    assert office.rows(f"?side={side}")[0]["status"] == "sent"
    other = "post" if side == "desk" else "desk"
    assert office.rows(f"?side={other}")[0]["status"] == "dead", "one message, one recipient"

    repeated = office.again(side, row["id"], key="k1", why="the number is right again")
    assert repeated.json()["already"]
    office.deliver()
    assert len(got) == 1
    (audited,), _ = office.audit.page(object_=f"{side}/{row['id']}")
    assert (audited.entry.verb, audited.entry.by) == ("send_again", "operator")
    assert audited.entry.detail["why"] == "the number is right again"


@pytest.mark.parametrize("side", ["desk", "post"])
def test_what_is_sent_or_still_tried_or_outdated_is_not_sent_again(office: Office, side: str) -> None:
    office.on.now = NOW
    office.decide(RAIN)
    (sent,) = office.rows(f"?side={side}")
    assert "it is sent" in office.again(side, sent["id"]).json()["detail"]

    fails(office, permanent=False)
    office.decide(FLOOD)
    assert "it is failed" in office.again(side, office.rows(f"?side={side}")[0]["id"]).json()["detail"]
    fails(office)
    office.on.now += HOUR
    office.deliver()
    dead = office.rows(f"?side={side}")[0]
    assert dead["status"] == "dead"
    office.decide(later(FLOOD, Reason.WORSE, 4, office.on.now))
    refused = office.again(side, dead["id"])
    assert (refused.status_code, "version 2" in refused.json()["detail"]) == (409, True)
    assert office.again(side, 999).status_code == 404
    assert office.again("nowhere", 1).status_code == 422
    assert office.audit.page()[0] == []


def test_the_report_of_a_warning_says_how_it_got_through(office: Office) -> None:
    office.on.now = NOW + 2_050
    office.decide(FLOOD)
    office.on.now += HOUR
    fails(office)
    office.decide(later(FLOOD, Reason.WORSE, 4, office.on.now))

    channels = office.ask("/report?incident=flood-20242").json()["channels"]
    assert [(one["side"], one["channel"], one["counts"]) for one in channels] == [
        ("desk", "webhook:ioc", {"dead": 1, "sent": 1}), ("post", "sms", {"dead": 1, "sent": 1})
    ]  # fmt: skip
    assert channels[1]["seconds"] == dict.fromkeys(("p50", "p95", "p99", "max"), 2.1)
    assert office.ask("/report?incident=nothing").json()["channels"] == []
