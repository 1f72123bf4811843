"""A copy of all state, made while the service runs, and the way of such a copy into an empty folder.

**The order is the point.** An entry is in the journal before the ledger decides it, and a snapshot is a file before the
ledger names it. Copied are, one after the other:

1. the snapshots. A service that runs unlinks old ones; copied after the ledger, all that its copy names could be gone.
   Copied before, one that is named is at most missing because it is newer, and a start passes over it to an older one;
2. the post, which follows both residents and the ledger. Copied after either, it would stand further than the copy of
   that: it would pass over errands and notices that get the same numbers after a restore, and people would not be told;
3. the residents: every contact and errand that this post knows, and whoever has ended by now. Their addresses are
   sealed, and the key is in no backup;
4. the ledger, as one read transaction sees it: every notice that this post knows, and perhaps more;
5. the journal, which by then holds every entry that this ledger has decided, and perhaps more.

More is no harm: a start decides it, and the post follows it, as after any crash. Less is refused at every start, since
what was told could be told again. SQLite's online backup copies files in use; in WAL mode its reading transaction holds
up no writer, so that no warning waits for a backup.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import sqlite3
import tarfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Final, TypeAlias

import msgspec

from alerts.delivery.hold import FILE as HOLD_FILE
from alerts.delivery.hold import Hold, read_hold, write_hold
from alerts.delivery.vapid_key import VAPID_FILE
from alerts.ledger import schema
from alerts.post.store import FILE as POST_FILE
from alerts.proof.keys import CODE_FILE, SIGNING_FILE
from alerts.residents.store import FILE as RESIDENTS_FILE
from ingest import day_file
from ingest.data_folder import lock_folder, write_private
from ingest.disk import LOCAL
from ingest.journal import Journal

FORMAT: Final = 1
MANIFEST: Final = "manifest.json"
MANIFEST_BYTES_MAX: Final = 4 * 1024 * 1024  # some 30,000 files; a longer one is none of ours
RESTORED: Final = "restored"  # folder of the registry and the rules that the journal ends with
_LEDGER: Final = "ledger.sqlite"
_FOLLOWING: Final = (POST_FILE, RESIDENTS_FILE)  # before the ledger, in this order; not there: nobody could subscribe
# Who we are to the broker, to whoever checks a warning, to push services: of a new key nobody knows that it is ours.
_IDENTITIES: Final = ("client_id", "backfill_client_id", CODE_FILE, SIGNING_FILE, VAPID_FILE)
_BROKERS: Final = "mosquitto"
_NOT_OF_BROKER: Final = ("state", "lock")  # Mosquitto's own store is only whole in its memory
_DAY: Final = "[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9].sqlite"
_BUSY_S: Final = 10.0
_CHUNK: Final = 1024 * 1024
_SAFE: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*")


class BackupError(Exception):
    """No backup, or none that can be restored; one line that says why."""


class Copied(msgspec.Struct, frozen=True):
    bytes: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True):
    """What a backup holds. `taken_at` ms UTC; `decided` and `journal` are positions: the ledger's and the last one."""

    format: int
    ledger_schema: int
    taken_at: int
    decided: int
    journal: int
    files: dict[str, Copied]


Opened: TypeAlias = Callable[[str], IO[bytes]]  # a file of a backup by its name; raises KeyError or OSError


def take(data: Path, target: Path, now_ms: int) -> Manifest:
    """All state of `data` into a new folder, or a new file where `target` ends in .tar; whole or not at all.

    Raises BackupError, OSError.
    """
    if target.exists():
        raise BackupError(f"{target}: is there already")
    if not target.parent.is_dir():  # made by us, it would lie on this disk, and not on one that is to be mounted
        raise BackupError(f"{target.parent}: is no folder; is the backup's disk mounted?")
    if not (data / _LEDGER).exists():
        raise BackupError(f"{data}: no service has run here, there is nothing to keep")
    if (hold := read_hold(data)) is not None and hold.restoring:
        raise BackupError(f"{data}: a restore did not come to its end here, what it lacks nobody knows")
    new = target.with_name(f".{target.name}.new")
    try:
        new.mkdir(mode=0o700)  # what a backup that was killed has left is looked at by a person
    except FileExistsError:
        raise BackupError(f"{new}: left by a backup that did not end, or one is under way; remove it") from None
    try:
        manifest = _copy_all(data, new, now_ms)
        if target.suffix == ".tar":
            _pack(new, target)
        else:
            _synced_folders(new)
            LOCAL.rename(new, target)
    except sqlite3.Error as error:
        raise BackupError(f"{data}: {error}") from error
    finally:
        shutil.rmtree(new, ignore_errors=True)
    return manifest


def restore(source: Path, data: Path) -> Manifest:
    """The state of the backup `source` into `data`, which is empty or not there. Delivery is held from here on.

    Everything is verified before anything is written. Raises BackupError, FolderError, OSError.
    """
    if data.exists() and any(child.name != "lost+found" for child in data.iterdir()):
        raise BackupError(f"{data}: is not empty; a backup goes into an empty folder only")
    with _opening(source) as opened:
        manifest = _manifest(source, opened)
        for name, wanted in manifest.files.items():
            _verify(name, _hashed(source, opened, name), wanted)
        with lock_folder(data):
            write_hold(data, Hold(manifest.taken_at, restoring=True))
            for name, wanted in manifest.files.items():
                _put(source, opened, name, data / name, wanted)
            _synced_folders(data)
            _write_texts(data)
            write_hold(data, Hold(manifest.taken_at))
    return manifest


# -- out ---------------------------------------------------------------------------------------------------------------


def _copy_all(data: Path, into: Path, now_ms: int) -> Manifest:
    files: dict[str, Copied] = {}
    for name in _small(data):
        _copy_small(data / name, into / name)
    for name in _FOLLOWING:
        if (data / name).exists():
            _copy_database(data / name, into / name, lambda _: 0)
    decided = _copy_database(data / _LEDGER, into / _LEDGER, _decided)
    last = _copy_journal(data / "journal", into / "journal")
    if last < decided:
        raise BackupError(f"{data}: the journal ends at {last}, the ledger has decided up to {decided}")
    for path in sorted(into.rglob("*")):
        if path.is_file():
            name = path.relative_to(into).as_posix()
            with path.open("rb") as file:
                files[name] = _read_through(file)
    manifest = Manifest(FORMAT, schema.SCHEMA_VERSION, now_ms, decided, last, files)
    write_private(into / MANIFEST, msgspec.json.format(msgspec.json.encode(manifest).decode(), indent=1))
    return manifest


def _small(data: Path) -> Iterator[str]:
    """Names of the files that are written whole and then replaced or left alone."""
    yield from (name for name in _IDENTITIES if (data / name).is_file())
    yield from (f"snapshots/{path.name}" for path in sorted((data / "snapshots").glob("*.snapshot")))
    for path in sorted((data / _BROKERS).rglob("*")):
        inside = path.relative_to(data / _BROKERS)
        if path.is_file() and inside.parts[0] not in _NOT_OF_BROKER and _SAFE.fullmatch(inside.as_posix()):
            yield f"{_BROKERS}/{inside.as_posix()}"


def _copy_small(source: Path, target: Path) -> None:
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        content = source.read_bytes()
    except FileNotFoundError:
        return  # an old snapshot, unlinked just now
    _write(target, [content])


def _copy_journal(source: Path, target: Path) -> int:
    """The position of the newest entry in the copy."""
    target.mkdir(mode=0o700)
    last = 0
    for path in sorted(source.glob(_DAY)):
        try:
            last = max(last, _copy_database(path, target / path.name, lambda db: day_file.end(db, "max")))
        except sqlite3.OperationalError:
            (target / path.name).unlink(missing_ok=True)
            if path.exists():
                raise
            # else: the oldest day, unlinked just now
    return last


def _copy_database(source: Path, target: Path, position: Callable[[sqlite3.Connection], int]) -> int:
    """As one read transaction sees it, in one step: a copy in several begins anew whenever somebody writes."""
    with (
        closing(LOCAL.connect(source, "ro", busy_s=_BUSY_S)) as db,
        closing(LOCAL.connect(target, "rwc", busy_s=_BUSY_S)) as copy,
    ):
        db.backup(copy)
        found = position(copy)
    _sync_file(target)
    return found


def _decided(ledger: sqlite3.Connection) -> int:
    return int(ledger.execute("SELECT position FROM progress").fetchone()[0])


def _pack(folder: Path, target: Path) -> None:
    new = target.with_name(f".{target.name}.packed")
    try:
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out:
            with tarfile.open(fileobj=out, mode="w") as tar:
                for path in sorted(folder.rglob("*")):
                    if path.is_file():
                        tar.add(path, path.relative_to(folder).as_posix())
            out.flush()
            os.fsync(out.fileno())
        LOCAL.rename(new, target)
    finally:
        new.unlink(missing_ok=True)


# -- in ----------------------------------------------------------------------------------------------------------------


@contextmanager
def _opening(source: Path) -> Iterator[Opened]:
    if source.is_dir():
        yield lambda name: (source / name).open("rb")
        return
    try:
        with tarfile.open(source, "r:") as tar:
            yield lambda name: _member(tar, name)
    except tarfile.TarError as error:
        raise BackupError(f"{source}: no backup, {error}") from None


def _member(tar: tarfile.TarFile, name: str) -> IO[bytes]:
    file = tar.extractfile(name)
    if file is None:
        raise KeyError(name)
    return file


def _manifest(source: Path, opened: Opened) -> Manifest:
    try:
        with opened(MANIFEST) as file:
            manifest = msgspec.json.decode(file.read(MANIFEST_BYTES_MAX), type=Manifest)
    except (KeyError, OSError) as error:
        raise BackupError(f"{source}: no backup, there is no {MANIFEST} to read") from error
    except msgspec.DecodeError as error:
        raise BackupError(f"{source}: {MANIFEST}: {error}") from None
    if (manifest.format, manifest.ledger_schema) != (FORMAT, schema.SCHEMA_VERSION):
        raise BackupError(
            f"{source}: format {manifest.format}, ledger {manifest.ledger_schema}; "
            f"this program knows {FORMAT} and {schema.SCHEMA_VERSION}"
        )
    for name in manifest.files:
        if not _SAFE.fullmatch(name) or PurePosixPath(name).parts[0] in (HOLD_FILE, RESTORED, "lock"):
            raise BackupError(f"{source}: {MANIFEST} names {name!r}")
    return manifest


def _verify(name: str, found: Copied, wanted: Copied) -> None:
    if found != wanted:
        raise BackupError(f"{name}: is not what was backed up ({found.bytes} bytes, {wanted.bytes} then)")


def _hashed(source: Path, opened: Opened, name: str) -> Copied:
    with _open(source, opened, name) as file:
        return _read_through(file)


def _put(source: Path, opened: Opened, name: str, target: Path, wanted: Copied) -> None:
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _open(source, opened, name) as file:
        _write(target, iter(lambda: file.read(_CHUNK), b""))
    with target.open("rb") as written:
        _verify(name, _read_through(written), wanted)


def _open(source: Path, opened: Opened, name: str) -> IO[bytes]:
    try:
        return opened(name)
    except (KeyError, OSError) as error:
        raise BackupError(f"{source}: {name} is missing") from error


def _write_texts(data: Path) -> None:
    """City and rules as the journal knows them: a new machine may have none beside its settings, and ours would do."""
    configuration = Journal.open(data / "journal", read_only=True).configuration
    if configuration is not None:
        LOCAL.make_folder(data / RESTORED)
        write_private(data / RESTORED / "city.toml", configuration.city_toml)
        write_private(data / RESTORED / "rules.toml", configuration.rules_toml)


# -- files -------------------------------------------------------------------------------------------------------------


def _read_through(file: IO[bytes]) -> Copied:
    digest, size = hashlib.sha256(), 0
    while chunk := file.read(_CHUNK):
        digest.update(chunk)
        size += len(chunk)
    return Copied(size, digest.hexdigest())


def _write(target: Path, chunks: Iterator[bytes] | list[bytes]) -> None:
    """A new file, for its owner alone, on disk when it returns."""
    with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
        for chunk in chunks:
            out.write(chunk)
        out.flush()
        os.fsync(out.fileno())


def _sync_file(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _synced_folders(top: Path) -> None:
    """The names in it, and in what is in it, survive a power cut."""
    for folder in [path for path in top.rglob("*") if path.is_dir()] + [top]:
        _sync_file(folder)
