"""The guard of addresses that others give us: what is reached is what was checked, whatever a name says next."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from ipaddress import ip_address, ip_network

import aiohttp
import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from alerts.delivery.guard import URL_MOST, Guard, RefusedError

GUARD = Guard()
# The first and last addresses of every block that is not the public's (IANA's special-purpose registries), and forms
# of IPv4 within IPv6.
OURS = (
    "0.0.0.0", "0.255.255.255", "10.0.0.0", "10.255.255.255", "100.64.0.0", "100.127.255.255", "127.0.0.1",
    "127.255.255.255", "169.254.0.0", "169.254.169.254", "169.254.255.255", "172.16.0.0", "172.31.255.255",
    "192.0.0.0", "192.0.0.8", "192.0.2.1", "192.88.99.1", "192.168.0.0", "192.168.255.255", "198.18.0.0",
    "198.19.255.255", "198.51.100.7", "203.0.113.7", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255",
    "::", "::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "::ffff:10.0.0.1", "64:ff9b::a00:1",
    "64:ff9b::808:808", "64:ff9b:1::1", "100::1", "2001::1", "2001:0:a00:1::1", "2001:10::1", "2001:20::1",
    "2001:db8::1", "2002:7f00:1::", "2002:808:808::1", "3fff::1", "5f00::1", "fc00::1", "fd12:3456::1", "fe80::1",
    "fe80::1%eth0", "fec0::1", "ff02::1", "ff0e::1",
)  # fmt: skip
PUBLIC = ("1.1.1.1", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "172.15.255.255", "172.32.0.0",
          "192.167.255.255", "198.17.255.255", "223.255.255.254", "2606:4700::1111", "2404:6800::8a")  # fmt: skip


@pytest.mark.parametrize("address", OURS)
def test_nothing_of_our_own_may_be_reached(address: str) -> None:
    assert not GUARD.may(ip_address(address))
    assert not Guard((ip_network("8.8.8.0/24"),)).may(ip_address(address))


@pytest.mark.parametrize("address", PUBLIC)
def test_what_is_public_may(address: str) -> None:
    assert GUARD.may(ip_address(address))


def test_a_network_of_the_city_may_be_reached_where_it_is_allowed_and_nothing_beside_it() -> None:
    guard = Guard((ip_network("10.20.0.0/16"), ip_network("fd12::/32")))

    assert guard.may(ip_address("10.20.3.4"))
    assert guard.may(ip_address("fd12::5"))
    assert not guard.may(ip_address("10.21.0.1"))
    assert not guard.may(ip_address("::ffff:10.20.3.4"))
    assert not guard.may(ip_address("127.0.0.1"))


@pytest.mark.parametrize(
    "url",
    [
        "http://ioc.example/hook", "ftp://ioc.example/", "//ioc.example/", "ioc.example", "", "https://", "https:///x",
        "https://user@ioc.example/", "https://user:pass@ioc.example/",
        "https://ioc.example:8443/", "https://ioc.example:0/", "https://ioc.example:99999/", "https://10.0.0.1/",
        "https://[::1]/", "https://[::ffff:10.0.0.1]/", "https://169.254.169.254/latest/meta-data/",
        "https://ioc.example/a b", "https://ioc.example\\@10.0.0.1/", "https://ioc.example/\n", "https://ìoc.example/",
        "http://127.0.0.1/", "https://ioc.example/" + "x" * URL_MOST,
    ],
)  # fmt: skip
def test_an_address_that_may_not_be_tried_is_refused_and_nothing_of_it_repeated(url: str) -> None:
    fault = GUARD.fault(url)

    assert fault
    assert "ioc.example" not in fault
    assert "pass" not in fault.replace("password", "")


def test_addresses_that_may_be_tried() -> None:
    assert GUARD.fault("https://ioc.example/hook?a=b") == ""
    assert GUARD.fault("https://ioc.example:443/") == ""
    assert GUARD.fault("https://1.1.1.1/") == ""
    assert Guard(ports=frozenset({8443})).fault("https://ioc.example:8443/") == ""
    assert Guard(insecure=True).fault("http://127.0.0.1:9000/") == ""
    assert Guard(insecure=True).fault("http://ioc.example/") != ""
    assert Guard(insecure=True).fault("http://localhost:9000/") != ""  # a name, whatever it leads to tomorrow


class Names(AbstractResolver):
    """Answers with one list of addresses after the other, the last one again and again."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers, self.asked = list(answers), 0

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET  # noqa: ARG002
    ) -> list[ResolveResult]:  # fmt: skip
        answer = self.answers[min(self.asked, len(self.answers) - 1)]
        self.asked += 1
        return [{"hostname": host, "host": at, "port": port, "proto": 0, "flags": 0,
                 "family": socket.AF_INET6 if ":" in at else socket.AF_INET} for at in answer]  # fmt: skip

    async def close(self) -> None:
        pass


class Server:
    """Answers 204 on an address of this machine and closes; how many connections came."""

    def __init__(self) -> None:
        self.came = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.came += 1
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()


@asynccontextmanager
async def standing(host: str, port: int) -> AsyncIterator[tuple[Server, int]]:
    server = Server()
    listening = await asyncio.start_server(server.serve, host, port)
    async with listening:
        yield server, listening.sockets[0].getsockname()[1]


async def get(session: aiohttp.ClientSession, url: str) -> int | Exception | None:
    """The status, or why nothing was connected to."""
    try:
        async with session.get(url) as answer:
            return answer.status
    except aiohttp.ClientConnectorError as error:
        return error.os_error
    except aiohttp.InvalidURL as error:
        return error


@pytest.mark.parametrize("rebound", [["127.0.0.1"], ["127.0.0.1", "127.0.0.1"], ["::ffff:127.0.0.1"], ["0.0.0.0"]])
def test_a_name_that_leads_elsewhere_the_second_time_is_not_followed(rebound: list[str]) -> None:
    async def story() -> None:
        # 127.0.0.2 plays a public address; 127.0.0.1, on the same port, what only this machine may reach.
        guard, names = Guard((ip_network("127.0.0.2/32"),)), Names(["127.0.0.2"], rebound)
        async with (
            standing("127.0.0.2", 0) as (public, port),
            standing("127.0.0.1", port) as (ours, _),
            aiohttp.ClientSession(connector=guard.connector(resolver=names)) as session,
        ):
            assert await get(session, f"http://rebinding.example:{port}/") == 204
            assert names.asked == 1  # between the check and the connection nobody is asked again
            assert isinstance(await get(session, f"http://rebinding.example:{port}/"), RefusedError)
            assert (public.came, ours.came, names.asked) == (1, 0, 2)

    asyncio.run(story())


@pytest.mark.parametrize("url", ["http://127.0.0.1:{}/", "http://2130706433:{}/", "http://localhost:{}/"])
def test_an_address_in_numbers_or_by_a_local_name_is_no_way_around(url: str) -> None:
    async def story() -> None:
        async with standing("127.0.0.1", 0) as (ours, port):
            async with aiohttp.ClientSession(connector=Guard().connector()) as session:
                assert await get(session, url.format(port)) is not None
            assert ours.came == 0
            async with aiohttp.ClientSession(connector=Guard(insecure=True).connector()) as session:
                assert await get(session, f"http://127.0.0.1:{port}/") == 204

    asyncio.run(story())


def test_a_proxy_in_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story() -> None:
        async with standing("127.0.0.1", 0) as (ours, port):
            for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY"):
                monkeypatch.setenv(name, f"http://127.0.0.1:{port}")
            names = Names(["203.0.113.7"])
            async with aiohttp.ClientSession(connector=Guard().connector(resolver=names)) as session:
                assert isinstance(await get(session, "http://ioc.example/"), RefusedError)
            assert ours.came == 0

    asyncio.run(story())
