"""The texts of the templates that Zalo approves beforehand: one by kind of hazard, level and state.

In Vietnamese, as Zalo wants a template in one language. What is open in them: area, headline, time and code; the rest
is the same that every other channel says. Sizes: a title of 9-65 characters, paragraphs of 9-400, names of 10-60.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from alerts.incidents.incident import DANGER, Reason
from alerts.incidents.outages import ADVISORY
from alerts.words.actions import after_the_end, what_to_do
from alerts.words.impacts import RIVER, impact, what_is_left
from alerts.words.measured import RIVER_NAMES
from alerts.words.message import PLANNED
from alerts.words.names import HAZARDS, LEVELS

TITLE: Final = (9, 65)
PARAGRAPH: Final = (9, 400)
KINDS: Final = ("rain", "flood", RIVER, "power", "school", "toilet")
# What may be told of a kind: at first or anew by hand; worse, from the second level on; eased by two levels or more, to
# one of the first two; the ends, which have no level.
LEVELS_OF: Final[Mapping[Reason, tuple[int, ...]]] = {
    Reason.FIRST: (1, 2, 3, 4),
    Reason.UPDATED: (1, 2, 3, 4),
    Reason.WORSE: (2, 3, 4),
    Reason.EASED: (1, 2),
    Reason.OVER: (0,),
    Reason.WITHDRAWN: (0,),
}
PLANNED_LEVELS: Final[Mapping[Reason, tuple[int, ...]]] = {
    Reason.PLANNED: (ADVISORY,),
    Reason.MOVED: (ADVISORY,),
    Reason.CALLED_OFF: (0,),
}
_SAME: Final = {Reason.UPDATED: Reason.FIRST}  # one text serves both
_BUTTON: Final = "Xem tin mới nhất"


@dataclass(frozen=True, slots=True)
class ZnsText:
    """What is handed in for one template. `states`: the reasons that it serves; `button`: its address is <dia_chi>."""

    kind: str
    level: int
    states: tuple[Reason, ...]
    name: str
    title: str
    paragraphs: tuple[str, ...]
    button: str = _BUTTON


def zns_texts() -> tuple[ZnsText, ...]:
    return (*_texts(), *_PLANNED)


def levels_of(kind: str) -> Mapping[Reason, tuple[int, ...]]:
    """What may be told of a kind, and at which levels."""
    return PLANNED_LEVELS if kind == PLANNED else LEVELS_OF


def _texts() -> Iterator[ZnsText]:
    for kind in KINDS:
        for reason, levels in LEVELS_OF.items():
            states = (reason, *(other for other, same in _SAME.items() if same is reason))
            if reason not in _SAME:
                yield from (_text(kind, level, states) for level in levels)


def _text(kind: str, level: int, states: tuple[Reason, ...]) -> ZnsText:
    named, word = _kind_name(kind), LEVELS["vi"][level]
    match states[0]:
        case Reason.WORSE:
            title = f"{word}: {named} nặng hơn"
        case Reason.EASED:
            title = f"{word}: {named} đã giảm"
        case Reason.OVER:
            title = f"Hết cảnh báo {named}"
        case Reason.WITHDRAWN:
            title = f"Rút lại cảnh báo {named}"
        case _:
            title = f"{word}: {named}"
    name = f"canhbao {kind} {level} {states[0]}" if level else f"canhbao {kind} {states[0]}"
    return ZnsText(
        kind, level, states, name, title, ("Cảnh báo của thành phố: <tieu_de>", _told(kind, level, states[0]), _CLOSING)
    )


_CLOSING: Final = "Khu vực: <khu_vuc>. Thời gian: <thoi_gian>. Mã để kiểm tra tin thật: <ma_tin>."

_PLANNED: Final = (
    ZnsText(
        PLANNED, ADVISORY, (Reason.PLANNED, Reason.MOVED), "canhbao planned 1", "Cắt điện theo kế hoạch",
        ("Thông báo của thành phố: <tieu_de>",
         "Từ <thoi_gian> đến <den_luc>. Ai dùng thiết bị y tế tại nhà hãy chuẩn bị pin; không đi thang máy lúc cắt.",
         "Khu vực: <khu_vuc>. Mã để kiểm tra tin thật: <ma_tin>."),
    ),
    ZnsText(
        PLANNED, 0, (Reason.CALLED_OFF,), "canhbao planned called off", "Thay đổi: cắt điện theo kế hoạch",
        ("Thông báo của thành phố: <tieu_de>", _CLOSING),
    ),
)  # fmt: skip


def _told(kind: str, level: int, reason: Reason) -> str:
    if reason is Reason.WITHDRAWN:
        return "Cảnh báo đó là nhầm, thành thật xin lỗi. Không cần làm theo cảnh báo đó nữa."
    if reason is Reason.OVER:  # as after danger, whatever it was: too much care harms nobody
        return f"{what_is_left(kind, DANGER, 'vi')} {after_the_end(kind, DANGER, 'vi')}"
    return f"{impact(kind, level, 'vi')} {what_to_do(kind, level, 'vi')}"


def _kind_name(kind: str) -> str:
    return RIVER_NAMES["vi"] if kind == RIVER else HAZARDS["vi"][kind]


def zns_page() -> str:
    """The page of the documents that lists them (docs/reference/zns-templates.md)."""
    lines = [_INTRODUCTION]
    for text in zns_texts():
        states = ", ".join(state.value for state in text.states)
        level = f", level {text.level}" if text.level else ""
        lines += [f"### {text.name}", "", f"For `{text.kind}`{level}: {states}.", "", "```text", text.title, ""]
        lines += [*text.paragraphs, "", f"[{text.button}: <dia_chi>]", "```", ""]
    return "\n".join(lines).rstrip() + "\n"


_INTRODUCTION: Final = """\
# Templates for ZNS

What is handed in at Zalo for approval, one template each (made by `alerts/words/zns.py`; a test holds this page to it).
[Channels](channels.md#zns) says how the approved numbers are set up, and `canhbao zalo templates` which are missing.

| in the text | is | Zalo's kind of parameter, characters |
|---|---|---|
| `<tieu_de>` | the headline: level, hazard, place | product name, 200 |
| `<khu_vuc>` | the ward | address, 200 |
| `<thoi_gian>` | when it was measured, `15:03 14/10/2022` | time, 20 |
| `<den_luc>` | of a planned outage, until when | time, 20 |
| `<ma_tin>` | the code by which a warning proves itself | code, 30 |
| `<dia_chi>` | the address of the button | URL, 200 |

Zalo's reviewers may want other frames around these sentences, and phone numbers (112, 114, 115) as a button: what is
approved may differ from this page, as long as it says the same. Exercises have no template: an approved text cannot
begin with DIỄN TẬP, so that nothing of an exercise goes out by ZNS.
"""
