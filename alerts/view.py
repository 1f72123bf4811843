"""What the spine shows the rest of the service after each turn: one immutable record, swapped whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ingest.city import City
from ingest.gateways import GatewayState
from ingest.readings import Float64, Int64, UInt8
from processing.rules import Rules
from processing.transitions import Status


@dataclass(frozen=True, slots=True)
class View:
    """The last of every sensor, index = sensor number, shape (n,). Times ms UTC; 0 where there is none.

    `arrival` is the newest thing the journal knows: the service's own "now" (data's clock included).
    """

    arrival: int
    clock: str  # "wall" or "data"
    city: City
    rules: Rules
    sensor_ids: tuple[str, ...]
    t: Int64
    value: Float64  # NaN where missing
    flag: UInt8
    heard: Int64  # arrival of the last reading
    level: UInt8  # the highest level over the sensor's rules, 0-4
    status: tuple[Status, ...]
    position: int = 0
    counters: Mapping[str, float] = field(default_factory=dict)  # metric name (with labels) -> count since start
    gateways: tuple[GatewayState, ...] = ()
    devices: tuple[GatewayState, ...] = ()  # registered ones of other networks, by "network/id"
