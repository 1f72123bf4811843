"""What is answered to a code, worked out before the template: plain records of plain words. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pydantic import Field

from alerts.incidents.incident import Notice
from alerts.ledger.codes import Coded, Worded
from alerts.proof.code import shown
from alerts.proof.signature import NotSignedError, WrongSignatureError, verify
from alerts.proof.verdict import Verdict, verdict
from alerts.web.check_labels import LABELS, verdict_sentence, verdict_word
from alerts.web.schemas import Shape
from alerts.words.names import LANGS, Lang, local_time


class CheckOut(Shape):
    """What a code stands for. Of an unknown or mistyped code a problem says `verdict` as well."""

    code: str = Field(examples=["K7PM2X9D"])
    verdict: Verdict = Field(description="genuine, superseded, over, withdrawn; damaged: not to be confirmed now")
    exercise: bool = Field(description="nothing of it is real")
    sentence: dict[str, str] = Field(description="what the verdict means, by language")
    message: dict[str, Any] | None = Field(description="as it was sent, with its signature; null: damaged")
    newest: dict[str, Any] | None = Field(
        description="the newest message of the same warning, where it is another one and is worded already"
    )


@dataclass(frozen=True, slots=True)
class Said:
    """A message on the page. `texts`: language and text, the page's language first."""

    code: str
    shown: str
    sent: str
    sent_iso: str
    texts: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class CheckPage:
    """`verdict` "": nothing was asked yet. `qr`: its address, "" where there is none."""

    lang: Lang
    labels: Mapping[str, str]
    title: str
    path: str
    verdict: str
    word: str
    sentence: str
    exercise: bool
    typed: str
    said: Said | None
    newest: Said | None
    qr: str
    url: str


def check(code: str, coded: Coded, keys: Mapping[str, Ed25519PublicKey], now_ms: int) -> CheckOut:
    """`keys`: ours; what is kept is believed by its signature alone."""
    message, newest = sound(coded.said, keys), None
    found = verdict(
        coded.said.notice, coded.newest.notice, closed=coded.closed or _is_past(coded.newest.notice, now_ms)
    )
    if message is None or message["code"] != code:
        found, message = Verdict.DAMAGED, None
    elif coded.newest.notice.version != coded.said.notice.version:
        newest = sound(coded.newest, keys)
    exercise = coded.said.notice.drill or bool(message and message["exercise"])
    sentences: dict[str, str] = {lang: verdict_sentence(found, lang, exercise=exercise) for lang in LANGS}
    return CheckOut(
        code=code, verdict=found, exercise=exercise, sentence=sentences, message=message, newest=newest
    )  # fmt: skip


def _is_past(notice: Notice, now_ms: int) -> bool:
    """What is planned has no row that closes: it is over at its announced end."""
    return notice.planned is not None and notice.planned.until <= now_ms


def sound(worded: Worded, keys: Mapping[str, Ed25519PublicKey]) -> dict[str, Any] | None:
    """What a version says, where it bears our signature and is of that version; else None."""
    body, notice = worded.body, worded.notice
    if body is None:
        return None
    try:
        verify(body, keys)
    except (NotSignedError, WrongSignatureError):
        return None
    return body if (body["incident"], body["version"]) == (notice.incident, notice.version) else None


def check_page(
    found: CheckOut, city: str, zone: ZoneInfo, lang: Lang, *, qr: str, url: str
) -> CheckPage:  # fmt: skip
    return CheckPage(
        lang=lang, labels=LABELS[lang], title=LABELS[lang]["title"].format(city=city), path=f"/v/{found.code}",
        verdict=found.verdict.value, word=verdict_word(found.verdict, lang, exercise=found.exercise),
        sentence=found.sentence[lang], exercise=found.exercise, typed=shown(found.code),
        said=_said(found.message, zone, lang), newest=_said(found.newest, zone, lang), qr=qr, url=url,
    )  # fmt: skip


def asking_page(city: str, lang: Lang, verdict: Verdict | None = None, typed: str = "") -> CheckPage:
    """The page with nothing but the form, and why: the code is unknown, or none."""
    return CheckPage(
        lang=lang, labels=LABELS[lang], title=LABELS[lang]["title"].format(city=city), path="/v",
        verdict=verdict.value if verdict else "", word=verdict_word(verdict, lang, exercise=False) if verdict else "",
        sentence=verdict_sentence(verdict, lang, exercise=False) if verdict else "", exercise=False, typed=typed,
        said=None, newest=None, qr="", url="",
    )  # fmt: skip


def _said(message: Mapping[str, Any] | None, zone: ZoneInfo, lang: Lang) -> Said | None:
    if message is None:
        return None
    sent = datetime.fromisoformat(message["sent"])
    texts = sorted(((code, text) for code, text in message["texts"].items()), key=lambda row: row[0] != lang)
    return Said(
        code=message["code"], shown=shown(message["code"]), texts=tuple(texts),
        sent=local_time(int(sent.timestamp() * 1000), zone, lang), sent_iso=sent.astimezone(zone).isoformat(),
    )  # fmt: skip
