"""Mails a second through the channel's own `send`, as many under way as it allows, to a sink in a process of its own.

The peer is the standard library's smtplib with as many threads, sending bytes that are made beforehand: what it would
cost to write mails by hand. The sink keeps nothing and checks nothing; it and we share the machine's processors.

One JSON line a figure; `floor` is the peer's, `ratio` = value / floor.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import smtplib
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from typing import Any

from alerts.delivery.channels.mail import Mail, Server
from alerts.delivery.letter import Sender, letter
from alerts.delivery.parcel import Lane, Parcel

AT = 1_665_734_580_000
SENDER = Sender("Cảnh báo Đà Nẵng", "canhbao@danang.example.vn")
LONG = (
    "Nguy hiểm: ngập lụt ở Hải Châu.\n\nCảm biến của thành phố đo được nước sâu 0,62 m tại Hồ Thạc Gián lúc 15:03. "
    "Xe máy và ô tô con không đi được, người đi bộ có thể bị cuốn.\n\nTránh xa vùng ngập, lên chỗ cao, tắt cầu dao "
    "điện nếu nước vào nhà. Gọi 114 nếu cần cứu.\n\nTin tiếp: https://canhbao.example.vn/ Mã kiểm tra: ABCD2345."
)


class _Sink(asyncio.Protocol):
    """Says yes to everything."""

    def connection_made(self, transport: Any) -> None:
        self._transport, self._left, self._text = transport, b"", False
        transport.write(b"220 sink ESMTP\r\n")

    def data_received(self, data: bytes) -> None:
        self._left += data
        while True:
            end = b"\r\n.\r\n" if self._text else b"\r\n"
            line, found, rest = self._left.partition(end)
            if not found:
                return
            self._left = rest
            self._transport.write(self._answer(line))

    def _answer(self, line: bytes) -> bytes:
        if self._text:
            self._text = False
            return b"250 2.0.0 queued\r\n"
        if line[:4].upper() == b"EHLO":
            return b"250-sink\r\n250 SIZE 1000000\r\n"
        if line[:4].upper() == b"QUIT":
            return b"221 2.0.0 bye\r\n"
        self._text = line[:4].upper() == b"DATA"
        return b"354 go on\r\n" if self._text else b"250 2.1.0 ok\r\n"


def _serve(port: Connection) -> None:
    async def run() -> None:
        server = await asyncio.get_running_loop().create_server(_Sink, "127.0.0.1", 0)
        port.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(run())


def _parcel(n: int) -> Parcel:
    body = {"texts": {"vi": LONG[:160]}, "long": {"vi": LONG}, "end_url": f"https://canhbao.example.vn/end/{n:043d}"}
    return Parcel(
        n, 1, "mail", f"contact {n}", "flood.20242.1", 1, 1, 3, "vi", body, AT, AT + 7_200_000, Lane.URGENT,
        address=f"nguoi-dan-{n}@example.vn",
    )  # fmt: skip


def _ours(port: int, n: int, connections: int) -> Callable[[], float]:
    async def run() -> float:
        channel = Mail(Server("127.0.0.1", port, "none"), SENDER, connections=connections)
        parcels = iter([_parcel(k) for k in range(n)])

        async def worker() -> None:
            for parcel in parcels:
                await channel.send(parcel)

        began = time.perf_counter()
        await asyncio.gather(*(worker() for _ in range(connections)))
        took = time.perf_counter() - began
        await channel.close()
        return took

    return lambda: asyncio.run(run())


def _peer(port: int, n: int, connections: int) -> Callable[[], float]:
    raw = letter(_parcel(0), SENDER)

    def some(_: int) -> None:
        with smtplib.SMTP("127.0.0.1", port, local_hostname="danang.example.vn") as client:
            for k in range(n // connections):
                client.sendmail(SENDER.address, f"nguoi-dan-{k}@example.vn", raw)

    def run() -> float:
        began = time.perf_counter()
        with ThreadPoolExecutor(connections) as pool:
            list(pool.map(some, range(connections)))
        return time.perf_counter() - began

    return run


def _measured(call: Callable[[], float], n: int) -> tuple[float, float]:
    """Mails a second, and microseconds of our own processor a mail."""
    cpu = time.process_time()
    took = call()
    return n / took, (time.process_time() - cpu) / n * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help="ours and the peer take turns; the best of each (3)")
    parser.add_argument("--mails", type=int, default=8_000, help="a round (8000)")
    asked = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    sink = context.Process(target=_serve, args=(there,), daemon=True)
    sink.start()
    port, n = here.recv(), asked.mails
    for connections in (1, 8, 32):
        calls = _ours(port, n, connections), _peer(port, n, connections)
        runs = [[_measured(call, n) for call in calls] for _ in range(asked.rounds)]
        (rate, cpu), (peer, peer_cpu) = (max(run[which] for run in runs) for which in (0, 1))
        made = time.process_time()
        for k in range(n):
            letter(_parcel(k), SENDER)
        figure = f"mails through {connections} connections"
        line = {"bench": "mail", "figure": figure, "value": round(rate), "unit": "1/s", "floor": round(peer),
                "ratio": round(rate / peer, 2), "cpu_us": round(cpu), "floor_cpu_us": round(peer_cpu),
                "made_us": round((time.process_time() - made) / n * 1e6), "n": n}  # fmt: skip
        print(json.dumps(line), flush=True)
    sink.terminate()
    sink.join()


if __name__ == "__main__":
    main()
