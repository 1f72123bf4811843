"""Other networks, read on their own topics: which of them, what their topics look like, whose devices they bring."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from ingest.city import FOREIGN, City

READINGS: Final = "readings"
STATUS: Final = "status"  # what the network knows of a device; a sign of life, and perhaps readings
WILL: Final = "will"  # whether the device is there, by its own word or its last will's; retained
# Kind -> what follows the prefix; + is any one level. Joins, states and the like have other topics, which nobody reads.
_SHAPES: Final[Mapping[str, Mapping[str, str]]] = MappingProxyType({
    "chirpstack": {READINGS: "+/device/{device}/event/up", STATUS: "+/device/{device}/event/status"},
    "ttn": {READINGS: "+/devices/{device}/up"},
    "tasmota": {READINGS: "{device}/SENSOR", WILL: "{device}/LWT"},
    "shelly": {READINGS: "{device}/events/rpc", WILL: "{device}/online"},
})  # fmt: skip
_WILL_ENDS: Final = tuple(
    shapes[WILL].format(device="") for shapes in _SHAPES.values() if WILL in shapes
)  # of their topics, whatever the prefix
_PREFIX: Final = re.compile(r"[A-Za-z0-9_@-]{1,64}(/[A-Za-z0-9_@-]{1,64}){0,7}\Z")
_OWNER: Final = "network:"  # no id of a gateway has a colon
NO_PREFIX: Final = "+"  # of devices whose topics begin with their own name
assert tuple(_SHAPES) == FOREIGN


def prefix_fault(network: str, prefix: str) -> str:
    """What is expected in the place of `prefix`, "" where it is right. The empty prefix: not read."""
    if not prefix or (network == "shelly" and prefix == NO_PREFIX):
        return ""
    if not _PREFIX.match(prefix) or prefix.partition("/")[0] == "canhbao":
        shape = _SHAPES[network][READINGS].format(device="…")
        return f"what stands before /{shape} in its topics, not beginning with canhbao"
    return ""


def topic_filters(prefixes: Mapping[str, str]) -> tuple[str, ...]:
    """The MQTT filters of the networks that are read."""
    return tuple(
        _before(prefix) + shape.format(device="+")
        for network, prefix in prefixes.items()
        if prefix
        for shape in _SHAPES[network].values()
    )


def may_be_will(topic: str) -> bool:
    """Whether a topic that is not ours ends as those do on which devices say whether they are there."""
    return topic.endswith(_WILL_ENDS)


def owner(network: str) -> str:
    """Who is told to have sent what came by another network, where a gateway's id would stand."""
    return f"{_OWNER}{network}"


def is_owner(sender: str) -> bool:
    """Whether `sender` is a network, as `owner` calls it, and no gateway."""
    return sender.startswith(_OWNER)


class Place(NamedTuple):
    """Where a topic stands: its network and device, and what is said there. All "" where it is none of theirs."""

    network: str = ""
    device: str = ""
    kind: str = ""  # READINGS, STATUS or WILL


@dataclass(frozen=True, slots=True)
class Networks:
    """What decoders have to know of the city. `fields`: of each device ("network/id") those that sensors stand for.

    `zone`: of times without one. `topics`: network -> kind -> what its topics match, the device as the one group.
    `aimed`: the fields ("network/id/field") that mean nothing where the sensor does not point straight down.
    """

    zone: ZoneInfo
    fields: Mapping[str, tuple[str, ...]]
    topics: Mapping[str, Mapping[str, re.Pattern[str]]]
    aimed: frozenset[str] = field(default_factory=frozenset)

    @classmethod
    def of(cls, city: City, prefixes: Mapping[str, str]) -> Networks:
        fields: dict[str, tuple[str, ...]] = {}
        aimed: set[str] = set()
        for sensor in city.sensors.values():
            if sensor.decoder is not None:
                device = sensor.decoder.device
                fields[device] = (*fields.get(device, ()), sensor.decoder.field)
                if sensor.quantity.unit == "m":  # levels and depths, which are distances to the surface below
                    aimed.add(sensor.decoder.alias)
        topics = {name: _patterns(name, prefix) for name, prefix in prefixes.items() if prefix}
        return cls(city.timezone, fields, topics, frozenset(aimed))

    @property
    def devices(self) -> tuple[str, ...]:
        """The registered ones of the networks that are read, each once; SenML's come by gateways."""
        return tuple(device for device in self.fields if device.partition("/")[0] in self.topics)

    def find(self, topic: str) -> Place:
        for network, patterns in self.topics.items():
            for kind, pattern in patterns.items():
                if match := pattern.match(topic):
                    return Place(network, match[1], kind)
        return Place()

    def registered(self, network: str, *ids: str) -> str:
        """The first of `ids` (of one device) that sensors stand for, as `fields` has it; "" where there is none."""
        for id_ in ids:
            for device in (f"{network}/{id_}", f"{network}/{id_.lower()}"):
                if device in self.fields:
                    return device
        return ""


NO_NETWORKS: Final = Networks(ZoneInfo("UTC"), {}, {})


def _before(prefix: str) -> str:
    return "" if prefix == NO_PREFIX else f"{prefix}/"


def _patterns(network: str, prefix: str) -> dict[str, re.Pattern[str]]:
    before = re.escape(_before(prefix))
    return {
        kind: re.compile(before + shape.replace("+", "[^/]+").format(device="([^/]+)") + r"\Z")
        for kind, shape in _SHAPES[network].items()
    }
