"""What the city offers, and what became of it: the ground truth. Gateways with the reference window, a device without
numbers. Real: the window and the payloads; modelled: the gateways' spool, which no fault of this world touches.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from math import nan
from random import Random

from chaos.invariants import Reading
from simulated.broker import Broker, GatewayLink

from firmware_sim.gateway import ReferenceGateway
from firmware_sim.payload import EMPTY, unnumbered
from firmware_sim.window import Window

NOON = 1_665_723_600_000  # 14 Oct 2022, 12:00 in Da Nang
GATEWAYS = ("gw-1", "gw-2")
SENSORS = {"gw-1": ("river-1", "street-1"), "gw-2": ("street-2",), "device": ("street-3",)}
_AREA = {"river-1": "20242", "street-1": "20242", "street-2": "20257", "street-3": "20257"}
CITY = """
[city]
name = "Đà Nẵng"
timezone = "Asia/Ho_Chi_Minh"
[[area]]
code = "20242"
name = "Hải Châu"
[[area]]
code = "20257"
name = "Thanh Khê"
[[gateway]]
id = "gw-1"
[[gateway]]
id = "gw-2"
[[gateway]]
id = "device"
""" + "".join(
    f'[[sensor]]\nid = "{sensor}"\nquantity = "{"water_level" if "river" in sensor else "street_depth"}"\n'
    f'area = "{_AREA[sensor]}"\ngateway = "{gateway}"\nperiod = "10s"\nquality.off = "all"\n'
    for gateway, sensors in SENSORS.items()
    for sensor in sensors
)
RULES = """
[hazard.flood]
confirm_by = "none"
quiet = "0s"
min_update = "0s"
[[rule]]
name = "river"
hazard = "flood"
quantity = "water_level"
statistic = "last"
levels = { advisory = 1.0, danger = 2.5 }
[[rule]]
name = "street"
hazard = "flood"
quantity = "street_depth"
statistic = "max"
window = "1m"
levels = { warning = 0.2, emergency = 0.8 }
"""


class Spool:
    """The gateways' disk, which no fault of this world touches. (gateway, seq) -> readings."""

    def __init__(self) -> None:
        self.held: dict[tuple[str, int], bytes] = {}
        self.receipted: set[tuple[str, int]] = set()
        self.parked_seqs: set[tuple[str, int]] = set()

    def settle(self, gateway: str, seqs: Sequence[int]) -> None:
        self.receipted |= {(gateway, seq) for seq in seqs}

    def readings(self, gateway: str, seq: int) -> bytes:
        return EMPTY if (gateway, seq) in self.parked_seqs else self.held[gateway, seq]

    def park(self, gateway: str, seq: int, _empty: bytes) -> None:
        self.parked_seqs.add((gateway, seq))


class Offers:
    """`now`: ms UTC."""

    def __init__(self, broker: Broker, r: Random, now: Callable[[], int]) -> None:
        self.broker, self.random, self._now = broker, r, now
        self.spool = Spool()
        self.links = {id_: GatewayLink(id_, broker) for id_ in GATEWAYS}
        self.gateways = {
            id_: ReferenceGateway(id_, self.spool, Window(f"{r.getrandbits(64):016x}"), link)  # type: ignore[arg-type]
            for id_, link in self.links.items()
        }
        self.values: dict[tuple[str, int], float | None] = {}  # sensor and t
        self.of_message: dict[tuple[str, int], list[Reading]] = {}  # by gateway and seq
        self.of_device: dict[int, Reading] = {}  # by the packet's number at the broker

    def message(self, gateway: str) -> None:
        """A message of up to three readings; now and then one that was offered before."""
        r = self.random
        rows = []
        for _ in range(r.randint(1, 3)):
            sensor = r.choice(SENSORS[gateway])
            known = [(s, t) for s, t in self.values if s == sensor]
            identity = r.choice(known) if known and r.random() < 0.1 else (sensor, self._fresh(sensor))
            value = self.values.setdefault(identity, r.choice([0.1, 0.3, 0.9, 1.1, 2.6, None]))
            rows.append((*identity, value))
        window = self.gateways[gateway].window
        seq = window.head
        sensors, ts, values = zip(*rows, strict=True)
        (self.spool.held[gateway, seq],) = unnumbered(sensors, ts, [nan if v is None else v for v in values])
        self.of_message[gateway, seq] = rows
        window.offered(seq)

    def device(self) -> None:
        """A device without numbers: the broker has it, or it is gone."""
        if not self.broker.up:
            return
        t = self._fresh("street-3")
        value = self.random.choice([0.1, 0.3, 0.9])
        payload = json.dumps({"sensor": "street-3", "t": t, "v": value}).encode()
        self.values["street-3", t] = value
        self.of_device[self.broker.publish("canhbao/v1/device/readings", payload)] = ("street-3", t, value)

    def network(self, ms: int) -> None:
        """Connections come back, gateways look at what came and send what is due."""
        for gateway, link in zip(self.gateways.values(), self.links.values(), strict=True):
            link.reconnect()
            gateway.step(ms)
            link.flush(self.random.choice([1, 40]))

    @property
    def unreceipted(self) -> int:
        return sum(len(gateway.window) for gateway in self.gateways.values())

    def receipted(self) -> dict[str, set[int]]:
        """By gateway; what was given up unheard is not among them."""
        found: dict[str, set[int]] = {gateway: set() for gateway in GATEWAYS}
        for gateway, seq in self.spool.receipted - self.spool.parked_seqs:
            found[gateway].add(seq)
        return found

    def _fresh(self, sensor: str) -> int:
        t = self._now() - self.random.choice([0, 0, 500, 20_000])
        while (sensor, t) in self.values:
            t += 1
        return t
