"""What a leader of a ward group is asked beneath a warning, and what he is told about his answer. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from alerts.incidents.incident import Reason
from alerts.words.names import LANGS, Lang
from alerts.words.sms import sms

# An easing and an end ask nobody to knock on doors.
ASKING: Final = (Reason.FIRST, Reason.WORSE, Reason.UPDATED)
# As short as can be: in a short message without accents each of these is less than half a segment.
_BY_REPLY: Final[Mapping[Lang, str]] = {
    "vi": "Trả lời 1: đã báo các hộ; 2: cần giúp.",
    "en": "Reply 1: households told; 2: need help.",
}
_BY_BOTH: Final[Mapping[Lang, str]] = {"vi": "{reply} Hoặc: {link}", "en": "{reply} Or: {link}"}
_BY_LINK: Final[Mapping[Lang, str]] = {
    "vi": "Đã báo các hộ hay cần giúp? Trả lời tại {link}",
    "en": "Households told, or help needed? Answer at {link}",
}
AGAIN: Final[Mapping[Lang, str]] = {
    "vi": "Chưa rõ câu trả lời. Chỉ nhắn một số. 1: đã báo các hộ; 2: cần giúp.",
    "en": "Your answer is not clear. Send one number only. 1: households told; 2: need help.",
}
AGAIN_SUBJECT: Final[Mapping[Lang, str]] = {"vi": "Xin trả lời lại", "en": "Please answer again"}


def asked(body: Mapping[str, Any], lang: Lang, link: str, *, replies: bool) -> str:
    """The line that asks for an answer to the message `body`; "" where it asks for none.

    `link` "": nobody has said where the service is reached. `replies`: whether the channel carries answers back.
    """
    if body["reason"] not in ASKING or not (link or replies):
        return ""
    if not replies:
        return _BY_LINK[lang].format(link=link)
    reply = _BY_REPLY[lang]
    return _BY_BOTH[lang].format(reply=reply, link=link) if link else reply


def asking(body: Mapping[str, Any], link: str, *, replies: bool) -> dict[str, Any]:
    """`body` (alerts/words/message.py) with that line in every written form. The spoken ones cannot be answered.

    In short messages the link stays away where a reply will do: it would cost a segment of its own.
    """
    made = dict(body)
    for form, before in (("texts", " "), ("long", "\n\n")):
        if form in body:
            made[form] = {lang: _joined(body[form][lang], asked(body, lang, link, replies=replies), before)
                          for lang in LANGS}  # fmt: skip
    if "sms" in body:
        short = "" if replies else link
        texts = {lang: sms(_joined(body["sms"][lang]["text"], asked(body, lang, short, replies=replies), " "))
                 for lang in LANGS}  # fmt: skip
        made["sms"] = {lang: {"text": text.text, "segments": text.segments} for lang, text in texts.items()}
    return made


def again() -> dict[str, Any]:
    """The body of the errand that asks for a clear answer."""
    return {
        "kind": "answer_again",
        "subject": dict(AGAIN_SUBJECT),
        "texts": dict(AGAIN),
        "sms": {lang: {"text": (text := sms(AGAIN[lang])).text, "segments": text.segments} for lang in LANGS},
    }


def _joined(text: str, line: str, between: str) -> str:
    return text + between + line if line else text
