"""The tokens of a Zalo Official Account: who renews them, and what is on disk before anybody uses them.

An access token lives 25 hours, a refresh token three months and for one use: whoever loses the pair that an answer
brings has to be authorised again by a person. So:

- **one at a time**: a lock of the file system holds for tasks and processes alike, and what another has renewed
  meanwhile is taken from the file;
- **stored before it is used**: whole or not at all, with fsync. Where the disk refuses, the new pair waits in memory
  for the next try, and the old access token serves;
- **the intent first**: the file says since when an answer is awaited. A process that dies between Zalo's answer and
  the disk loses the pair; the next one sees it, says so, and the old access token serves for the hours it has left;
- **hours ahead**: three to five hours before the access token ends, at a moment drawn at random.

The file lies in the data folder, for its owner alone, the pair sealed with the app's secret, which lies elsewhere: the
folder, or a copy of it, sends nothing in the city's name. Backups leave it out; an old pair has been used up.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Any, Final
from urllib.parse import urlencode

import msgspec

from alerts.delivery.channel_error import ChannelError
from alerts.delivery.provider import Provider, Reply, refused
from alerts.given import Secret
from alerts.residents.seal import Seal, SealError
from ingest.data_folder import write_private

log = logging.getLogger(__name__)

OAUTH_URL: Final = "https://oauth.zaloapp.com"
_PATH: Final = "/v4/oa/access_token"
_HOUR_MS: Final = 3_600_000
_AHEAD_MS: Final = (3 * _HOUR_MS, 5 * _HOUR_MS)
_REFRESH_LIFE_MS: Final = 90 * 24 * _HOUR_MS  # three months, counted a little short
_LIFE_S: Final = (60, 30 * 24 * 3600)  # of an access token: anything else is no answer
_AGAIN_MS: Final = 60_000  # a renewal that failed is not tried sooner, whatever is sent meanwhile
_LOCK_WAIT_S: Final = 0.05
_LOCK_WAITS: Final = 600
_TOKEN_MOST: Final = 4096
_END_S: Final = 10.0  # at the end: a renewal under way is waited for so long
TO_DO: Final = "an administrator of the account has to allow it again: canhbao zalo authorize"


class Kept(msgspec.Struct, frozen=True):
    """What the file holds. Times ms UTC. `trying_since`: an answer is awaited, or never came; `refused`: at last."""

    app_id: str
    pair: str  # sealed, in hex
    access_until: int
    refresh_at: int
    refresh_until: int
    renewed_at: int
    trying_since: int | None = None
    refused: str = ""

    @property
    def lost(self) -> bool:
        """Whether a pair was on its way to us and never reached the disk."""
        return bool(self.refused) and self.trying_since is not None


class ZaloToken:
    """Of one app; any number of these, in any number of processes, share the file. Called on the loop."""

    def __init__(
        self, folder: Path, app_id: str, secret: Secret, oauth_url: str, now_ms: Callable[[], int],
        random: Random | None = None,
    ) -> None:  # fmt: skip
        self._file, self._app_id, self._secret = token_file(folder, app_id), app_id, secret
        self._url, self._now_ms, self._random = f"{oauth_url}{_PATH}", now_ms, random or Random()
        self._seal = Seal(sha256(secret.reveal().encode()).digest())
        self._provider = Provider("zalo oauth", 15.0, 1)
        self._renewing: asyncio.Task[None] | None = None
        self._unstored: Kept | None = None
        self._not_before = 0

    async def access(self) -> str:
        """One that is good as far as we know, renewed first where it is time. Raises ChannelError, for everybody."""
        kept, now = self._read(), self._now_ms()
        if now < kept.refresh_at:
            return self._opened(kept)[0]
        try:
            await self._renew("")
        except ChannelError:
            kept = self._read()
            if self._now_ms() >= kept.access_until:
                raise
        return self._opened(self._read())[0]

    async def renewed(self, bad: str) -> str:
        """Another one than `bad`, which Zalo does not take. Raises ChannelError, for everybody."""
        if self._opened(self._read())[0] == bad:
            await self._renew(bad)
        return self._opened(self._read())[0]

    async def authorize(self, refresh_token: str) -> Kept:
        """Begin, or begin again, with a refresh token that a person brings. Raises ChannelError: nothing is changed."""
        async with self._locked():
            kept = self._paired(await self._asked(refresh_token))
            self._store(kept)
        return kept

    def measured(self) -> dict[str, float]:
        """As the function of that name."""
        return measured(self._file, self._now_ms())

    async def close(self) -> None:
        """What is being renewed is finished: its answer must reach the disk."""
        if self._renewing is not None:
            with suppress(ChannelError, TimeoutError):
                await asyncio.wait_for(asyncio.shield(self._renewing), _END_S)
        await self._provider.close()

    async def _renew(self, bad: str) -> None:
        """Whoever waits may be cancelled; the renewal goes on, so that its answer reaches the disk."""
        if self._renewing is None or self._renewing.done():
            if self._now_ms() < self._not_before and self._unstored is None:
                raise ChannelError("zalo: the token could not be renewed a moment ago", everybody=True)
            self._renewing = asyncio.create_task(self._renew_locked(bad))
            self._renewing.add_done_callback(_looked_at)
        try:
            await asyncio.shield(self._renewing)
        except ChannelError as error:  # whatever became of the renewal, the message itself was not sent
            raise ChannelError(str(error), everybody=True, retry_after_s=error.retry_after_s) from None

    async def _renew_locked(self, bad: str) -> None:
        async with self._locked():
            if self._unstored is not None:
                self._store(self._unstored)
                return
            kept = self._read()
            access, refresh = self._opened(kept)
            if access != bad if bad else self._now_ms() < kept.refresh_at:
                return  # another one has done it
            self._not_before = self._now_ms() + _AGAIN_MS
            since = kept.trying_since
            self._write(msgspec.structs.replace(kept, trying_since=since or self._now_ms()))
            try:
                answer = await self._asked(refresh)
            except _RefusedError as error:
                self._write(msgspec.structs.replace(kept, refused=error.code))
                self._tell_refused(kept, error)
                raise
            except ChannelError as error:
                if not error.maybe:  # nothing reached Zalo, the token is as it was
                    self._write(kept)
                raise
            self._store(self._paired(answer))
            self._not_before = 0

    def _tell_refused(self, kept: Kept, error: _RefusedError) -> None:
        if kept.trying_since is not None:
            log.error("zalo token: the last pair was lost between Zalo's answer and our disk; %s", TO_DO)
        left = max(0, kept.access_until - self._now_ms()) / _HOUR_MS
        log.error("zalo token: not renewed (%s), the old one is good for %.1f h; %s", error.code, left, TO_DO)

    async def _asked(self, refresh_token: str) -> dict[str, Any]:
        """Zalo's answer: a pair. Raises ChannelError."""
        form = {"refresh_token": refresh_token, "app_id": self._app_id, "grant_type": "refresh_token"}
        headers = {"secret_key": self._secret.reveal(), "Content-Type": "application/x-www-form-urlencoded"}
        reply = await self._provider.call(self._url, headers=headers, data=urlencode(form).encode())
        answer = _document(reply)
        if answer is not None and answer.get("error") not in (None, 0, "0"):
            raise _RefusedError(str(answer["error"])[:16])
        if (error := refused("zalo oauth", reply)) is not None:
            raise ChannelError(str(error), everybody=True, retry_after_s=error.retry_after_s, maybe=reply.status >= 500)
        if answer is None:
            raise ChannelError("zalo oauth: an answer of another form", everybody=True, maybe=True)
        return answer

    def _paired(self, answer: dict[str, Any]) -> Kept:
        access, refresh = answer.get("access_token"), answer.get("refresh_token")
        life = str(answer.get("expires_in", ""))  # a text of digits, as Zalo gives it
        whole = all(isinstance(token, str) and 0 < len(token) <= _TOKEN_MOST for token in (access, refresh))
        least, most = _LIFE_S
        if not whole or not (life.isascii() and life.isdigit() and least <= int(life) <= most):
            raise ChannelError("zalo oauth: an answer without a pair of tokens", everybody=True, maybe=True)
        now, life_ms = self._now_ms(), int(life) * 1000
        ahead = min(self._random.uniform(*_AHEAD_MS), life_ms / 2)
        pair = self._seal.close(msgspec.json.encode([access, refresh]).decode(), self._place).hex()
        until = now + life_ms
        return Kept(self._app_id, pair, until, int(until - ahead), now + _REFRESH_LIFE_MS, now)

    def _store(self, kept: Kept) -> None:
        """Raises ChannelError; what could not be stored is stored first the next time."""
        self._unstored = kept
        self._write(kept)
        self._unstored = None
        log.info("zalo token renewed, good for %.1f h", (kept.access_until - self._now_ms()) / _HOUR_MS)

    def _write(self, kept: Kept) -> None:
        try:
            write_private(self._file, msgspec.json.encode(kept).decode())
        except OSError as error:
            raise ChannelError(f"zalo token: cannot be stored: {error.strerror}", everybody=True) from None

    def _read(self) -> Kept:
        kept = read_kept(self._file)
        if kept is None:
            raise ChannelError(f"zalo: no token; {TO_DO}", everybody=True)
        return kept

    def _opened(self, kept: Kept) -> tuple[str, str]:
        try:
            text = self._seal.open(bytes.fromhex(kept.pair), self._place)
        except (SealError, ValueError):
            raise ChannelError(f"zalo: the token is not of this app's secret; {TO_DO}", everybody=True) from None
        access, refresh = msgspec.json.decode(text, type=tuple[str, str])
        return access, refresh

    @property
    def _place(self) -> str:
        return f"zalo {self._app_id}"

    @asynccontextmanager
    async def _locked(self) -> AsyncIterator[None]:
        """One at a time, of all tasks and processes. Raises ChannelError where it takes too long."""
        try:
            fd = os.open(self._file.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise ChannelError(f"zalo token: cannot be locked: {error.strerror}", everybody=True) from None
        try:
            for _ in range(_LOCK_WAITS):
                with suppress(BlockingIOError):
                    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                await asyncio.sleep(_LOCK_WAIT_S)
            else:
                raise ChannelError("zalo token: another process is renewing it, for too long", everybody=True)
            yield
        finally:
            os.close(fd)


class _RefusedError(ChannelError):
    """Zalo has answered, and gives no pair for this token."""

    def __init__(self, code: str) -> None:
        super().__init__(f"zalo oauth {code}: no new token; {TO_DO}", everybody=True)
        self.code = code


def _document(reply: Reply) -> dict[str, Any] | None:
    try:
        return msgspec.json.decode(reply.body, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def token_file(folder: Path, app_id: str) -> Path:
    return folder / f"zalo_token_{app_id}.json"


def read_kept(file: Path) -> Kept | None:
    """None where there is none that can be read. Its times are for everybody; the pair takes the app's secret."""
    try:
        return msgspec.json.decode(file.read_bytes(), type=Kept)
    except (OSError, msgspec.DecodeError):
        return None


def measured(file: Path, now_ms: int) -> dict[str, float]:
    """Seconds that the tokens have left, 0 where there are none; 1 where a person has to authorise again."""
    kept = read_kept(file)
    left = (0, 0) if kept is None else (kept.access_until - now_ms, kept.refresh_until - now_ms)
    return {
        "canhbao_zalo_access_token_seconds": max(0, left[0]) / 1000,
        "canhbao_zalo_refresh_token_seconds": max(0, left[1]) / 1000,
        "canhbao_zalo_token_refused": float(kept is None or bool(kept.refused)),
    }


def _looked_at(task: asyncio.Task[None]) -> None:
    """An error that nobody waits for any more is told by the next one who asks."""
    if not task.cancelled():
        task.exception()
