"""Other networks, read on their own topics: which of them, what their topics look like, whose devices they bring."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final
from zoneinfo import ZoneInfo

from ingest.city import FOREIGN, City

# What follows the prefix; + is any one level. Only readings: wills, status and joins have other topics.
_SHAPES: Final[Mapping[str, str]] = MappingProxyType({
    "chirpstack": "+/device/{device}/event/up",
    "ttn": "+/devices/{device}/up",
    "tasmota": "{device}/SENSOR",
    "shelly": "{device}/events/rpc",
})  # fmt: skip
_PREFIX: Final = re.compile(r"[A-Za-z0-9_@-]{1,64}(/[A-Za-z0-9_@-]{1,64}){0,7}\Z")
_OWNER: Final = "network:"  # no id of a gateway has a colon
NO_PREFIX: Final = "+"  # of devices whose topics begin with their own name
assert tuple(_SHAPES) == FOREIGN


def prefix_fault(network: str, prefix: str) -> str:
    """What is expected in the place of `prefix`, "" where it is right. The empty prefix: not read."""
    if not prefix or (network == "shelly" and prefix == NO_PREFIX):
        return ""
    if not _PREFIX.match(prefix) or prefix.partition("/")[0] == "canhbao":
        return f"what stands before /{_SHAPES[network].format(device='…')} in its topics, not beginning with canhbao"
    return ""


def topic_filters(prefixes: Mapping[str, str]) -> tuple[str, ...]:
    """The MQTT filters of the networks that are read."""
    return tuple(
        _before(prefix) + _SHAPES[network].format(device="+") for network, prefix in prefixes.items() if prefix
    )


def owner(network: str) -> str:
    """Who is told to have sent what came by another network, where a gateway's id would stand."""
    return f"{_OWNER}{network}"


def is_owner(sender: str) -> bool:
    """Whether `sender` is a network, as `owner` calls it, and no gateway."""
    return sender.startswith(_OWNER)


@dataclass(frozen=True, slots=True)
class Networks:
    """What decoders have to know of the city. `fields`: of each device ("network/id") those that sensors stand for.

    `zone`: of times without one. `topics`: network -> what its topics match, the device as the one group.
    """

    zone: ZoneInfo
    fields: Mapping[str, tuple[str, ...]]
    topics: Mapping[str, re.Pattern[str]]

    @classmethod
    def of(cls, city: City, prefixes: Mapping[str, str]) -> Networks:
        fields: dict[str, tuple[str, ...]] = {}
        for sensor in city.sensors.values():
            if sensor.decoder is not None:
                device = sensor.decoder.device
                fields[device] = (*fields.get(device, ()), sensor.decoder.field)
        return cls(city.timezone, fields, {name: _pattern(name, prefix) for name, prefix in prefixes.items() if prefix})

    def find(self, topic: str) -> tuple[str, str]:
        """Network and device that `topic` names; both "" where it is none of theirs."""
        for network, pattern in self.topics.items():
            if match := pattern.match(topic):
                return network, match[1]
        return "", ""


NO_NETWORKS: Final = Networks(ZoneInfo("UTC"), {}, {})


def _before(prefix: str) -> str:
    return "" if prefix == NO_PREFIX else f"{prefix}/"


def _pattern(network: str, prefix: str) -> re.Pattern[str]:
    shape = re.escape(_before(prefix)) + _SHAPES[network].replace("+", "[^/]+").format(device="([^/]+)")
    return re.compile(shape + r"\Z")
