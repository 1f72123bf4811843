"""What the page says that tells whether a warning is genuine, in Vietnamese and English."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from alerts.proof.verdict import Verdict
from alerts.web.labels import EXERCISE
from alerts.words.names import Lang

LABELS: Final[Mapping[Lang, Mapping[str, str]]] = {
    "vi": {
        "title": "Kiểm tra cảnh báo – {city}",
        "language": "Ngôn ngữ",
        "skip": "Tới nội dung chính",
        "exercise": "DIỄN TẬP – không phải tình hình thật",
        "ask": "Mã ở cuối tin",
        "hint": "8 ký tự, ví dụ K7PM 2X9D. Chữ thường, dấu cách và dấu gạch đều được.",
        "check": "Kiểm tra",
        "code": "Mã",
        "original": "Nguyên văn tin đã gửi",
        "compare": "Hãy so từng chữ: mã có thể bị chép vào một tin đã sửa.",
        "sent": "Gửi lúc {time}",
        "newest": "Tin mới nhất của cảnh báo này",
        "qr": "Mã QR của địa chỉ này",
        "home": "Tình hình hiện tại trong thành phố",
        "machine": "Dành cho phần mềm",
        "signed": "Tin được ký bằng Ed25519; khóa công khai",
    },
    "en": {
        "title": "Check a warning – {city}",
        "language": "Language",
        "skip": "Skip to the content",
        "exercise": "EXERCISE – not the real situation",
        "ask": "The code at the end of the text",
        "hint": "8 characters, such as K7PM 2X9D. Small letters, blanks and dashes are fine.",
        "check": "Check",
        "code": "Code",
        "original": "The text as it was sent",
        "compare": "Compare it word by word: a code can be copied under a text that was changed.",
        "sent": "Sent at {time}",
        "newest": "The newest word of this warning",
        "qr": "QR code of this address",
        "home": "How the city stands right now",
        "machine": "For programs",
        "signed": "The message is signed (Ed25519); public key",
    },
}
WORDS: Final[Mapping[Lang, Mapping[Verdict, str]]] = {
    "vi": {
        Verdict.GENUINE: "Tin thật",
        Verdict.SUPERSEDED: "Tin thật, đã có tin mới hơn",
        Verdict.OVER: "Tin thật, cảnh báo đã kết thúc",
        Verdict.WITHDRAWN: "Tin đã bị rút lại",
        Verdict.UNKNOWN: "Không có mã này",
        Verdict.NOT_A_CODE: "Đây không phải là mã",
        Verdict.DAMAGED: "Không xác nhận được",
    },
    "en": {
        Verdict.GENUINE: "Genuine",
        Verdict.SUPERSEDED: "Genuine, but there is a newer word",
        Verdict.OVER: "Genuine, but the warning is over",
        Verdict.WITHDRAWN: "Withdrawn",
        Verdict.UNKNOWN: "No such code",
        Verdict.NOT_A_CODE: "This is not a code",
        Verdict.DAMAGED: "Cannot be confirmed",
    },
}
_SENTENCES: Final[Mapping[Lang, Mapping[Verdict, str]]] = {
    "vi": {
        Verdict.GENUINE: "Thành phố đã gửi tin này, và đây là tin mới nhất của một cảnh báo đang có hiệu lực.",
        Verdict.SUPERSEDED: "Thành phố đã gửi tin này, nhưng đã có tin mới hơn về cùng cảnh báo.",
        Verdict.OVER: "Thành phố đã gửi tin này; cảnh báo nay đã kết thúc.",
        Verdict.WITHDRAWN: "Thành phố đã gửi tin này rồi rút lại: đừng làm theo và đừng chuyển tiếp.",
        Verdict.UNKNOWN: "Thành phố không gửi tin nào có mã này. Đừng chuyển tiếp.",
        Verdict.NOT_A_CODE: "Có ký tự gõ nhầm hoặc thiếu. Hãy xem lại mã ở cuối tin.",
        Verdict.DAMAGED: "Mã có thật nhưng hiện không thể xác nhận nội dung. Hãy xem trang cảnh báo của thành phố.",
    },
    "en": {
        Verdict.GENUINE: "The city has sent this, and it is the newest word of a warning that is in force.",
        Verdict.SUPERSEDED: "The city has sent this, but there is a newer word on the same warning.",
        Verdict.OVER: "The city has sent this; the warning is over now.",
        Verdict.WITHDRAWN: "The city has sent this and taken it back: do not act on it, do not pass it on.",
        Verdict.UNKNOWN: "The city has sent nothing with this code. Do not pass it on.",
        Verdict.NOT_A_CODE: "A character is mistyped or missing. Look again at the end of the text.",
        Verdict.DAMAGED: "The code exists, but what was sent cannot be confirmed now. See the city's warning page.",
    },
}
# Of an exercise nothing may sound like a warning in force.
_DRILL_WORD: Final[Mapping[Lang, str]] = {"vi": "Không phải cảnh báo thật", "en": "Not a real warning"}
_DRILL: Final[Mapping[Lang, str]] = {
    "vi": "Thành phố đã gửi tin này để diễn tập: không có nguy hiểm thật.",
    "en": "The city has sent this for an exercise: there is no real danger.",
}


def verdict_sentence(verdict: Verdict, lang: Lang, *, exercise: bool) -> str:
    if not exercise:
        return _SENTENCES[lang][verdict]
    return EXERCISE[lang] + (_DRILL[lang] if verdict is Verdict.GENUINE else _SENTENCES[lang][verdict])


def verdict_word(verdict: Verdict, lang: Lang, *, exercise: bool) -> str:
    if not exercise:
        return WORDS[lang][verdict]
    return EXERCISE[lang] + (_DRILL_WORD[lang] if verdict is Verdict.GENUINE else WORDS[lang][verdict])
