"""The lines of the log that lead from a message to the versions that it called for."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Final

from alerts.incidents.incident import Notice
from ingest.entries import Batch, Entry
from processing.transitions import Transition, rfc3339

log = logging.getLogger(__name__)

SHOWN_MOST: Final = 20  # numbers of messages in one line; the others are counted


def log_decisions(entry: Entry | None, transitions: Sequence[Transition], notices: Sequence[Notice]) -> None:
    """Of an entry whose position is bound (`entry`); None: of a person's act. One line for it and one a version."""
    if notices and entry is not None:
        log.info("entered", extra=_of_entry(entry) | {"transitions": len(transitions), "notices": len(notices)})
    if log.isEnabledFor(logging.DEBUG):
        for one in transitions:
            log.debug("transition", extra={"sensor": one.sensor, "rule": one.rule, "from_level": one.from_,
                                           "to_level": one.to, "at": rfc3339(one.at)})  # fmt: skip
    for notice in notices:
        cause = notice.cause
        log.info(
            "decided",
            extra={"incident": notice.incident, "version": notice.version, "reason": notice.reason.value,
                   "to_level": notice.level, "told": notice.told, "at": rfc3339(notice.at),
                   "sensor": cause and cause.sensor, "rule": cause and cause.rule},
        )  # fmt: skip


def _of_entry(entry: Entry) -> dict[str, object]:
    if not isinstance(entry, Batch):
        return {"kind": type(entry).__name__.lower()}
    numbers = [f"{header.gateway} {header.boot} {header.seq}" for header in entry.headers]
    more = {"more_messages": len(numbers) - SHOWN_MOST} if len(numbers) > SHOWN_MOST else {}
    return {"kind": "batch", "readings": len(entry.readings), "messages": numbers[:SHOWN_MOST], **more}
