"""The rules of the test run itself: what happens without a server, and what a proof tells."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
STORY = """
import os

import pytest
from hypothesis import given, strategies as st

@pytest.mark.server("nowhere")
def test_that_wants_a_server_nobody_has():
    pass

@given(st.integers())
def test_of_many_integers(number):
    assert isinstance(number, int)

def test_of_many_seeds(tally):
    for seed in tally.seeds(few=3, many=50):
        with tally.trial():
            assert seed != 1020

def holds(seed):
    assert seed != 1020

def lives(seed):
    if seed == 1020:
        os._exit(1)

@pytest.mark.parametrize("check", [holds, lives])
def test_over_all_processors(tally, check):
    tally.all_hold(check, few=3, many=500)
"""
INI = """
[pytest]
addopts = --strict-markers -ra -p no:cacheprovider
markers =
  server(name): x
  proof: x
  counted: x
"""
SELECTED = re.findall(r'-m "(proof or [^"]+)"', (TESTS.parent / "Makefile").read_text("utf-8"))[0]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project of a few tests under our rules, one of which wants a server that does not exist."""
    shutil.copy(TESTS / "conftest.py", tmp_path)
    nowhere = '\nSERVERS["nowhere"] = Server("nowhere", ("nowhere-at-all",))\n'
    (tmp_path / "servers.py").write_text((TESTS / "servers.py").read_text("utf-8") + nowhere, "utf-8")
    (tmp_path / "test_story.py").write_text(STORY, "utf-8")
    (tmp_path / "pytest.ini").write_text(INI, "utf-8")
    return tmp_path


def run(project: Path, *args: str, ci: bool) -> tuple[int, str]:
    environ = {**os.environ, "CI": "true" if ci else ""}
    command = [sys.executable, "-m", "pytest", "-q", *args]
    ran = subprocess.run(command, cwd=project, env=environ, capture_output=True, text=True, timeout=120, check=False)
    return ran.returncode, ran.stdout


def test_a_missing_server_skips_its_tests_and_the_last_lines_say_why(project: Path) -> None:
    code, said = run(project, ci=False)

    assert code == 0
    *_, reason, closing = said.splitlines()
    assert reason.startswith("SKIPPED [1]")
    assert reason.endswith("nowhere is not installed: apt-get install nowhere")
    assert "4 passed, 1 skipped" in closing


def test_a_missing_server_is_a_failure_where_ci_is_true(project: Path) -> None:
    code, said = run(project, ci=True)

    assert code == 1
    *_, reason, closing = said.splitlines()
    assert reason.endswith("nowhere is not installed: apt-get install nowhere")
    assert "4 passed, 1 error" in closing


def test_a_proof_tells_counts_failures_and_seeds(project: Path) -> None:
    code, said = run(project, "--hypothesis-profile=proof", "--hypothesis-seed=1000", "-m", SELECTED, ci=False)

    assert code == 1  # seed 1020 is among the fifty
    assert "test_of_many_seeds: n=21 failures=1 3/n=- seeds=1000..1020" in said
    assert "test_over_all_processors[holds]: n=21 failures=1 3/n=- seeds=1000..1020" in said
    assert "seed 1020: Traceback" in said
    assert re.search(r"test_over_all_processors\[lives\]: n=\d+ failures=1 3/n=-", said)
    assert "BrokenProcessPool" in said
    assert "test_of_many_integers: n=5000 failures=0 3/n=0.0006" in said
    assert "again with: make proof SEED=1000" in said
