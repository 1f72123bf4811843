"""Gateways and simple devices as processes that can be killed at any time, and the truth of what they offered.

What is offered stands in a file of truth before the spool takes it, so that after a kill the same messages are offered
again under the same numbers. Receipts and PUBACKs are written down at the moment they are heard.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from math import nan
from pathlib import Path
from queue import SimpleQueue
from random import Random
from typing import Any, Final

from chaos.mortal import die_with_parent
from chaos.town import Town
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

from firmware_sim.gateway import Broker, Gateways, Link
from firmware_sim.payload import unnumbered
from firmware_sim.spool import Spool

RECONNECT_S: Final = (0.1, 0.5)  # the reference code's own are made for years, not for a kill a second
LOOK_S: Final = 0.03

Message = tuple[str, int, list[str], list[int], list[float | None]]  # gateway, seq, sensors, times, values


@dataclass(frozen=True, slots=True)
class Site:
    """One process of them. They offer until the file `stop` is there; `readings_a_s` of all together."""

    folder: str
    town: Town
    ids: tuple[str, ...]
    port: int
    readings_a_s: float
    stop: str
    passwords: dict[str, str] = field(default_factory=dict)  # where the broker asks for one

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Site:
        told = json.loads(text)
        return cls(**told | {"town": Town(**told["town"]), "ids": tuple(told["ids"])})


class Log:
    """Lines of JSON, each one write: a kill leaves it whole or torn, never half believed."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.truncate(self._fd, path.read_bytes().rfind(b"\n") + 1)  # what a kill has torn goes

    def write(self, line: Any) -> None:
        os.write(self._fd, json.dumps(line).encode() + b"\n")


def lines(path: Path) -> Iterator[Any]:
    """The whole lines of a Log, also of one that is being written."""
    for line in path.read_bytes().splitlines(keepends=True) if path.exists() else ():
        if line.endswith(b"\n"):
            yield json.loads(line)


class Progress:
    """The file `progress.json`: how many messages wait for a receipt, how many are parked, whether all is said."""

    def __init__(self, folder: Path) -> None:
        self._file, self._told = folder / "progress.json", ""

    def tell(self, *, said: int, waiting: int, parked: int, ended: bool) -> None:
        text = json.dumps({"pid": os.getpid(), "said": said, "waiting": waiting, "parked": parked, "ended": ended})
        if text != self._told:
            self._file.with_suffix(".new").write_text(text)
            self._file.with_suffix(".new").rename(self._file)
            self._told = text


class Weather:
    """What the sensors of a site say next: times strictly rise for each sensor, through any restart."""

    def __init__(self, town: Town, before: dict[str, int]) -> None:
        self._town, self._last = town, before
        self._random = Random(f"{town.seed} {max(before.values(), default=0)}")

    def rows(self, id_: str, most: int) -> list[tuple[str, int, float | None]]:
        """Some readings of one gateway, at most `most`, of the last moments."""
        found = []
        for _ in range(self._random.randint(1, most)):
            sensor = self._random.choice(self._town.sensors(id_))
            t = max(int(time.time() * 1000), self._last.get(sensor, 0) + 1)
            self._last[sensor] = t
            found.append((sensor, t, self._town.value(sensor, t)))
        return found


class Stand:
    """Numbered gateways on the reference code."""

    MOST: Final = 9  # readings a message

    def __init__(self, site: Site) -> None:
        folder = Path(site.folder)
        truth: list[Message] = [tuple(line) for line in lines(folder / "truth.jsonl")]
        self._site = site
        self._truth, self._receipts = Log(folder / "truth.jsonl"), Log(folder / "receipts.jsonl")
        self._progress = Progress(folder)
        self._readings = sum(len(sensors) for _, _, sensors, *_ in truth)
        self._spool = Spool(folder / "spool.sqlite")
        self._gateways = Gateways(site.ids, self._spool, Broker(port=site.port))
        self._weather = Weather(site.town, {s: t for *_, sensors, times, _ in truth
                                                      for s, t in zip(sensors, times, strict=True)})  # fmt: skip
        for id_, gateway in self._gateways.by_id.items():
            self._listen(id_, gateway.link, site.passwords.get(id_))
        self._again = [one for one in truth if one[1] >= self._gateways.by_id[one[0]].window.head]

    def run(self) -> None:
        self._offer(self._again)
        self._gateways.start()
        each_s = (1 + self.MOST) / 2 * len(self._site.ids) / self._site.readings_a_s  # between two portions
        due_s = time.monotonic()
        while True:
            stopping = Path(self._site.stop).exists()
            if not stopping and time.monotonic() >= due_s:
                due_s = max(due_s + each_s, time.monotonic() - 2.0)  # what a stop has held up is made good, a little
                self._offer([self._said(id_) for id_ in self._site.ids])
            self._gateways.news.clear()
            self._gateways.step(int(time.monotonic() * 1000))
            left = self._gateways.unreceipted()
            parked = len(self._spool.parked())
            self._progress.tell(said=self._readings, waiting=left, parked=parked, ended=stopping and not left)
            self._gateways.news.wait(LOOK_S)
            time.sleep(LOOK_S)

    def _listen(self, id_: str, link: Link, password: str | None) -> None:
        heard = link._on_message

        def logged(client: Any, data: object, message: paho.MQTTMessage) -> None:
            self._receipts.write([id_, message.payload.decode(), time.time()])
            heard(client, data, message)

        link._client.on_message = logged
        link._client.reconnect_delay_set(*RECONNECT_S)
        if password is not None:
            link._client.username_pw_set(id_, password)

    def _said(self, id_: str) -> Message:
        """The next message of a gateway, which is in the truth from here on."""
        sensors, times, values = zip(*self._weather.rows(id_, self.MOST), strict=True)
        message = (id_, self._gateways.by_id[id_].window.head, list(sensors), list(times), list(values))
        self._truth.write(message)
        self._readings += len(times)
        return message

    def _offer(self, messages: list[Message]) -> None:
        self._gateways.offer([(id_, _payload(*rows)) for id_, _, *rows in messages])


def _payload(sensors: list[str], times: list[int], values: list[float | None]) -> bytes:
    (payload,) = unnumbered(sensors, times, [nan if value is None else value for value in values])
    return payload


class Devices:
    """Simple devices without numbers: a reading a message, delivered when the broker has acknowledged it."""

    def __init__(self, site: Site) -> None:
        folder = Path(site.folder)
        self._site, self._progress = site, Progress(folder)
        said = list(lines(folder / "offered.jsonl"))
        self._readings = len(said)
        self._offered, self._pubacked = Log(folder / "offered.jsonl"), Log(folder / "pubacked.jsonl")
        self._weather = Weather(site.town, {sensor: t for sensor, t, _ in said})
        self._under_way: dict[tuple[str, int], tuple[str, int, float | None]] = {}
        self._answers: SimpleQueue[tuple[str, int, float]] = SimpleQueue()
        self._clients = {id_: self._client(id_) for id_ in site.ids}

    def run(self) -> None:
        each_s = len(self._site.ids) / self._site.readings_a_s
        while True:
            stopping = Path(self._site.stop).exists()
            for id_, client in self._clients.items():
                if not stopping and client.is_connected():
                    self._publish(id_, client)
            left = len(self._under_way)
            self._progress.tell(said=self._readings, waiting=left, parked=0, ended=stopping and not left)
            time.sleep(each_s)
            while not self._answers.empty():
                id_, mid, at = self._answers.get()
                self._pubacked.write((*self._under_way.pop((id_, mid)), at))

    def _publish(self, id_: str, client: paho.Client) -> None:
        """paho keeps it until the broker has acknowledged it, and brings it again over a new connection."""
        sensor, t, value = self._weather.rows(id_, 1)[0]
        self._offered.write((sensor, t, value))
        self._readings += 1
        payload = json.dumps({"sensor": sensor, "t": t, "v": value})
        info = client.publish(f"canhbao/v1/{id_}/readings", payload, qos=1)
        self._under_way[id_, info.mid] = (sensor, t, value)

    def _client(self, id_: str) -> paho.Client:
        client = paho.Client(CallbackAPIVersion.VERSION2, client_id=id_)
        client.reconnect_delay_set(*RECONNECT_S)
        if id_ in self._site.passwords:
            client.username_pw_set(id_, self._site.passwords[id_])
        client.on_publish = lambda _c, _data, mid, *_: self._answers.put((id_, mid, time.time()))
        client.connect_async("127.0.0.1", self._site.port)
        client.loop_start()
        return client


if __name__ == "__main__":
    die_with_parent()
    site = Site.from_json(sys.argv[1])
    Path(site.folder).mkdir(exist_ok=True)
    (Stand if site.ids[0].startswith("gw") else Devices)(site).run()
