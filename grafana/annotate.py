"""Writes warnings into Grafana; run again, it writes only what has changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from urllib.parse import urlencode

from grafana.annotations import Plan, plan, wanted
from grafana.board import TAG
from grafana.client import Grafana, GrafanaError
from grafana.words import Lang, Tree

LIMIT: Final = 20_000  # annotations that are looked at; twice what the service gives, so that doubles are seen


def annotate(grafana: Grafana, alerts: Sequence[Tree], lang: Lang, service_url: str) -> Plan:
    """What was done. Raises GrafanaError, and KeyError or ValueError for a warning that is none."""
    rows = [wanted(alert, lang, service_url) for alert in alerts]
    if not rows:
        return Plan((), (), (), 0)
    times = [row["time"] for row in rows]
    query = {"tags": TAG, "type": "annotation", "limit": LIMIT, "from": min(times), "to": max(times) + 1}
    there = grafana.get(f"/annotations?{urlencode(query)}") or []
    if len(there) >= LIMIT:
        raise GrafanaError(f"more than {LIMIT} annotations since the first of these warnings: say a later --since")
    todo = plan(rows, there)
    for row in todo.new:
        grafana.post("/annotations", row)
    for id_, row in todo.changed:
        grafana.put(f"/annotations/{id_}", row)
    for id_ in todo.surplus:
        grafana.delete(f"/annotations/{id_}")
    return todo
