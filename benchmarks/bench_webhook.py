"""Warnings to one webhook: from the ledger by the desk's delivery, beside Debian's prometheus-alertmanager.

Both are given the same number of warnings at once, each a thing of its own, and send each to the same sink (a process
that answers 204) in a request of its own. Ours are notices that the ledger has committed: their messages are made and
marked as sent with fsync, and each is signed. Alertmanager gets its alerts over its API (group_wait 0, every alert a
group); it writes nothing down but a snapshot every 15 min. They take turns, medians are told. Once, it is asked with
the grouping of Debian's own file as well (one webhook after 30 s).

Where our limit lies: one processor, as all of ours that is Python runs in one process: of some 320 us a webhook near 95
are aiohttp's bare request, 40 its body and signature, 110 the ledger's (made, claimed, marked), the rest the sender's.

One JSON line a figure; `ratio` = value / peer, where Debian's package is installed. Rates: higher is better; CPU and
seconds: lower is better.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from statistics import median
from typing import Any

from alerts.delivery.channels.webhook import Webhook
from alerts.delivery.delivery import Delivery
from alerts.delivery.endpoints import Endpoint
from alerts.delivery.guard import Guard
from alerts.given import Secret
from alerts.incidents.decision import Outcome
from alerts.incidents.incident import Notice, Reason
from alerts.ledger.ledger import Ledger
from alerts.ledger.outbox import Outbox
from alerts.words.message import bare_message
from ingest.entries import Position

WAIT_S = 120.0
CONFIGURATION = """
route: {{receiver: sink, group_by: ['...'], group_wait: 0s, group_interval: 1h, repeat_interval: 1h}}
receivers:
- name: sink
  webhook_configs: [{{url: '{url}', send_resolved: false, max_alerts: 0}}]
"""


# As Debian's own file has it: what begins within half a minute is one webhook.
DEBIANS = """
route: {{receiver: sink, group_by: [alertname, cluster, service], group_wait: 30s, group_interval: 5m}}
receivers:
- name: sink
  webhook_configs: [{{url: '{url}', send_resolved: false, max_alerts: 0}}]
"""


class Sink(asyncio.Protocol):
    """Answers 204 to every request on the connection; when each of a path came."""

    came: dict[str, list[float]] = {}  # noqa: RUF012  # of all connections

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport, self.buffer = transport, b""

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while (end := self.buffer.find(b"\r\n\r\n")) >= 0:
            head = self.buffer[:end].lower()
            length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0] or b"0")
            if len(self.buffer) < end + 4 + length:
                return
            path = self.buffer.split(b" ", 2)[1].decode()
            self.buffer = self.buffer[end + 4 + length :]
            self.came.setdefault(path, []).append(time.perf_counter())
            self.transport.write(b"HTTP/1.1 204 No Content\r\n\r\n")


async def sink() -> None:
    """Port on standard output; then of every path that is asked for on standard input, the times."""
    server = await asyncio.get_running_loop().create_server(Sink, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    while path := (await asyncio.to_thread(sys.stdin.readline)).strip():
        print(json.dumps(Sink.came.get(path, [])), flush=True)


async def ours(folder: Path, url: str, n: int) -> None:
    ledger = Ledger.open(folder / "ledger.sqlite")
    at = time.time_ns() // 1_000_000
    notices = [Notice(f"flood.A.{k}", 1, Reason.FIRST, "flood", "A", 3, 0, at, at, None, peak=3) for k in range(n)]
    ledger.record(Position(1), at, outcome=Outcome(notices))
    guard = Guard(insecure=True)
    channel = Webhook(
        Endpoint("sink", Secret(url), (Secret("0123456789abcdef" * 2),)), guard.connector,
        now_ms=lambda: time.time_ns() // 1_000_000, lineage=lambda area: (area,),
    )  # fmt: skip
    delivery = Delivery(
        Outbox(ledger.store), [channel], bare_message, now_ms=lambda: time.time_ns() // 1_000_000, random=Random(1)
    )
    stop, cpu, began = asyncio.Event(), _own_cpu_s(), time.perf_counter()
    running = asyncio.create_task(delivery.run(stop))
    while delivery.counters.get('canhbao_messages_sent_total{channel="webhook:sink"}', 0) < n:  # noqa: ASYNC110
        await asyncio.sleep(0.02)  # its counters tell when the answers are written down
    print(json.dumps({"began": began, "cpu_s": _own_cpu_s() - cpu}), flush=True)
    stop.set()
    await running
    await delivery.close()
    ledger.close()


def _own_cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


class Peers:
    def __init__(self, alertmanager: str | None, folder: Path, n: int) -> None:
        self._alertmanager, self._folder, self._n = alertmanager, folder, n
        command = [sys.executable, __file__, "--sink"]
        self._sink = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._sink.stdout is not None
        self._url = f"http://127.0.0.1:{int(self._sink.stdout.readline())}"

    def ours(self, run: int) -> dict[str, float]:
        folder = self._folder / f"ours-{run}"
        folder.mkdir()
        command = [sys.executable, __file__, "--ours", str(folder), f"{self._url}/ours-{run}", str(self._n)]
        ran = subprocess.run(command, capture_output=True, text=True, timeout=WAIT_S, check=True)
        said = json.loads(ran.stdout)
        return self._figures(f"/ours-{run}", said["began"], said["cpu_s"], self._n)

    def alertmanager(self, run: str, configuration: str, webhooks: int) -> dict[str, float]:
        folder = self._folder / f"alertmanager-{run}"
        folder.mkdir()
        path = f"/alertmanager-{run}"
        (folder / "am.yml").write_text(configuration.format(url=self._url + path))
        with self._running(folder) as (pid, api):
            cpu, began = _cpu_s(pid), time.perf_counter()
            for first in range(0, self._n, 1000):
                _post(api, [_alert(k) for k in range(first, min(first + 1000, self._n))])
            deadline = time.monotonic() + WAIT_S
            while len(self._came(path)) < webhooks:
                if time.monotonic() > deadline:
                    raise RuntimeError(f"alertmanager: {len(self._came(path))} of {webhooks} came")
                time.sleep(0.05)
            return self._figures(path, began, _cpu_s(pid) - cpu, webhooks)

    def close(self) -> None:
        self._sink.kill()
        self._sink.wait()

    def _figures(self, path: str, began: float, cpu_s: float, webhooks: int) -> dict[str, float]:
        came = sorted(self._came(path))
        assert len(came) == webhooks, f"{path}: {len(came)} of {webhooks}"
        return {"per_s": self._n / (came[-1] - began), "first_s": came[0] - began, "last_s": came[-1] - began,
                "cpu_us": cpu_s / self._n * 1e6}  # fmt: skip

    def _came(self, path: str) -> list[float]:
        assert self._sink.stdin is not None
        assert self._sink.stdout is not None
        self._sink.stdin.write(path + "\n")
        self._sink.stdin.flush()
        return list(json.loads(self._sink.stdout.readline()))

    @contextmanager
    def _running(self, folder: Path) -> Iterator[tuple[int, str]]:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        assert self._alertmanager is not None
        command = [self._alertmanager, f"--config.file={folder / 'am.yml'}", f"--storage.path={folder}",
                   "--cluster.listen-address=", f"--web.listen-address=127.0.0.1:{port}",
                   "--log.level=error"]  # fmt: skip
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            api = f"http://127.0.0.1:{port}"
            _until_up(api)
            yield process.pid, api
        finally:
            process.terminate()
            process.wait(20)


def _until_up(api: str) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            urllib.request.urlopen(f"{api}/-/ready", timeout=5).close()  # noqa: S310  # our own
        except urllib.error.URLError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError("alertmanager does not start")


def _alert(number: int) -> dict[str, Any]:
    said = bare_message(Notice(f"flood.A.{number}", 1, Reason.FIRST, "flood", "A", 3, 0, 0, 0, None))
    return {"labels": {"alertname": "flood", "incident": said["incident"], "area": "A", "level": "3"},
            "annotations": {"vi": said["texts"]["vi"], "en": said["texts"]["en"]}}  # fmt: skip


def _post(api: str, alerts: list[dict[str, Any]]) -> None:
    request = urllib.request.Request(  # noqa: S310  # our own
        f"{api}/api/v2/alerts", json.dumps(alerts).encode(), {"Content-Type": "application/json"}
    )
    urllib.request.urlopen(request, timeout=30).close()  # noqa: S310


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=2_000, help="warnings")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--sink", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--ours", nargs=3, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.sink:
        asyncio.run(sink())
    elif chosen.ours:
        folder, url, n = chosen.ours
        asyncio.run(ours(Path(folder), url, int(n)))
    else:
        compare(chosen.n, chosen.runs)


def compare(n: int, runs: int) -> None:
    program = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")
    with tempfile.TemporaryDirectory() as folder:
        peers = Peers(program, Path(folder), n)
        try:
            got = [(peers.ours(run), peers.alertmanager(str(run), CONFIGURATION, n) if program else None)
                   for run in range(runs)]  # fmt: skip
            if program:
                debians = peers.alertmanager("debians", DEBIANS, 1)["last_s"]
                _tell_debians(n, median(one["last_s"] for one, _ in got), debians)
        finally:
            peers.close()
    for name, unit in (("per_s", "webhooks/s"), ("first_s", "s"), ("last_s", "s"), ("cpu_us", "us CPU/webhook")):
        value = median(one[name] for one, _ in got)
        line = {"bench": f"webhook_{name}", "n": n, "runs": runs, "value": round(value, 4), "unit": unit}
        if program:
            peer = median(one[name] for _, one in got if one is not None)
            line |= {"peer": "prometheus-alertmanager", "peer_value": round(peer, 4), "ratio": round(value / peer, 3)}
        print(json.dumps(line))


def _tell_debians(n: int, ours_s: float, peer_s: float) -> None:
    """All of them with the receiver: in a webhook each, and in the one that half a minute of Debian's makes of them."""
    line = {
        "bench": "webhook_all_with_debians_grouping_s", "n": n, "runs": 1, "value": round(ours_s, 4), "unit": "s",
        "peer": "prometheus-alertmanager", "peer_value": round(peer_s, 4), "ratio": round(ours_s / peer_s, 3),
    }  # fmt: skip
    print(json.dumps(line))


if __name__ == "__main__":
    main()
