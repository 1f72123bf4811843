"""What one recipient reads: the words of the notice, and what is his alone."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, TypeAlias

import msgspec
from sqlalchemy import Connection, bindparam, select
from sqlalchemy.dialects.sqlite import insert

from alerts.incidents.incident import Notice
from alerts.post import schema
from alerts.post.store import errand
from alerts.residents.answer_keys import answer_key
from alerts.residents.end_keys import end_key
from alerts.residents.seal import Seal, SealError
from alerts.words.city_event import city_message, gravest, told_of
from alerts.words.code_line import code_lines
from alerts.words.group import asking
from alerts.words.names import LANGS, Lang
from alerts.words.proxy import with_proxy
from ingest.city import City

KEPT_MOST: Final = 512  # contents held ready; of more, the oldest is read again
_CONTENT: Final = select(schema.content.c.body).where(schema.content.c.notices == bindparam("of"))
_KEEP: Final = insert(schema.content).on_conflict_do_nothing()
_INCIDENT: Final = select(schema.telling.c.incident).where(schema.telling.c.seq == bindparam("of"))
_ERRAND: Final = select(errand.c.body).where(errand.c.id == bindparam("of"))


class UnfitError(Exception):
    """No message can be made. `later`: not yet; else never, and the text says why."""

    def __init__(self, message: str, *, later: bool = False) -> None:
        super().__init__(message)
        self.later = later


@dataclass(frozen=True, slots=True)
class Recipient:
    """A contact, as the residents' file has it; what is sealed is sealed here as well."""

    contact: int
    resident: int
    channel: str
    address: bytes = field(repr=False)
    lang: Lang
    quiet: str
    daily_cap: int
    proxy_for: bytes | None = field(repr=False)
    leads: int | None
    state: str

    def wants(self, seq: int) -> bool:
        """Warnings: as long as he is active. Errands: also while he has not confirmed yet."""
        return self.state == "active" or (seq < 0 and self.state == "pending")


Compose: TypeAlias = Callable[[Connection, Sequence[int], Recipient], tuple[str, Mapping[str, Any]]]


class Contents(Protocol):
    """The reading side of the ledger that texts come from."""

    def content(self, seq: int) -> dict[str, Any] | None: ...
    def notice(self, seq: int) -> Notice | None: ...


class Composer:
    """`city`: the registry in force. `public_url`: of the service, with its last slash; "": no links. `exercise`:
    nothing that this service says is real. `replies`: the channels that carry answers back.
    """

    def __init__(
        self, contents: Contents, seal: Seal, city: Callable[[], City], *, public_url: str, exercise: bool = False,
        replies: Collection[str] = (),
    ) -> None:  # fmt: skip
        self._contents, self._seal, self._city = contents, seal, city
        self._public_url, self._exercise, self._replies = public_url, exercise, replies
        self._kept: dict[str, Mapping[str, Any]] = {}

    def __call__(self, db: Connection, seqs: Sequence[int], to: Recipient) -> tuple[str, Mapping[str, Any]]:
        """Address and body. Raises UnfitError."""
        try:
            address = self._seal.open(to.address, f"contact {to.contact}")
            if seqs[0] < 0:
                return address, self._errand(db, -seqs[0])
            body = dict(self._said(db, seqs))
            if self._public_url:
                self._add_links(body, to)
            if to.leads is not None:
                link = f"{self._public_url}g#{self._answer(db, seqs[0], to)}" if self._public_url else ""
                body = asking(body, link, replies=to.channel in self._replies)
            if to.proxy_for is not None:
                _add_proxy(body, self._seal.open(to.proxy_for, f"resident {to.resident}"))
        except SealError:
            raise UnfitError("sealed with another key than residents.key") from None
        return address, body

    def _add_links(self, body: dict[str, Any], to: Recipient) -> None:
        body["end_url"] = f"{self._public_url}api/v1/subscriptions/end/{end_key(self._seal, to.contact)}"
        body["manage_url"] = f"{self._public_url}subscribe"

    def _answer(self, db: Connection, seq: int, to: Recipient) -> str:
        return answer_key(self._seal, to.contact, db.execute(_INCIDENT, {"of": seq}).scalar_one())

    def _errand(self, db: Connection, id_: int) -> Mapping[str, Any]:
        sealed = db.execute(_ERRAND, {"of": id_}).scalar()
        if sealed is None:
            raise UnfitError("what was to be said is not there any more")
        return dict(msgspec.json.decode(self._seal.open(sealed, f"errand {id_}")))

    def _said(self, db: Connection, seqs: Sequence[int]) -> Mapping[str, Any]:
        name = "+".join(map(str, seqs))
        if (known := self._kept.get(name)) is None:
            known = self._one(seqs[0]) if len(seqs) == 1 else self._several(db, name, seqs)
            self._kept[name] = known
            if len(self._kept) > KEPT_MOST:
                del self._kept[next(iter(self._kept))]
        return known

    def _one(self, seq: int) -> Mapping[str, Any]:
        said = self._contents.content(seq)
        if said is None:
            raise UnfitError("its words are not made yet", later=True)
        return said

    def _several(self, db: Connection, name: str, seqs: Sequence[int]) -> Mapping[str, Any]:
        """One message that names the areas (CONTRACTS 6); written down, so that it says the same at every try."""
        if (written := db.execute(_CONTENT, {"of": name}).scalar()) is not None:
            return dict(msgspec.json.decode(written))
        notices = [notice for seq in seqs if (notice := self._contents.notice(seq)) is not None]
        of = {(notice.incident, notice.version): seq for notice, seq in zip(notices, seqs, strict=True)}
        worst = gravest(told_of(notices))
        body = dict(self._one(of[worst.incident, worst.version]))
        codes = code_lines(body.get("code", ""), self._public_url)
        texts = {lang: city_message(notices, self._city(), lang, page_url=body.get("url", ""), exercise=self._exercise,
                                    code=codes[lang]) for lang in LANGS}  # fmt: skip
        body |= {
            "areas": [notice.area for notice in told_of(notices)],
            "headline": {lang: made.headline for lang, made in texts.items()},
            "texts": {lang: made.short for lang, made in texts.items()},
            "long": {lang: made.long for lang, made in texts.items()},
            "spoken": {lang: made.spoken for lang, made in texts.items()},
            "sms": {lang: {"text": made.sms.text, "segments": made.sms.segments} for lang, made in texts.items()},
        }
        body.pop("signature", None)  # that is over the words of one notice
        at = max(notice.arrival for notice in notices)
        db.execute(_KEEP, {"notices": name, "at": at, "body": msgspec.json.encode(body).decode()})
        return body


def _add_proxy(body: dict[str, Any], whom: str) -> None:
    """In every written form: he may read any of them."""
    for form in ("texts", "long"):
        if form in body:
            body[form] = {lang: with_proxy(body[form][lang], lang, whom) for lang in LANGS}
