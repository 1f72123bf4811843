"""The demo as a stranger sees it: a storm in a minute, its warnings on the page of a real browser."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from brokers import until
from playwright.sync_api import sync_playwright
from servers import SERVERS

ARGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
        "--disable-sync"]  # fmt: skip
LEVELS = ("Emergency", "Danger", "Warning", "Advisory")


def page_of(out: Path, process: subprocess.Popen[bytes]) -> str:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        if found := re.search(r"page: (\S+)", out.read_text()):
            return found[1]
        time.sleep(0.1)
    raise AssertionError(out.read_text())


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.server("chromium")
def test_the_demo_tells_every_level_of_rain_and_flood_until_it_is_told_to_end(tmp_path: Path) -> None:
    out = tmp_path / "out"
    # Simulated time waits for a slow machine: a minute is enough for a quiet one, a busy one may take four.
    command = [sys.executable, "-m", "alerts", "demo", "--for", "240", "--listen", "127.0.0.1:0"]
    with out.open("w") as file, subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT) as demo:
        url = page_of(out, demo)
        shots = Path(os.environ.get("TEST_SHOTS", tmp_path))
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=SERVERS["chromium"].program(), args=ARGS)
            page = browser.new_page(viewport={"width": 390, "height": 844})
            page.goto(f"{url}?lang=en")
            word = page.locator("#warnings .word", has_text="Emergency").first
            word.wait_for(timeout=240_000)  # it comes by itself: nothing is clicked, nothing loaded again
            seen = page.locator("#warnings").inner_text()
            page.screenshot(path=shots / "demo-phone.png")
            page.set_viewport_size({"width": 1280, "height": 800})
            page.screenshot(path=shots / "demo-desktop.png")
            browser.close()
        hazards = ("mưa lớn", "ngập lụt")
        until(lambda: all(told(out, one) for one in hazards) or demo.poll() is not None, "no emergency", 240)
        demo.send_signal(signal.SIGINT)
        assert demo.wait(120) == 0
    said = out.read_text()
    rain, flood, power, school = (
        next(line for line in said.splitlines() if line.startswith(f"  {hazard}:"))
        for hazard in ("heavy rain", "flooding", "power trouble", "poor school environment")
    )
    assert all(level in rain and level in flood for level in LEVELS), said[-1500:]
    assert power
    assert school
    assert "Heavy rain" in seen
    assert "Traceback" not in said


def told(out: Path, hazard: str) -> bool:
    """Whether an emergency has been printed."""
    return f"Khẩn cấp: {hazard}" in out.read_text()


@pytest.mark.slow
def test_the_demo_ends_by_itself_with_a_summary(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with out.open("w") as file:
        command = [sys.executable, "-m", "alerts", "demo", "--for", "3", "--listen", "127.0.0.1:0"]
        assert subprocess.run(command, stdout=file, stderr=subprocess.STDOUT, timeout=240, check=False).returncode == 0
    assert re.search(
        r"^\d+ readings in \d+ messages, \d+ changes of level, \d+ notices$", out.read_text(), re.MULTILINE
    )
    assert "Traceback" not in out.read_text()
