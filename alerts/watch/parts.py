"""How each part of the service does, for /readyz: what an operator is told to look at."""

from __future__ import annotations

from typing import Final

from alerts.post.process import PostProcess
from alerts.spine import AHEAD_MS_MAX
from alerts.web.sources import Part
from alerts.works import Works
from ingest.broker.nats import NatsBroker
from ingest.history.process import HistoryProcess

LAG_MS_MAX: Final = 60_000  # without a turn for so long the service does not count as ready


def parts(
    works: Works,
    history: HistoryProcess,
    post: PostProcess | None,
    bundled: NatsBroker | None,
    *,
    wall: bool,
    held: str,
) -> dict[str, Part]:
    """By name. `wall`: time is the wall's, so that lags mean something; `held`: why nothing is sent, "" where it is."""
    spine, out, backfill = works.spine, works.publisher, works.backfill
    lag_ms = max(0, -spine.ahead_ms) if wall else None  # ticks keep it near 10 s while nothing arrives
    ahead_s = spine.ahead_ms // 1000
    broker = _broker_faults(works, bundled)
    return {
        "broker": Part(not broker, None, "; ".join(broker)),
        "spine": Part(not spine.fault and (lag_ms or 0) < LAG_MS_MAX, lag_ms, spine.fault),
        "clock": Part(ahead_s * 1000 < AHEAD_MS_MAX, None, f"set back by {ahead_s} s" if ahead_s > 0 else ""),
        "backfill": Part(backfill.connected, None, "" if backfill.connected else "not connected"),
        "delivery": Part(not held, None, held),
        "out": Part(out.connected, None, "" if out.connected else "not connected"),
        "history": _history(works, history, wall=wall),
        **({} if post is None else {"post": Part(not post.fault, None, post.fault, needed=False)}),
    }


def _history(works: Works, history: HistoryProcess, *, wall: bool) -> Part:
    """Warnings do not wait for it, so the service is ready without it."""
    view, followed, fault = works.view, history.progress, history.fault
    lag_ms = 0 if followed.position >= view.position else max(0, view.arrival - followed.arrival)
    known = wall and bool(followed.arrival or not lag_ms)  # after a start nobody has looked yet
    behind = view.position - followed.position
    detail = fault or (f"{behind} entries behind" if behind > 0 else "")
    return Part(not fault and (lag_ms < LAG_MS_MAX or not known), lag_ms if known else None, detail, needed=False)


def _broker_faults(works: Works, bundled: NatsBroker | None) -> list[str]:
    source, refused = works.source, " ".join(works.source.refused_topics)
    faults = {
        "not connected": not source.connected,
        f"it refuses us {refused}": bool(refused),
        "the connection is lost again and again; does another client use our id?": source.unsteady,
        f"it stores nothing: {bundled and bundled.fault}": bool(bundled and bundled.fault),
    }
    return [fault for fault, stands in faults.items() if stands]
