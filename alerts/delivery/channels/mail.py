"""Mail by the city's own server (RFC 5321), which signs it (DKIM) and takes it to the world."""

from __future__ import annotations

import asyncio
import re
import ssl
from dataclasses import dataclass, replace
from email.utils import parseaddr
from typing import Final, Literal

from aiosmtplib import SMTP, SMTPException, SMTPResponseException, SMTPSenderRefused

from alerts.delivery.channels.channel import ChannelError, Kind, Means, Quota, Reached
from alerts.delivery.letter import Sender, letter
from alerts.delivery.parcel import Parcel
from alerts.given import Given, Secret, Section

_IDLE_S: Final = 20.0  # what has lain longer is not used again: servers hang up, and say so at the next message
_CONNECT_S: Final = 10.0  # for each step until the server is ready to listen
_ANSWERS_S: Final = 40.0  # for the three answers to one mail, on one clock: a timer for each would double their price
_LOCAL_MOST, _ADDRESS_MOST = 64, 254  # RFC 5321 section 4.5.3.1
_LOCAL: Final = re.compile(r"[a-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[a-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_DOMAIN: Final = re.compile(r"([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])")
# RFC 3463: no such mailbox, no such domain, moved away, no longer in use.
_GONE: Final = ("5.1.1", "5.1.2", "5.1.6", "5.2.1")
_PORTS: Final = {"starttls": 587, "tls": 465, "none": 25}

Tls = Literal["starttls", "tls", "none"]


@dataclass(frozen=True, slots=True)
class Server:
    """`context`: whom to believe; None: whom this machine believes."""

    host: str
    port: int
    tls: Tls
    username: str = ""
    password: Secret | None = None
    context: ssl.SSLContext | None = None


class Mail:
    name: Final = "mail"
    timeout_s: Final = 60.0  # above all that is waited for here, which knows better whether a mail may have arrived

    def __init__(self, server: Server, sender: Sender, *, connections: int = 8, quota: Quota | None = None) -> None:
        self._server, self._sender = server, sender
        self.at_once = connections
        self.quota = quota or Quota()
        self._idle: list[tuple[SMTP, float]] = []  # and since when; the last used comes first; at most `at_once`

    async def send(self, parcel: Parcel) -> str:
        """No number of the server's: it stands in a text that each writes as it likes."""
        message = letter(parcel, self._sender)
        client, fresh = await self._connection()
        began = False
        try:
            async with asyncio.timeout(_ANSWERS_S):
                try:
                    await client.mail(self._sender.address, timeout=None)
                except (SMTPException, OSError) as error:
                    if fresh or not _hung_up(error):
                        raise
                    client.close()
                    client = await self._connected()  # it had hung up while nobody wrote
                    await client.mail(self._sender.address, timeout=None)
                await client.rcpt(parcel.address, timeout=None)
                began = True
                await client.data(message, timeout=None)
        except SMTPResponseException as error:
            await self._keep_after(client, error)
            raise _refusal(error, maybe=began) from None
        except (SMTPException, OSError) as error:
            client.close()
            raise ChannelError(f"mail: {type(error).__name__}", maybe=began, everybody=not began) from None
        except BaseException:  # given up in the middle: the answer that is still to come would be taken for the next
            client.close()
            raise
        self._keep(client)
        return ""

    async def _connection(self) -> tuple[SMTP, bool]:
        """One to use alone, and whether it is new."""
        now = asyncio.get_running_loop().time()
        while self._idle:
            client, since = self._idle.pop()
            if client.is_connected and now - since < _IDLE_S:
                return client, False
            client.close()
        return await self._connected(), True

    async def _connected(self) -> SMTP:
        server = self._server
        client = SMTP(
            hostname=server.host, port=server.port, use_tls=server.tls == "tls", start_tls=server.tls == "starttls",
            username=server.username or None, password=server.password.reveal() if server.password else None,
            local_hostname=self._sender.domain, timeout=_CONNECT_S,
            tls_context=None if server.tls == "none" else server.context or ssl.create_default_context(),
        )  # fmt: skip
        try:
            await client.connect()
        except SMTPResponseException as error:
            raise ChannelError(f"mail: the server answers {error.code} at the door", everybody=True) from None
        except (SMTPException, OSError, ValueError) as error:
            raise ChannelError(f"mail: no connection ({type(error).__name__})", everybody=True) from None
        return client

    async def _keep_after(self, client: SMTP, error: SMTPResponseException) -> None:
        """For the next message, where the server is still there after it refused this one."""
        if error.code == 421 or error.code < 0:
            client.close()
            return
        try:
            await client.rset()
        except (SMTPException, OSError):
            client.close()
        else:
            self._keep(client)

    def _keep(self, client: SMTP) -> None:
        self._idle.append((client, asyncio.get_running_loop().time()))

    async def close(self) -> None:
        while self._idle:
            client, _ = self._idle.pop()
            client.close()


def _hung_up(error: Exception) -> bool:
    return not isinstance(error, SMTPResponseException) or error.code == 421


def _refusal(error: SMTPResponseException, *, maybe: bool) -> ChannelError:
    """By its codes alone: the server's words may repeat the address."""
    code = error.code
    found = re.match(r"[245]\.\d{1,3}\.\d{1,3}(?!\d)", error.message)
    detail = found[0] if found else ""
    said = f"mail: the server answers {code} {detail}".rstrip()
    if code < 0:
        return ChannelError(said, maybe=maybe, everybody=True)  # it does not speak SMTP
    if isinstance(error, SMTPSenderRefused) or code in (421, 530, 535, 538):  # it does not want us
        return ChannelError(said, everybody=True)
    if code >= 500:
        return ChannelError(said, gone=detail in _GONE, permanent=True)
    return ChannelError(said)


def reach(text: str) -> Reached:
    """One address, in small letters: no server in use tells mailboxes apart by their capitals. Raises ValueError.

    Names before the `@` that are not ASCII (RFC 6531) are refused, as servers on the way still refuse them.
    """
    local, at, domain = text.strip().lower().rpartition("@")
    try:
        host = domain.encode("idna").decode()
    except UnicodeError:
        host = ""
    fits = len(local) <= _LOCAL_MOST and len(local) + 1 + len(host) <= _ADDRESS_MOST
    if not (at and fits and _LOCAL.fullmatch(local) and _DOMAIN.fullmatch(host)):
        raise ValueError("một địa chỉ thư, như ten@example.vn / one mail address, such as ten@example.vn")
    return Reached(f"{local}@{host}")


def _make(section: Section, _: Means) -> Mail | None:
    """None without `mail.host`. Raises ConfigError."""
    if not section["host"].text:
        return None
    tls = _tls(section["tls"])
    server = Server(
        section["host"].text, section["port"].whole(1, 65_535) if section["port"].text else _PORTS[tls], tls,
        section["username"].text, section.secrets["password"],
    )  # fmt: skip
    if bool(server.username) != (server.password is not None):
        raise section["username"].wrong("a user name and mail.password_file, or neither of them")
    if server.password is not None and tls == "none" and server.host not in ("127.0.0.1", "::1", "localhost"):
        raise section["tls"].wrong('"starttls" or "tls": a password is not sent in the clear')
    per_day = section["per_day"].whole(1, 1_000_000_000) if section["per_day"].text else None
    per_s = section["per_s"].number(0.01, 100_000)
    quota = Quota(per_s=per_s, burst=max(1.0, per_s), per_day=per_day)
    return Mail(server, _sender(section), connections=section["connections"].whole(1, 100), quota=quota)


def _sender(section: Section) -> Sender:
    name, address = parseaddr(section["sender"].text)
    made = Sender(name, _checked(section["sender"], address))
    if section["reply_to"].text:
        made = replace(made, reply_to=_checked(section["reply_to"], section["reply_to"].text))
    if not name.isprintable():
        raise section["sender"].wrong("a name of one line")
    return made


def _checked(given: Given, address: str) -> str:
    try:
        return reach(address).address
    except ValueError:
        raise given.wrong(
            'an address, such as "canhbao@example.vn" (mail.sender: "Name <canhbao@example.vn>")'
        ) from None


def _tls(given: Given) -> Tls:
    match given.text:
        case "starttls" | "tls" | "none" as tls:
            return tls
    raise given.wrong('"starttls", "tls" or "none"')


KIND: Final = Kind(
    Mail.name, "residents", _make,
    {"host": "", "port": "", "tls": "starttls", "username": "", "sender": "", "reply_to": "", "connections": "8",
     "per_s": "100", "per_day": ""},
    ("password",), reach,
)  # fmt: skip
