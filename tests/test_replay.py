"""Replay: the measured data of the shared folder, and what the command does with good and bad input."""

from __future__ import annotations

import csv
import gzip
import json
from bisect import bisect_left, bisect_right
from collections import defaultdict
from pathlib import Path

import pytest

from alerts.__main__ import main
from ingest.formats.times import rfc3339_ms
from ingest.quantity import CATALOGUE, convert
from ingest.tidy import TidyRow, read_tidy

HEADER = "sensor_id,time_utc,quantity,value,unit\n"
RULE = (
    '[[rule]]\nname = "r"\nhazard = "flood"\nquantity = "water_level"\nstatistic = "last"\nlevels = { warning = 2 }\n'
)
MAX_GAP_MS = {  # of episodes.py beside the data; a start after a longer silence is no crossing
    "rain_amsterdam_pws_2017": 600_000, "rain_amsterdam_radar_reference_2017": 3_600_000,
    "river_aire_calder_2015-16": 1_800_000, "river_dead_run_2018-06": 1_800_000, "street_floodnet_nyc": 3_600_000,
    "power_toledo_blackout_2025-04-28": 10_000, "school_room_multisensor_2017-18": 300_000,
    "school_zurich_co2_2020-12-09": 300_000,
}  # fmt: skip
STEP_MS, STEPS, HOUR_MS = 300_000, 12, 3_600_000


def replayed(folder: Path, *arguments: str) -> list[dict[str, object]]:
    out = folder / "out.jsonl"
    assert main(["replay", *arguments, "--out", str(out)]) == 0
    return [json.loads(line) for line in out.read_text().splitlines()]


def rule_for(test: str, rows: list[TidyRow]) -> tuple[str, str]:
    """The quantity and the rules.toml of a test such as "rain_5min.sum60min >= 10"."""
    left, operator, number = test.rsplit(" ", 2)
    quantity, _, windowed = left.partition(".")
    threshold = float(number)
    if quantity in CATALOGUE:
        unit = next(row.unit for row in rows if row.quantity == quantity)
        threshold = convert(threshold, unit, CATALOGUE[quantity].unit)
    threshold *= {">": 1 + 1e-8, "<": 1 - 1e-8}.get(operator, 1)  # ours is "reaches"
    statistic = f'"sum"\nwindow = "60m"\nmin_readings = {STEPS}' if windowed else '"last"'
    direction = "above" if operator.startswith(">") else "below"
    return quantity, (
        f'[[rule]]\nname = "r"\nhazard = "x"\nquantity = "{quantity}"\nstatistic = {statistic}\n'
        f'direction = "{direction}"\nlevels = {{ advisory = {threshold!r} }}\nclear = 1.0\n'
    )


def follows_gap(times: list[int], start: int, *, windowed: bool, max_gap_ms: int) -> bool:
    if windowed:  # the sum one step earlier did not exist
        before = start - STEP_MS
        return bisect_right(times, before) - bisect_right(times, before - HOUR_MS) < STEPS
    at = bisect_left(times, start)
    return at == 0 or times[at - 1] < start - max_gap_ms


@pytest.mark.parametrize("name", MAX_GAP_MS)
def test_every_measured_episode_that_follows_no_gap_begins_with_a_rise(
    name: str, shared_data: Path, tmp_path: Path
) -> None:
    file = shared_data / f"{name}.csv.gz"
    rows = read_tidy([file])
    episodes = defaultdict(list)
    for row in csv.DictReader((shared_data / "episodes_shared.csv").read_text().splitlines()):
        if row["file"] == file.name:
            episodes[row["test"]].append((row["sensor_id"], rfc3339_ms(row["start_utc"])))
    assert episodes
    for test, starts in episodes.items():
        quantity, rules = rule_for(test, rows)
        (tmp_path / "rules.toml").write_text(rules)
        found = replayed(tmp_path, str(file), "--rules", str(tmp_path / "rules.toml"))
        rises = {(one["sensor"], rfc3339_ms(str(one["at"]))) for one in found if one["to"] == 1}
        times = defaultdict(list)
        for one in rows:
            if one.quantity == quantity and one.value == one.value:
                times[one.sensor_id].append(one.t)
        missed = [
            (sensor, start) for sensor, start in starts
            if (sensor, start) not in rises
            and not follows_gap(times[sensor], start, windowed="sum" in test, max_gap_ms=MAX_GAP_MS[name])
        ]  # fmt: skip
        assert not missed, test
        assert len(rises) >= len(starts) - 1, test  # a table of gaps alone would prove nothing


def test_a_replay_writes_one_line_a_transition_in_the_documented_form(tmp_path: Path) -> None:
    (tmp_path / "r.toml").write_text(RULE)
    (tmp_path / "a.csv").write_text(
        HEADER + "river,2015-12-26T12:00:00+07:00,water_level,2.5,m\nriver,2015-12-26T05:15:00Z,water_level,150,cm\n"
    )
    main(["replay", str(tmp_path / "a.csv"), "--rules", str(tmp_path / "r.toml"), "--out", str(tmp_path / "o")])

    assert (tmp_path / "o").read_text() == (
        '{"at":"2015-12-26T05:00:00.000Z","sensor":"river","rule":"r","from":0,"to":2,"value":2.5}\n'
        '{"at":"2015-12-26T05:15:00.000Z","sensor":"river","rule":"r","from":2,"to":0,"value":1.5}\n'
    )


def test_since_and_until_filter_what_is_written_and_not_what_is_read(tmp_path: Path) -> None:
    (tmp_path / "r.toml").write_text(RULE)
    times = [f"2020-01-01T00:0{minute}:00Z" for minute in range(4)]
    rows = "".join(f"x,{t},water_level,{v},m\n" for t, v in zip(times, (3, 1, 3, 1), strict=True))
    (tmp_path / "a.csv").write_text(HEADER + rows)

    found = replayed(tmp_path, str(tmp_path / "a.csv"), "--rules", str(tmp_path / "r.toml"),
                     "--since", times[1], "--until", times[3])  # fmt: skip

    assert [(one["from"], one["to"]) for one in found] == [(2, 0), (0, 2)]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("sensor,time\n", "line 1"),
        (HEADER + "x,2020-01-01T00:00:00,water_level,1,m\n", "line 2 time_utc: found '2020-01-01T00:00:00'"),
        (HEADER + "x,2020-01-01T00:00:00Z,water_level,high,m\n", "line 2 value: found 'high'"),
        (HEADER + "x,2020-01-01T00:00:00Z,water_level\n", "line 2: found '3 columns'"),
        (HEADER + "x,2020-01-01T00:00:00Z,water_level,inf,m\n", "line 2 value: found 'inf'"),
    ],
)
def test_bad_rows_are_named_by_file_and_line_and_end_with_2(
    text: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.csv").write_text(text)

    assert main(["replay", str(tmp_path / "a.csv")]) == 2
    assert f"{tmp_path / 'a.csv'}: {said}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (["--journal", "{}"], "the folder of a journal"),
        (["--journal", "{}", "--rules", "x"], "the journal holds its own"),
        (["{}/a.csv", "--out", "{}"], "--out: found"),
        (["{}/broken.csv.gz"], "a readable CSV"),
        (["{}/nowhere.csv"], "No such file"),
        (["{}/a.csv", "--rules", "{}/latin.toml"], "a readable text in UTF-8"),
    ],
)
def test_what_cannot_be_read_or_written_is_named_and_ends_with_2(
    call: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.csv").write_text(HEADER + "x,2020-01-01T00:00:00Z,voltage,1e306,kV\n")
    (tmp_path / "broken.csv.gz").write_bytes(gzip.compress(b"")[:10] + b"\xff" * 50)
    (tmp_path / "latin.toml").write_bytes(b"# ph\xff\xfe")

    assert main(["replay", *(word.format(tmp_path) for word in call)]) == 2
    assert said in capsys.readouterr().err


def test_nothing_to_read_is_a_wrong_call(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay"]) == 2
    assert "FILE… or --journal DIR" in capsys.readouterr().err
