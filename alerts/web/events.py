"""The stream of events: one reader of the ledger's notices, each encoded once and fanned out to every listener."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Sequence
from http import HTTPStatus
from typing import Final

from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from alerts.incidents.incident import Notice
from alerts.web import payloads
from alerts.web.sources import Sources

LISTENERS_MAX: Final = 5_000  # the next one gets 503 and Retry-After; each costs a socket and a small queue
PENDING_BYTES_MAX: Final = 256 * 1024  # a listener that is further behind is disconnected, and resumes
SEND_S_MAX: Final = 60.0  # so is one whose socket takes nothing for so long
FAREWELL_S: Final = 1.0  # a slow listener has so long to take the end of its stream, then it is cut
NOTICES_A_READ: Final = 100  # a larger backlog is read in as many reads as it takes
HEARTBEAT_S: Final = 15.0
WAKE_S_MAX: Final = 1.0  # the ledger is looked at so often even if a wake was lost
RETRY_MS: Final = 2_000
RETRY_SPREAD_MS: Final = 3_000
_HEARTBEAT: Final = b":\n\n"
_log = logging.getLogger(__name__)


def encode_event(name: str, data: BaseModel, id_: int | None = None) -> bytes:
    """One event; its data is JSON on one line."""
    head = f"event: {name}\n" if id_ is None else f"event: {name}\nid: {id_}\n"
    return f"{head}data: {data.model_dump_json()}\n\n".encode()


class Listener:
    """What waits to be sent to one listener, bounded in bytes; beyond the bound it is `slow` and takes no more.

    `drill`: it hears of drills and of nothing else; others never hear of one.
    """

    def __init__(self, bytes_max: int, *, drill: bool = False) -> None:
        self._bytes_max, self.drill = bytes_max, drill
        self._pending: deque[bytes] = deque()
        self._bytes = 0
        self._filled = asyncio.Event()
        self.slow = asyncio.Event()

    def put(self, chunk: bytes) -> bool:
        """False where the listener is too slow; the chunk was not taken."""
        if self._bytes + len(chunk) > self._bytes_max:
            self.slow.set()
            return False
        self._pending.append(chunk)
        self._bytes += len(chunk)
        self._filled.set()
        return True

    async def take(self) -> bytes:
        """Everything pending, joined; waits for the first."""
        await self._filled.wait()
        self._filled.clear()
        chunks = b"".join(self._pending)
        self._pending.clear()
        self._bytes = 0
        return chunks


class FanOut:
    """Reads every notice once and hands it to all listeners. Lives on one event loop.

    The order that loses nothing: `last_seq` moves and the listeners are served without an await between, and a
    listener joins without an await after it has caught up to `last_seq`.
    """

    def __init__(self, sources: Sources, *, bytes_max: int = PENDING_BYTES_MAX) -> None:
        self._sources = sources
        self._bytes_max = bytes_max
        self._open: set[Listener] = set()
        self._joined: set[Listener] = set()  # those of the open that have caught up
        self._tasks: list[asyncio.Task[None]] = []
        self._stopped = False
        self.last_seq = 0
        self.dropped = 0  # listeners, since start
        self.errors = 0

    @property
    def streams(self) -> int:
        return len(self._open)

    async def start(self) -> None:
        """Begins after the newest notice: who wants older ones says so with Last-Event-ID."""
        self.last_seq = await asyncio.to_thread(self._sources.ledger.last_seq)
        self._tasks = [asyncio.create_task(self._read_for_ever()), asyncio.create_task(self._beat_for_ever())]

    async def stop(self) -> None:
        """Ends every stream, and each that still comes; the listeners come back when there is somebody to come to."""
        self._stopped = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for listener in self._open:
            listener.slow.set()

    def listen(self, last_event_id: str, *, drill: bool = False) -> EventStream:
        """A stream of what follows that event, or of what follows now where the id is none of ours. 503: no room.

        `drill`: of drills alone; the ids count all that happens, so that those of one stream skip some.
        """
        if self._stopped or self.streams >= LISTENERS_MAX:
            raise HTTPException(HTTPStatus.SERVICE_UNAVAILABLE, "no room for a listener now", {"Retry-After": "30"})
        known = last_event_id.isascii() and last_event_id.isdigit() and len(last_event_id) < 19
        return EventStream(self, min(int(last_event_id), self.last_seq) if known else self.last_seq, drill=drill)

    def open(self, *, drill: bool) -> Listener:
        """A listener that is told nothing yet, except that it has to go."""
        listener = Listener(self._bytes_max, drill=drill)
        if self._stopped:
            listener.slow.set()
        self._open.add(listener)
        return listener

    def join(self, listener: Listener) -> None:
        """From here on it is told everything after `last_seq`."""
        self._joined.add(listener)

    def close(self, listener: Listener, error: Exception | None) -> None:
        self._open.discard(listener)
        self._joined.discard(listener)
        if error is not None:
            self.errors += 1
            _log.warning("a stream of events ended: %r", error)

    def retry_ms(self) -> int:
        """When a listener should come back: spread, so that a city of listeners does not come back at once."""
        return RETRY_MS + self.streams * 37 % RETRY_SPREAD_MS

    async def after(self, seq: int, *, drill: bool) -> tuple[int, bytes]:
        """The next events after that seq, joined, and the seq of the last of them; never beyond `last_seq`.

        What the ledger has beyond it is still to be told to everybody who has joined: told here it would come twice.
        """
        told = self.last_seq
        read = await asyncio.to_thread(self._sources.ledger.notices, seq, NOTICES_A_READ)
        notices = [(number, notice) for number, notice in read if number <= self.last_seq]
        return (notices[-1][0] if notices else told), b"".join(self._events(notices, drill=drill))

    async def _read_for_ever(self) -> None:
        changed = self._sources.changed
        while True:
            with contextlib.suppress(TimeoutError):  # timeout, as wait_for of 3.11 can swallow being cancelled
                async with asyncio.timeout(WAKE_S_MAX):
                    await changed.wait()
            changed.clear()  # before reading: whatever is written from here on wakes us again
            try:
                while await self._read_once() == NOTICES_A_READ:
                    pass
            except Exception:  # noqa: BLE001  # the loop's one: logged, counted, tried again
                self.errors += 1
                _log.exception("reading the notices after %d failed; it is tried again", self.last_seq)
                await asyncio.sleep(WAKE_S_MAX)

    async def _read_once(self) -> int:
        """Tells the next notices to everybody; how many there were."""
        notices = await asyncio.to_thread(self._sources.ledger.notices, self.last_seq, NOTICES_A_READ)
        if notices:
            self.last_seq = notices[-1][0]
            for drill in {listener.drill for listener in self._joined}:
                self._tell(b"".join(self._events(notices, drill=drill)), drill=drill)
        real = [notice for _, notice in notices if not notice.drill and notice.planned is None]
        if real and not all(listener.drill for listener in self._joined):
            self._tell(await asyncio.to_thread(self._situations, real), drill=False)
        return len(notices)

    def _events(self, notices: Sequence[tuple[int, Notice]], *, drill: bool) -> list[bytes]:
        """Those of drills, or those in earnest."""
        view, events = self._sources.view(), []
        for seq, notice in notices:
            if notice.drill is not drill:
                continue
            try:
                # By another name: who listens for `alert` hears of no drill, whatever address he was given, and of
                # nothing that is only planned.
                name = "drill" if drill else "outage" if notice.planned is not None else "alert"
                events.append(encode_event(name, payloads.notice_event(view, seq, notice), seq))
            except Exception:  # noqa: BLE001  # one notice that cannot be worded must not hold up those behind it
                self.errors += 1
                _log.exception("notice %d cannot be shown", seq)
        return events

    def _situations(self, notices: Sequence[Notice]) -> bytes:
        view, incidents = self._sources.view(), self._sources.ledger.open_incidents()
        told = [notice.area for notice in notices if notice.area in view.city.areas]
        near = (code for area in told for code in (*view.city.lineage(area), *view.city.within(area)))
        codes = [*dict.fromkeys(near), payloads.WHOLE_CITY]
        return b"".join(encode_event("situation", payloads.situation_event(view, code, incidents)) for code in codes)

    async def _beat_for_ever(self) -> None:
        while True:
            await asyncio.sleep(HEARTBEAT_S)
            for drill in (False, True):
                self._tell(_HEARTBEAT, drill=drill)

    def _tell(self, chunk: bytes, *, drill: bool) -> None:
        """To those who listen for drills, or to all others."""
        of_it = [listener for listener in self._joined if chunk and listener.drill is drill]
        slow = [listener for listener in of_it if not listener.put(chunk)]
        self.dropped += len(slow)
        self._joined.difference_update(slow)


class EventStream(Response):
    """One listener's answer: what it missed, then what happens, until it goes, or is too slow."""

    media_type = "text/event-stream"

    def __init__(self, fan_out: FanOut, after: int, *, drill: bool) -> None:
        super().__init__(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._fan_out, self._after, self._drill = fan_out, after, drill

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002  # ASGI's signature
        listener = self._fan_out.open(drill=self._drill)
        writer = asyncio.create_task(self._write(listener, send))
        gone = asyncio.create_task(_disconnected(receive))
        ends = (writer, gone, asyncio.create_task(listener.slow.wait()))
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            here = not gone.done()
            for task in ends:
                task.cancel()
            failed = (await asyncio.gather(*ends, return_exceptions=True))[0]
            self._fan_out.close(listener, failed if isinstance(failed, Exception) else None)
        if here:  # where it still takes nothing the server cuts the connection
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(FAREWELL_S):
                    await send({"type": "http.response.body", "body": b""})

    async def _write(self, listener: Listener, send: Send) -> None:
        fan_out, seq = self._fan_out, self._after
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        await _send_chunk(send, f"retry: {fan_out.retry_ms()}\n\n".encode())
        while seq < fan_out.last_seq:
            seq, chunk = await fan_out.after(seq, drill=self._drill)
            await _send_chunk(send, chunk)
        fan_out.join(listener)
        while True:
            await _send_chunk(send, await listener.take())


async def _send_chunk(send: Send, chunk: bytes) -> None:
    """Raises TimeoutError where the socket takes nothing for too long."""
    async with asyncio.timeout(SEND_S_MAX):
        await send({"type": "http.response.body", "body": chunk, "more_body": True})


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
