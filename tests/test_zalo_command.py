"""canhbao zalo: a person authorizes, looks how long it lasts, and finds what is missing."""

import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from carriers.zalo import APP_ID, FIRST_REFRESH, SECRET, Zalo, zalo
from zns_stage import templates_file

from alerts.__main__ import main
from alerts.delivery.zalo_token import token_file


@pytest.fixture
def fake() -> Iterator[Zalo]:
    with zalo() as running:
        yield running


@pytest.fixture
def config(tmp_path: Path, fake: Zalo) -> Path:
    (tmp_path / "secret").write_text(SECRET, "utf-8")
    file = tmp_path / "canhbao.toml"
    keys = {
        "app_id": APP_ID,
        "oauth_url": fake.url,
        "url": fake.url,
        "secret_file": "secret",
        "templates_file": "zns.toml",
    }
    lines = [f"{key} = {json.dumps(text)}" for key, text in keys.items()]
    file.write_text("\n".join(['[data]\npath = "data"', "[zns]", *lines]), "utf-8")
    return file


def call(verb: str, config: Path) -> int:
    return main(["zalo", verb, "--config", str(config)])


def test_authorized_by_standard_input_and_told_until_when(
    config: Path, fake: Zalo, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("status", config) == 1
    assert "canhbao zalo authorize" in capsys.readouterr().out

    monkeypatch.setattr("sys.stdin", io.StringIO(f"{FIRST_REFRESH}\n"))
    assert call("authorize", config) == 0

    assert fake.asked == [FIRST_REFRESH]
    assert token_file(config.parent / "data", APP_ID).exists()
    assert call("status", config) == 0
    said = capsys.readouterr()
    assert "access until" in said.out
    assert not any(text in said.out + said.err for text in (FIRST_REFRESH, "access-1", "refresh-1", SECRET))


def test_a_token_that_zalo_refuses_ends_with_1(
    config: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("wrong-token"))

    assert call("authorize", config) == 1

    said = capsys.readouterr().err
    assert "-14014" in said
    assert "wrong-token" not in said


def test_nothing_on_standard_input_is_a_wrong_call(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(""))

    assert call("authorize", config) == 2


def test_missing_templates_are_named_there_and_by_check(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    templates_file(config.parent)
    assert call("templates", config) == 0
    assert capsys.readouterr().out == "nothing is missing\n"

    templates_file(config.parent, but="canhbao rain 3 first")
    assert call("templates", config) == 1
    assert "zns: no approved template for rain level 3 first\n" in capsys.readouterr().out
    assert main(["check", "--config", str(config)]) == 0
    assert "zns: no approved template for rain level 3 first\n" in capsys.readouterr().out


def test_without_an_app_there_is_nothing_to_authorize(tmp_path: Path) -> None:
    file = tmp_path / "canhbao.toml"
    file.write_text("", "utf-8")

    assert call("status", file) == 2
