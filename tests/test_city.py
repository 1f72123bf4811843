"""The registry: what city.toml says is resolved once, and what is wrong in it is named so that it can be put right."""

from __future__ import annotations

import unicodedata

import pytest

from ingest.city import DEFAULT_CITY_FILE, City, ConfigError, duration_ms, is_gateway_id, parse_city
from ingest.quantity import CATALOGUE
from processing.rules import DEFAULT_RULES_FILE, Level, Rules, journalled_rules, parse_rules

CITY = '[city]\nname = "Đà Nẵng"\ntimezone = "Asia/Ho_Chi_Minh"\n'
AREA = '[[area]]\ncode = "20242"\nname = "Hải Châu"\nlat = 16.06\nlon = 108.22\n'
OTHER = '[[area]]\ncode = "20257"\nname = "Hòa Cường"\n'
GATEWAY = '[[gateway]]\nid = "gw-1"\n'
SENSOR = '[[sensor]]\nid = "rain-1"\nquantity = "rain"\narea = "20242"\n'


def wrong(text: str) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        parse_city(text, "my/city.toml")
    return caught.value


def test_a_sensor_with_everything_said() -> None:
    text = CITY + AREA + OTHER + GATEWAY + (
        '[[sensor]]\nid = "t:1"\nquantity = "street_depth"\narea = "20242"\naffects = ["20257", "20242", "20257"]\n'
        'gateway = "gw-1"\nlat = 16.061\nlon = 108.221\nperiod = "60s"\nplace = "Hồ Thạc Gián"\ntrust = "reference"\n'
        'counter = true\nwrap = 655.35\nmount_height = 3.0\nstation = "cam_le"\npublic = false\n'
        'decoder = { network = "chirpstack", id = "0101010101010101", field = "rainfall_total" }\n'
    )  # fmt: skip
    sensor = parse_city(text).sensors["t:1"]

    assert sensor.quantity is CATALOGUE["street_depth"]
    assert (sensor.area, sensor.affects, sensor.gateway) == ("20242", ("20257", "20242"), "gw-1")
    assert (sensor.lat, sensor.lon, sensor.period_ms) == (16.061, 108.221, 60_000)
    assert (sensor.place, sensor.trust, sensor.station) == ("Hồ Thạc Gián", "reference", "cam_le")
    assert (sensor.counter, sensor.wrap, sensor.mount_height_m, sensor.public) == (True, 655.35, 3.0, False)
    assert sensor.decoder is not None
    assert sensor.decoder.field == "rainfall_total"


def decoder(**changes: str) -> str:
    keys = {"network": "chirpstack", "id": "24E124707C141234", "field": "depth"} | changes
    return "decoder = { " + ", ".join(f'{key} = "{value}"' for key, value in keys.items()) + " }\n"


def test_how_another_network_calls_a_sensor() -> None:
    one = parse_city(CITY + AREA + SENSOR + decoder(unit="cm")).sensors["rain-1"].decoder
    other = (
        parse_city(CITY + AREA + SENSOR + decoder(network="senml", id="urn:X/y", field="")).sensors["rain-1"].decoder
    )

    assert one is not None
    assert (one.device, one.alias) == ("chirpstack/24e124707c141234", "chirpstack/24e124707c141234/depth")
    assert other is not None
    assert (other.device, other.alias) == ("senml/urn:X/y", "senml/urn:X/y/")


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"network": "lora"}, "network"), ({"id": ""}, "id"), ({"id": "a/b"}, "id"), ({"id": "\\u202e"}, "id"),
        ({"field": ""}, "field"), ({"network": "senml", "field": "v"}, "field"), ({"unit": "V"}, "unit"),
        ({"unit": ""}, "unit"),
    ],
)  # fmt: skip
def test_a_decoder_that_cannot_be_is_refused(changes: dict[str, str], key: str) -> None:
    assert wrong(CITY + AREA + SENSOR + decoder(**changes)).key == f"sensor 'rain-1' decoder {key}"


def test_two_sensors_do_not_share_a_field_of_a_device() -> None:
    other = SENSOR.replace("rain-1", "rain-2") + decoder(id="24e124707c141234")

    assert wrong(CITY + AREA + SENSOR + decoder() + other).key == "sensor 'rain-2' decoder"


def test_what_is_left_out_comes_from_the_area_and_the_quantity() -> None:
    sensor = parse_city(CITY + AREA + SENSOR).sensors["rain-1"]

    assert (sensor.affects, sensor.lat, sensor.lon, sensor.place) == (("20242",), 16.06, 108.22, "Hải Châu")
    assert (sensor.period_ms, sensor.gateway, sensor.trust, sensor.public) == (None, None, "normal", True)


def test_areas_may_lie_within_each_other() -> None:
    city = parse_city(CITY + AREA + OTHER + 'parent = "20242"\n')

    assert city.areas["20257"].parent == "20242"
    assert str(city.timezone) == "Asia/Ho_Chi_Minh"


def test_a_deployment_adds_a_quantity_of_its_own() -> None:
    text = CITY + '[[quantity]]\nname = "wind"\nunit = "m/s"\nbounds = [0, 80]\npublic = true\ndecimals = 2\n'
    wind = parse_city(text).quantities["wind"]

    assert (wind.unit, wind.low, wind.high, wind.public, wind.decimals) == ("m/s", 0.0, 80.0, True, 2)
    assert (wind.name_vi, wind.most(60_000)) == ("wind", 80.0)


def test_a_quantity_of_the_catalogue_changes_only_in_what_is_said() -> None:
    text = CITY + '[[quantity]]\nname = "rain"\ndecimals = 2\n[[quantity]]\nname = "co2"\npublic = true\n'
    quantities = parse_city(text).quantities

    assert (quantities["rain"].public, quantities["rain"].records) == (True, CATALOGUE["rain"].records)
    assert quantities["rain"].decimals == 2
    assert (quantities["co2"].public, quantities["co2"].high) == (True, CATALOGUE["co2"].high)


def test_bounds_that_a_deployment_states_hold_for_every_span() -> None:
    rain = parse_city(CITY + '[[quantity]]\nname = "rain"\nbounds = [0, 50]\n').quantities["rain"]

    assert (rain.most(60_000), rain.most(86_400_000), rain.public) == (50.0, 50.0, True)


@pytest.mark.parametrize(
    ("text", "key", "found", "expected"),
    [
        ("", "the file", "no city", "city"),
        ("[city]\n", "city", "no name", "name"),
        ("[city]\nname = 1\n", "city name", 1, "text"),
        (CITY + "x = 1\n", "city", "an unknown key x", "documented"),
        (CITY + "[towns]\n", "the file", "an unknown key towns", "documented"),
        ('[city]\nname = "x"\ntimezone = "Mars/Olympus"\n', "city.timezone", "Mars/Olympus", "Asia/Ho_Chi_Minh"),
        ('[city]\nname = "x"\ntimezone = "../../etc/passwd"\n', "city.timezone", "../../etc/passwd", "a zone"),
        (CITY + AREA + '[[area]]\ncode = "2"\n', "area[1] '2'", "no name", "name"),
        (CITY + AREA + AREA, "area.code", "20242", "once"),
        (CITY + OTHER + 'lat = "16"\n', "area[0] '20257' lat", "16", "a number"),
        (CITY + OTHER + "lat = 91\n", "area '20257' lat, lon", (91.0, 0.0), "degrees"),
        (CITY + OTHER + "lon = nan\n", "area '20257' lat, lon", None, "degrees"),
        (CITY + OTHER + 'parent = "1"\n', "area '20257' parent", "1", "code of an area"),
        (CITY + OTHER + 'parent = "20257"\n', "area '20257' parent", "20257", "circle"),
        (CITY + '[[area]]\ncode = "a/b"\nname = "x"\n', "area.code", "a/b", "A-Z"),
        (CITY + '[[area]]\ncode = "1"\nname = ""\n', "area '1' name", "", "words"),
        (CITY + '[[area]]\ncode = "1"\nname = "a\\u202eb"\n', "area '1' name", "a\u202eb", "words"),
        (CITY + GATEWAY + GATEWAY, "gateway.id", "gw-1", "once"),
        (CITY + '[[gateway]]\nid = "GW"\n', "gateway.id", "GW", "[a-z0-9-]"),
        (CITY + '[[gateway]]\nid = "alerts"\n', "gateway.id", "alerts", "not alerts"),
        (CITY + '[[gateway]]\nid = "collector-out"\n', "gateway.id", "collector-out", "collector"),
        (CITY + AREA + SENSOR + SENSOR, "sensor.id", "rain-1", "once"),
        (CITY + AREA + '[[sensor]]\nid = "a b"\nquantity = "rain"\narea = "20242"\n', "sensor.id", "a b", "A-Z"),
        (CITY + AREA + SENSOR + 'periode = "60s"\n', "sensor[0] 'rain-1'", "an unknown key periode", "documented"),
        (CITY + AREA + SENSOR.replace('"rain"', '"rian"'), "sensor 'rain-1' quantity", "rian", "rain water_level"),
        (CITY + OTHER + SENSOR, "sensor 'rain-1' area", "20242", "code of an area"),
        (CITY + AREA + SENSOR + 'affects = ["1"]\n', "sensor 'rain-1' affects", "1", "code of an area"),
        (CITY + AREA + SENSOR + "affects = [1]\n", "sensor[0] 'rain-1' affects[0]", 1, "text"),
        (CITY + AREA + SENSOR + 'gateway = "gw-9"\n', "sensor 'rain-1' gateway", "gw-9", "id of a gateway"),
        (CITY + AREA + SENSOR + 'period = "soon"\n', "sensor 'rain-1' period", "soon", "60s"),
        (CITY + AREA + SENSOR + "period = 60\n", "sensor[0] 'rain-1' period", 60, "text"),
        (CITY + AREA + SENSOR + 'period = "0s"\n', "sensor 'rain-1' period", "0s", "more than nothing"),
        (CITY + AREA + SENSOR + 'trust = "much"\n', "sensor 'rain-1' trust", "much", "normal reference"),
        (CITY + AREA + SENSOR + "lat = 16.0\n", "sensor 'rain-1' lat, lon", (16.0, None), "both"),
        (CITY + AREA + SENSOR + "lat = 108.2\nlon = 16.0\n", "sensor 'rain-1' lat, lon", (108.2, 16.0), "degrees"),
        (CITY + AREA + SENSOR + "wrap = 655.35\n", "sensor 'rain-1' wrap", 655.35, "counter = true"),
        (CITY + AREA + SENSOR + "counter = true\nwrap = -1\n", "sensor 'rain-1' wrap", -1.0, "positive"),
        (CITY + AREA + SENSOR + "counter = true\nwrap = nan\n", "sensor 'rain-1' wrap", None, "positive"),
        (CITY + AREA + SENSOR + "mount_height = 0\n", "sensor 'rain-1' mount_height", 0.0, "metres"),
        (CITY + AREA + SENSOR + 'place = "a\\nb"\n', "sensor 'rain-1' place", "a\nb", "words"),
        (CITY + '[[quantity]]\nname = "wind"\n', "quantity 'wind'", "no unit or no bounds", "bounds"),
        (CITY + '[[quantity]]\nname = "a b"\nunit = "m"\nbounds = [0, 1]\n', "quantity.name", "a b", "A-Z"),
        (CITY + '[[quantity]]\nname = "rain"\nunit = "in"\n', "quantity 'rain' unit", "in", "'mm'"),
        (CITY + '[[quantity]]\nname = "rain"\nbounds = [5, 5]\n', "quantity 'rain' bounds", (5.0, 5.0), "low < high"),
        (CITY + '[[quantity]]\nname = "rain"\nbounds = [0, inf]\n', "quantity 'rain' bounds", None, "finite"),
        (CITY + '[[quantity]]\nname = "rain"\nbounds = [0]\n', "quantity[0] 'rain' bounds", "1", "length 2"),
        (CITY + '[[quantity]]\nname = "rain"\ndecimals = -1\n', "quantity 'rain' decimals", -1, "0 to 9"),
        (CITY + '[[quantity]]\nname = "co2"\n' * 2, "quantity.name", "co2", "once"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_file_and_key(text: str, key: str, found: object, expected: str) -> None:
    error = wrong(text)

    assert (error.file, error.key) == ("my/city.toml", key)
    assert found is None or error.found == found  # None: NaN and infinity are themselves the fault
    assert expected in error.expected
    assert str(error) == f"my/city.toml: {key}: found {error.found!r}, expected {error.expected}"


@pytest.mark.parametrize(
    ("text", "line"),
    [(CITY + "\n[[area]\n", "line 5"), (CITY + "x = \n", "line 4"), (CITY + 'name = "y"\n', "line 4")],
)
def test_broken_toml_is_named_with_its_line(text: str, line: str) -> None:
    assert line in str(wrong(text))


@pytest.mark.parametrize("text", [CITY + "x = " + "[" * 5_000, CITY + "x = " + "9" * 5_000])
def test_absurd_toml_is_a_fault_of_the_file_and_no_crash(text: str) -> None:
    assert wrong(text).expected == "valid TOML"


@pytest.mark.parametrize(
    ("text", "ms"),
    [("500ms", 500), ("60s", 60_000), ("0.1s", 100), ("8.2m", 492_000), ("1h", 3_600_000), ("7d", 604_800_000)],
)
def test_durations_are_exact(text: str, ms: int) -> None:
    assert duration_ms(text, "key") == ms


@pytest.mark.parametrize("text", ["", "60", "s", "-1s", "1 s", "1s ", "1e3s", "1S", "٣s", "0.5ms", "9" * 20 + "d"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="key"):
        duration_ms(text, "key")


def test_a_gateway_is_not_called_like_a_topic_of_ours() -> None:
    assert is_gateway_id("gw-hai-chau-1")
    assert not any(map(is_gateway_id, ["", "a/b", "a+", "speak", "drill", "cap", "collector", "gw\n", "g" * 33]))


RULE = """
[[rule]]
name = "river"
hazard = "flood"
quantity = "water_level"
statistic = "last"
levels = { danger = 1.0 }
"""


@pytest.mark.parametrize(
    ("more", "key"),
    [("min_readings = 2", "rule 'river' min_readings"),
     ("[rule.station.cam_le]\nmin_readings = 3", "rule 'river' station 'cam_le' min_readings")],
)  # fmt: skip
def test_a_last_that_asks_for_more_than_one_reading_is_refused_and_a_journal_that_has_it_is_still_read(
    more: str, key: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_rules(RULE + more, "r.toml")

    assert (caught.value.file, caught.value.key, caught.value.found) == ("r.toml", key, int(more[-1]))
    assert "last is one value" in caught.value.expected
    assert len(journalled_rules(RULE + more).rules) == 1
    assert parse_rules(RULE + "min_readings = 1").rules
    assert parse_rules((RULE + "min_readings = 2").replace('"last"', '"max"\nwindow = "5m"')).rules


@pytest.fixture(scope="module")
def danang() -> City:
    return parse_city(DEFAULT_CITY_FILE.read_text("utf-8"), str(DEFAULT_CITY_FILE))


@pytest.fixture(scope="module")
def rules() -> Rules:
    return parse_rules(DEFAULT_RULES_FILE.read_text("utf-8"), str(DEFAULT_RULES_FILE))


def test_da_nang_has_its_94_units(danang: City) -> None:
    assert len(danang.areas) == 94
    assert danang.areas["20242"].name == "Hải Châu"
    assert danang.areas["20242"].name_en == "Hai Chau"
    assert len({area.name for area in danang.areas.values()}) == 94
    for area in danang.areas.values():
        assert len(area.code) == 5
        assert area.name == unicodedata.normalize("NFC", area.name)
        assert area.name_en.isascii()
        assert not area.name.startswith(("Phường", "Xã", "Đặc khu"))
        assert 15.0 < area.lat < 16.3
        assert 107.2 < area.lon < (112.7 if area.name == "Hoàng Sa" else 108.7)


def test_da_nang_has_its_eight_river_stations_and_each_has_its_alarm_levels(danang: City, rules: Rules) -> None:
    stations = {sensor.station: sensor for sensor in danang.sensors.values()}
    river = next(rule for rule in rules.rules if rule.name == "river-level")

    assert len(danang.sensors) == len(stations) == 8
    assert set(river.stations) == set(stations)
    assert river.everywhere is None
    for sensor in stations.values():
        assert (sensor.trust, sensor.quantity.name, sensor.gateway) == ("reference", "water_level", "hydromet")
        assert sensor.area in sensor.affects
        assert river.judgement(sensor) is not None


def test_the_alarm_levels_are_those_of_the_bulletins(rules: Rules) -> None:
    river = next(rule for rule in rules.rules if rule.name == "river-level")

    assert river.stations["cam_le"].thresholds == (1.0, 2.0, 2.5, 3.5)
    assert river.stations["cau_lau"].thresholds == (2.0, 3.0, 4.0, 5.62)
    assert river.stations["cau_lau"].clears[Level.DANGER - 1] == pytest.approx(3.9)
    assert {judgement.hold_clear_ms for judgement in river.stations.values()} == {1_800_000}


def test_the_default_rules_cover_every_hazard_and_know_their_quantities(rules: Rules) -> None:
    assert {rule.hazard for rule in rules.rules} == {"rain", "flood", "power", "school", "toilet"} == set(rules.hazards)
    assert all(rule.quantity in CATALOGUE for rule in rules.rules)
    rain = {rule.name: rule.everywhere.thresholds for rule in rules.rules if rule.everywhere and rule.hazard == "rain"}
    assert rain == {
        "rain-10m": (8, 15, 25, 35), "rain-1h": (20, 30, 50, 80), "rain-3h": (40, 60, 100, 150),
        "rain-6h": (60, 100, 180, 300), "rain-12h": (80, 150, 280, 450), "rain-24h": (100, 200, 400, 600),
    }  # fmt: skip


def test_no_default_rule_eases_at_the_value_at_which_it_rises(rules: Rules) -> None:
    for rule in rules.rules:
        for judgement in [*rule.stations.values(), *([rule.everywhere] if rule.everywhere else [])]:
            limits = zip(judgement.thresholds, judgement.clears, strict=True)
            assert all(clear != threshold for threshold, clear in limits if threshold == threshold), rule.name  # noqa: PLR0124  # NaN
            assert judgement.hold_clear_ms >= 60_000, rule.name


@pytest.mark.parametrize("quantity", ["rain", "street_depth", "co2", "voltage"])
def test_a_sensor_of_one_minute_is_judged_by_every_default_rule_of_its_quantity(quantity: str, rules: Rules) -> None:
    text = CITY + AREA + SENSOR.replace('"rain"', f'"{quantity}"') + 'period = "60s"\n'
    sensor = parse_city(text).sensors["rain-1"]
    judged = [rule.judgement(sensor) for rule in rules.rules if rule.quantity == quantity]

    assert judged
    assert None not in judged
