"""Webhooks: what is signed, who gets what, what an answer means, and a receiver as our pages show it."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from certificates import authority, certify
from yarl import URL

from alerts.delivery.channels.channel import ChannelError, Means
from alerts.delivery.channels.webhook import ANSWER_BYTES_MOST, KIND, Webhook, payload, signature
from alerts.delivery.desk import DeskQueue
from alerts.delivery.fan_out import FanOut
from alerts.delivery.parcel import Parcel
from alerts.delivery.send import Sender
from alerts.given import Given, Section
from alerts.incidents.decision import Outcome
from alerts.incidents.incident import Notice, Reason
from alerts.ledger.ledger import Ledger
from alerts.ledger.outbox import Outbox
from alerts.words.message import bare_message
from ingest.city import ConfigError, parse_city
from ingest.entries import Position

CITY = """
[city]
name = "Đà Nẵng"
timezone = "Asia/Ho_Chi_Minh"
[[area]]
code = "A"
name = "Hải Châu"
parent = "C"
[[area]]
code = "B"
name = "Sơn Trà"
[[area]]
code = "C"
name = "Trung tâm"
"""
AT = 1_760_000_000_000
SECRET, OLD = "5" * 32, "4" * 32
EXAMPLE = Path(__file__).parents[1] / "docs" / "examples" / "webhook_receiver.py"
FLOOD = Notice("flood.A.1", 1, Reason.FIRST, "flood", "A", 3, 0, AT, AT, None, peak=3)


def parcel(notice: Notice = FLOOD, *, attempt: int = 1, **more: Any) -> Parcel:
    made = {
        "id": 1, "attempt": attempt, "channel": "webhook:ioc", "recipient": "ioc", "incident": notice.incident,
        "version": notice.version, "seq": notice.version, "level": notice.level, "lang": "vi",
        "body": bare_message(notice), "created_at": AT, "expires_at": AT + 3_600_000,
    }  # fmt: skip
    return Parcel(**made | more)


class Receiver:
    """A real HTTP server of one endpoint; every request that it got, and what it is told to answer."""

    def __init__(self) -> None:
        self.got: list[tuple[Mapping[str, str], bytes]] = []
        self.answer: Callable[[web.Request, bytes], Awaitable[web.StreamResponse]] = accepts
        self.url = ""

    async def hear(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        self.got.append((request.headers.copy(), body))
        return await self.answer(request, body)

    @property
    def versions(self) -> list[int]:
        return [json.loads(body)["alert"]["version"] for _, body in self.got]


async def accepts(_request: web.Request, _body: bytes) -> web.StreamResponse:
    return web.Response(status=204)


def answering(status: int, headers: Mapping[str, str] | None = None, text: str = "") -> Any:
    async def answer(_request: web.Request, _body: bytes) -> web.StreamResponse:
        return web.Response(status=status, headers=headers, text=text)

    return answer


@asynccontextmanager
async def receiving(tls: ssl.SSLContext | None = None) -> AsyncIterator[Receiver]:
    receiver = Receiver()
    app = web.Application()
    app.router.add_route("*", "/{any:.*}", receiver.hear)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
    await site.start()
    receiver.url = f"{'https' if tls else 'http'}://127.0.0.1:{runner.addresses[0][1]}/hook?token=geheim"
    try:
        yield receiver
    finally:
        await runner.cleanup()


class Setup:
    """The settings of webhooks as somebody writes them."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.now = folder, AT
        (folder / "ioc.secret").write_text(SECRET + "\n")
        (folder / "old.secret").write_text(OLD)

    def channels(self, text: str, **keys: str) -> list[Webhook]:
        (self.folder / "webhooks.toml").write_text(text)
        given = {**KIND.keys, "file": "webhooks.toml", "allow_insecure": "yes", **keys}
        section = Section(
            {key: Given(text, f"webhook.{key}", self.folder, "canhbao.toml") for key, text in given.items()}, {}
        )
        means = Means(self.folder, "", lambda: self.now, city=lambda: parse_city(CITY))
        return list(KIND.made(section, means))  # type: ignore[arg-type]

    def channel(self, url: str = "https://ioc.example/hook", more: str = "", **keys: str) -> Webhook:
        (made,) = self.channels(entry(url, more), **keys)
        return made


def entry(url: str = "https://ioc.example/hook", more: str = "", name: str = "ioc") -> str:
    return f'[[webhook]]\nname = "{name}"\nurl = "{url}"\nsecret_file = "ioc.secret"\n{more}\n'


@pytest.fixture
def setup(tmp_path: Path) -> Setup:
    return Setup(tmp_path)


def told(setup: Setup, story: Callable[[Webhook, Receiver], Awaitable[None]], more: str = "") -> None:
    """Runs `story` with a channel towards a receiver, and ends both."""

    async def run() -> None:
        async with receiving() as receiver:
            channel = setup.channel(receiver.url, more)
            try:
                await story(channel, receiver)
            finally:
                await channel.close()

    asyncio.run(run())


async def refused(channel: Webhook, what: Parcel) -> ChannelError:
    with pytest.raises(ChannelError) as caught:
        await channel.send(what)
    assert "127.0.0.1" not in str(caught.value)
    assert "geheim" not in str(caught.value)
    return caught.value


# -- what is said ------------------------------------------------------------------------------------------------------


def test_an_event_is_signed_over_time_and_body(setup: Setup) -> None:
    async def story(channel: Webhook, receiver: Receiver) -> None:
        await channel.send(parcel())
        ((headers, body),) = receiver.got
        assert headers["Content-Type"] == "application/json"
        assert headers["Canhbao-Event-Id"] == parcel().key
        assert headers["Canhbao-Timestamp"] == str(AT // 1000)
        assert headers["Canhbao-Signature"] == "v1=" + hmac_by_openssl(SECRET, f"{AT // 1000}.".encode() + body)
        event = json.loads(body)
        assert event["event_id"] == parcel().key
        assert (event["sequence"], event["type"]) == (1, "alert")
        assert event["created_at"] == "2025-10-09T08:53:20.000+00:00"
        assert event["alert"]["texts"]["vi"] == "Nguy hiểm: ngập lụt, A."

    told(setup, story)


def hmac_by_openssl(secret: str, text: bytes) -> str:
    """By another's hand than ours."""
    ran = subprocess.run(
        ["openssl", "dgst", "-sha256", "-hmac", secret, "-hex"], input=text, capture_output=True, check=True
    )
    return ran.stdout.decode().split()[-1]


def test_another_try_is_the_same_event_at_another_time(setup: Setup) -> None:
    async def story(channel: Webhook, receiver: Receiver) -> None:
        await channel.send(parcel())
        setup.now += 60_000
        await channel.send(parcel(attempt=2))
        (first, body), (again, same) = receiver.got
        assert body == same
        assert first["Canhbao-Event-Id"] == again["Canhbao-Event-Id"]
        assert int(again["Canhbao-Timestamp"]) - int(first["Canhbao-Timestamp"]) == 60
        assert first["Canhbao-Signature"] != again["Canhbao-Signature"]

    told(setup, story)


def test_while_the_secret_is_changed_both_sign(setup: Setup) -> None:
    async def story(channel: Webhook, receiver: Receiver) -> None:
        await channel.send(parcel())
        ((headers, body),) = receiver.got
        assert headers["Canhbao-Signature"].split(", ") == [
            signature([secret.encode()], headers["Canhbao-Timestamp"], body) for secret in (SECRET, OLD)
        ]

    told(setup, story, 'old_secret_file = "old.secret"')


def test_a_drill_says_so_before_anything_else() -> None:
    drill = replace(FLOOD, drill=True)
    assert json.loads(payload(parcel(drill)))["type"] == "drill"


# -- who gets what -----------------------------------------------------------------------------------------------------


def fits(channel: Webhook, notice: Notice) -> bool:
    return list(channel.recipients(notice)) == ["ioc"]


def test_who_wants_danger_gets_its_end_as_well(setup: Setup) -> None:
    channel = setup.channel(more="floor = 3")
    warned = replace(FLOOD, level=2, peak=2)
    over = Notice("flood.A.1", 4, Reason.OVER, "flood", "A", 0, 1, AT, AT, None, peak=3)

    assert not fits(channel, warned)
    assert not fits(channel, replace(over, peak=2))
    assert fits(channel, FLOOD)
    assert fits(channel, over)
    assert fits(channel, replace(over, reason=Reason.EASED, level=1, previous_level=3, peak=3))


def test_areas_hazards_and_drills(setup: Setup) -> None:
    assert fits(setup.channel(), FLOOD)
    assert fits(setup.channel(more='areas = ["A"]'), FLOOD)
    assert not fits(setup.channel(more='areas = ["A"]'), replace(FLOOD, area="B"))
    assert not fits(setup.channel(more='hazards = ["rain"]'), FLOOD)
    assert not fits(setup.channel(), replace(FLOOD, drill=True))
    assert fits(setup.channel(more="drills = true"), replace(FLOOD, drill=True))


def test_an_area_has_all_that_is_part_of_it(setup: Setup) -> None:
    endpoint = setup.channel(more='areas = ["C"]')
    assert fits(endpoint, FLOOD)
    assert not fits(endpoint, replace(FLOOD, area="B"))


def test_every_endpoint_is_a_channel_of_its_own(setup: Setup) -> None:
    two = setup.channels(entry() + entry(name="pctt"))
    assert [channel.name for channel in two] == ["webhook:ioc", "webhook:pctt"]
    assert [list(channel.recipients(FLOOD)) for channel in two] == [["ioc"], ["pctt"]]


def test_nobody_has_set_it_up(setup: Setup) -> None:
    assert setup.channels("", file="") == []


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "webhook"),
        ("webhook = []", "1 to 50"),
        (entry() + entry(), "a name of its own"),
        (entry(name="IOC"), "a-z 0-9"),
        (entry("http://ioc.example/hook?token=geheim"), "https://"),
        (entry("https://10.0.0.7/hook"), "public"),
        (entry("https://me:geheim@ioc.example/"), "without user"),
        (entry(more='areas = ["Z"]'), "codes of the city's areas"),
        (entry(more="floor = 5"), "1 to 4"),
        (entry(more='old_secret_file = "nowhere"'), "can be read"),
        (entry().replace("ioc.secret", "weak.secret"), "24 characters"),
        (entry(more='secret = "geheim"'), "secret"),
    ],
)
def test_what_is_set_up_wrongly_is_said_and_no_secret_with_it(setup: Setup, text: str, says: str) -> None:
    (setup.folder / "weak.secret").write_text("geheim")
    with pytest.raises(ConfigError, match=says) as caught:
        setup.channels(text)
    assert "geheim" not in str(caught.value)


def test_settings_of_the_section_are_checked(setup: Setup) -> None:
    for key, wrong in (
        ("allow_networks", "10.0.0.0/33"),
        ("ports", "0"),
        ("allow_insecure", "maybe"),
        ("ca_file", "x"),
    ):
        with pytest.raises(ConfigError, match=key):
            setup.channel(**{key: wrong})
    assert setup.channel("https://10.20.0.1:8443/", allow_networks="10.20.0.0/16", ports="8443")


# -- what an answer means ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_two_hundred_is_taken(setup: Setup, status: int) -> None:
    async def story(channel: Webhook, receiver: Receiver) -> None:
        receiver.answer = answering(status)
        assert await channel.send(parcel()) == ""

    told(setup, story)


@pytest.mark.parametrize(
    ("status", "permanent", "everybody"),
    [
        (301, False, True), (302, False, True), (307, False, True), (400, False, False), (401, False, True),
        (403, False, True), (404, False, True), (409, False, False), (410, True, False), (413, True, False),
        (422, False, False), (429, False, True), (500, False, False), (503, False, True),
    ],
)  # fmt: skip
def test_everything_else_is_tried_again_but_what_never_will_be_taken(
    setup: Setup, status: int, permanent: bool, everybody: bool
) -> None:  # fmt: skip
    async def story(channel: Webhook, receiver: Receiver) -> None:
        receiver.answer = answering(status, {"Location": receiver.url + "&elsewhere"}, "geheim")
        error = await refused(channel, parcel())
        assert (error.permanent, error.everybody, error.gone, error.maybe) == (permanent, everybody, False, False)
        assert str(status) in str(error)
        assert len(receiver.got) == 1  # no redirect is followed

    told(setup, story)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("7", 7), ("86400", 3600), ("Thu, 09 Oct 2025 08:55:20 GMT", 120), ("Wed, 08 Oct 2025 08:00:00 GMT", 0),
     ("soon", None), ("-5", None), ("9" * 400, 3600), ("", None)],
)  # fmt: skip
def test_retry_after(setup: Setup, text: str, seconds: float | None) -> None:
    async def story(channel: Webhook, receiver: Receiver) -> None:
        receiver.answer = answering(503, {"Retry-After": text})
        assert (await refused(channel, parcel())).retry_after_s == seconds

    told(setup, story)


def test_a_long_answer_is_not_read_to_its_end(setup: Setup) -> None:
    async def story(channel: Webhook, receiver: Receiver) -> None:
        written = 0
        cut = asyncio.Event()

        async def answer(request: web.Request, _body: bytes) -> web.StreamResponse:
            nonlocal written
            response = web.StreamResponse()
            await response.prepare(request)
            try:
                while written < 50_000_000:
                    await response.write(b"x" * 65_536)
                    written += 65_536
            except ConnectionError:
                cut.set()
            return response

        receiver.answer = answer
        await channel.send(parcel())
        await asyncio.wait_for(cut.wait(), 10)
        assert ANSWER_BYTES_MOST <= written < 50_000_000

    told(setup, story)


def test_no_answer_may_be_a_message_that_arrived(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Webhook, "timeout_s", 0.2)

    async def story(channel: Webhook, receiver: Receiver) -> None:
        over = asyncio.Event()

        async def hangs(_request: web.Request, _body: bytes) -> web.StreamResponse:
            await over.wait()
            return web.Response()

        async def breaks(request: web.Request, _body: bytes) -> web.StreamResponse:
            assert request.transport is not None
            request.transport.abort()
            return web.Response()

        for receiver.answer in (hangs, breaks):
            assert (await refused(channel, parcel())).maybe
        over.set()

    told(setup, story)


def test_nobody_there_is_no_message_that_arrived(setup: Setup) -> None:
    async def story() -> None:
        with socket.socket() as taken:  # and nobody listens
            taken.bind(("127.0.0.1", 0))
            channel = setup.channel(f"http://127.0.0.1:{taken.getsockname()[1]}/?token=geheim")
            error = await refused(channel, parcel())
        assert (error.maybe, error.everybody, error.permanent) == (False, True, False)
        assert "ECONNREFUSED" in str(error)
        await channel.close()

    asyncio.run(story())


def test_a_name_that_leads_into_our_network_is_not_written_to(setup: Setup) -> None:
    async def story() -> None:
        channel = setup.channel("https://localhost/?token=geheim", allow_insecure="no")
        error = await refused(channel, parcel())
        assert "neither public nor allowed" in str(error)
        await channel.close()

    asyncio.run(story())


@pytest.mark.server("openssl")
def test_a_certificate_is_checked(setup: Setup, program: Callable[[str], str], tmp_path: Path) -> None:
    openssl = program("openssl")
    ca = authority(openssl, tmp_path / "ca")
    certify(openssl, ca, tmp_path)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(tmp_path / "server.crt", tmp_path / "server.key")

    async def story() -> None:
        async with receiving(tls) as receiver:
            settings = {"allow_insecure": "no", "allow_networks": "127.0.0.1/32", "ports": str(URL(receiver.url).port)}
            ours = setup.channel(receiver.url, ca_file=str(ca), **settings)
            stranger = setup.channel(receiver.url, **settings)
            try:
                await ours.send(parcel())
                error = await refused(stranger, parcel())
            finally:
                await ours.close()
                await stranger.close()
            assert (str(error), error.maybe) == ("its certificate is not believed", False)
            assert len(receiver.got) == 1

    asyncio.run(story())


# -- order -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = Ledger.open(tmp_path / "ledger.sqlite")
    yield opened
    opened.close()


class Desk:
    """Notices of the real ledger, sent to a receiver by the real sender, at a time that stands until it is moved."""

    def __init__(self, ledger: Ledger, channel: Webhook) -> None:
        self.ledger, self.now, self.channel = ledger, AT, channel
        outbox = Outbox(ledger.store)
        self._fan_out = FanOut(outbox, [channel], bare_message)
        self._sender = Sender(DeskQueue(outbox, channel), channel, Random(1), lambda: self.now)

    async def decide(self, *notices: Notice) -> None:
        self.ledger.record(Position(self.ledger.position() + 1), AT, outcome=Outcome(list(notices)))
        while self._fan_out.turn(self.now):
            pass
        await self.turn()

    async def turn(self, *, after_s: float = 0.0) -> None:
        self.now += int(after_s * 1000)
        while await self._sender.turn():
            pass

    def statuses(self) -> list[str]:
        with self.ledger.store.reading() as db:
            return list(db.exec_driver_sql("SELECT status FROM message ORDER BY id").scalars())


def version(number: int, incident: str = FLOOD.incident) -> Notice:
    return replace(FLOOD, incident=incident, version=number)


def test_versions_go_one_after_the_other_and_incidents_beside_each_other(setup: Setup, ledger: Ledger) -> None:
    async def story(channel: Webhook, receiver: Receiver) -> None:
        under_way, most = Counter[str](), 0
        together = asyncio.Barrier(2)

        async def answer(_request: web.Request, body: bytes) -> web.StreamResponse:
            incident = json.loads(body)["alert"]["incident"]
            nonlocal most
            under_way[incident] += 1
            most = max(most, under_way[incident])
            await together.wait()
            under_way[incident] -= 1
            return web.Response(status=204)

        receiver.answer = answer
        desk = Desk(ledger, channel)
        async with asyncio.timeout(20):
            await desk.decide(*(version(n, f"flood.{area}.1") for n in (1, 2, 3) for area in "AB"))
        assert (most, receiver.versions) == (1, [1, 1, 2, 2, 3, 3])

    told(setup, story)


def test_one_that_failed_holds_no_newer_one_up_and_never_comes_after_it(setup: Setup, ledger: Ledger) -> None:
    async def story(channel: Webhook, receiver: Receiver) -> None:
        desk = Desk(ledger, channel)
        receiver.answer = answering(400)
        await desk.decide(version(1))
        assert desk.statuses() == ["failed"]
        receiver.answer = accepts
        await desk.decide(version(2))
        assert desk.statuses() == ["failed", "sent"]
        await desk.turn(after_s=3600)
        assert desk.statuses() == ["superseded", "sent"]
        assert receiver.versions == [1, 2]

    told(setup, story)


def test_an_endpoint_that_is_set_up_wrongly_for_hours_loses_nothing_that_still_helps(
    setup: Setup, ledger: Ledger
) -> None:  # fmt: skip
    async def story(channel: Webhook, receiver: Receiver) -> None:
        desk = Desk(ledger, channel)
        receiver.answer = answering(404)
        await desk.decide(version(1), version(1, "flood.B.1"))
        for _ in range(12):
            await desk.turn(after_s=1500)
        assert set(desk.statuses()) <= {"failed", "queued"}
        receiver.answer = accepts
        tries = len(receiver.got)
        await desk.turn(after_s=200)
        await desk.turn(after_s=200)
        assert desk.statuses() == ["sent", "sent"]
        assert len({headers["Canhbao-Event-Id"] for headers, _ in receiver.got}) == 2
        assert tries < len(receiver.got) <= tries + 2

    told(setup, story)


# -- the receiver of our pages -----------------------------------------------------------------------------------------


@asynccontextmanager
async def example(folder: Path) -> AsyncIterator[int]:
    """Its port."""
    command = [sys.executable, str(EXAMPLE), "0", str(folder / "ioc.secret"), str(folder / "events")]
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    assert process.stdout is not None
    said = await asyncio.wait_for(process.stdout.readline(), 20)
    try:
        yield int(said.split()[-1])
    finally:
        process.send_signal(signal.SIGTERM)
        await process.wait()


def test_the_example_takes_what_is_genuine_once_and_in_order(setup: Setup) -> None:
    async def story() -> None:
        setup.now = time.time_ns() // 1_000_000
        async with example(setup.folder) as port:
            channel = setup.channel(f"http://127.0.0.1:{port}/", 'old_secret_file = "old.secret"')
            for version in (1, 2, 2, 1, 3):
                await channel.send(parcel(replace(FLOOD, version=version)))
            setup.now -= 400_000
            assert "401" in str(await refused(channel, parcel(replace(FLOOD, version=4))))
            setup.now += 1_000_000  # the machine may be slow
            assert "401" in str(await refused(channel, parcel(replace(FLOOD, version=4))))
            await channel.close()
            await forged(port)
        heard = [json.loads(line) for line in (setup.folder / "events").read_text().splitlines()]
        assert [event["alert"]["version"] for event in heard] == [1, 2, 3]
        assert heard[0]["alert"]["texts"]["vi"] == "Nguy hiểm: ngập lụt, A."

    asyncio.run(story())


async def forged(port: int) -> None:
    """What somebody makes of an event that he has seen: another body, another time, no signature."""
    body, timestamp = payload(parcel(replace(FLOOD, version=9))), str(time.time_ns() // 1_000_000_000)
    right = signature([SECRET.encode()], timestamp, body)
    later = str(int(timestamp) + 10)
    async with aiohttp.ClientSession() as session:
        for sent, at, signed in (
            (body.replace(b"Nguy", b"Binh"), timestamp, right), (body, later, right), (body, timestamp, ""),
            (body, "", right), (body, timestamp, right[:-1] + ("0" if right[-1] != "0" else "1")),
            (body, timestamp, signature([b"x" * 32], timestamp, body)),
        ):  # fmt: skip
            headers = {"Canhbao-Timestamp": at, "Canhbao-Signature": signed}
            async with session.post(f"http://127.0.0.1:{port}/", data=sent, headers=headers) as answer:
                assert answer.status == 401
