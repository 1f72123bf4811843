"""What providers say later of a message, from their call at our address to the post's table."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from carriers.zalo import APP_ID, OA_SECRET, event
from channel_settings import section_of
from fastapi import FastAPI
from post_stage import NOON, Provider, Stage, first, stage, told
from sqlalchemy import select

from alerts.delivery.channels import hooks
from alerts.delivery.hooks import Receipt
from alerts.delivery.parcel import Parcel
from alerts.post import schema
from alerts.post.receipts import take_receipt
from alerts.residents.replies import Outcome, Taken
from alerts.web import receipts as web
from alerts.web.problems import answer_with_problems
from alerts.web.receipts import receipt_routes
from alerts.web.sources import Providers

PHONE, OTHER = "+84905000001", "+84905000002"


@pytest.fixture
def on(tmp_path: Path) -> Iterator[Stage]:
    """One message by ZNS, taken under the number zns-1; SMS in reserve."""
    zns, sms = Provider("zns"), Provider("sms")

    async def numbered(parcel: Parcel) -> str:
        await asyncio.sleep(0)
        return f"zns-{parcel.id}"

    zns.answer = numbered
    with stage(tmp_path, zns, sms) as made:
        made.resident(f"zns {PHONE}", fallback=f"sms {OTHER}")
        made.decide(first(level=3))
        made.play()
        yield made


def rows(on: Stage) -> list[tuple[Any, ...]]:
    with on.store.reading() as db:
        m = schema.message.c
        return [tuple(row) for row in db.execute(select(m.status, m.received_at, m.error).order_by(m.id))]


def test_what_arrived_is_written_down_once(on: Stage) -> None:
    assert take_receipt(on.store, "zns", "zns-1", True, "", NOON + 5)
    assert take_receipt(on.store, "zns", "zns-1", True, "", NOON + 9)
    assert take_receipt(on.store, "zns", "zns-1", False, "lost", NOON + 10)  # what has arrived stays so

    assert rows(on) == [("sent", NOON + 5, "")]


def test_what_did_not_arrive_goes_out_by_another_way(on: Stage) -> None:
    assert take_receipt(on.store, "zns", "zns-1", False, "zns: did not arrive", NOON + 5)
    assert take_receipt(on.store, "zns", "zns-1", False, "zns: did not arrive", NOON + 6)
    on.now += 10
    on.play()

    assert rows(on) == [("dead", None, "zns: did not arrive"), ("sent", None, "")]
    assert told(on.channels[1]) == [("flood.A", 1, OTHER)]


@pytest.mark.parametrize(("channel", "number"), [("sms", "zns-1"), ("zns", "zns-2"), ("zns", ""), ("zn", "zns-1")])
def test_a_number_of_nobody_changes_nothing(on: Stage, channel: str, number: str) -> None:
    assert not take_receipt(on.store, channel, number, False, "lost", NOON + 5)

    assert rows(on) == [("sent", None, "")]


def post(app: FastAPI, channel: str, headers: dict[str, str], body: bytes) -> int:
    async def ask() -> int:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://here") as client:
            answer = await client.post(f"/api/v1/receipts/{channel}", content=body, headers=headers)
        return answer.status_code

    return asyncio.run(ask())


def _nobody(*_: str) -> Taken:
    raise AssertionError("nobody has written")


class Desk:
    """The routes over the post's table, with what people wrote beside it."""

    def __init__(self, on: Stage, folder: Path) -> None:
        self.replies: list[tuple[str, ...]] = []
        sections = {
            "zns": section_of(folder, "zns", {"app_id": APP_ID}, {"webhook_secret": OA_SECRET}),
            "zalo": section_of(folder, "zalo", {"app_id": APP_ID}),  # no secret: nobody is believed
            "sms": section_of(folder, "sms", {}),
        }

        def take(channel: str, receipt: Receipt) -> bool:
            return take_receipt(on.store, channel, receipt.id, receipt.received, receipt.error, NOON + 7)

        app = FastAPI()
        answer_with_problems(app)
        app.include_router(receipt_routes(Providers(hooks(sections), take, self.reply)))
        self.app = app

    def reply(self, *found: str) -> Taken:
        self.replies.append(found)
        return Taken(Outcome.ANSWERED)

    def post(self, channel: str, headers: dict[str, str], body: bytes) -> int:
        return post(self.app, channel, headers, body)


def test_zalos_receipt_reaches_the_message(on: Stage, tmp_path: Path) -> None:
    desk = Desk(on, tmp_path)

    assert desk.post("zns", *event("user_received_message", message={"msg_id": "zns-1", "tracking_id": "k"})) == 204
    assert rows(on) == [("sent", NOON + 7, "")]


def test_a_receipt_that_comes_before_the_answer_is_written_down_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web, "_AGAIN_S", 0.0)
    asked: list[str] = []

    def take(_: str, receipt: Receipt) -> bool:
        asked.append(receipt.id)
        return len(asked) > 1

    app = FastAPI()
    found = hooks({"zns": section_of(tmp_path, "zns", {"app_id": APP_ID}, {"webhook_secret": OA_SECRET})})
    app.include_router(receipt_routes(Providers(found, take, _nobody)))
    headers, body = event("user_received_message", message={"msg_id": "n"})

    assert post(app, "zns", headers, body) == 204
    assert asked == ["n", "n"]


def test_what_people_wrote_is_handed_on(on: Stage, tmp_path: Path) -> None:
    desk = Desk(on, tmp_path)

    said = event("user_send_text", sender={"id": "2512523625412515"}, message={"text": "2", "msg_id": "m-1"})
    assert desk.post("zns", *said) == 204
    assert desk.replies == [("zns", "2512523625412515", "2", "m-1")]


def test_strangers_are_refused_and_made_to_wait(on: Stage, tmp_path: Path) -> None:
    desk = Desk(on, tmp_path)
    headers, body = event("user_received_message", message={"msg_id": "zns-1"})

    assert desk.post("zns", headers, body + b" ") == 403
    assert desk.post("zalo", headers, body) == 404  # no secret is set up for it
    assert desk.post("sms", headers, body) == 404
    assert desk.post("zns", headers, b"x" * 20_000) == 413
    assert 429 in {desk.post("zns", {}, b"{}") for _ in range(40)}
    assert desk.post("zns", headers, body) == 204  # whoever is genuine is let in all the same
    assert rows(on) == [("sent", NOON + 7, "")]
