"""The file of residents, opened. What is deleted in it is overwritten."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from alerts.ledger.store import Store, tables
from alerts.residents import schema
from ingest.disk import LOCAL, Disk

FILE: Final = "residents.sqlite"


def open_residents(data: Path, disk: Disk = LOCAL) -> Store:
    """Raises LedgerError."""
    return Store.open(data / FILE, disk, tables(schema.metadata, schema.SCHEMA_VERSION))
