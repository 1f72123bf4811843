"""The storm, the devices under it and the fleet of the city."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_sim.classroom import Classroom
from firmware_sim.devices import Beat, Outage, TippingBucket, Tower, TransformerNode
from firmware_sim.fleet import Fleet, city_toml, fleet
from firmware_sim.noise import normal, uniform
from firmware_sim.play import storm_portions
from firmware_sim.sites import apportion
from firmware_sim.storm import BEGIN_MS, END_MS, HOUR_MS, MINUTE_MS, NOON_MS, STATIONS, Rain, share
from ingest.city import DEFAULT_CITY_FILE, Area, parse_city
from ingest.formats import native

MINUTES = np.arange(BEGIN_MS, END_MS + 1, MINUTE_MS, dtype=np.int64)
BASE = parse_city(DEFAULT_CITY_FILE.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def city() -> Fleet:
    return fleet(BASE, 1)


def test_the_wettest_place_meets_the_published_maxima_at_whole_hours():
    hourly = np.diff(Rain.at(STATIONS[0].lat, STATIONS[0].lon, 1, "gauge").fallen_mm(MINUTES[::60]))

    assert [round(float(max(np.convolve(hourly, np.ones(n), "valid"))), 1) for n in (1, 3, 6, 24)] == [
        150.2, 406.6, 567.8, 697.6,
    ]  # fmt: skip
    assert np.argmax(hourly) + 1 == 19  # 19-20 h local
    assert sum(hourly[14:17]) == pytest.approx(149.4, rel=0.1)  # 15-18 h at Da Nang


@given(st.integers(0, 2**64), st.floats(15.0, 16.3), st.floats(107.2, 109.0))
def test_it_never_rains_upwards_and_hours_are_exact(seed: int, lat: float, lon: float):
    rain = Rain.at(lat, lon, seed, "gauge")
    fallen = rain.fallen_mm(MINUTES)

    assert (np.diff(fallen) >= 0).all()
    assert fallen[-1] == pytest.approx(697.6 * rain.share)
    assert rain.intensity_mm_h(MINUTES).max() < 240


def test_stations_get_about_their_published_share():
    for station in STATIONS:
        assert share(station.lat, station.lon) == pytest.approx(station.mm_15_18h / 149.4, abs=0.09)
    assert share(16.2, 110.0) < 0.3


def test_noise_does_not_depend_on_what_else_is_asked():
    moments = np.arange(5_000, dtype=np.int64)

    draws = uniform(2**64 - 1, moments)

    assert (draws[1234:1240] == uniform(2**64 - 1, moments[1234:1240])).all()
    assert 0 <= draws.min() < 0.01
    assert 0.99 < draws.max() < 1
    assert draws.mean() == pytest.approx(0.5, abs=0.02)
    assert normal(7, moments).std() == pytest.approx(1.0, abs=0.03)


def test_a_tipping_bucket_counts_whole_tips_and_loses_no_water():
    rain = Rain(1.0, 7)
    (sent,) = TippingBucket("g", Beat(60_000, 11_000), rain, fill=0.5).series(BEGIN_MS, END_MS)

    assert np.allclose(sent.value * 5, np.round(sent.value * 5))
    assert sent.value.sum() == pytest.approx(rain.fallen_mm(sent.t[-1:])[0], abs=0.2)
    assert (np.diff(sent.t) == 60_000).all()
    assert sent.t[0] % 60_000 == 11_000


def test_a_counting_gauge_sends_its_total_and_wraps_where_its_register_does():
    rain = Rain(1.0, 7)
    beat = Beat(60_000, 0)
    (plain,) = TippingBucket("g", beat, rain, 0.5).series(BEGIN_MS, END_MS)
    (total,) = TippingBucket("g", beat, rain, 0.5, 600.0).series(BEGIN_MS, END_MS)
    (wrapped,) = TippingBucket("g", beat, rain, 0.5, 600.0, 655.35).series(BEGIN_MS, END_MS)

    assert np.allclose(np.diff(total.value), plain.value[1:])
    assert (np.diff(wrapped.value) < 0).sum() == 1
    assert np.allclose(np.diff(wrapped.value) % 655.35 % 655.3499, plain.value[1:], atol=0.011)


def test_a_low_spot_floods_in_the_storm_and_drains_after_it():
    tower = Tower("t", Beat(60_000, 0), Rain(1.0, 7), key=3, gathering=4.0, drain_mm_h=35.0, runoff_h=1.0, tidal=0.3)
    (sent,) = tower.series(BEGIN_MS, END_MS)
    hour = 1 + (sent.t - BEGIN_MS) / HOUR_MS

    assert abs(sent.value[hour < 15]).max() < 0.02
    assert sent.value[(hour > 18) & (hour < 21)].max() > 0.3
    assert sent.value[hour > 24].max() < 0.1
    assert np.abs(np.diff(sent.value)).max() / 60 < 0.0042  # m/s: faster is an object, not water


@pytest.mark.parametrize("battery", [True, False])
def test_a_failing_transformer_gasps_late_and_is_back_after_its_outage(battery: bool):
    outage = Outage(NOON_MS + 100_000, NOON_MS + HOUR_MS, gasp_delay_ms=40_000, battery=battery)
    node = TransformerNode("tx-voltage", "tx-power", Beat(300_000, 5_000), key=3, outage=outage)

    voltage, power = node.series(NOON_MS, NOON_MS + 2 * HOUR_MS)

    gasp = int(np.flatnonzero(power.value == 0)[0])
    assert (power.t[gasp], power.sent[gasp]) == (outage.begin_ms, outage.begin_ms + 40_000)
    during = (power.t > outage.begin_ms) & (power.t < outage.end_ms)
    assert during.sum() == (11 if battery else 0)
    assert (power.value[during] == 0).all()
    assert power.t[power.value == 1][1] == outage.end_ms
    assert ((voltage.value > 200) == (power.value == 1)).all()
    assert (np.diff(power.sent) >= 0).all()
    cut = outage.begin_ms + 20_000  # between the gasp and its arrival
    parts = [node.series(NOON_MS, cut)[1], node.series(cut, NOON_MS + 2 * HOUR_MS)[1]]
    assert (np.concatenate([part.sent for part in parts]) == power.sent).all()
    assert parts[0].value.min() == 1


def test_a_full_room_with_shut_windows_gets_stuffy_and_recovers():
    room = Classroom("r", Beat(300_000, 0), Rain(1.0, 7), key=3, pupils=45, volume_m3=170.0, open_per_h=8.0,
                     shut_per_h=1.0, street_pm25=30.0, lamps_lux=400.0)  # fmt: skip
    co2 = next(s for s in room.series(BEGIN_MS, END_MS) if s.sensor == "r-co2")
    hour = 1 + (co2.t - BEGIN_MS) / HOUR_MS

    assert co2.value[hour < 7].max() < 500
    assert 700 < co2.value[(hour > 14) & (hour < 15)].max() < 1200
    assert co2.value[(hour > 15) & (hour < 17)].max() > 2500
    assert co2.value[hour > 23].max() < 700


def test_the_fleet_has_the_citys_real_size(city: Fleet):
    kinds = Counter(row.quantity for row in city.rows)

    assert kinds == Counter(
        rain=82, street_depth=56, voltage=200, power=200, co2=60, pm25=60, temperature=60, humidity=60, noise=60,
        light=60,
    )  # fmt: skip
    assert len(city.gateways) == 40
    assert len({row.area for row in city.rows}) == 93  # all but Hoàng Sa
    hoang_sa = next(area.code for area in city.areas if area.lon > 110)
    assert not [row for row in city.rows if row.area == hoang_sa]
    assert not {row.place for row in city.rows} & {area.name for area in city.areas}


def test_its_city_file_is_complete(city: Fleet):
    made = parse_city(city_toml(city, BASE))

    assert made.areas == BASE.areas
    assert (made.name, made.timezone) == (BASE.name, BASE.timezone)
    assert list(made.gateways) == list(city.gateways)
    assert [s.id for s in made.sensors.values()] == [row.id for row in city.rows]
    assert all(s.period_ms and s.gateway for s in made.sensors.values())
    assert sum(s.counter for s in made.sensors.values()) == 10
    assert {s.wrap for s in made.sensors.values()} == {None, 655.35}
    assert all(s.affects == (s.area,) for s in made.sensors.values())


def test_the_storm_reaches_every_level_of_flood_and_school_and_power(city: Fleet):
    depths = np.array([d.depth_m.max() for d in city.devices if isinstance(d, Tower)])
    rooms = [d.co2_ppm for d in city.devices if isinstance(d, Classroom)]
    stuffy = np.array([np.convolve(ppm, np.ones(15) / 15, "valid").max() for ppm in rooms])
    failing = [d for d in city.devices if isinstance(d, TransformerNode) and d.outage is not None]

    assert [int((depths >= m).sum()) > n for m, n in [(0.1, 30), (0.2, 20), (0.3, 10), (1.2, 0)]] == [True] * 4
    assert (depths < 1.2).mean() > 0.8
    assert [int((stuffy >= ppm).sum()) > n for ppm, n in [(1000, 20), (1500, 5), (2500, 0)]] == [True] * 3
    assert (stuffy < 2500).mean() > 0.8
    assert 15 <= len(failing) <= 26


def test_what_is_sent_does_not_depend_on_how_time_is_cut(city: Fleet):
    whole = city.readings(NOON_MS + 5 * HOUR_MS, NOON_MS + 9 * HOUR_MS)
    cuts = [NOON_MS + 5 * HOUR_MS, NOON_MS + 6 * HOUR_MS + 1, NOON_MS + 7 * HOUR_MS + 123_456, NOON_MS + 9 * HOUR_MS]
    parts = [city.readings(since, until) for since, until in pairwise(cuts)]

    for name in ("sensor", "t", "value", "sent"):
        assert (np.concatenate([getattr(p, name) for p in parts]) == getattr(whole, name)).all()
    assert (np.diff(whole.sent) >= 0).all()
    assert (whole.sent >= whole.t).all()


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others():
    def played(seed: int) -> list[list[tuple[str, bytes]]]:
        return list(storm_portions(fleet(BASE, seed), NOON_MS, NOON_MS + HOUR_MS))

    assert played(5) == played(5) != played(6)
    assert city_toml(fleet(BASE, 5), BASE) == city_toml(fleet(BASE, 5), BASE)


def test_a_minute_of_the_city_is_250_to_300_readings_within_its_bounds(city: Fleet):
    made = parse_city(city_toml(city, BASE))
    portions = list(storm_portions(city, NOON_MS, NOON_MS + 12 * HOUR_MS))
    minutes = [[native.decode(gateway, message) for gateway, message in portion] for portion in portions]

    assert len(portions) == 720
    assert all(250 <= sum(len(m.t) for m in minute) <= 350 for minute in minutes)
    assert all(Counter(m.gateway for m in minute).most_common(1)[0][1] == 1 for minute in minutes)
    for i, minute in enumerate(minutes):
        for message in minute:
            assert max(message.t) < NOON_MS + (i + 1) * MINUTE_MS
            assert min(message.t) > NOON_MS + (i - 1) * MINUTE_MS
            for sensor, value in zip(message.sensors, message.values, strict=True):
                known = made.sensors[sensor]
                assert known.gateway == message.gateway
                assert known.counter or known.quantity.low <= value <= known.quantity.most(known.period_ms or 0)


def test_seats_are_dealt_out_in_proportion():
    assert apportion([3.0, 1.0, 0.0], 8) == [6, 2, 0]
    assert sum(apportion([0.1] * 7, 82)) == 82


def test_a_city_out_of_the_storms_reach_has_no_fleet():
    far = parse_city('[city]\nname = "Far"\n[[area]]\ncode = "1"\nname = "Far"\nlat = 50.0\nlon = 8.0\n')

    with pytest.raises(ValueError, match="Far"):
        fleet(far, 1)


def test_areas_of_one_name_keep_apart():
    base = parse_city('[city]\nname = "Two"\n' + "".join(
        f'[[area]]\ncode = "{code}"\nname = "Hòa Đường"\nlat = 16.05\nlon = 108.2\n' for code in ("a1", "b2")
    ))  # fmt: skip

    made = fleet(base, 1)

    assert {row.gateway for row in made.rows} <= {"gw-hoa-duong-1", "gw-hoa-duong-b2-1"}
    assert len({row.id for row in made.rows}) == len(made.rows)
    assert isinstance(made.areas[0], Area)
