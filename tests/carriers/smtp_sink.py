"""A mail server on 127.0.0.1 that keeps what it takes, and takes nothing but what RFC 5321 and 5322 allow."""

from __future__ import annotations

import asyncio
import re
import ssl
import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from email.errors import MessageDefect
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import SMTP as RULES
from email.utils import parsedate_to_datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from carriers.own_certificate import made_for

_ONCE: Final = ("From", "To", "Date", "Message-ID", "Subject", "MIME-Version", "Content-Type")


@dataclass(frozen=True)
class Taken:
    sender: str
    recipient: str
    raw: bytes
    mail: EmailMessage


class SmtpSink:
    """In a thread of its own, from `with` to its end. `users`: then nobody writes without logging in."""

    def __init__(self, folder: Path, *, users: Mapping[str, str] | None = None, tls: str = "none") -> None:
        """`tls`: "none", "starttls" or "tls"; `context` believes this server."""
        self.taken: list[Taken] = []
        self.script: dict[str, deque[str]] = {"MAIL": deque(), "RCPT": deque(), "DATA": deque()}
        self.connections = 0
        self.port = 0
        self._users, self._tls = users, tls
        self._server_tls, self.context = made_for(folder)
        self._open: set[_Session] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(10)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def hang_up(self) -> None:
        """Ends every connection, as servers do to those who are silent for long."""

        async def end() -> None:
            for session in list(self._open):
                if session.transport is not None:
                    session.transport.close()

        asyncio.run_coroutine_threadsafe(end(), self._loop).result(10)

    async def _start(self) -> None:
        context = self._server_tls if self._tls == "tls" else None
        self._server = await self._loop.create_server(self._session, "127.0.0.1", 0, ssl=context)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _stop(self) -> None:
        self._server.close()
        for session in list(self._open):
            if session.transport is not None:
                session.transport.abort()
        while self._open:  # noqa: ASYNC110  # what aiosmtpd does at its end tells nobody
            await asyncio.sleep(0.01)

    def _session(self) -> _Session:
        self.connections += 1
        upgrade: ssl.SSLContext | None = self._server_tls if self._tls == "starttls" else None
        return _Session(
            self, hostname="sink.example.vn", tls_context=upgrade, require_starttls=upgrade is not None,
            auth_required=self._users is not None, auth_require_tls=False, authenticator=self._who, loop=self._loop,
        )  # fmt: skip

    def opened(self, session: _Session) -> None:
        self._open.add(session)

    def ended(self, session: _Session) -> None:
        self._open.discard(session)

    def _who(self, _server: SMTP, _session: Session, _envelope: Envelope, _way: str, data: Any) -> AuthResult:
        good = (
            isinstance(data, LoginPassword) and (self._users or {}).get(data.login.decode()) == data.password.decode()
        )
        return AuthResult(success=good, handled=good)

    async def _next(self, command: str, server: SMTP) -> str:
        """What was scripted: an answer, "hang", or "drop"."""
        said = self.script[command].popleft() if self.script[command] else ""
        if said == "hang":
            await asyncio.sleep(3600)
        if said == "drop" and server.transport is not None:
            server.transport.abort()
        return said

    async def handle_MAIL(  # noqa: N802
        self, server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        if said := await self._next("MAIL", server):
            return said
        envelope.mail_from = address
        return "250 2.1.0 sender ok"

    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        if said := await self._next("RCPT", server):
            return said.format(address=address)
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 recipient ok"

    async def handle_DATA(self, server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        raw = envelope.original_content or b""
        mail = BytesParser(EmailMessage, policy=RULES).parsebytes(raw)
        if found := fault(raw, mail):
            return f"554 5.6.0 {found}"
        refused = self.script["DATA"][0] if self.script["DATA"] else ""
        if not refused or not refused[0].isdigit():
            self.taken.append(Taken(str(envelope.mail_from), *envelope.rcpt_tos, raw, mail))
        return await self._next("DATA", server) or "250 2.0.0 queued as 4F1"


class _Session(SMTP):
    """One connection."""

    def __init__(self, sink: SmtpSink, **how: Any) -> None:
        super().__init__(sink, **how)
        self._sink = sink

    def connection_made(self, transport: Any) -> None:
        self._sink.opened(self)
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        self._sink.ended(self)
        super().connection_lost(error)


def fault(raw: bytes, mail: EmailMessage) -> str:
    """What no server has to take; "" of nothing."""
    lines = raw.split(b"\r\n")
    names = [name.lower() for name in mail]
    defects: list[MessageDefect] = [*mail.defects, *(d for name in mail for d in mail[name].defects)]
    date = parsedate_to_datetime(mail["Date"]) if "Date" in mail else None
    faults = {
        "a bare CR or LF": any(b"\r" in line or b"\n" in line for line in lines) or lines[-1] != b"",
        "a line too long": any(len(line) > 998 for line in lines),
        "not ASCII": not raw.isascii(),
        "a header twice": len(names) != len(set(names)),
        "a header missing": any(name not in mail for name in _ONCE),
        f"defects: {defects}": bool(defects),
        "Date": date is None or date.tzinfo is None,
        "Message-ID": not re.fullmatch(r"<[\w.-]+@[\w.-]+>", mail.get("Message-ID", "")),
    }
    return next((name for name, found in faults.items() if found), "")
