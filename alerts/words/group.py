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
_AGAIN: Final[Mapping[Lang, str]] = {
    "vi": "Chưa rõ câu trả lời. Chỉ nhắn một số. 1: đã báo các hộ; 2: cần giúp.",
    "en": "Your answer is not clear. Send one number only. 1: households told; 2: need help.",
}
_AGAIN_SUBJECT: Final[Mapping[Lang, str]] = {"vi": "Xin trả lời lại", "en": "Please answer again"}
# 112 is the country's number for search and rescue.
_NOT_ASKED: Final[Mapping[Lang, str]] = {
    "vi": "Không có cảnh báo nào đang chờ bạn trả lời, tin của bạn không có người đọc. Cần cứu giúp: gọi 112.",
    "en": "No warning is waiting for your answer, and nobody reads this message. If you need rescue: call 112.",
}
_NOT_ASKED_SUBJECT: Final[Mapping[Lang, str]] = {"vi": "Tin không có người đọc", "en": "Nobody reads this message"}

PAGE: Final[Mapping[Lang, Mapping[str, str]]] = {
    "vi": {
        "title": "Trả lời cảnh báo",
        "ask": "Bạn đã báo cho các hộ trong tổ chưa?",
        "note": "Ghi chú, nếu cần: ai cần giúp, ở đâu",
        "told": "Đã báo các hộ",
        "needs_help": "Cần giúp",
        "taken_told": "Đã ghi nhận: đã báo các hộ.",
        "taken_help": "Đã ghi nhận: cần giúp.",
        "wrong": "Liên kết này không còn hiệu lực. Hãy mở liên kết trong tin mới nhất.",
        "fails": "Chưa gửi được. Hãy thử lại.",
        "noscript": "Trang này cần JavaScript.",
        "rescue": "Nguy hiểm đến tính mạng: gọi 112.",
    },
    "en": {
        "title": "Answer a warning",
        "ask": "Have you told the households of your group?",
        "note": "A note, if needed: who needs help, and where",
        "told": "Households told",
        "needs_help": "Need help",
        "taken_told": "Written down: households told.",
        "taken_help": "Written down: help needed.",
        "wrong": "This link is no longer valid. Open the one in the newest message.",
        "fails": "It was not sent. Try again.",
        "noscript": "This page needs JavaScript.",
        "rescue": "If a life is in danger: call 112.",
    },
}


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
    return _errand("answer_again", _AGAIN_SUBJECT, _AGAIN)


def not_asked() -> dict[str, Any]:
    """The body of the errand that says that nobody reads what was sent: silence would be taken for help on its way."""
    return _errand("nothing_asked", _NOT_ASKED_SUBJECT, _NOT_ASKED)


def _errand(kind: str, subject: Mapping[Lang, str], texts: Mapping[Lang, str]) -> dict[str, Any]:
    short = {lang: sms(texts[lang]) for lang in LANGS}
    return {
        "kind": kind, "subject": dict(subject), "texts": dict(texts),
        "sms": {lang: {"text": one.text, "segments": one.segments} for lang, one in short.items()},
    }  # fmt: skip


def _joined(text: str, line: str, between: str) -> str:
    return text + between + line if line else text
