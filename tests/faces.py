"""A small town for the tests of the web: real registry, rules and ledger, a view that a test swaps, a real server."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import uvicorn
from fastapi import FastAPI

from alerts.incidents.decision import Outcome
from alerts.incidents.incident import Incident, Member, Notice, Reason
from alerts.ledger.ledger import Ledger
from alerts.view import View
from alerts.web.app import create_app
from alerts.web.sources import Desks, Part, Proof, Sources
from ingest.city import City, parse_city
from ingest.entries import Position
from ingest.history.store import Reader
from processing.rules import parse_rules
from processing.transitions import Status

NOW = 1_665_746_580_000  # 2022-10-14 18:23:00 in Đà Nẵng
MINUTE = 60_000
AREAS = {"20242": ("Hải Châu", "Hai Chau"), "20260": ("Cẩm Lệ", "Cam Le"), "20275": ("Sơn Trà", "Son Tra"),
         "20300": ("Đại Lộc", "Dai Loc"), "20305": ("An Khê", "An Khe")}  # fmt: skip
PLACES = ("Hồ Thạc Gián", "Nguyễn Văn Linh", "Cầu Cẩm Lệ", "Suối Đá", "Ngã tư Hùng Vương – Ông Ích Khiêm", "Ái Nghĩa")
RULES = """
[[rule]]
name = "rain-1h"
hazard = "rain"
quantity = "rain"
statistic = "sum"
window = "1h"
levels = { advisory = 20, warning = 30, danger = 50, emergency = 80 }
[[rule]]
name = "depth"
hazard = "flood"
quantity = "street_depth"
statistic = "mean"
window = "3m"
levels = { advisory = 0.1, warning = 0.2, danger = 0.3, emergency = 1.2 }
[[rule]]
name = "co2"
hazard = "school"
quantity = "co2"
statistic = "mean"
window = "15m"
levels = { advisory = 1000, danger = 2500 }
"""


def town_city(sensors_an_area: int = 3) -> City:
    """Five areas; in each, public rain and street depth in turn, and one classroom that nobody outside may see."""
    text = '[city]\nname = "Đà Nẵng"\ntimezone = "Asia/Ho_Chi_Minh"\n'
    for n, (code, (name, name_en)) in enumerate(AREAS.items()):
        text += f'[[area]]\ncode = "{code}"\nname = "{name}"\nname_en = "{name_en}"\nlat = 16.0{n}\nlon = 108.2\n'
    for n, code in enumerate(AREAS):
        for k in range(sensors_an_area):
            quantity, short = (("rain", "rain"), ("street_depth", "tower"))[k % 2]
            text += (f'[[sensor]]\nid = "{short}-{code}-{k}"\nquantity = "{quantity}"\narea = "{code}"\n'
                     f'period = "60s"\nplace = "{PLACES[(n + k) % len(PLACES)]}"\n')  # fmt: skip
        text += (f'[[sensor]]\nid = "school-{code}-co2"\nquantity = "co2"\narea = "{code}"\nperiod = "60s"\n'
                 f'place = "Trường Secret {n}"\n')  # fmt: skip
    return parse_city(text)


def town_view(
    city: City, *, clock: str = "wall", arrival: int = NOW, counters: Mapping[str, int] | None = None
) -> View:
    """Levels 0-4 in turn; every fifth sensor silent for half an hour, the seventh not heard at all."""
    n = len(city.sensors)
    at = np.arange(n)
    silent = at % 5 == 4
    t = np.where(silent, arrival - 34 * MINUTE, arrival - 20_000 - at * 1_000)
    depth = np.array([s.quantity.name == "street_depth" for s in city.sensors.values()])
    co2 = np.array([s.quantity.name == "co2" for s in city.sensors.values()])
    value = np.where(depth, 0.05 + at * 0.03, np.where(co2, 1234.5, at * 0.2))
    t[6], value[6] = 0, np.nan
    status = [Status.SILENT if quiet else Status.OK for quiet in silent]
    status[6] = Status.NO_DATA
    return View(
        arrival=arrival, clock=clock, city=city, rules=parse_rules(RULES), sensor_ids=tuple(city.sensors), t=t,
        value=value, flag=np.where(np.isnan(value), 9, 1).astype(np.uint8), heard=np.where(t > 0, t + 1_000, 0),
        level=(at % 5).astype(np.uint8), status=tuple(status), position=1, counters=counters or {},
    )  # fmt: skip


class Town:
    """What the spine would be: it writes the ledger, then swaps the view, then wakes."""

    def __init__(self, folder: Path, view: View) -> None:
        self.ledger = Ledger.open(folder / "ledger.sqlite")
        self.view = view
        self.parts: dict[str, Part] = {"mqtt": Part(True, 20), "ledger": Part(True, 0), "history": Part(True)}
        self.now_ms = view.arrival
        self.history: Reader | None = None
        self.changed = asyncio.Event()
        self.loop: asyncio.AbstractEventLoop | None = None
        self.proof: Proof | None = None
        self.incidents: dict[str, Incident] = {}

    def sources(self, operators: Desks | None = None) -> Sources:
        return Sources(
            lambda: self.view, self.ledger, self.changed, lambda: self.parts, lambda: self.now_ms,
            lambda: self.view.counters, operators, self.history, proof=self.proof,
        )  # fmt: skip

    def tell(self, *notices: Notice) -> None:
        """These versions, in one turn of the spine."""
        rows = [self._row(notice) for notice in notices]
        position = self.view.position + 1
        self.ledger.record(Position(position), self.view.arrival, incidents=rows, outcome=Outcome(list(notices)))
        self.view = replace(self.view, position=position)
        if self.loop is not None:
            self.loop.call_soon_threadsafe(self.changed.set)

    def _row(self, notice: Notice) -> Incident:
        known = self.incidents.get(notice.incident)
        closed = notice.at if notice.reason is Reason.OVER else None
        row = Incident(
            notice.incident, notice.hazard, notice.area, notice.level, max(notice.level, known.peak if known else 0),
            notice.version, known.opened_at if known else notice.at, notice.at, closed,
            (notice.cause,) if notice.cause else (),
        )  # fmt: skip
        self.incidents[notice.incident] = row
        return row


def notice(
    area: str = "20242", level: int = 3, *, hazard: str = "flood", version: int = 1, reason: Reason = Reason.FIRST,
    previous: int = 0, value: float = 0.337, at: int = NOW - 8 * MINUTE,
) -> Notice:  # fmt: skip
    """One version; its sensor is the area's of that hazard."""
    sensor, rule = {"flood": (f"tower-{area}-1", "depth"), "rain": (f"rain-{area}-0", "rain-1h"),
                    "school": (f"school-{area}-co2", "co2")}[hazard]  # fmt: skip
    cause = None if reason is Reason.OVER else Member(sensor, rule, level, at, value)
    return Notice(f"{hazard}-{area}", version, reason, hazard, area, level, previous, at, at + 900, cause)


def storm() -> list[Notice]:
    """Warnings of every level, one of them of a sensor that is not public."""
    return [
        notice("20242", 3, at=NOW - 62 * MINUTE),
        notice("20242", 2, hazard="rain", value=47.6),
        notice("20260", 4, value=1.31),
        notice("20275", 1, value=0.12),
        notice("20300", 2, hazard="rain", value=31.4, at=NOW - 26 * 60 * MINUTE),
        notice("20305", 3, hazard="school", value=2713.0),
    ]


@contextmanager
def serving(town: Town, app: FastAPI | None = None, *, port: int = 0, send_buffer: int = 0) -> Iterator[str]:
    """The address of a real server (on a free port), its loop in a thread; ended with every stream.

    `send_buffer`: bytes that the kernel takes for a listener who does not read; 0 leaves it to the kernel, megabytes.
    """
    if app is None:
        town.changed = asyncio.Event()  # one belongs to one loop
        app = create_app(town.sources())
    # With the protocol named: asyncio leaves Nagle's algorithm on where it is not, and each answer takes 40 ms more.
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind(("127.0.0.1", port))
    if send_buffer:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1))
    loop: list[asyncio.AbstractEventLoop] = []
    thread = threading.Thread(target=_serve, args=(loop, server, listening), daemon=True)
    thread.start()
    while not server.started and thread.is_alive():
        thread.join(0.01)
    assert server.started, "the server did not start"
    town.loop = loop[0]
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        town.loop = None
        asyncio.run_coroutine_threadsafe(app.state.fan_out.stop(), loop[0]).result(5)
        server.should_exit = True
        thread.join(10)
        listening.close()
        assert not thread.is_alive()


def _serve(loop: list[asyncio.AbstractEventLoop], server: uvicorn.Server, listening: socket.socket) -> None:
    async def serve() -> None:
        loop.append(asyncio.get_running_loop())
        await server.serve([listening])

    asyncio.run(serve())
