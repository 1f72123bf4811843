"""A town with ward groups: the real app, the real files of residents and of the post."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
from faces import NOW, Town, serving, town_view
from sqlalchemy import func, insert, select
from test_operators import MACHINE, Spine, city

from alerts.delivery.channels import sms
from alerts.delivery.hooks import Hook
from alerts.delivery.parcel import Lane, Status
from alerts.given import Given, Secret, Section
from alerts.incidents.incident import Notice, Reason
from alerts.ledger.audit import Audit
from alerts.ledger.people import By, People
from alerts.ledger.store import Store
from alerts.people.user import Role, User
from alerts.post.schema import message, telling
from alerts.post.store import open_post
from alerts.residents import schema
from alerts.residents.ground import Ground
from alerts.residents.group_desk import GroupDesk
from alerts.residents.seal import Seal
from alerts.residents.store import open_residents
from alerts.staff import Staff
from alerts.web.app import create_app
from alerts.web.sources import Desks, PeopleDesk, Providers

SEAL = Seal(bytes(range(32)))
SECRET = "the gateway's own secret"
API = "/api/v1"
PHONES = ("+84900000001", "+84900000002", "+84900000003", "+84900000004", "+84900000005")


KINDS = {name: replace(sms.KIND, name=name) for name in ("sms", "zalo")}  # another channel that reaches numbers
HOOK = {"reply_from_at": "/from", "reply_text_at": "/text", "reply_id_at": "/id"}


def _inbound() -> Hook:
    """The gateway's calls, in the shape that the settings of these tests give them."""
    keys = {key: Given(HOOK.get(key, default), f"sms.{key}", Path()) for key, default in sms.KIND.keys.items()}
    return sms.SmsHook(Section(keys, {"hook_secret": Secret(SECRET)}))


@dataclass
class Groups:
    """`ask` as somebody; `tell` puts what the post would have made of a notice into its file."""

    town: Town
    people: People
    residents: Store
    post: Store
    ground: Ground
    desk: GroupDesk
    tokens: dict[str, str] = field(default_factory=lambda: {"machine": MACHINE})
    client: httpx.Client = field(default_factory=httpx.Client)
    url: str = ""

    def engage(self, name: str, role: Role, areas: tuple[str, ...] = (), hazards: tuple[str, ...] = ()) -> None:
        self.people.add(User(name, role, areas, hazards), By("operator", NOW))
        self.tokens[name] = self.people.issue(name, By("operator", NOW))

    def ask(self, who: str, method: str, path: str, body: Any = None, **more: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.tokens[who]}"} if who else {}
        given = {"content": body} if isinstance(body, bytes) else {"json": body}
        return self.client.request(method, path, headers=headers | more.pop("headers", {}), **given, **more)

    def group(self, area: str, name: str, *phones: str, households: int = 80) -> int:
        """A group of the desk's own making, with a leader a phone."""
        sent = {"area": area, "name": name, "households": households}
        id_ = self.ask("machine", "POST", f"{API}/groups", sent).json()["id"]
        for phone in phones:
            self.appoint(id_, phone)
        return int(id_)

    def appoint(self, group: int, phone: str, channel: str = "sms") -> httpx.Response:
        sent = {"lang": "vi", "contacts": [{"channel": channel, "address": phone}]}
        return self.ask("machine", "POST", f"{API}/groups/{group}/leaders", sent)

    def contact(self, phone: str, channel: str = "sms") -> int:
        query = select(schema.contact.c.id).where(schema.contact.c.digest == SEAL.digest(channel, phone))
        with self.residents.reading() as db:
            return int(db.execute(query).scalar_one())

    def tell(
        self, incident: str, version: int = 1, reason: Reason = Reason.FIRST, *, to: tuple[str, ...] = (),
        status: Status = Status.SENT, maybe: bool = False, at: int = NOW, leader: int | None = None, level: int = 3,
    ) -> list[int]:  # fmt: skip
        """The version is in the ledger, and told to those phones. Numbers of the messages."""
        hazard, area, _ = incident.split(".")
        self.town.tell(Notice(incident, version, reason, hazard, area, level, 0, at, at, None))
        numbers = []
        with self.post.writing() as db:
            seq = int(db.execute(select(func.coalesce(func.max(telling.c.seq), 0))).scalar_one()) + 1
            db.execute(insert(telling), {
                "seq": seq, "incident": incident, "version": version, "hazard": hazard, "area": area, "level": level,
                "reason": reason.value, "arrival": at, "event": "", "lane": Lane.URGENT, "expires_at": at + 7_200_000,
                "leader": seq,
            })  # fmt: skip
            for phone in to:
                made = db.execute(insert(message).returning(message.c.id), {
                    "seq": seq, "contact": self.contact(phone), "via": "sms", "lane": Lane.URGENT,
                    "status": status.value, "attempts": 1, "heard_only": False, "leader": leader,
                    "created_at": at, "since": at,
                    "expires_at": at + 7_200_000, "sent_at": at if status is Status.SENT else None,
                    "provider_id": "", "maybe": maybe, "fell_back": False, "error": "",
                })  # fmt: skip
                numbers.append(int(made.scalar_one()))
        return numbers

    def says(self, phone: str, text: str, id_: str = "", secret: str = SECRET) -> httpx.Response:
        body = {"from": phone, "text": text} | ({"id": id_} if id_ else {})
        return self.client.post(f"{API}/replies/sms", json=body, headers={"X-Canhbao-Secret": secret})

    def state(self, incident: str, group: int, who: str = "machine") -> str:
        answer = self.ask(who, "GET", f"{API}/alerts/{incident}/groups").json()
        return str(next(one["state"] for one in answer["groups"] if one["id"] == group))

    def rows(self, table: Any) -> list[Any]:
        with self.residents.reading() as db:
            return list(db.execute(select(table)))

    @property
    def audited(self) -> list[str]:
        assert Audit(self.town.ledger.store).verify()[1] is None
        return [row.entry.verb for row in reversed(Audit(self.town.ledger.store).page(limit=100)[0])]


@contextmanager
def groups_in(folder: Path) -> Iterator[Groups]:
    town = Town(folder, town_view(city()))
    residents, post = open_residents(folder), open_post(folder)
    store = town.ledger.store
    ground = Ground(residents, store, SEAL, KINDS, lambda: town.view.city, lambda: ("flood", "rain", "school"),
                    lambda: town.now_ms)  # fmt: skip
    desk = GroupDesk(ground, post)
    people = People(store)
    staff = Staff(people, lambda: town.view.city, lambda: town.now_ms)
    desks = Desks(MACHINE, None, people=PeopleDesk(staff, Audit(store), Spine(store).act), groups=desk)  # type: ignore[arg-type]  # no letters here
    providers = Providers({"sms": _inbound()}, lambda *_: False, desk.reply)
    app = create_app(replace(town.sources(desks), providers=providers))
    with serving(town, app) as url, httpx.Client(base_url=url, timeout=10) as client:
        yield Groups(town, people, residents, post, ground, desk, client=client, url=url)
    for one in (residents, post, town.ledger):
        one.close()
