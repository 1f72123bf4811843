"""The templates that Zalo has approved, as a file lists them, and what is put into the one that fits a message.

Nothing is sent by a template that does not fit exactly: an approved text says a level and a state, and the wrong one
would be a wrong warning. What has none is refused, so that it is seen and another channel takes it over.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeAlias

import msgspec

from alerts.delivery.channel_error import ChannelError
from alerts.delivery.parcel import Parcel
from alerts.words.hand import TEMPLATES as HAND_TEMPLATES
from alerts.words.impacts import RIVER
from alerts.words.message import PLANNED
from alerts.words.names import Lang, hazard_name, level_word, one_line
from alerts.words.zns import levels_of
from ingest.city import ConfigError, parse_toml

Word: TypeAlias = Literal["area", "headline", "time", "until", "code", "address", "level", "hazard"]
Cell: TypeAlias = tuple[Lang, str, int, str]  # language, kind of hazard, level (0: an end), state
ERRAND: Final = "errand"  # the hazard of what no notice called for; its state is the kind of the errand
BYTES_MOST: Final = 1024 * 1024
_BESIDE: Final = {"flood": RIVER, "power": PLANNED}  # what is told of a hazard in words of its own
_MAY_BE_CUT: Final = ("area", "headline", "hazard")  # the others are wrong when they are not whole
_Text = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]


class Param(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`most`: characters that Zalo takes, of the kind that the parameter was approved as."""

    word: Word
    most: Annotated[int, msgspec.Meta(ge=1, le=400)]


class Template(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One approved template; it serves every hazard with every level and state that it lists."""

    id: _Text
    hazards: Annotated[list[_Text], msgspec.Meta(min_length=1, max_length=50)]
    levels: Annotated[list[Annotated[int, msgspec.Meta(ge=0, le=4)]], msgspec.Meta(min_length=1, max_length=5)]
    states: Annotated[list[_Text], msgspec.Meta(min_length=1, max_length=50)]
    params: Annotated[dict[_Text, Param], msgspec.Meta(max_length=50)]
    lang: Lang = "vi"


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    template: Annotated[list[Template], msgspec.Meta(max_length=1000)] = []


@dataclass(frozen=True, slots=True)
class Templates:
    """By cell the one template that says it."""

    cells: Mapping[Cell, Template]

    def filled(self, parcel: Parcel, channel: str) -> tuple[str, dict[str, str]]:
        """Number and parameters. Raises ChannelError, permanent: there is none, or it cannot be filled."""
        body = parcel.body
        if body.get("exercise"):
            raise ChannelError(f"{channel}: no template says that it is an exercise", permanent=True)
        template = self._fitting(parcel, channel)
        return template.id, {name: _param(param, parcel, channel) for name, param in template.params.items()}

    def _fitting(self, parcel: Parcel, channel: str) -> Template:
        """In the recipient's language, else in Vietnamese."""
        kind, level, state = _kind(parcel.body, errand=parcel.seq < 0)
        for lang in dict.fromkeys((parcel.lang, "vi")):
            if found := self.cells.get((lang, kind, level, state)):
                return found
        said = f"{kind} {'' if level == 0 else f'level {level} '}{state}"
        raise ChannelError(f"{channel}: no approved template for {said}", permanent=True)

    def missing(self, hazards: Sequence[str]) -> list[str]:
        """What could be told of these hazards and has no template, one line each: "flood level 3 worse"."""
        kinds = [*hazards, *(kind for hazard, kind in _BESIDE.items() if hazard in hazards)]
        return [
            f"{kind}{f' level {level}' if level else ''} {state.value}"
            for kind in kinds
            for state, levels in levels_of(kind).items()
            for level in levels
            if _is_told(kind, level) and ("vi", kind, level, state.value) not in self.cells
        ]


NONE: Final = Templates({})


def read_templates(file: Path) -> Templates:
    """Raises ConfigError: which line or template, what was found, what is expected."""
    try:
        raw = file.read_bytes()
        text = raw.decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError("the file", str(error), "a UTF-8 file that can be read", str(file)) from None
    if len(raw) > BYTES_MOST:
        raise ConfigError("the file", f"{len(raw)} bytes", f"at most {BYTES_MOST}", str(file))
    cells: dict[Cell, Template] = {}
    for template in parse_toml(text, _File, str(file)).template:
        for cell in _cells(template):
            if cell in cells:
                twice = f"{' '.join(map(str, cell))}: in {cells[cell].id} and {template.id}"
                raise ConfigError("[[template]]", twice, "one template for each", str(file))
            cells[cell] = template
    return Templates(cells)


def _cells(template: Template) -> list[Cell]:
    return [
        (template.lang, hazard, level, state)
        for hazard in template.hazards
        for level in template.levels
        for state in template.states
    ]


def _is_told(kind: str, level: int) -> bool:
    """What is only given by hand has the levels of its template."""
    given = HAND_TEMPLATES.get(kind)
    return given is None or level == 0 or level in given.levels


def _kind(body: Mapping[str, Any], *, errand: bool) -> tuple[str, int, str]:
    if errand:
        return ERRAND, 0, str(body.get("kind", ""))
    return str(body.get("kind", body["hazard"])), body["level"], body["reason"]


def _param(param: Param, parcel: Parcel, channel: str) -> str:
    text = unicodedata.normalize("NFC", _word(param.word, parcel.body, parcel.lang))
    if not text:
        raise ChannelError(f"{channel}: this message has no {param.word} for its template", permanent=True)
    if len(text) <= param.most:
        return text
    if param.word not in _MAY_BE_CUT:
        raise ChannelError(f"{channel}: the {param.word} is longer than its template allows", permanent=True)
    return one_line(text, param.most)


def _word(word: Word, body: Mapping[str, Any], lang: Lang) -> str:
    match word:
        case "area" | "headline":
            found = body.get("area_name" if word == "area" else "headline", {}).get(lang, "")
        case "time":
            found = _time(body.get("at", ""))
        case "until":
            found = _time(body.get("planned", {}).get("until", ""))
        case "address":
            found = body.get("check") or body.get("url") or ""
        case "level":
            found = level_word(body.get("level", 0), lang)
        case "hazard":
            found = hazard_name(body.get("hazard", ""), lang)
        case "code":
            found = body.get("code", "")
    return str(found)


def _time(at: str) -> str:
    """As Zalo wants a moment: hh:mm dd/mm/yyyy."""
    try:
        return f"{datetime.fromisoformat(at):%H:%M %d/%m/%Y}"
    except ValueError:
        return ""
