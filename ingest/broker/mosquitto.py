"""Debian's Mosquitto for gateways on a network: a folder with its configuration, its users and who may what.

The broker is started in that folder (`mosquitto -c mosquitto.conf`): all paths in it are relative, so that it may be
moved or mounted elsewhere. Everything in it belongs to the owner of the folder, as whom the broker runs.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import pwd
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from ingest.broker.mosquitto_conf import (
    BY_CERTIFICATE,
    LOOPBACK,
    NETWORK,
    PROBE_USER,
    SERVICE_USERS,
    Listener,
    access,
    configuration,
    takes_certificates,
)  # fmt: skip
from ingest.city import is_gateway_id
from ingest.data_folder import kept_random, lock_folder, write_private
from ingest.disk import LOCAL

BROKERS_USER: Final = "mosquitto"  # made by Debian's package
# Mosquitto's own figure. Passwords are 128 random bits, which no number of rounds makes harder to guess, and the broker
# counts anew for every client that is connected whenever it reads its files again, and stands still meanwhile.
_ROUNDS: Final = 101
_SALT_BYTES: Final = 12  # 2.0 takes no other length


class MosquittoFolder:
    """The folder of one broker. Use it in a `with`: two programs at once are locked out of changing it.

    What is written belongs to the owner of the folder and is readable by that user alone. Methods raise OSError.
    """

    def __init__(self, folder: Path, foreign: Sequence[str] = ()) -> None:
        """`foreign`: filters of other networks' topics, which users of ours read and write besides."""
        self.folder = folder
        self._access = access(foreign)
        self._passwords = folder / "passwords"
        self._probe_password = ""

    @contextmanager
    def changing(self, *listeners: Listener) -> Iterator[None]:
        """Made if need be, with `listeners` (default: this machine, and the network where tls/server.crt is there,
        by certificate as well where ca/ca.crt is).

        Raises FolderError where another program is changing it.
        """
        if not self.folder.exists():
            self._make()
        with lock_folder(self.folder):
            self._give(self.folder / "lock")
            self._complete(listeners)
            yield

    @property
    def users(self) -> list[str]:
        """Everybody with a password, in the order of the file; ours too."""
        return list(self._entries())

    @property
    def gateways(self) -> list[str]:
        return [user for user in self.users if is_gateway_id(user)]

    def password_file(self, user: str) -> Path:
        """Where the password of a user of ours is kept, for the service to read."""
        return self.folder / f"{user}.password"

    def set_password(self, user: str) -> str:
        """A new one, which is kept nowhere: the caller tells it to whom it concerns, once."""
        password = secrets.token_hex(16)
        self._write_entries(self._entries() | {user: _hashed(password)})
        return password

    @contextmanager
    def lent_password(self, user: str) -> Iterator[str]:
        """One that holds meanwhile; then everything is as before."""
        before, password = self._entries(), secrets.token_hex(16)
        self._write_entries(before | {user: _hashed(password)})
        try:
            yield password
        finally:
            self._write_entries(before)

    def remove(self, user: str) -> None:
        entries = self._entries()
        del entries[user]
        self._write_entries(entries)

    @property
    def takes_certificates(self) -> bool:
        """Whether its configuration, which may be older than this program, lets anybody in by a certificate."""
        return takes_certificates((self.folder / "mosquitto.conf").read_text("utf-8"))

    def make_folder(self, folder: Path) -> None:
        """One inside, for the broker alone."""
        folder.mkdir(mode=0o700, exist_ok=True)
        self._give(folder)

    @property
    def probe(self) -> str:
        """The password of PROBE_USER since this object last wrote: who lets it in has read what was written last."""
        return self._probe_password

    def _make(self) -> None:
        """Of the owner of the folder above; where that is root, of Mosquitto's own user, if there is one."""
        LOCAL.make_folder(self.folder.parent)
        self.folder.mkdir(mode=0o700)
        if os.geteuid() == 0:
            above = self.folder.parent.stat()
            owner = (above.st_uid, above.st_gid)
            os.chown(self.folder, *(owner if above.st_uid else _ids(BROKERS_USER) or owner))

    def _complete(self, listeners: tuple[Listener, ...]) -> None:
        for name in ("state", "tls"):
            self.make_folder(self.folder / name)
        conf, acl = self.folder / "mosquitto.conf", self.folder / "acl"
        if not conf.exists():
            self.write(conf, configuration(listeners or self._default_listeners(), _name(self._owner[0])))
        if not acl.exists() or acl.read_text("utf-8") != self._access:
            self.write(acl, self._access)
        entries, ours = self._entries(), {}
        for user in SERVICE_USERS:
            password = kept_random(self.password_file(user))
            self._give(self.password_file(user))
            if not _is_password(password, entries.get(user, "")):
                ours[user] = _hashed(password)
        if ours:
            self._write_entries(entries | ours)

    def _default_listeners(self) -> tuple[Listener, ...]:
        if not (self.folder / "tls" / "server.crt").exists():
            return (LOOPBACK,)
        return (LOOPBACK, NETWORK, BY_CERTIFICATE) if (self.folder / "ca" / "ca.crt").exists() else (LOOPBACK, NETWORK)

    def _entries(self) -> dict[str, str]:
        """User -> hash; a line of another shape is somebody's mistake that we do not carry on."""
        try:
            lines = self._passwords.read_text("utf-8").splitlines()
        except FileNotFoundError:
            return {}
        return {user: hashed for user, colon, hashed in (line.partition(":") for line in lines) if colon}

    def _write_entries(self, entries: Mapping[str, str]) -> None:
        self._probe_password = secrets.token_hex(16)
        probed = {**entries, PROBE_USER: _hashed(self._probe_password)}
        self.write(self._passwords, "".join(f"{user}:{hashed}\n" for user, hashed in probed.items()))

    @property
    def _owner(self) -> tuple[int, int]:
        stat = self.folder.stat()
        return stat.st_uid, stat.st_gid

    def _give(self, path: Path) -> None:
        if os.geteuid() == 0:
            os.chown(path, *self._owner)

    def write(self, file: Path, text: str) -> None:
        """Whole or not at all, and the broker's before it has its name: it may read it at any moment."""
        new = file.with_name(f"{file.name}.new")
        write_private(new, text)
        self._give(new)
        LOCAL.rename(new, file)


def _hashed(password: str) -> str:
    """As mosquitto_passwd writes it: PBKDF2 with SHA-512."""
    salt = os.urandom(_SALT_BYTES)
    return f"$7${_ROUNDS}${_base64(salt)}${_base64(_derived(password, salt, _ROUNDS))}"


def _is_password(password: str, hashed: str) -> bool:
    try:
        _, kind, rounds, salt, key = hashed.split("$")
        derived = _derived(password, base64.b64decode(salt), int(rounds))
    except ValueError:
        return False
    return kind == "7" and hmac.compare_digest(_base64(derived), key)


def _derived(password: str, salt: bytes, rounds: int) -> bytes:
    return hashlib.pbkdf2_hmac("sha512", password.encode(), salt, rounds)


def _base64(octets: bytes) -> str:
    return base64.b64encode(octets).decode("ascii")


def _ids(name: str) -> tuple[int, int] | None:
    try:
        found = pwd.getpwnam(name)
    except KeyError:
        return None
    return found.pw_uid, found.pw_gid


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return ""
