"""What a leader of a ward group means by a short reply: "1", "đã báo rồi", "2 cần giúp cụ Hai". Pure.

The two mistakes weigh differently. A call for help that is read as "told" leaves people alone, so TOLD is said only
where every word of the reply is one of those by which people say it. A "told" that is read as a call for help costs a
phone call, so NEEDS_HELP is said wherever somebody begins with 2 or asks for help in words. All else is for a person.
"""

from __future__ import annotations

import re
import unicodedata
from enum import StrEnum
from typing import Final

REPLY_MOST: Final = 500  # characters that are looked at and kept


class Meaning(StrEnum):
    TOLD = "told"
    NEEDS_HELP = "needs_help"
    BOTH = "both"  # both answers, or an answer and its opposite: asked again
    END = "end"  # no more messages
    OTHER = "other"


_WORD: Final = re.compile(r"[a-z0-9]+")
_CODES: Final = frozenset(("1", "2"))
_CHOICE: Final = frozenset(("1", "2", "and", "hay", "hoac", "la", "or", "va"))  # and nothing else
# Whole replies: "dung" is not among them, since without accents it is both "stop" and "correct".
_END: Final = {"stop", "tc", "tu choi", "huy", "huy dang ky", "ngung nhan tin", "unsubscribe"}
_HELP: Final = re.compile(
    r"\b(can (duoc )?(giup( do)?|ho tro|cuu( ho| nan| tro)?)|xin (giup|ho tro|cuu)|giup (do )?(toi|chung toi|voi|gap)"
    r"|cuu (toi|chung toi|voi|gap|ho|nan)|sos|needs? (some )?help|help)\b"
)
_NO_HELP: Final = re.compile(
    r"\b(khong|chua|chang|ko|k|no|not|dont|don t) (ai |ho nao )?(can|need|needs)? ?(duoc |phai |any )?"
    r"(giup( do)?|ho tro|cuu( ho| tro)?|help)( needed)?\b"
)
_TOLD: Final = re.compile(r"\b(da (thong )?bao|bao (xong|roi|het|du)|thong bao (xong|roi|het|du)|told|informed)\b")
_NOT: Final = re.compile(r"\b(chua|khong|chang|ko|not)\b")
# What may stand beside a bare 1: nothing that can be counted ("1 người" is one person), nothing that carries a wish.
_BESIDE_CODE: Final = frozenset(
    ("a", "anh", "chi", "da", "done", "em", "nhe", "ok", "oke", "okay", "roi", "vang", "xong", "yes")
)
# What may stand beside "đã báo".
_BESIDE_TOLD: Final = _BESIDE_CODE | {
    "all", "ba", "bao", "bo", "ca", "cac", "cho", "con", "dan", "du", "everyone", "have", "het", "ho", "households",
    "i", "informed", "moi", "nguoi", "nha", "tat", "the", "them", "thong", "to", "toan", "toi", "told", "trong", "va",
    "we",
}  # fmt: skip


def meaning(text: str) -> Meaning:
    """With or without accents, in any case, with any punctuation; a text longer than REPLY_MOST is read up to there."""
    words = _WORD.findall(_plain(text[:REPLY_MOST]))
    said = " ".join(words)
    if said in _END:
        return Meaning.END
    left = _NO_HELP.sub(" ", said)
    denied, told = left != said, _TOLD.search(left) is not None
    both = set(words) >= _CODES
    if _HELP.search(left):
        return Meaning.BOTH if denied or (both and told) else Meaning.NEEDS_HELP
    if words[:1] == ["2"] and not (denied or told or (both and set(words) <= _CHOICE)):
        return Meaning.NEEDS_HELP
    if both or ("2" in words and (denied or told)):
        return Meaning.BOTH
    return Meaning.TOLD if _all_told(left) else Meaning.OTHER


def _all_told(left: str) -> bool:
    words = left.split()
    coded = words[:1] == ["1"]
    rest = set(words[coded:])
    if _NOT.search(left):
        return False
    return rest <= _BESIDE_TOLD if _TOLD.search(left) else coded and rest <= _BESIDE_CODE


def _plain(text: str) -> str:
    """Small letters without accents; digits of any script and width as ASCII."""
    apart = unicodedata.normalize("NFKD", text.replace("đ", "d").replace("Đ", "D"))
    return "".join(c for c in apart if not unicodedata.combining(c)).casefold()
