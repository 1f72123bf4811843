"""The kinds of store, by how their address begins."""

from __future__ import annotations

from pathlib import Path
from zoneinfo import ZoneInfo

from ingest.history.duckdb import DuckStore
from ingest.history.influx import InfluxStore
from ingest.history.influx_client import Address, InfluxClient
from ingest.history.store import Store, StoreError

EMBEDDED = "duckdb"


def embedded_file(data: Path) -> Path:
    """Where the embedded store of a data folder lies."""
    return data / "history" / "history.duckdb"


def store_at(url: str, data: Path, zone: ZoneInfo, token: str = "") -> Store:
    """The store that `[history] url` names; nothing is opened yet. Raises StoreError where there is no such kind."""
    if url.startswith("influx+"):
        return InfluxStore(InfluxClient(Address.of(url, token)), zone)
    if url == EMBEDDED:
        return DuckStore(embedded_file(data), zone)
    raise StoreError(f"history.url {url!r}: no store of this kind")
