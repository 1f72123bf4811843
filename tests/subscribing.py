"""A town to subscribe in: real store and seal, two channels, a clock, and errands as the post reads them."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
from faces import Town, town_city, town_view
from sqlalchemy import select

from alerts.delivery.channels.channel import Reached
from alerts.residents.book import Book
from alerts.residents.errands import opened
from alerts.residents.limits import SignUpLimits
from alerts.residents.schema import errand
from alerts.residents.seal import Seal
from alerts.residents.store import FILE, open_residents
from alerts.web.app import create_app
from alerts.web.sources import ResidentsDesk, Sources

KEY = bytes(range(32))
API = "/api/v1/subscriptions"
URL = "https://canhbao.example.vn/"
AREAS = [{"code": "20242"}]
NAME = "nhà bà Trần Thị Sáu đầu ngõ"


def mail(text: str) -> Reached:
    text = text.strip().lower()
    if not re.fullmatch(r"[^@\s]+@[^@\s]+", text):
        raise ValueError("an address such as name@example.vn")
    return Reached(text, text.rpartition("@")[2])


def phone(text: str) -> Reached:
    digits = re.sub(r"[\s.-]", "", text)
    if not re.fullmatch(r"0\d{9}", digits):
        raise ValueError("ten digits, such as 0905 123 456")
    return Reached("+84" + digits[1:])


class Residents:
    """`now_ms` is the town's; `seconds` the clock of the limits."""

    def __init__(self, folder: Path, *, key: bytes = KEY, url: str = URL) -> None:
        self.folder, self.seal, self.seconds = folder, Seal(key), 1_000.0
        self.town = Town(folder, town_view(town_city()))
        self.store = open_residents(folder)
        self.book = Book(self.store, self.seal, SignUpLimits(lambda: self.seconds), url)
        self.reach = {"mail": mail, "sms": phone}

    def sources(self) -> Sources:
        return replace(self.town.sources(), residents=ResidentsDesk(self.book, self.reach))

    def app(self) -> Any:
        return create_app(self.sources())

    def errands(self, after: int = 0) -> list[Mapping[str, Any]]:
        """As the post reads them: body, and to which contact."""
        with self.store.reading() as db:
            rows = db.execute(select(errand).where(errand.c.id > after).order_by(errand.c.id)).all()
        return [
            {**opened(self.seal, row.id, row.body), "contact": row.contact, "id": row.id, "row": row} for row in rows
        ]

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.folder / FILE)) as db:
            return db.execute(query).fetchall()

    def close(self) -> None:
        self.store.close()
        self.town.ledger.close()

    # -- a resident at the page

    def sign_up(self, client: httpx.Client, *contacts: tuple[str, str], **more: Any) -> Any:
        sent = [{"channel": channel, "address": address} for channel, address in contacts]
        answer = client.post(API, json={"areas": AREAS, "contacts": sent, **more})
        assert answer.status_code == 202, answer.text
        return answer.json()

    def subscribed(
        self, client: httpx.Client, channel: str = "mail", address: str = "lan@example.vn", **more: Any
    ) -> str:
        """The token of somebody who has signed up and confirmed by code."""
        self.seconds += 3_600  # whatever was asked of this address before
        asked = self.sign_up(client, (channel, address), **more)
        (id_,) = [one["id"] for one in asked["confirm"]]
        answer = client.post(f"{API}/confirm", json={"id": id_, "code": self.errands()[-1]["code"]})
        assert answer.status_code == 200, answer.text
        return str(answer.json()["token"])


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def bytes_of(folder: Path) -> bytes:
    """Everything that lies in the folder, write-ahead logs too."""
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())
