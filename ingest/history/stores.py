"""The kinds of store, by how their address begins."""

from __future__ import annotations

from pathlib import Path
from zoneinfo import ZoneInfo

from ingest.history.store import Store, StoreError

EMBEDDED = "duckdb"


def embedded_file(data: Path) -> Path:
    """Where the embedded store of a data folder lies."""
    return data / "history" / "history.duckdb"


def store_at(url: str, data: Path, zone: ZoneInfo, token: str = "") -> Store:
    """The store that `[history] url` names; nothing is opened yet. Raises StoreError where there is no such kind."""
    # Imported where they are needed: each takes longer to load than the rest of the process, and memory of its own.
    if url.startswith("influx+"):
        from ingest.history.influx import InfluxStore  # noqa: PLC0415
        from ingest.history.influx_client import Address, InfluxClient  # noqa: PLC0415

        return InfluxStore(InfluxClient(Address.of(url, token)), zone)
    if url == EMBEDDED:
        from ingest.history.duckdb import DuckStore  # noqa: PLC0415

        return DuckStore(embedded_file(data), zone)
    raise StoreError(f"history.url {url!r}: no store of this kind")
