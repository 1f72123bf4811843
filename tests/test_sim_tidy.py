"""Tidy files and the city files that match them."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from firmware_sim.__main__ import main
from firmware_sim.tidy import batches, read, tidy_city
from ingest.city import parse_city

HEAD = "sensor_id,time_utc,quantity,value,unit,quality\n"


def _tidy(tmp_path: Path, text: str, name: str = "a.csv") -> Path:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def _rows(*rows: str) -> str:
    return "".join(f"{row}\n" for row in rows)


def test_readings_come_in_order_of_time_and_ties_in_order_of_the_files(tmp_path: Path):
    one = _tidy(tmp_path, HEAD + "a,2022-10-14T12:00:01Z,rain,1,mm,\na,2022-10-14T12:00:00Z,rain,2,mm,\n")
    two = _tidy(
        tmp_path, HEAD + "b,2022-10-14T19:00:00+07:00,rain,3,mm,\nb,2022-10-14T11:59:59.9999Z,rain,4,mm,\n", "b"
    )

    (sensors, t, values, units), = batches(read([one, two]), 100)  # fmt: skip

    assert list(zip(sensors, values, strict=True)) == [("b", 4.0), ("a", 2.0), ("b", 3.0), ("a", 1.0)]
    assert [at - 1_665_748_800_000 for at in t] == [-1, 0, 0, 1000]
    assert units == [None] * 4


def test_a_sensor_with_several_quantities_becomes_several_sensors(tmp_path: Path):
    text = _rows(
        "room,2022-10-14T12:00:00Z,co2,400,ppm,",
        "room,2022-10-14T12:00:00Z,sound,0.1,V,",
        "hall,2022-10-14T12:00:00Z,co2,500,ppm,",
    )
    tidy = read([_tidy(tmp_path, HEAD + text)])
    city = parse_city(tidy_city(tidy, "gw-1"))

    assert list(city.sensors) == ["room:co2", "room:sound", "hall"]
    assert city.sensors["room:sound"].quantity.unit == "V"
    assert city.sensors["room:sound"].quantity.high > 1e9
    assert not city.sensors["room:sound"].public
    assert {sensor.gateway for sensor in city.sensors.values()} == {"gw-1"}


def test_units_are_sent_along_where_they_are_not_the_catalogues(tmp_path: Path):
    text = _rows(
        "a,2022-10-14T12:00:00Z,street_depth,4,in,",
        "b,2022-10-14T12:00:00Z,temperature,20,degC,",
        "c,2022-10-14T12:00:00Z,river_stage,3,ft,",
    )

    (_, _, values, units), = batches(read([_tidy(tmp_path, HEAD + text)]), 100)  # fmt: skip

    assert values == [4.0, 20.0, 3.0]
    assert units == ["in", "degC", None]


def test_what_is_missing_is_null(tmp_path: Path):
    text = _rows(
        "a,2022-10-14T12:00:00Z,rain,,mm,",
        "a,2022-10-14T12:01:00Z,rain,5,mm,missing",
        "a,2022-10-14T12:02:00Z,rain,5,mm,G",
    )
    tidy = read([_tidy(tmp_path, HEAD + text)])

    assert np.isnan(tidy.value).tolist() == [True, True, False]


@pytest.mark.parametrize(
    ("seconds", "period_ms"),
    [
        (range(0, 6000, 300), 300_000),
        ([0, 63, 126, 188, 252, 315, 378, 4000], 63_000),
        ([0, 60, 200, 230, 900, 1000], None),
        ([0], None),
        ([0, 0, 60, 60, 120], 60_000),
    ],
)
def test_the_period_is_the_median_step_where_most_steps_agree(
    tmp_path: Path, seconds: Sequence[int], period_ms: int | None
):
    rows = [f"a,2022-10-14T{s // 3600:02}:{s // 60 % 60:02}:{s % 60:02}Z,rain,1,mm," for s in seconds]
    tidy = read([_tidy(tmp_path, HEAD + "\n".join(rows))])

    assert parse_city(tidy_city(tidy, "csv")).sensors["a"].period_ms == period_ms
    assert parse_city(tidy_city(tidy, "csv", periods=False)).sensors["a"].period_ms is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sensor_id,time_utc,value\n", "line 1: found 'sensor_id,time_utc,value', expected sensor_id,time_utc"),
        (HEAD + "a,2022-10-14T12:00:00Z,rain,1,mm,\nb,2022-10-14T12:00:00,rain,1,mm,\n", "line 3 time_utc: found"),
        (HEAD + "a,2022-10-14T12:00:00Z,rain,lots,mm,\n", "line 2 value: found 'lots'"),
        (HEAD + "a,2022-10-14T12:00:00Z,rain,nan,mm,\n", "line 2 value: found 'nan'"),
        (HEAD + "a,2022-10-14T12:00:00Z,rain,1,kg,\n", "unit of rain: found 'kg', expected 'mm'"),
        (HEAD + "a,2022-10-14T12:00:00Z\n", "line 2: found '2 columns'"),
        (HEAD + "a,,rain,1,mm,\n", "line 2 time_utc: found ''"),
        (HEAD + "a b,2022-10-14T12:00:00Z,rain,1,mm,\n", "sensor"),
        (HEAD, "found 'no reading'"),
        ("", "line 1: found ''"),
    ],
)
def test_a_wrong_file_ends_with_2_and_says_where(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, expected: str
):
    path = _tidy(tmp_path, text)

    assert main(["--csv", str(path), "--city-out", str(tmp_path / "city.toml")]) == 2

    said = capsys.readouterr().err
    assert str(path) in said
    assert expected in said
    assert not (tmp_path / "city.toml").exists()


@pytest.mark.parametrize("content", [gzip.compress(HEAD.encode() * 9, mtime=0)[:20], b"plain", b"\xff\xfe" * 40])
def test_a_broken_file_ends_with_2(tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes):
    path = tmp_path / "a.csv.gz"
    path.write_bytes(content)
    other = tmp_path / "b.csv"
    other.write_bytes(b"sensor_id,\xff\n")

    assert main(["--csv", str(path)]) == 2
    assert main(["csv", str(other)]) == 2
    assert main(["csv", str(tmp_path / "nowhere.csv")]) == 2
    assert capsys.readouterr().err.count("expected") == 3


@pytest.mark.parametrize(
    "call", [["csv"], ["storm", "a.csv"], ["--speed", "0"], ["--speed", "x"], ["--for", "nan"], ["fleet"]]
)
def test_a_wrong_call_ends_with_2(call: list[str], capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as ended:
        main(call)

    assert ended.value.code == 2
    assert "usage" in capsys.readouterr().err


@pytest.mark.parametrize("url", ["http://127.0.0.1", "mqtt://", "mqtt://a:b@host", "127.0.0.1:1883", "mqtt://h:port"])
def test_a_wrong_address_ends_with_2(url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = _tidy(tmp_path, HEAD + "a,2022-10-14T12:00:00Z,rain,1,mm,\n")

    assert main(["--csv", str(path), "--url", url]) == 2
    assert "--url" in capsys.readouterr().err


def test_recorded_files_of_every_kind_get_a_city(shared_data: Path, tmp_path: Path):
    files = sorted(str(path) for path in shared_data.glob("*.csv.gz"))
    out = tmp_path / "city.toml"

    assert main(["csv", *files, "--city-out", str(out)]) == 0

    city = parse_city(out.read_text(encoding="utf-8"))
    assert city.sensors["ea-aire-armley"].period_ms == 900_000
    assert city.sensors["toledo-L1:frequency"].quantity.unit == "Hz"
    assert city.sensors["toledo-L2"].period_ms == 2_000
