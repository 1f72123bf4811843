"""Devices of other networks: their traps are known, and each reading is told by its device's own time and unit."""

from __future__ import annotations

import copy
import json
import math
from typing import Any, Final

import pytest

from ingest.city import City, parse_city
from ingest.formats import Decoded, RefusedError, decode, may_be_presence, presence, sender_of
from ingest.formats.devices import HISTORY_READINGS_MAX, OBJECT_BYTES_MAX
from ingest.lookup import Lookup, Resolved
from ingest.networks import Networks, prefix_fault, topic_filters
from ingest.readings import Flag

PREFIXES: Final = {"chirpstack": "application", "ttn": "v3", "tasmota": "city/tele", "shelly": "+"}
NOW = 1_761_525_600_000  # 2025-10-27T00:40:00Z
SENSOR = (
    '[[sensor]]\nid = "{}"\nquantity = "{}"\narea = "1"\n{}decoder = {{ network = "{}", id = "{}", field = "{}"{} }}\n'
)
REGISTERED = [
    ("street", "street_depth", "", "chirpstack", "24E124713C141234", "depth", ', unit = "cm"'),
    ("street-battery", "battery", "", "chirpstack", "24e124713c141234", "battery", ""),
    ("street-battery-2", "battery", "", "chirpstack", "24e124713c141234", "batteryLevel", ""),
    ("river-battery", "battery", "", "ttn", "24e124713c145678", "battery", ""),
    ("river", "water_level", "mount_height = 3.0\n", "ttn", "24e124713c145678", "distance", ', unit = "mm"'),
    ("gauge", "rain", "counter = true\nwrap = 655.35\n", "ttn", "gauge-1", "rainfall_total", ""),
    ("ldds", "water_level", "mount_height = 5.0\n", "ttn", "A84041FFFF24A438", "Distance", ""),
    ("ldds-t", "temperature", "", "ttn", "a84041ffff24a438", "TempC_DS18B20", ""),
    ("mains", "voltage", "", "tasmota", "NAME", "ENERGY.Voltage", ""),
    ("phase-2", "voltage", "", "tasmota", "three", "ENERGY.Voltage.1", ""),
    ("room", "temperature", "", "tasmota", "NAME", "DS18B20.Temperature", ""),
    ("feeder", "voltage", "", "shelly", "shellypro3em-f08cf9", "em:0.a_voltage", ""),
    ("relay", "power", "", "shelly", "shellypro3em-f08cf9", "switch:0.output", ""),
    ("relay-v", "voltage", "", "shelly", "shellypro3em-f08cf9", "switch:0.voltage", ""),
]
CITY = '[city]\nname = "Đà Nẵng"\ntimezone = "Asia/Ho_Chi_Minh"\n[[area]]\ncode = "1"\nname = "Một"\n' + "".join(
    SENSOR.format(*row) for row in REGISTERED
)
REGISTRY = parse_city(CITY)
NETWORKS = Networks.of(REGISTRY, PREFIXES)
LOOKUP = Lookup(REGISTRY, list(REGISTRY.sensors))

CHIRPSTACK = "application/17c82e96-be03-4f38-aef3-f83d48582d97/device/24e124713c141234/event/up"
UPLINK: dict[str, Any] = {
    "deduplicationId": "3ac7e3c4-4401-4b8d-9386-a5c902f9202d",
    "time": "2025-10-27T00:40:00.123456789+00:00",
    "deviceInfo": {"applicationName": "floods", "deviceName": "EM500-SWL", "devEui": "24e124713c141234"},
    "devAddr": "00189440", "adr": True, "data": "AXVkA3cCAA==",
    "object": {"battery": 100.0, "depth": 2.0, "firmware_version": "v1.2"},
    "rxInfo": [{"gatewayId": "0016c001f153a14c", "rssi": -57, "snr": 10.0}],
    "txInfo": {"frequency": 868100000, "modulation": {"lora": {"bandwidth": 125000, "spreadingFactor": 7}}},
}  # fmt: skip
CHIRPSTACK_STATUS = CHIRPSTACK.replace("event/up", "event/status")
DEVICE_STATUS: dict[str, Any] = {
    "deduplicationId": "e1a1c6a0-3d8f-4a0c-9e4b-0d1b5b2d8b1c", "time": "2025-10-27T00:40:00.5+00:00",
    "deviceInfo": {"deviceName": "EM500-SWL", "devEui": "24e124713c141234"}, "margin": 7, "batteryLevel": 90.5,
}  # fmt: skip
TTN = "v3/floods@ttn/devices/em400/up"
MESSAGE: dict[str, Any] = {
    "end_device_ids": {
        "device_id": "em400", "application_ids": {"application_id": "floods"},
        "dev_eui": "24E124713C145678", "dev_addr": "260BE6BF",
    },
    "received_at": "2025-10-27T00:40:00.869542824Z",
    "uplink_message": {
        "f_port": 85, "frm_payload": "A4JECAQAAQ==",
        "decoded_payload": {"distance": 2116, "position": "normal"},
        "rx_metadata": [{"gateway_ids": {"gateway_id": "eui-a84041ffff24a438"}, "time": "1970-01-01T00:00:00Z"}],
        "received_at": "2025-10-27T00:40:00.656299995Z",
    },
}  # fmt: skip
TASMOTA = "city/tele/NAME/SENSOR"
TELEGRAM: dict[str, Any] = {
    "Time": "2025-10-27T07:40:00", "ENERGY": {"Total": 3.185, "Power": 2635, "Voltage": 227, "Current": 11.6},
    "DS18B20": {"Id": "01131B123456", "Temperature": 25.5}, "TempUnit": "C",
}  # fmt: skip
SHELLY = "shellypro3em-f08cf9/events/rpc"
NOTICE: dict[str, Any] = {
    "src": "shellypro3em-f08cf9", "dst": "shellypro3em-f08cf9/events", "method": "NotifyStatus",
    "params": {"ts": 1761525600.49, "em:0": {"id": 0, "a_current": 4.029, "a_voltage": 236.1, "a_act_power": 951.2}},
}  # fmt: skip
LIVE = [(CHIRPSTACK, UPLINK), (TTN, MESSAGE), (TASMOTA, TELEGRAM), (SHELLY, NOTICE)]
TIMES = {CHIRPSTACK: "time", TTN: "uplink_message.received_at", TASMOTA: "Time", SHELLY: "params.ts"}


def changed(message: dict[str, Any], **paths: Any) -> dict[str, Any]:
    """A copy with other values at paths whose steps are joined by __."""
    copied = copy.deepcopy(message)
    for path, value in paths.items():
        *steps, last = path.replace("__", ".").split(".")
        at = copied
        for step in steps:
            at = at[step]
        at[last] = value
    return copied


def read(topic: str, message: Any, networks: Networks = NETWORKS, arrival: int = NOW) -> Decoded:
    payload = message if isinstance(message, bytes) else json.dumps(message).encode()
    return decode(topic, payload, retained=False, networks=networks, arrival=arrival)


def looked_up(decoded: Decoded, lookup: Lookup = LOOKUP) -> Resolved:
    return lookup.resolve(decoded, arrival=NOW, clock_mode="wall", previous_arrival=0)


def found(topic: str, message: Any, city: City = REGISTRY) -> list[Any]:
    """Sensor, value in its quantity's unit and ms after NOW of each reading; the reason of each refusal."""
    resolved = looked_up(read(topic, message))
    ids = [list(city.sensors)[number] for number in resolved.sensor.tolist()]
    rows = zip(ids, resolved.raw.tolist(), (resolved.t - NOW).tolist(), strict=True)
    return [*rows, *(one.reason for one in resolved.refused)]


def reason(topic: str, message: Any, networks: Networks = NETWORKS) -> str:
    with pytest.raises(RefusedError) as caught:
        read(topic, message, networks)
    return caught.value.reason


def test_chirpstack_is_read_by_the_fields_that_are_registered() -> None:
    assert found(CHIRPSTACK, UPLINK) == [("street", 0.02, 123), ("street-battery", 100.0, 123)]
    assert read(CHIRPSTACK, UPLINK).gateway == "network:chirpstack"


def test_the_things_stack_is_read_at_the_time_of_its_servers() -> None:
    decoded = read(TTN, MESSAGE)

    assert (decoded.sensors, decoded.values) == (["ttn/24e124713c145678/distance"], [2116.0])
    assert found(TTN, MESSAGE) == [("river", 2.116, 656)]  # depth = mount_height - distance comes at acceptance


def test_tasmota_is_read_in_the_zone_of_the_city() -> None:
    assert found(TASMOTA, TELEGRAM) == [("mains", 227.0, 0), ("room", 25.5, 0)]


def test_shelly_is_read_to_the_millisecond() -> None:
    assert found(SHELLY, NOTICE) == [("feeder", 236.1, 490)]


@pytest.mark.parametrize(
    ("topic", "message"),
    [
        (CHIRPSTACK, changed(UPLINK, object={"depth": 0.0, "battery": 0})),
        (TTN, changed(MESSAGE, uplink_message__decoded_payload={"distance": 0})),
        (TASMOTA, changed(TELEGRAM, ENERGY={"Voltage": 0}, DS18B20={"Temperature": 0})),
        (SHELLY, changed(NOTICE, params__em={}, **{"params__em:0": {"a_voltage": 0}})),
    ],
)
def test_a_zero_of_a_device_is_a_zero(topic: str, message: Any) -> None:
    assert set(read(topic, message).values) == {0.0}


@pytest.mark.parametrize(
    ("topic", "message"),
    [
        (CHIRPSTACK, changed(UPLINK, object={"firmware_version": "v1.2"})), (CHIRPSTACK, changed(UPLINK, object={})),
        (CHIRPSTACK, changed(UPLINK, object=None)), (TTN, changed(MESSAGE, uplink_message={"f_port": 0})),
        (TTN, changed(MESSAGE, uplink_message__decoded_payload={"position": "normal"})),
        (TASMOTA, changed(TELEGRAM, ENERGY={"Power": 5}, DS18B20=7)), (TASMOTA, {"Time": "2025-10-27T07:40:00"}),
        (SHELLY, changed(NOTICE, params={"ts": 1.5, "wifi": {"rssi": -50}})),
        (SHELLY, changed(NOTICE, method="NotifyEvent")), (SHELLY, {"id": 1, "result": {}}),
    ],
)  # fmt: skip
def test_what_is_absent_is_neither_zero_nor_a_refusal(topic: str, message: Any) -> None:
    decoded = read(topic, message)

    assert (decoded.sensors, decoded.refused) == ([], [])


def test_a_device_that_says_it_cannot_measure_has_a_missing_value() -> None:
    for said in ({"depth_error": "sensor fault", "battery": 90}, {"depth": None, "battery": 90}):
        decoded = read(CHIRPSTACK, changed(UPLINK, object=said))

        assert decoded.sensors == ["chirpstack/24e124713c141234/depth", "chirpstack/24e124713c141234/battery"]
        assert math.isnan(decoded.values[0])


def test_numbers_with_units_are_numbers_in_units() -> None:
    dragino = {"Bat": "3.42 V", "Distance": "1200 mm", "TempC_DS18B20": "25.60"}
    message = changed(MESSAGE, end_device_ids__dev_eui="A84041FFFF24A438", uplink_message__decoded_payload=dragino)

    assert found(TTN, message) == [("ldds", 1.2, 656), ("ldds-t", 25.6, 656)]


@pytest.mark.parametrize(
    ("said", "value", "unit"),
    [
        ("3.42 V", 3.42, "V"), ("1200mm", 1200.0, "mm"), ("25.60", 25.6, None), ("-0.5 °C", -0.5, "°C"),
        ("+1e3 m", 1000.0, "m"), ("55.0 %", 55.0, "%"), (7, 7.0, None), (True, 1.0, ""), (False, 0.0, ""),
    ],
)  # fmt: skip
def test_an_amount_is_a_number_with_or_without_its_unit(said: Any, value: float, unit: str | None) -> None:
    decoded = read(CHIRPSTACK, changed(UPLINK, object={"depth": said}))

    assert decoded.values == [value]
    assert decoded.units == [unit]


@pytest.mark.parametrize(
    "said",
    [
        "", "No Sensor", "3,42 V", "1.2.3", "12:30", "0x10", "NaN", "inf", "1e400", "V 3", "5 m m", "٣", "1" * 65,
        "1e9999", [], [5], {}, {"value": 5},
    ],
)  # fmt: skip
def test_what_is_no_amount_is_refused_beside_its_neighbours(said: Any) -> None:
    decoded = read(CHIRPSTACK, changed(UPLINK, object={"depth": said, "battery": 90}))

    assert decoded.sensors == ["chirpstack/24e124713c141234/battery"]
    assert [(one.reason, one.index) for one in decoded.refused] == [("not_a_number", 0)]
    assert list(decoded.indices()) == [1]


def test_a_truth_is_on_or_off_and_no_voltage() -> None:
    message = changed(NOTICE, params={"ts": NOW / 1000, "switch:0": {"output": True, "voltage": True}})

    assert found(SHELLY, message) == [("relay", 1.0, 0), "wrong_unit"]


def test_a_tilted_distance_is_suspect_and_the_battery_beside_it_is_not() -> None:
    said = {"battery": 88, "distance": 2116, "position": "tilt"}
    message = changed(MESSAGE, uplink_message__decoded_payload=said)
    decoded = read(TTN, message)

    flags = dict(zip(decoded.sensors, looked_up(decoded).flag.tolist(), strict=True))
    assert flags == {"ttn/24e124713c145678/distance": Flag.SUSPECT, "ttn/24e124713c145678/battery": Flag.NOT_EVALUATED}
    assert looked_up(read(TTN, MESSAGE)).flag.tolist() == [Flag.NOT_EVALUATED]


@pytest.mark.parametrize(
    ("changes", "level"),
    [
        ({}, [("street-battery-2", 90.5, 500)]),
        ({"batteryLevelUnavailable": False, "externalPowerSource": False}, [("street-battery-2", 90.5, 500)]),
        ({"batteryLevel": 0, "externalPowerSource": True}, []),  # on mains, and no battery is empty
        ({"time": "soon"}, ["no_time"]),
    ],
)
def test_chirpstacks_status_says_how_full_the_battery_is(changes: dict[str, Any], level: list[Any]) -> None:
    if level == ["no_time"]:
        assert reason(CHIRPSTACK_STATUS, changed(DEVICE_STATUS, **changes)) == "no_time"
    else:
        assert found(CHIRPSTACK_STATUS, changed(DEVICE_STATUS, **changes)) == level


def test_a_battery_that_cannot_be_measured_is_a_missing_value_and_one_that_is_not_said_is_none() -> None:
    unavailable = read(CHIRPSTACK_STATUS, changed(DEVICE_STATUS, batteryLevelUnavailable=True))
    assert math.isnan(unavailable.values[0])
    unsaid = {key: value for key, value in DEVICE_STATUS.items() if key not in ("batteryLevel", "time")}
    assert read(CHIRPSTACK_STATUS, unsaid) == Decoded("network:chirpstack", device="chirpstack/24e124713c141234")


def test_the_status_of_a_stranger_or_of_long_ago_is_nothing_and_no_letter() -> None:
    payload = json.dumps(DEVICE_STATUS).encode()
    stranger = CHIRPSTACK_STATUS.replace("141234/", "149999/")

    assert read(stranger, DEVICE_STATUS) == Decoded("network:chirpstack")
    assert decode(CHIRPSTACK_STATUS, payload, retained=True, networks=NETWORKS) == Decoded("network:chirpstack")


@pytest.mark.parametrize(
    ("topic", "payload", "said"),
    [
        ("city/tele/NAME/LWT", b"Online", ("tasmota/NAME", True)),
        ("city/tele/NAME/LWT", b"Offline", ("tasmota/NAME", False)),
        ("shellypro3em-f08cf9/online", b"true", ("shelly/shellypro3em-f08cf9", True)),
        ("shellypro3em-f08cf9/online", b"false", ("shelly/shellypro3em-f08cf9", False)),
        ("canhbao/v1/gw-1/status", b"offline", ("gw-1", False)),
        ("city/tele/STRANGER/LWT", b"who knows", ("", False)),  # nobody's, and no letter
        (CHIRPSTACK_STATUS, b"{}", None), (TASMOTA, b"Online", None), ("tele/NAME/LWT", b"Online", None),
        ("canhbao/v1/gw-1/online", b"true", None), ("stranger/online", b"maybe", ("", False)),
    ],
)  # fmt: skip
def test_wills_say_who_is_there(topic: str, payload: bytes, said: tuple[str, bool] | None) -> None:
    assert presence(topic, payload, NETWORKS) == said


@pytest.mark.parametrize(
    ("topic", "payload"),
    [("city/tele/NAME/LWT", b"true"), ("shellypro3em-f08cf9/online", b"online"), ("city/tele/NAME/LWT", b"\xff\0")],
)
def test_a_will_in_other_words_is_refused(topic: str, payload: bytes) -> None:
    with pytest.raises(RefusedError, match="wrong_shape"):
        presence(topic, payload, NETWORKS)


def test_a_retained_will_is_heard_at_every_connection_and_nothing_else_is() -> None:
    assert all(map(may_be_presence, ["tele/x/LWT", "shelly/x/online", "x/online", "canhbao/v1/gw-1/status"]))
    topics = [CHIRPSTACK_STATUS, TASMOTA, SHELLY, "canhbao/v1/gw-1/readings/online", "canhbao/v1/gw-1/readings"]
    assert not any(map(may_be_presence, topics))


def test_frames_from_a_devices_memory_keep_their_own_time_and_come_first() -> None:
    said = {
        "depth": 30, "battery": 90,
        "history": [{"timestamp": NOW // 1000 - 3600, "depth": 10}, {"timestamp": "x", "depth": 1}, {"other": 1}, 5,
                    {"timestamp": NOW // 1000 - 1800, "depth": 20}],
    }  # fmt: skip

    assert found(CHIRPSTACK, changed(UPLINK, object=said)) == [
        ("street", 0.1, -3_600_000), ("street", 0.2, -1_800_000), ("street", 0.3, 123), ("street-battery", 90.0, 123),
        "no_time",
    ]  # fmt: skip


def test_a_memory_without_end_is_refused() -> None:
    items = [{"timestamp": 1, "depth": 1}] * (HISTORY_READINGS_MAX // 3 + 1)

    assert reason(CHIRPSTACK, changed(UPLINK, object={"history": items})) == "wrong_shape"
    assert len(read(CHIRPSTACK, changed(UPLINK, object={"history": items[1:]})).sensors) == HISTORY_READINGS_MAX // 3


def test_a_simulated_uplink_never_counts() -> None:
    assert reason(TTN, changed(MESSAGE, simulated=True)) == "simulated"
    assert read(TTN, changed(MESSAGE, simulated=False)).values == [2116.0]


def test_a_device_is_known_by_its_eui_in_capitals_or_not_or_by_its_id() -> None:
    rain = {"rainfall_total": 1.23, "rainfall_counter": 1}
    message = changed(MESSAGE, end_device_ids={"device_id": "gauge-1"}, uplink_message__decoded_payload=rain)

    assert found("v3/floods@ttn/devices/gauge-1/up", message) == [("gauge", 1.23, 656)]
    assert found(CHIRPSTACK.replace("24e124713c141234", "24E124713C141234"), UPLINK)[0][0] == "street"


def test_an_unknown_device_is_one_refusal_a_message() -> None:
    assert reason(CHIRPSTACK.replace("1234/", "9999/"), UPLINK) == "unknown_sensor"
    assert reason("v3/floods@ttn/devices/x/up", {}) == "unknown_sensor"
    assert reason("city/tele/\u202e\0/SENSOR", TELEGRAM) == "unknown_sensor"
    assert reason("shellyplug/events/rpc", NOTICE) == "unknown_sensor"


@pytest.mark.parametrize(("topic", "message"), LIVE)
@pytest.mark.parametrize("time", [None, True, "", "soon", [], math.nan, math.inf])
def test_without_a_time_there_is_no_reading(topic: str, message: dict[str, Any], time: Any) -> None:
    assert reason(topic, changed(message, **{TIMES[topic].replace(".", "__"): time})) == "no_time"


def test_an_hour_that_clocks_show_twice_is_told_apart_by_the_arrival() -> None:
    networks = Networks.of(parse_city(CITY.replace("Asia/Ho_Chi_Minh", "Europe/Berlin")), PREFIXES)
    message = changed(TELEGRAM, Time="2025-10-26T02:30:00")

    for hour in (0, 1):
        true_ms = 1_761_438_600_000 + hour * 3_600_000
        assert read(TASMOTA, message, networks, true_ms + 900).t[0] == true_ms
    assert reason(TASMOTA, changed(TELEGRAM, Time="2025-03-30T02:30:00"), networks) == "no_time"


def test_tasmota_says_in_which_degrees() -> None:
    assert found(TASMOTA, changed(TELEGRAM, TempUnit="F", DS18B20={"Temperature": 86}))[1] == ("room", 30.0, 0)


def test_a_field_may_be_a_place_in_a_list() -> None:
    message = {"Time": "2025-10-27T07:40:00", "ENERGY": {"Voltage": [229, 230.5, 231]}}

    assert found("city/tele/three/SENSOR", message) == [("phase-2", 230.5, 0)]
    assert found("city/tele/three/SENSOR", changed(message, ENERGY={"Voltage": [229]})) == []


@pytest.mark.parametrize(("topic", "message"), LIVE)
def test_what_is_no_message_is_refused_whole(topic: str, message: dict[str, Any]) -> None:
    assert reason(topic, b"") == "not_json"
    assert reason(topic, b"\xff") == "not_utf8"
    assert reason(topic, b"[" * 50_000) == "too_deep"
    assert reason(topic, []) == "wrong_shape"
    assert reason(topic, b" " * (OBJECT_BYTES_MAX + 1)) == "too_large"
    with pytest.raises(RefusedError) as caught:
        decode(topic, json.dumps(message).encode(), retained=True, networks=NETWORKS)
    assert caught.value.reason == "retained"


def test_a_message_that_thirty_gateways_heard_is_not_too_large() -> None:
    heard = MESSAGE["uplink_message"]["rx_metadata"] * 300

    assert 16_000 < len(json.dumps(heard)) < OBJECT_BYTES_MAX
    assert read(TTN, changed(MESSAGE, uplink_message__rx_metadata=heard)).values == [2116.0]


@pytest.mark.parametrize(
    "topic",
    [
        CHIRPSTACK.replace("event/up", "event/join"), CHIRPSTACK + "/x", "x/" + CHIRPSTACK,
        TTN.replace("/up", "/join"), TTN.replace("devices/em400", "devices/em400/down"), "tele/NAME/SENSOR",
        "tele/NAME/LWT", "city/tele/NAME/STATE", "a/shellypro3em-f08cf9/events/rpc", "a/shellypro3em-f08cf9/online",
        "shellypro3em-f08cf9/status/em:0",
    ],
)  # fmt: skip
def test_joins_states_and_strangers_are_no_readings(topic: str) -> None:
    assert reason(topic, UPLINK) == "wrong_shape"
    assert sender_of(topic, NETWORKS) == ""


@pytest.mark.parametrize(("topic", "message"), LIVE)
def test_networks_that_are_not_read_are_nobodys(topic: str, message: dict[str, Any]) -> None:
    assert reason(topic, message, Networks.of(REGISTRY, {})) == "wrong_shape"


def test_nobody_but_its_network_speaks_for_a_device() -> None:
    for name in ("street", "chirpstack/24e124713c141234/depth"):
        ours = decode(
            "canhbao/v1/gw-1/readings", json.dumps({"sensor": name, "t": NOW, "v": 1}).encode(), retained=False
        )

        assert [one.reason for one in looked_up(ours).refused] == ["wrong_gateway"]


def test_a_sensor_may_have_a_gateway_besides() -> None:
    city = parse_city(
        CITY.replace('id = "street"\n', 'id = "street"\ngateway = "gw-1"\n') + '[[gateway]]\nid = "gw-1"\n'
    )
    lookup = Lookup(city, list(city.sensors))
    ours = Decoded("gw-1", sensors=["street"], t=[NOW], values=[0.5], units=[None])

    assert looked_up(ours, lookup).raw.tolist() == [0.5]  # our own messages are in the quantity's unit
    assert looked_up(read(CHIRPSTACK, UPLINK), lookup).raw.tolist()[0] == 0.02


def test_filters_and_prefixes() -> None:
    assert topic_filters(PREFIXES | {"chirpstack": ""}) == (
        "v3/+/devices/+/up", "city/tele/+/SENSOR", "city/tele/+/LWT", "+/events/rpc", "+/online",
    )  # fmt: skip
    assert topic_filters({"chirpstack": "application"}) == (
        "application/+/device/+/event/up", "application/+/device/+/event/status",
    )  # fmt: skip
    for network, prefix in {**PREFIXES, "ttn": "", "shelly": "shelly/da-nang"}.items():
        assert not prefix_fault(network, prefix)
    for prefix in ("+", "#", "a/+", "/a", "a/", "a//b", "a b", "$SYS", "canhbao", "canhbao/v1", "a.b", "é", "a\n"):
        assert prefix_fault("tasmota", prefix)


def test_a_prefix_before_the_names_of_shelly_devices() -> None:
    networks = Networks.of(REGISTRY, {"shelly": "shelly"})

    assert read(f"shelly/{SHELLY}", NOTICE, networks).values == [236.1]
    assert reason(SHELLY, NOTICE, networks) == "wrong_shape"
