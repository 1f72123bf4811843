"""Dashboards and data sources into a running Grafana. What is there already as we want it stays untouched."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import Any, Final
from urllib.parse import quote

from grafana.client import ConflictError, Grafana, GrafanaError
from grafana.words import Tree

_TRIES: Final = 3  # of one change, where somebody else changes the same
MESSAGE: Final = "python -m grafana push"


class Came(StrEnum):
    """What became of one thing."""

    NEW = "new"
    CHANGED = "changed"
    UNCHANGED = "unchanged"
    PROVISIONED = "left alone: it comes from Grafana's files"


def push_folder(grafana: Grafana, uid: str, title: str) -> Came:
    def once() -> Came:
        found = grafana.get(f"/folders/{quote(uid)}")
        if found is None:
            grafana.post("/folders", {"uid": uid, "title": title})
            return Came.NEW
        if found["title"] == title:
            return Came.UNCHANGED
        grafana.put(f"/folders/{quote(uid)}", {"title": title, "version": found["version"]})
        return Came.CHANGED

    return _again(once)


def push_dashboard(grafana: Grafana, tree: Tree, folder_uid: str) -> Came:
    """Grafana keeps every version: one is made only where something differs, also by hand."""

    def once() -> Came:
        found = grafana.get(f"/dashboards/uid/{quote(tree['uid'])}")
        body: Tree = {"dashboard": tree, "folderUid": folder_uid, "overwrite": False, "message": MESSAGE}
        if found is None:
            grafana.post("/dashboards/db", body)
            return Came.NEW
        meta, there = found["meta"], found["dashboard"]
        if meta.get("provisioned"):
            return Came.PROVISIONED
        if within(tree, there) and meta.get("folderUid") == folder_uid:
            return Came.UNCHANGED
        numbered = {**tree, "id": there["id"], "version": there["version"]}
        grafana.post("/dashboards/db", {**body, "dashboard": numbered})
        return Came.CHANGED

    return _again(once)


def push_source(grafana: Grafana, row: Tree, secrets: Mapping[str, str]) -> Came:
    """`secrets`: sent where the data source is new, differs, or has none; Grafana never shows those that it has."""

    def once() -> Came:
        found = grafana.get(f"/datasources/uid/{quote(row['uid'])}")
        body = {**row, "secureJsonData": dict(secrets)}
        if found is None:
            grafana.post("/datasources", body)
            return Came.NEW
        if found.get("readOnly"):
            return Came.PROVISIONED
        known = found.get("secureJsonFields") or {}
        if within(row, found) and all(known.get(name) for name in secrets):
            return Came.UNCHANGED
        grafana.put(f"/datasources/uid/{quote(row['uid'])}", {**body, "version": found["version"]})
        return Came.CHANGED

    return _again(once)


def within(ours: Any, theirs: Any) -> bool:
    """Whether everything that we say stands there; Grafana adds keys of its own, and leaves out what is null."""
    if isinstance(ours, Mapping):
        return isinstance(theirs, Mapping) and all(within(value, theirs.get(key)) for key, value in ours.items())
    if isinstance(ours, Sequence) and not isinstance(ours, str):
        return (
            isinstance(theirs, Sequence)
            and not isinstance(theirs, str)
            and len(ours) == len(theirs)
            and all(within(mine, their) for mine, their in zip(ours, theirs, strict=True))
        )
    if isinstance(ours, bool) or isinstance(theirs, bool):
        return ours is theirs  # 1 == True, but not in JSON
    return bool(ours == theirs)


def _again(once: Callable[[], Came]) -> Came:
    """What somebody else changed at the same time is looked at anew."""
    for left in reversed(range(_TRIES)):
        try:
            return once()
        except ConflictError as error:
            if not left:
                raise GrafanaError(f"{error}; tried {_TRIES} times") from None
    raise AssertionError("the last try returns or raises")
