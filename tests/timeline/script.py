"""The language of stories: what a night shift would write down, line by line, and what it becomes.

A line is one sentence of SENTENCES below; `#` begins a remark. Times are local: `15:04`, `15:04:30`, or with the day,
`10-28 01:00`. What stands in <…> is filled in: <sensor> is an id or a pattern (`tower-*`), <areas> are codes, which
begin with a capital, or `every area`. docs/reference/stories.md explains them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

ZONE: Final = ZoneInfo("Asia/Ho_Chi_Minh")
LEVELS: Final = ("over", "advisory", "warning", "danger", "emergency")
DRILL: Final = "the drill"  # who listens to exercises
EVERY: Final = ("every", "area")
_UNIT_MS: Final = {"s": 1000, "min": 60_000, "h": 3_600_000, "days": 86_400_000}


class WrongLineError(ValueError):
    """A line that is none of the sentences, or says what cannot be. Names the line."""


@dataclass(frozen=True, slots=True)
class Placed:
    """A sensor as a story introduces it. `period_ms` between readings; `away_m` from its area's point, to the north."""

    id: str
    quantity: str
    area: str
    period_ms: int
    station: str = ""
    affects: tuple[str, ...] = ()
    away_m: float = 0.0
    noise: float = 0.0
    reference: bool = False


@dataclass(frozen=True, slots=True)
class Change:
    """From `at` (ms UTC) on, the sensors that match `sensor` do something else; `number`, `name`: of what."""

    at: int
    sensor: str
    what: str
    number: float = 0.0
    over_ms: int = 0
    name: str = ""
    low: float = 0.0


@dataclass(frozen=True, slots=True)
class Deed:
    """What a person does at `at` (ms UTC). `begins`, `until` ms UTC, for what has a beginning and an end."""

    at: int
    by: str
    what: str
    hazard: str = ""
    areas: tuple[str, ...] = ()
    level: int = 0
    until: int = 0
    name: str = ""
    refused: bool = False
    begins: int = 0


@dataclass(frozen=True, slots=True)
class Resident:
    """Somebody who is told; `floors`: from which level on, by hazard. `sleeps`: has quiet hours."""

    name: str
    areas: tuple[str, ...]
    floors: Mapping[str, int] = field(default_factory=lambda: {"flood": 2, "rain": 3, "power": 2})
    sleeps: bool = False


@dataclass(frozen=True, slots=True)
class Want:
    """A message, or a call of operators, that has to come from `begin` to `until`, ms UTC, both included.

    `what` is a reason of a version (first, worse, eased, over …), or approve or acknowledge for a call. `to`: the
    resident, "" for the one of the area; of a call, the users.
    """

    begin: int
    until: int
    what: str
    hazard: str
    areas: tuple[str, ...]
    level: int = 0
    to: str = ""
    silent: bool = False
    line: str = ""


@dataclass(slots=True)
class Script:
    """A story, read. Times ms UTC."""

    title: str = ""
    day: str = ""
    begin: int = 0
    until: int = 0
    areas: list[str] = field(default_factory=list)
    sensors: list[Placed] = field(default_factory=list)
    residents: list[Resident] = field(default_factory=list)
    chain: tuple[tuple[str, ...], ...] = (("nam",), ("lan",))
    changes: list[Change] = field(default_factory=list)
    deeds: list[Deed] = field(default_factory=list)
    wants: list[Want] = field(default_factory=list)
    all_calls: bool = False  # every call has to be wanted
    lines: list[tuple[int, str]] = field(default_factory=list)  # with their time, for the print of a failure

    def moment(self, text: str) -> int:
        """A local time of the story in ms UTC."""
        if not self.day:
            raise WrongLineError("the day has to be told before a time")
        date, _, clock = text.rpartition(" ")
        stated = f"{self.day[:5]}{date}" if date else self.day
        at = datetime.fromisoformat(f"{stated}T{clock}").replace(tzinfo=ZONE)
        return round(at.timestamp() * 1000)

    def in_areas(self, text: str) -> tuple[str, ...]:
        words = tuple(text.replace(",", " ").replace(" and ", " ").split())
        found = tuple(self.areas) if words == EVERY else words
        if unknown := set(found) - set(self.areas):
            raise WrongLineError(f"no such area: {', '.join(sorted(unknown))}")
        return found


def local(ms: int) -> str:
    """As the stories write it, with the day."""
    return f"{datetime.fromtimestamp(ms / 1000, ZONE):%m-%d %H:%M:%S}"


def read(text: str) -> Script:
    """Raises WrongLineError."""
    script = Script()
    for number, raw in enumerate(text.splitlines(), 1):
        line = " ".join(raw.partition("#")[0].split())
        if line:
            try:
                _read_line(script, line)
            except ValueError as error:
                raise WrongLineError(f"line {number}, {line!r}: {error}") from error
    if not (script.areas and 0 < script.begin < script.until):
        raise WrongLineError("a story has areas, and times from and until")
    return script


def _read_line(script: Script, line: str) -> None:
    fitting = fits(line)
    if len(fitting) != 1:
        raise WrongLineError("more than one of the sentences" if fitting else "none of the sentences")
    found, take = fitting[0]
    args: dict[str, Any] = found.groupdict()
    if "time" in args:
        args["time"] = script.moment(args["time"])
        script.lines.append((args["time"], line))
    if line.endswith(_REFUSED):
        args["refused"] = True
    take(script, **args)


def fits(line: str) -> list[tuple[re.Match[str], Callable[..., None]]]:
    """The sentences that a line may be."""
    tried = [(pattern.fullmatch(line.removesuffix(_REFUSED)), take) for pattern, take in _GRAMMAR]
    return [(found, take) for found, take in tried if found]


# ---- what the lines do ------------------------------------------------------------------------------------------


def span_ms(text: str) -> int:
    found = re.fullmatch(r"([\d.]+)(s|min|h|days)", text)
    if found is None:
        raise WrongLineError(f"no span of time: {text!r}")
    return round(float(found[1]) * _UNIT_MS[found[2]])


def _title(script: Script, text: str) -> None:
    script.title = text


def _day(script: Script, date: str) -> None:
    script.day = date


def _span(script: Script, time: int, until: str) -> None:
    script.begin, script.until = time, script.moment(until)


def _areas(script: Script, text: str) -> None:
    script.areas += text.split()


def _many_areas(script: Script, count: str) -> None:
    script.areas += [f"W{n:02d}" for n in range(1, int(count) + 1)]


def _sensor(script: Script, sensor: str, quantity: str, areas: str, every: str, rest: str = "") -> None:
    more: dict[str, Any] = {}
    for part in filter(None, (one.strip() for one in rest.split(","))):
        match part.split():
            case ["station", name]:
                more["station"] = name
            case ["affects", *codes]:
                more["affects"] = script.in_areas(" ".join(codes))
            case [metres, "m", "away"]:
                more["away_m"] = float(metres)
            case ["noise", size]:
                more["noise"] = float(size)
            case ["reference"]:
                more["reference"] = True
            case _:
                raise WrongLineError(f"nothing of a sensor: {part!r}")
    places = script.in_areas(areas)
    for area in places:
        id_ = sensor if len(places) == 1 else f"{sensor}-{area}"
        script.sensors.append(Placed(id_, quantity, area, span_ms(every), **more))


def _chain(script: Script, text: str) -> None:
    script.chain = tuple(tuple(step.split()) for step in text.split(", then "))


def _resident(script: Script, name: str, areas: str, sleeps: str = "") -> None:
    script.residents.append(Resident(name, script.in_areas(areas), sleeps=bool(sleeps)))


def _change(what: str) -> Callable[..., None]:
    def take(script: Script, time: int, sensor: str, number: str = "0", over: str = "0s", name: str = "",
             low: str = "0") -> None:  # fmt: skip
        script.changes.append(Change(time, sensor, what, float(number), span_ms(over), name, float(low)))

    return take


def _deed(what: str) -> Callable[..., None]:
    def take(script: Script, time: int, person: str, hazard: str = "", areas: str = "", level: str = "",
             until: str = "", name: str = "", begins: str = "", *, refused: bool = False) -> None:  # fmt: skip
        script.deeds.append(Deed(
            time, person, what, hazard, script.in_areas(areas) if areas else (), LEVELS.index(level) if level else 0,
            script.moment(until) if until else 0, name, refused, script.moment(begins) if begins else 0,
        ))  # fmt: skip

    return take


def _want(script: Script, time: int, until: str, what: str, hazard: str, areas: str, level: str = "over", to: str = "",
          silent: str = "") -> None:  # fmt: skip
    together = to not in ("", DRILL)  # one message to one person; else one in each area
    for group in [script.in_areas(areas)] if together else [(area,) for area in script.in_areas(areas)]:
        script.wants.append(Want(
            time, script.moment(until), what, hazard, group, LEVELS.index(level), to, bool(silent), script.lines[-1][1],
        ))  # fmt: skip


def _want_call(script: Script, time: int, until: str, to: str, what: str, level: str, hazard: str, areas: str) -> None:
    for area in script.in_areas(areas):
        script.wants.append(
            Want(time, script.moment(until), what, hazard, (area,), LEVELS.index(level), to, line=script.lines[-1][1])
        )


def _all_calls(script: Script) -> None:
    script.all_calls = True


def _nothing_else(_: Script) -> None:
    """It is always so; a story may end by saying it."""


_REFUSED: Final = ", and is refused"
_WORD: Final = r"[\w.-]+"
_PARTS: Final = {
    "time": r"(?:\d\d-\d\d )?\d\d:\d\d(?::\d\d)?",
    "until": r"(?:\d\d-\d\d )?\d\d:\d\d(?::\d\d)?",
    "date": r"\d{4}-\d\d-\d\d",
    "every": r"[\d.]+(?:s|min|h)",
    "over": r"[\d.]+(?:s|min|h|days)",
    "number": r"-?[\d.]+",
    "count": r"\d+",
    "areas": r"every area|[A-Z]\w*(?:(?:, | and | )[A-Z]\w*)*",
    "level": r"advisory|warning|danger|emergency",
    "text": r"[^,].*",
    "rest": r".+",
    "sensor": r"[\w.*-]+",
    "to": r"[\w, ]+?",
}
SENTENCES: Final[tuple[tuple[str, Callable[..., None]], ...]] = (
    ("story of <text>", _title),
    ("day <date>", _day),
    ("from <time> until <until>", _span),
    ("areas <text>", _areas),
    ("<count> areas", _many_areas),
    ("sensor <sensor> <quantity> in <areas> every <every>", _sensor),
    ("sensor <sensor> <quantity> in <areas> every <every>, <rest>", _sensor),
    ("operators <text>", _chain),
    ("resident <name> lives in <areas>", _resident),
    ("resident <name> lives in <areas> and <sleeps:sleeps> at night", _resident),
    ("at <time> <sensor> reads <number>", _change("reads")),
    ("at <time> <sensor> rises to <number> over <over>", _change("goes")),
    ("at <time> <sensor> falls to <number> over <over>", _change("goes")),
    ("at <time> <sensor> rains <number> mm/h", _change("rains")),
    ("at <time> <sensor> swings between <low:number> and <number>, <over> each", _change("swings")),
    ("at <time> <sensor> follows <name>", _change("follows")),
    ("at <time> <sensor> falls silent", _change("silent")),
    ("at <time> <sensor> is heard again", _change("heard")),
    ("at <time> <sensor> spikes by <number>", _change("spikes")),
    ("at <time> <sensor> stands at <number>", _change("stands")),
    ("at <time> <sensor> sends <number> times too much", _change("times")),
    ("at <time> <sensor> drifts by <number> an hour", _change("drifts")),
    ("at <time> <sensor> sticks", _change("sticks")),
    ("at <time> <sensor> has a clock <over> behind", _change("behind")),
    ("at <time> <sensor> sends its last <over> again", _change("again")),
    ("at <time> <sensor> is well again", _change("well")),
    ("at <time> <person> approves <hazard> in <areas>", _deed("approve")),
    ("at <time> <person> approves <hazard> in <areas> up to <level>", _deed("approve")),
    ("at <time> <person> approves the city event", _deed("approve_event")),
    ("at <time> <person> acknowledges <hazard> in <areas>", _deed("acknowledge")),
    ("at <time> <person> eases <hazard> in <areas> to <level>", _deed("ease")),
    ("at <time> <person> closes <hazard> in <areas>", _deed("close")),
    ("at <time> <person> withdraws <hazard> in <areas>", _deed("withdraw")),
    ("at <time> <person> silences <name:sensor> until <until>", _deed("silence")),
    ("at <time> <person> plans an outage in <areas> from <begins:time> until <until>", _deed("plan")),
    ("at <time> <person> plans an outage of <name:sensor> from <begins:time> until <until>", _deed("plan")),
    ("at <time> <person> moves the outage, from <begins:time> until <until>", _deed("move")),
    ("at <time> <person> calls the outage off", _deed("call_off")),
    ("at <time> <person> exercises <level> <hazard> at <name:text> in <areas> until <until>", _deed("exercise")),
    ("at <time> <person> warns of <level> <hazard> at <name:text> in <areas> until <until>", _deed("warn")),
    ("expect between <time> and <until> <what> <hazard> in <areas>", _want),
    ("expect between <time> and <until> <what> <hazard> in <areas> to <to>", _want),
    ("expect between <time> and <until> <silent:silent> <what> <hazard> in <areas> to <to>", _want),
    ("expect between <time> and <until> <what> <level> <hazard> in <areas>", _want),
    ("expect between <time> and <until> <what> <level> <hazard> in <areas> to <to>", _want),
    ("expect between <time> and <until> a call to <to> to <what> <level> <hazard> in <areas>", _want_call),
    ("and nobody else is called", _all_calls),
    ("and nothing else arrives", _nothing_else),
)


def _compiled(sentence: str) -> re.Pattern[str]:
    def group(found: re.Match[str]) -> str:
        name, _, fixed = found[1].partition(":")
        return f"(?P<{name}>{_PARTS.get(fixed or name, fixed or _WORD)})"

    return re.compile(re.sub(r"<([\w:]+)>", group, sentence))


_GRAMMAR: Final = [(_compiled(sentence), take) for sentence, take in SENTENCES]
