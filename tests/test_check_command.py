"""canhbao check: what the service would start with, before it does."""

from __future__ import annotations

from pathlib import Path

import pytest

from alerts.__main__ import main

CITY = """
[city]
name = "Hội An"
timezone = "Asia/Ho_Chi_Minh"
[[area]]
code = "20410"
name = "Hội An"
[[sensor]]
id = "rain-1"
quantity = "rain"
area = "20410"
period = "2h"
"""
RULES = """
[[rule]]
name = "rain-1h"
hazard = "rain"
quantity = "rain"
statistic = "sum"
window = "1h"
levels = { advisory = 20 }
[[rule]]
name = "river"
hazard = "flood"
quantity = "water_level"
statistic = "last"
levels = { advisory = 1 }
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "hoi-an.toml").write_text(CITY)
    (tmp_path / "ours.toml").write_text(RULES)
    (tmp_path / "canhbao.toml").write_text('[city]\nfile = "hoi-an.toml"\n[rules]\nfile = "ours.toml"\n')
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_files_of_the_settings_are_checked_and_what_judges_nothing_is_told(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check"]) == 0
    first, second, *rest = capsys.readouterr().out.splitlines()
    assert (first, second) == ("hoi-an.toml: Hội An, 1 areas, 0 gateways, 1 sensors",
                               "ours.toml: 2 rules for rain, flood")  # fmt: skip
    assert any(line.startswith("skipped: rule 'rain-1h' does not judge sensor 'rain-1'") for line in rest)
    assert "idle: rule 'river' judges no sensor of this city" in rest
    assert (folder / "canhbao.toml").exists()
    assert rest[-1].startswith("residents: nobody can subscribe: residents.key_file is not set")


@pytest.mark.usefixtures("folder")
def test_with_a_key_nothing_is_said_of_residents(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CANHBAO_RESIDENTS__KEY_FILE", "made/later")
    assert main(["check"]) == 0
    assert "residents:" not in capsys.readouterr().out


def test_one_line_says_how_many_sensors_an_ending_watches(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    gauge = CITY[CITY.index("[[sensor]]") :].replace("rain-1", "rain-2").replace("2h", "60s")
    (folder / "hoi-an.toml").write_text(CITY + gauge)
    ends = '[hazard.rain]\nends_when = { statistic = "sum", window = "1h", below = 5, for = "2h" }\n'
    (folder / "ours.toml").write_text(RULES.replace('window = "1h"', 'window = "3h"') + ends)

    assert main(["check"]) == 0

    lines = [line for line in capsys.readouterr().out.splitlines() if "ends_when" in line]
    assert lines == ["ends: hazard.rain.ends_when watches 1 of the 2 sensors of its rules"]


def test_a_named_file_goes_before_that_of_the_settings(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "wrong.toml").write_text(RULES.replace('statistic = "sum"', 'statistic = "most"'))
    assert main(["check", "--rules", "wrong.toml"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("canhbao check: wrong.toml: ")
    assert "most" in said


def test_wrong_settings_are_told_as_well(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "other.toml").write_text('[city]\nfile = "nowhere.toml"\n')
    assert main(["check", "--config", "other.toml"]) == 2
    assert "city.file" in capsys.readouterr().err
