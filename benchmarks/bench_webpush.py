"""Web pushes a second through the channel's own `send`, as many under way as it allows, to a sink in its own process.

All of it: the payload, a key of its own for every message, the encryption, HTTPS on connections that are kept. The peer
is pywebpush (made to keep its connections by a session of requests), one after the other, to the same sink. Beside them
the encryption alone: ours, and that of http_ece, which pywebpush uses. The sink checks nothing; it and we share the
machine's processors.

One JSON line a figure; `floor` is the peer's, `ratio` = value / floor.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import ssl
import sys
import tempfile
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import http_ece
import requests
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key
from py_vapid import Vapid02
from pywebpush import WebPusher

from alerts.delivery.channels.webpush import WebPush
from alerts.delivery.parcel import Lane, Parcel
from alerts.delivery.webpush_crypto import CURVE, BrowserKeys, Vapid, encrypt, point_of

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from carriers.own_certificate import made_for

BROWSERS = 500  # whose keys are used in turn: making them is not what is measured
AUTH = "BTBZMqHH6r4Tts7J_aSIgg"
CONTACT = "mailto:1022@danang.example.vn"
LONG = (
    "Nguy hiểm: ngập lụt ở Hải Châu.\n\nCảm biến của thành phố đo được nước sâu 0,62 m tại Hồ Thạc Gián lúc 15:03. "
    "Xe máy và ô tô con không đi được, người đi bộ có thể bị cuốn.\n\nTránh xa vùng ngập, lên chỗ cao, tắt cầu dao "
    "điện nếu nước vào nhà. Gọi 114 nếu cần cứu.\n\nTin tiếp: https://canhbao.example.vn/ Mã kiểm tra: ABCD2345."
)
_CREATED = b"HTTP/1.1 201 Created\r\nLocation: https://127.0.0.1/m/1\r\nContent-Length: 0\r\n\r\n"


class _Sink(asyncio.Protocol):
    """Answers 201 to every request that is there whole."""

    def connection_made(self, transport: Any) -> None:
        self._transport, self._left = transport, b""

    def data_received(self, data: bytes) -> None:
        self._left += data
        while True:
            head, found, rest = self._left.partition(b"\r\n\r\n")
            length = next(
                (int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")), 0
            )
            if not found or len(rest) < length:
                return
            self._left = rest[length:]
            self._transport.write(_CREATED)


def _serve(folder: str, port: Connection) -> None:
    async def run() -> None:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(Path(folder) / "own.pem")
        server = await asyncio.get_running_loop().create_server(_Sink, "127.0.0.1", 0, ssl=tls, backlog=1000)
        port.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(run())


def _subscriptions(port: int) -> list[dict[str, Any]]:
    vapid = [Vapid(generate_private_key(CURVE), CONTACT).public for _ in range(BROWSERS)]  # points like browsers'
    return [{"endpoint": f"https://127.0.0.1:{port}/push/{n}", "keys": {"p256dh": key, "auth": AUTH}}
            for n, key in enumerate(vapid)]  # fmt: skip


def _parcel(n: int, address: str) -> Parcel:
    body = {"incident": "flood.20242.1", "version": 1, "reason": "first", "hazard": "flood", "area": "20242",
            "exercise": False, "texts": {"vi": LONG[:160]}, "long": {"vi": LONG}, "code": "ABCD2345"}  # fmt: skip
    now = time.time_ns() // 1_000_000
    return Parcel(n, 1, "webpush", f"contact {n}", "flood.20242.1", 1, 1, 3, "vi", body, now, now + 7_200_000,
                  Lane.URGENT, address=address)  # fmt: skip


def _ours(port: int, n: int, tls: ssl.SSLContext) -> Callable[[], float]:
    addresses = [json.dumps(each) for each in _subscriptions(port)]

    async def run() -> float:
        vapid = Vapid(generate_private_key(CURVE), CONTACT)
        channel = WebPush(vapid, lambda: time.time_ns() // 1_000_000, tls=tls)
        parcels = iter([_parcel(k, addresses[k % BROWSERS]) for k in range(n)])

        async def worker() -> None:
            for parcel in parcels:
                await channel.send(parcel)

        began = time.perf_counter()
        await asyncio.gather(*(worker() for _ in range(channel.at_once)))
        took = time.perf_counter() - began
        await channel.close()
        return took

    return lambda: asyncio.run(run())


def _peer(port: int, n: int, certificate: Path) -> Callable[[], float]:
    subscriptions, data = _subscriptions(port), json.dumps({"text": LONG}).encode()
    vapid = Vapid02()
    vapid.generate_keys()

    def run() -> float:
        with requests.Session() as session:
            session.trust_env, session.verify = False, str(certificate)
            claims = {"aud": f"https://127.0.0.1:{port}", "exp": int(time.time()) + 43_200, "sub": CONTACT}
            signed = vapid.sign(claims)
            began = time.perf_counter()
            for k in range(n):
                pusher = WebPusher(subscriptions[k % BROWSERS], requests_session=session)
                pusher.send(data, {**signed, "Urgency": "high"}, ttl=7200, timeout=10)
            return time.perf_counter() - began

    return run


def _sealed(n: int) -> tuple[Callable[[], float], Callable[[], float]]:
    browser, auth, plain = generate_private_key(CURVE), bytes(16), LONG.encode()
    keys = BrowserKeys(point_of(browser), auth)

    def ours() -> float:
        began = time.perf_counter()
        for _ in range(n):
            encrypt(plain, keys, generate_private_key(CURVE), os.urandom(16))
        return time.perf_counter() - began

    def peer() -> float:
        began = time.perf_counter()
        for _ in range(n):
            http_ece.encrypt(plain, salt=os.urandom(16), private_key=generate_private_key(CURVE), dh=keys.point,
                             auth_secret=auth, version="aes128gcm")  # fmt: skip
        return time.perf_counter() - began

    return ours, peer


def _measured(call: Callable[[], float], n: int) -> tuple[float, float]:
    """Messages a second, and microseconds of our own processor a message."""
    cpu = time.process_time()
    took = call()
    return n / took, (time.process_time() - cpu) / n * 1e6


def _tell(figure: str, ours: Callable[[], float], peer: Callable[[], float], n: int, n_peer: int, rounds: int) -> None:
    """They take turns; the best of each."""
    runs = [(_measured(ours, n), _measured(peer, n_peer)) for _ in range(rounds)]
    (rate, cpu), (floor, floor_cpu) = (max(run[which] for run in runs) for which in (0, 1))
    line = {"bench": "webpush", "figure": figure, "value": round(rate), "unit": "1/s", "floor": round(floor),
            "ratio": round(rate / floor, 2), "cpu_us": round(cpu), "floor_cpu_us": round(floor_cpu),
            "n": n}  # fmt: skip
    print(json.dumps(line), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help="ours and the peer take turns; the best of each (3)")
    parser.add_argument("--pushes", type=int, default=6_000, help="a round (6000)")
    asked = parser.parse_args()
    n, context = asked.pushes, multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory(prefix="bench-webpush-") as folder:
        _, tls = made_for(Path(folder))
        here, there = context.Pipe()
        sink = context.Process(target=_serve, args=(folder, there), daemon=True)
        sink.start()
        port = here.recv()
        _tell("encrypted alone, beside http_ece", *_sealed(n), n, n, asked.rounds)
        ours, peer = _ours(port, n, tls), _peer(port, n // 4, Path(folder) / "own.pem")
        _tell("sent over HTTPS, beside pywebpush", ours, peer, n, n // 4, asked.rounds)
        sink.terminate()
        sink.join()


if __name__ == "__main__":
    main()
