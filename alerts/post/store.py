"""The file of the post, opened with that of residents beside it (`people.contact` in its statements)."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from sqlalchemy import MetaData

from alerts.ledger.store import Store, tables
from alerts.post import schema
from alerts.residents import schema as residents
from alerts.residents import store as residents_store
from ingest.disk import LOCAL, Disk

FILE: Final = "post.sqlite"
PEOPLE: Final = "people"

# The tables of residents, as the post's statements call them.
_beside = MetaData()
contact = residents.contact.to_metadata(_beside, schema=PEOPLE)
resident = residents.resident.to_metadata(_beside, schema=PEOPLE)
target = residents.target.to_metadata(_beside, schema=PEOPLE)
errand = residents.errand.to_metadata(_beside, schema=PEOPLE)


def open_post(data: Path, disk: Disk = LOCAL) -> Store:
    """Both files; the post's tables are made where there are none. Raises LedgerError."""
    residents_store.open_residents(data, disk).close()
    attached = {PEOPLE: data / residents_store.FILE}
    return Store.open(data / FILE, disk, tables(schema.metadata, schema.SCHEMA_VERSION), attached, schema.progress.name)
