"""Operators hear of silence once a gateway where the whole gateway is silent, and of each sensor otherwise."""

from __future__ import annotations

from alerts.health import SHOWN_MOST, health_lines, late_lines
from ingest.city import parse_city
from processing.transitions import HealthEvent, LateBreach, Status

CITY = parse_city(
    '[city]\nname = "x"\ntimezone = "UTC"\n[[area]]\ncode = "a"\nname = "a"\n'
    '[[gateway]]\nid = "gw-1"\n[[gateway]]\nid = "gw-2"\n'
    + "".join(
        f'[[sensor]]\nid = "s{n}"\nquantity = "rain"\narea = "a"\ngateway = "gw-{1 + n // 30}"\nperiod = "60s"\n'
        for n in range(60)
    )
    + '[[sensor]]\nid = "lone"\nquantity = "rain"\narea = "a"\nperiod = "60s"\n'
    + '[[sensor]]\nid = "door"\nquantity = "rain"\narea = "a"\ngateway = "gw-1"\n'  # no period: always ok
    + '[[gateway]]\nid = "gw-3"\n'
    + '[[sensor]]\nid = "only"\nquantity = "rain"\narea = "a"\ngateway = "gw-3"\nperiod = "60s"\n'
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
    assert health_lines(events(Status.SILENT, "s9"), CITY, SILENT_1) == ["gateway gw-1 is silent (30 sensors)"]


def test_before_the_last_one_each_sensor_has_its_line() -> None:
    now = SILENT_1 | {"s9": Status.DELAYED}
    assert health_lines(events(Status.SILENT, "s7", "s8"), CITY, now) == ["sensor s7 is silent", "sensor s8 is silent"]


def test_sensors_of_different_periods_that_stop_at_once_end_in_one_line_for_the_gateway() -> None:
    status, lines = dict(OK), list[str]()
    for n in range(30):  # a tick each
        status[f"s{n}"] = Status.SILENT
        lines += health_lines(events(Status.SILENT, f"s{n}"), CITY, status)
    assert lines == [*(f"sensor s{n} is silent" for n in range(29)), "gateway gw-1 is silent (30 sensors)"]


def test_what_happens_elsewhere_does_not_say_it_again() -> None:
    now = SILENT_1 | {"s40": Status.SILENT}
    assert health_lines(events(Status.SILENT, "s40"), CITY, now) == ["sensor s40 is silent"]


def test_the_only_sensor_of_a_gateway_is_named_itself() -> None:
    assert health_lines(events(Status.SILENT, "only"), CITY, OK | {"only": Status.SILENT}) == ["sensor only is silent"]
    assert health_lines(events(Status.OK, "only"), CITY, OK) == ["sensor only is heard again"]


def test_a_sensor_whose_period_was_taken_away_is_not_called_heard_again() -> None:
    assert health_lines(events(Status.OK, "door"), CITY, SILENT_1) == []


def test_a_sensor_that_is_silent_beside_others_is_named_itself() -> None:
    now = OK | {"s3": Status.SILENT, "lone": Status.DELAYED}
    found = health_lines(events(Status.SILENT, "s3") + events(Status.DELAYED, "lone"), CITY, now)
    assert found == ["sensor s3 is silent", "sensor lone is delayed"]


def test_a_gateway_that_is_back_is_one_line() -> None:
    back = [f"s{n}" for n in range(30, 60)]
    assert health_lines(events(Status.OK, *back), CITY, OK) == ["gateway gw-2 is heard again (30 sensors)"]


def test_of_a_gateway_that_was_not_away_only_the_sensors_that_were_are_heard_again() -> None:
    found = health_lines(events(Status.OK, "s30", "s31"), CITY, OK)
    assert found == ["sensor s30 is heard again", "sensor s31 is heard again"]


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
