"""What is said around a subscription: the words that are agreed to, the code, and what ends it. Plain data, pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from alerts.people.resident import Choice
from alerts.words.names import LANGS, Lang, area_name, area_of, hazard_name, one_line
from ingest.city import City

CHANNELS: Final[Mapping[Lang, Mapping[str, str]]] = {
    "vi": {"mail": "thư điện tử", "sms": "tin nhắn SMS", "zalo": "Zalo", "zns": "Zalo", "webpush": "trình duyệt"},
    "en": {"mail": "e-mail", "sms": "SMS", "zalo": "Zalo", "zns": "Zalo", "webpush": "this browser"},
}
_TERMS: Final[Mapping[Lang, str]] = {
    "vi": "Tôi đồng ý nhận cảnh báo của {city} về {hazards} tại {areas} qua {channels}. Thành phố lưu các khu vực và "
    "lựa chọn của tôi, và địa chỉ liên hệ ở dạng mã hóa, chỉ để gửi cảnh báo cho đến khi tôi dừng. "
    "Tôi có thể xem, sửa, tải về, dừng hoặc xóa tất cả bất cứ lúc nào.",
    "en": "I agree to be sent warnings of {city} about {hazards} in {areas} by {channels}. The city keeps the areas "
    "and my choices, and the contact address encrypted, only to send warnings until I end it. "
    "I can see, change, download, end or delete all of it at any time.",
}
_CODE: Final[Mapping[Lang, str]] = {
    "vi": "Mã {code} để nhận cảnh báo của {city}, dùng trong {minutes} phút. "
    "Nếu bạn không đăng ký, xin bỏ qua tin này.",
    "en": "Code {code} to get warnings of {city}, good for {minutes} minutes. If you did not sign up, ignore this.",
}
_LINK: Final[Mapping[Lang, str]] = {"vi": "Hoặc mở: {url}", "en": "Or open: {url}"}
_CODE_SUBJECT: Final[Mapping[Lang, str]] = {
    "vi": "Xác nhận nhận cảnh báo của {city}",
    "en": "Confirm warnings of {city}",
}
_ALREADY: Final[Mapping[Lang, str]] = {
    "vi": "Địa chỉ này đang nhận cảnh báo của {city}; không cần đăng ký lại. "
    "Nếu bạn không yêu cầu, xin bỏ qua tin này.",
    "en": "This address gets warnings of {city} already; nothing more is needed. If you did not ask, ignore this.",
}
_MANAGE: Final[Mapping[Lang, str]] = {
    "vi": "Xem, sửa hoặc dừng (trong {minutes} phút): {url}",
    "en": "See, change or end it (within {minutes} minutes): {url}",
}
_ALREADY_SUBJECT: Final[Mapping[Lang, str]] = {
    "vi": "Bạn đang nhận cảnh báo của {city}",
    "en": "You get warnings of {city}",
}
# What is written down beside the time when somebody ends it, takes his data with him, or has it deleted.
SAID: Final[Mapping[str, Mapping[Lang, str]]] = {
    "ended": {"vi": "Tôi không muốn nhận cảnh báo qua {channels} nữa.", "en": "I want no more warnings by {channels}."},
    "gone": {"vi": "Không còn gửi được qua {channels}.", "en": "Nothing reaches this address by {channels} any more."},
    "exported": {"vi": "Tải về dữ liệu của tôi.", "en": "Download my data."},
    "deleted": {"vi": "Xóa dữ liệu của tôi.", "en": "Delete my data."},
    "kept no longer": {"vi": "Hết thời hạn lưu, đã xóa.", "en": "Kept no longer, deleted."},
}  # fmt: skip


def terms(choice: Choice, channels: Sequence[str], city: City, lang: Lang) -> str:
    """What somebody agrees to who confirms this choice; it names places and channels, and no person.

    The same words for the same choice, in whatever order it was made: what is written down is what was shown.
    """
    rows = sorted(choice.subscriptions)
    hazards = dict.fromkeys(hazard_name(one.hazard, lang) for one in rows)
    areas = dict.fromkeys(area_name(area_of(city, one.area), lang) for one in rows)
    return _TERMS[lang].format(
        city=one_line(city.name), hazards=", ".join(hazards), areas=", ".join(areas), channels=_named(channels, lang)
    )


def said(what: str, channels: Sequence[str], lang: Lang) -> str:
    return SAID[what][lang].format(channels=_named(channels, lang))


def code_body(
    code: str, city: City, minutes: int, *, url: str, linked: bool, agreed: Mapping[Lang, str]
) -> dict[str, Any]:  # fmt: skip
    """An errand that carries a code. `url`: where it is confirmed without typing; in the text only if `linked`.

    `agreed`: the terms. Who opens the link may never have seen the page of the sign-up, so they stand before it.
    """
    name = one_line(city.name)
    texts = {lang: _CODE[lang].format(code=code, city=name, minutes=minutes) for lang in LANGS}
    if url and linked:
        texts = {lang: f"{text}\n\n{agreed[lang]}\n\n{_LINK[lang].format(url=url)}" for lang, text in texts.items()}
    return _body("confirm", _CODE_SUBJECT, name, texts, url) | {"code": code, "minutes": minutes}


def already_body(city: City, minutes: int, *, url: str) -> dict[str, Any]:
    """An errand that says that this address is subscribed. `url`: where that is changed; "": nowhere."""
    name = one_line(city.name)
    texts = {lang: _ALREADY[lang].format(city=name) for lang in LANGS}
    if url:
        texts = {lang: f"{text} {_MANAGE[lang].format(url=url, minutes=minutes)}" for lang, text in texts.items()}
    return _body("already", _ALREADY_SUBJECT, name, texts, url)


def _body(
    kind: str, subject: Mapping[Lang, str], city: str, texts: Mapping[Lang, str], url: str
) -> dict[str, Any]:  # fmt: skip
    subjects = {lang: text.format(city=city) for lang, text in subject.items()}
    return {"kind": kind, "subject": subjects, "texts": dict(texts), "url": url}


def _named(channels: Sequence[str], lang: Lang) -> str:
    return ", ".join(dict.fromkeys(CHANNELS[lang].get(channel, channel) for channel in channels))
