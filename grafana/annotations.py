"""Warnings as Grafana's annotations: one region a warning, known by the tag of its incident. Pure."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import quote

from grafana.board import TAG
from grafana.words import HAZARDS, LEVELS, Lang, Tree, Words, same

INCIDENT: Final = "incident:"
_OPEN: Final = Words("đang có hiệu lực", "in force")
_OVER: Final = Words("đã hết", "over")
_EXERCISE: Final = Words("DIỄN TẬP. ", "EXERCISE. ")
_LINKS: Final = (("", Words("cảnh báo", "the warning")), ("/why", Words("vì sao", "why")))


@dataclass(frozen=True, slots=True)
class Plan:
    """What makes Grafana's annotations what they should be. `changed`: (its id, what it should be)."""

    new: tuple[Tree, ...]
    changed: tuple[tuple[int, Tree], ...]
    surplus: tuple[int, ...]  # more than one of the same incident: two who wrote at once
    unchanged: int


def wanted(alert: Tree, lang: Lang, service_url: str) -> Tree:
    """The annotation of one warning of /api/v1/alerts: from its opening to its end, or as far as it has been told.

    Raises KeyError or ValueError where it is none.
    """
    tags = [TAG, alert["hazard"], f"area:{alert['area']}", INCIDENT + alert["id"]]
    end = alert["closed_at"] or alert["updated_at"]
    return {"time": _ms(alert["opened_at"]), "timeEnd": _ms(end), "tags": tags, "text": _text(alert, lang, service_url)}


def _text(alert: Tree, lang: Lang, service_url: str) -> str:
    """Grafana shows it as HTML, of which it leaves links and bold letters."""
    hazard = HAZARDS.get(alert["hazard"], same(alert["hazard"])).said(lang)
    level = LEVELS[alert["peak"]].said(lang)
    state = (_OPEN if alert["active"] else _OVER).said(lang)
    exercise = _EXERCISE.said(lang) if alert["simulated"] else ""
    said = html.escape(f"{exercise}{alert['area_name']}: {hazard}, {level} ({state})")
    address = f"{service_url}/api/v1/alerts/{quote(alert['id'], safe='')}"
    links = [f'<a href="{html.escape(address + path)}">{words.said(lang)}</a>' for path, words in _LINKS]
    return f"{said} · " + " · ".join(links)


def _ms(text: str) -> int:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no zone")
    return round(moment.timestamp() * 1000)


def plan(rows: Sequence[Tree], there: Iterable[Any]) -> Plan:
    """`rows`: as `wanted` makes them, one an incident. `there`: Grafana's of the same time, all with our tag."""
    known: dict[str, list[Any]] = {}
    for row in there:
        known.setdefault(_incident(row), []).append(row)
    new, changed, surplus = [], [], []
    for row in rows:
        same_incident = sorted(known.get(_incident(row), ()), key=lambda found: int(found["id"]))
        if not same_incident:
            new.append(row)
            continue
        first, *others = same_incident
        surplus += [int(other["id"]) for other in others]
        if _shown(first) != _shown(row):
            changed.append((int(first["id"]), row))
    unchanged = len(rows) - len(new) - len(changed)
    return Plan(tuple(new), tuple(changed), tuple(surplus), unchanged)


def _incident(row: Any) -> str:
    return next((tag for tag in row["tags"] if tag.startswith(INCIDENT)), "")


def _shown(row: Any) -> tuple[int, int, list[str], str]:
    return row["time"], row["timeEnd"] or row["time"], sorted(row["tags"]), row["text"]
