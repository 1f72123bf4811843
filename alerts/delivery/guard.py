"""Where we may connect to when somebody else wrote the address: never into our own network (SSRF).

An address that others give us is a way to make the service ask what only the service can reach: routers, databases, the
metadata of a cloud. What counts is the IP address of the very connection: names are looked up anew for each, and a name
that answered with a public address a moment ago may answer with ours now (DNS rebinding). So the check stands where the
socket is made, for the address that it is made for.
"""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any, Final, TypeAlias

from aiohttp import TCPConnector
from aiohttp.abc import AbstractResolver
from yarl import URL

URL_MOST: Final = 2_000
HTTPS: Final = 443
_UNICAST: Final = ip_network("2000::/3")  # mapped and translated IPv4 (::ffff:0:0/96, 64:ff9b::/96) lie outside
# What the tables of ipaddress call global, and what is none of ours to reach: IPv4 within IPv6 (Teredo, 6to4 and its
# relays), and what stands in documents only (RFC 6890, RFC 9637).
_SPECIAL: Final = tuple(
    map(ip_network, ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20", "192.0.0.0/24", "192.88.99.0/24"))
)

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network


class RefusedError(OSError):
    """No connection was made, as the address is none of those that may be reached. It names no address."""


@dataclass(frozen=True, slots=True)
class Guard:
    """`networks`: of the city's own, that may be reached though they are not public. `ports` beside 443.

    `insecure`: this machine itself may be reached as well, by http and on any port: laboratories and tests.
    """

    networks: tuple[Network, ...] = ()
    ports: frozenset[int] = frozenset()
    insecure: bool = False

    def fault(self, text: str) -> str:
        """What is wrong with a URL, repeating nothing of it; "" where it may be tried. A name is not looked up."""
        try:
            url = URL(text)
            host, port = url.host or "", url.port
        except ValueError:
            return "an address that can be read"
        if not (text.isascii() and text.isprintable() and len(text) <= URL_MOST) or set(text) & {" ", "\\"}:
            return f"an address of at most {URL_MOST} characters of ASCII without spaces"
        literal = _literal(host)
        if not host or "@" in url.raw_authority:
            return "https://host/path without user and password"
        if self.insecure and literal is not None and literal.is_loopback and url.scheme in ("http", "https"):
            return ""
        if url.scheme != "https" or (port != HTTPS and port not in self.ports):
            return f"https:// and port {HTTPS}" + "".join(f" or {port}" for port in sorted(self.ports))
        return "" if literal is None or self.may(literal) else "a public address, or one of the networks allowed"

    def may(self, address: Address) -> bool:
        """Whether a connection to it may be made."""
        allowed = any(address in network for network in self.networks)
        return allowed or _public(address) or (self.insecure and address.is_loopback)

    def connector(
        self, *, tls: ssl.SSLContext | None = None, limit: int = 100, resolver: AbstractResolver | None = None
    ) -> TCPConnector:
        """Makes connections to allowed addresses alone; others raise ClientConnectorError by RefusedError.

        To be made on the loop. Every connection asks `resolver` (None: this machine's) once, and connects to what it
        answered; TLS is checked against the name. `limit`: connections at a time.
        """
        return TCPConnector(
            resolver=resolver, use_dns_cache=False, limit=limit, ssl=True if tls is None else tls,
            socket_factory=self._socket,
        )  # fmt: skip

    def _socket(self, found: tuple[Any, ...]) -> socket.socket:
        family, kind, protocol, _, at = found
        if not self.may(ip_address(at[0])):
            raise RefusedError("the name leads to an address that is neither public nor allowed")
        return socket.socket(family=family, type=kind, proto=protocol)


def _public(address: Address) -> bool:
    if address.version == 6 and address not in _UNICAST:
        return False
    special = any(address in network for network in _SPECIAL)
    return address.is_global and not (special or address.is_multicast or address.is_reserved)


def _literal(host: str) -> Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None
