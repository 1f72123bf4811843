"""The city's fleet at its real size: 82 gauges, 56 towers, 200 transformers, 60 schools, 40 gateways."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import msgspec
import numpy as np

from firmware_sim.city_file import city_text
from firmware_sim.classroom import QUANTITIES as ROOM_QUANTITIES
from firmware_sim.classroom import Classroom
from firmware_sim.devices import Beat, Device, Outage, TippingBucket, Tower, TransformerNode
from firmware_sim.noise import key_of
from firmware_sim.sites import Site, density, nearest, sites, slugs, within_reach
from firmware_sim.storm import BEGIN_MS, HOUR_MS, MINUTE_MS, STATIONS, Rain
from ingest.city import Area, City, SensorRow
from ingest.readings import Float64, Int32, Int64

GAUGES, TOWERS, TRANSFORMERS, SCHOOLS, GATEWAYS = 82, 56, 200, 60, 40
_COUNTING_EVERY: Final = 8  # one gauge in so many sends a running total; half of these wrap, like a WTS506
_WRAP_MM: Final = 655.35
_FEEDERS, _FEEDER_SIZE, _SINGLES = 4, 5, 6  # transformers that fail: on whole feeders, and by themselves


class _Installed(NamedTuple):
    site: Site
    rows: list[SensorRow]
    device: Device


@dataclass(frozen=True, slots=True)
class Outgoing:
    """What the fleet sends, in order of sending: columns of shape (n,). `sensor` indexes `Fleet.rows`."""

    sensor: Int32
    t: Int64
    value: Float64
    sent: Int64


@dataclass(frozen=True, slots=True)
class Fleet:
    """Devices, the sensors they carry (as rows of the city file) and the gateways they speak through."""

    gateways: tuple[str, ...]
    rows: tuple[SensorRow, ...]
    devices: tuple[Device, ...]
    areas: tuple[Area, ...]

    def readings(self, since_ms: int, until_ms: int) -> Outgoing:
        """Everything sent in [since, until), ms UTC; the same however the time is cut into pieces."""
        number = {row.id: i for i, row in enumerate(self.rows)}
        found = [series for device in self.devices for series in device.series(since_ms, until_ms)]
        sensor = np.concatenate([np.full(len(s.t), number[s.sensor], np.int32) for s in found])
        t = np.concatenate([s.t for s in found])
        value = np.concatenate([s.value for s in found])
        sent = np.concatenate([s.sent for s in found])
        order = np.lexsort((t, sensor, sent))
        return Outgoing(sensor[order], t[order], value[order], sent[order])


def city_toml(made: Fleet, base_city: City) -> str:
    """The city file that matches the fleet: the base city's name, zone and areas, this fleet's gateways and sensors."""
    zone = base_city.timezone.key
    return city_text(base_city.name, zone, areas=made.areas, gateways=made.gateways, sensors=made.rows)


def fleet(city: City, seed: int) -> Fleet:
    """The fleet over the areas of `city`; ValueError where none of them is within reach of the storm."""
    areas = within_reach(list(city.areas.values()))
    if not areas:
        raise ValueError(f"no area of {city.name!r} lies within reach of the storm")
    installed = [*_gauges(areas, seed), *_towers(areas, seed), *_transformers(areas, seed), *_schools(areas, seed)]
    names = slugs(areas)
    hubs = sorted(areas, key=density, reverse=True)[:GATEWAYS]
    rows: list[SensorRow] = []
    for site, own, _ in installed:
        gateway = f"gw-{names[nearest(hubs, site.area.lat, site.area.lon).code]}-1"
        rows += [msgspec.structs.replace(row, gateway=gateway) for row in own]
    gateways = tuple(sorted({row.gateway for row in rows if row.gateway}))
    return Fleet(gateways, tuple(rows), tuple(each.device for each in installed), tuple(city.areas.values()))


def _row(site: Site, quantity: str, period: str, suffix: str = "") -> SensorRow:
    return SensorRow(id=site.id + suffix, quantity=quantity, area=site.area.code, lat=site.lat, lon=site.lon,
                     period=period, place=site.place)  # fmt: skip


def _gauges(areas: Sequence[Area], seed: int) -> Iterator[_Installed]:
    found = [_at_station(i, areas) for i in range(len(STATIONS))]
    found += sites("rain", "Trạm mưa", areas, GAUGES - len(found), seed=seed, weight=lambda d: math.sqrt(d) + 0.2)
    for i, site in enumerate(found):
        draw = random.Random(f"{seed}/{site.id}")
        counts = i % _COUNTING_EVERY == _COUNTING_EVERY - 1
        total_mm = round(draw.uniform(0, 600), 1) if counts else None
        wrap_mm = _WRAP_MM if counts and i // _COUNTING_EVERY % 2 == 0 else None
        beat = Beat(MINUTE_MS, draw.randrange(MINUTE_MS))
        rain = Rain.at(site.lat, site.lon, seed, site.id)
        row = msgspec.structs.replace(_row(site, "rain", "60s"), counter=counts, wrap=wrap_mm)
        yield _Installed(site, [row], TippingBucket(site.id, beat, rain, draw.random(), total_mm, wrap_mm))


def _at_station(index: int, areas: Sequence[Area]) -> Site:
    station = STATIONS[index]
    area = nearest(areas, station.lat, station.lon)
    return Site(f"rain-station-{index + 1}", area, station.lat, station.lon, station.name)


def _towers(areas: Sequence[Area], seed: int) -> Iterator[_Installed]:
    for site in sites("tower", "Tháp báo ngập", areas, TOWERS, seed=seed, weight=lambda d: d**1.5):
        draw = random.Random(f"{seed}/{site.id}")
        device = Tower(
            site.id,
            Beat(MINUTE_MS, draw.randrange(MINUTE_MS)),
            Rain.at(site.lat, site.lon, seed, site.id),
            key_of(seed, site.id),
            gathering=math.exp(draw.uniform(0.0, math.log(14.0))),
            drain_mm_h=draw.uniform(25.0, 55.0),
            runoff_h=draw.uniform(0.7, 2.0),
            tidal=draw.uniform(0.0, 0.5),
        )
        yield _Installed(site, [_row(site, "street_depth", "60s")], device)


def _transformers(areas: Sequence[Area], seed: int) -> Iterator[_Installed]:
    outages = _outages(seed)
    for i, site in enumerate(sites("tx", "Trạm biến áp", areas, TRANSFORMERS, seed=seed, weight=lambda d: d + 0.04)):
        beat = Beat(5 * MINUTE_MS, random.Random(f"{seed}/{site.id}").randrange(5 * MINUTE_MS))
        rows = [_row(site, quantity, "5m", f"-{quantity}") for quantity in ("voltage", "power")]
        device = TransformerNode(rows[0].id, rows[1].id, beat, key_of(seed, site.id), outages.get(i))
        yield _Installed(site, rows, device)


def _outages(seed: int) -> dict[int, Outage]:
    """Who fails between 17 and 20 h local: neighbours on a feeder within three minutes, and a few alone."""
    draw = random.Random(f"{seed}/outages")
    firsts = draw.sample(range(0, TRANSFORMERS, _FEEDER_SIZE), _FEEDERS)
    groups = [range(first, first + _FEEDER_SIZE) for first in firsts]
    groups += [range(one, one + 1) for one in draw.sample(range(TRANSFORMERS), _SINGLES)]
    found: dict[int, Outage] = {}
    for group in groups:
        begin_ms = BEGIN_MS + draw.randrange(16 * HOUR_MS, 19 * HOUR_MS - 3 * MINUTE_MS)
        end_ms = begin_ms + draw.randrange(100 * MINUTE_MS, 140 * MINUTE_MS)
        for node in group:
            gasp_delay_ms = draw.randrange(30_000, 45_000) if draw.random() < 0.7 else None
            late_ms = draw.randrange(3 * MINUTE_MS)
            found[node] = Outage(begin_ms + late_ms, end_ms, gasp_delay_ms, battery=draw.random() < 0.5)
    return found


def _schools(areas: Sequence[Area], seed: int) -> Iterator[_Installed]:
    for site in sites("school", "Trường học", areas, SCHOOLS, seed=seed, weight=lambda d: d + 0.02):
        draw = random.Random(f"{seed}/{site.id}")
        device = Classroom(
            site.id,
            Beat(5 * MINUTE_MS, draw.randrange(5 * MINUTE_MS)),
            Rain.at(site.lat, site.lon, seed, site.id),
            key_of(seed, site.id),
            pupils=draw.randint(30, 45),
            volume_m3=draw.uniform(160.0, 210.0),
            open_per_h=draw.uniform(4.5, 9.0),
            shut_per_h=math.exp(draw.uniform(math.log(0.8), math.log(6.0))),
            street_pm25=draw.uniform(12.0, 55.0),
            lamps_lux=draw.uniform(170.0, 480.0),
        )
        yield _Installed(site, [_row(site, quantity, "5m", f"-{quantity}") for quantity in ROOM_QUANTITIES], device)
