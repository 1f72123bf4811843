"""Operators hear of silence once a gateway where the whole gateway is silent, and of each sensor otherwise."""

from __future__ import annotations

from alerts.health import SHOWN_MOST, health_lines, late_lines
from ingest.city import parse_city
from processing.transitions import HealthEvent, LateBreach, Status

CITY = parse_city(
    '[city]\nname = "x"\ntimezone = "UTC"\n[[area]]\ncode = "a"\nname = "a"\n'
    '[[gateway]]\nid = "gw-1"\n[[gateway]]\nid = "gw-2"\n'
    + "".join(
        f'[[sensor]]\nid = "s{n}"\nquantity = "rain"\narea = "a"\ngateway = "gw-{1 + n // 30}"\n' for n in range(60)
    )
    + '[[sensor]]\nid = "lone"\nquantity = "rain"\narea = "a"\n'
)
OK = dict.fromkeys(CITY.sensors, Status.OK)
SILENT_1 = OK | {f"s{n}": Status.SILENT for n in range(30)}


def events(to: Status, *sensors: str) -> list[HealthEvent]:
    return [HealthEvent(0, sensor, Status.OK, to) for sensor in sensors]


def test_a_silent_gateway_is_one_line() -> None:
    gone = [f"s{n}" for n in range(30)]
    assert health_lines(events(Status.SILENT, *gone), CITY, SILENT_1) == ["gateway gw-1 is silent (30 sensors)"]


def test_a_gateway_whose_last_sensors_follow_the_others_into_silence_is_one_line_as_well() -> None:
    assert health_lines(events(Status.SILENT, "s8", "s9"), CITY, SILENT_1) == ["gateway gw-1 is silent (30 sensors)"]


def test_a_sensor_that_is_silent_beside_others_is_named_itself() -> None:
    now = OK | {"s3": Status.SILENT, "lone": Status.DELAYED}
    found = health_lines(events(Status.SILENT, "s3") + events(Status.DELAYED, "lone"), CITY, now)
    assert found == ["sensor s3 is silent", "sensor lone is delayed"]


def test_a_gateway_that_is_back_is_one_line() -> None:
    back = [f"s{n}" for n in range(30, 60)]
    assert health_lines(events(Status.OK, *back), CITY, OK) == ["gateway gw-2 is heard again (30 sensors)"]


def test_many_lines_are_cut_and_counted() -> None:
    gone = [f"s{n}" for n in range(25)]
    found = health_lines(events(Status.SILENT, *gone), CITY, OK | dict.fromkeys(gone, Status.SILENT))
    assert len(found) == SHOWN_MOST + 1
    assert found[-1] == "and 5 more"


def test_a_danger_that_came_too_late_names_its_times() -> None:
    (line,) = late_lines([LateBreach("s1", "rain-1h", 1_665_723_600_000, 92.5, 1_665_734_400_000)])
    assert "s1" in line
    assert "2022-10-14T05:00:00.000Z (92.5)" in line
    assert "2022-10-14T08:00:00.000Z" in line
