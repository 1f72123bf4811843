"""How a file of ours is opened, read and written: one writer at a time, readers that never hold it up."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, TypeAlias

from sqlalchemy import Connection, Engine, MetaData, QueuePool, create_engine, event, insert, inspect, select
from sqlalchemy.exc import SQLAlchemyError

from alerts.ledger import schema
from ingest.disk import Disk, write_ahead
from ingest.entries import ORIGIN

_BUSY_S: Final = 5.0  # another process (a backup) may hold the file this long; then the write fails and is told
_READERS: Final = 16  # connections; the next reader waits for one, up to _POOL_S, then fails; the writer never does
_POOL_S: Final = 10.0
_READ: Final = ("BEGIN",)
_ALL: Final = ("BEGIN IMMEDIATE",)


Found: TypeAlias = Callable[[Connection, Path], None]  # makes the tables where there are none; raises LedgerError
NONE_ATTACHED: Final[Mapping[str, Path]] = MappingProxyType({})


class LedgerError(Exception):
    """The file cannot be opened, read or written, or was asked to go back. Nothing of the failed call is in it."""


class Store:
    """A file in the data folder, WAL, synchronous FULL: what a transaction has committed survives a crash.

    The writer has a connection of its own behind a lock, which is fairer than SQLite's busy polling. Every writing
    transaction is short: the spine waits for none of the ledger's longer than one commit. `attached`: other files of
    ours that statements name with a schema; the writer may change them in the same transaction. `own`: a table of the
    file's own, where others are attached: a transaction that changes nothing else leaves those to their writers.
    """

    def __init__(self, path: Path, disk: Disk, attached: Mapping[str, Path] = NONE_ATTACHED, own: str = "") -> None:
        self.path = path
        self._lock = threading.Lock()
        # SQLite's BEGIN IMMEDIATE takes every file that is attached.
        begin = ("BEGIN", f"DELETE FROM main.{own} WHERE 0") if own else _ALL  # noqa: S608  # our own table
        self._writer = _engine(path, disk, begin, attached, pool_size=1, max_overflow=0)
        self._all_writer = self._writer.execution_options(begin=_ALL)
        self._readers = _engine(path, disk, _READ, attached, pool_size=_READERS, max_overflow=0, pool_timeout=_POOL_S)

    @classmethod
    def open(
        cls, path: Path, disk: Disk, found: Found | None = None, attached: Mapping[str, Path] = NONE_ATTACHED,
        own: str = "",
    ) -> Store:  # fmt: skip
        """Makes the file and its tables (the ledger's, unless `found` says) where there are none.

        Raises LedgerError, naming the file.
        """
        store = cls(path, disk, attached, own)
        try:
            disk.make_folder(path.parent)
            with store.writing_all() as db:
                (found or _found)(db, path)
        except OSError as error:
            raise LedgerError(f"{path}: {error.strerror}") from None
        except LedgerError:
            store.close()
            raise
        return store

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """One transaction, all or nothing. Raises LedgerError."""
        with self._lock, self._errors(), self._writer.begin() as db:
            yield db

    @contextmanager
    def writing_all(self) -> Iterator[Connection]:
        """As `writing`, also to what is attached, from the first statement on: nobody else writes there meanwhile."""
        with self._lock, self._errors(), self._all_writer.begin() as db:
            yield db

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """One consistent view, from any thread. Raises LedgerError."""
        with self._errors(), self._readers.begin() as db:
            yield db

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except SQLAlchemyError as error:
            # The driver's own words; SQLAlchemy's text would carry the parameters, and some day an address, into a log.
            raise LedgerError(f"{self.path}: {getattr(error, 'orig', None) or type(error).__name__}") from None

    def empty_log(self) -> bool:
        """Moves what the write-ahead log holds into the file and cuts it: what was deleted is gone from it as well.

        False where somebody reads or writes meanwhile, who is not waited for. Raises LedgerError.
        """
        with self._lock, self._errors(), closing(self._writer.raw_connection()) as db:
            cursor = db.cursor()
            cursor.execute("PRAGMA busy_timeout=0")
            try:
                busy, _, _ = cursor.execute("PRAGMA main.wal_checkpoint(TRUNCATE)").fetchone()
            finally:
                cursor.execute(f"PRAGMA busy_timeout={round(_BUSY_S * 1000)}")
            return not busy

    def close(self) -> None:
        self._readers.dispose()
        self._writer.dispose()


def _found(db: Connection, path: Path) -> None:
    if inspect(db).has_table(schema.progress.name):
        version = _version(db)
        if version not in (None, schema.SCHEMA_VERSION):
            raise LedgerError(f"{path}: schema version {version}, this program knows {schema.SCHEMA_VERSION}")
    else:
        schema.metadata.create_all(db)
    if _version(db) is None:
        first = {"id": 1, "schema_version": schema.SCHEMA_VERSION, "position": ORIGIN, "arrival": 0}
        db.execute(insert(schema.progress), first)
        db.execute(insert(schema.fan_out), {"id": 1, "seq": 0, "channel": "", "recipient": ""})


def _version(db: Connection) -> int | None:
    return db.execute(select(schema.progress.c.schema_version)).scalar()


def tables(metadata: MetaData, version: int) -> Found:
    """The tables of `metadata`, in a file that says its version by itself (SQLite's user_version)."""

    def found(db: Connection, path: Path) -> None:
        was = db.exec_driver_sql("PRAGMA user_version").scalar_one()
        if was not in (0, version):
            raise LedgerError(f"{path}: schema version {was}, this program knows {version}")
        if was == 0:
            metadata.create_all(db)
            db.exec_driver_sql(f"PRAGMA user_version={version}")

    return found


def _engine(path: Path, disk: Disk, begin: Sequence[str], attached: Mapping[str, Path], **pool: Any) -> Engine:
    # The disk's connections do not begin transactions by themselves (the driver does so late, and not for reads).
    engine = create_engine(
        "sqlite+pysqlite://", creator=lambda: disk.connect(path, "rwc", busy_s=_BUSY_S), poolclass=QueuePool, **pool
    )

    @event.listens_for(engine, "connect")
    def _connected(connection: Any, _record: object) -> None:
        write_ahead(connection)
        for pragma in (
            "synchronous=FULL",
            "foreign_keys=ON",
            "secure_delete=ON",
        ):  # what is deleted is gone from the disk
            connection.execute(f"PRAGMA {pragma}")
        for name, file in attached.items():
            connection.execute(f"ATTACH DATABASE ? AS {name}", (str(file),))
            connection.execute(f"PRAGMA {name}.synchronous=FULL")
        if begin is _READ:
            connection.execute("PRAGMA query_only=ON")

    @event.listens_for(engine, "begin")
    def _begun(connection: Connection) -> None:
        for statement in connection.get_execution_options().get("begin", begin):
            connection.exec_driver_sql(statement)

    return engine
