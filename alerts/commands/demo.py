"""canhbao demo: a simulated city in the storm of 14 October 2022, and the whole service, on the data's clock."""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from pathlib import Path
from typing import Final

from alerts import settings
from alerts.app import Service, ServiceError
from alerts.commands.numbers import positive
from alerts.watch.logs import set_up
from alerts.words.names import hazard_name, level_word

HELP = "play the storm of 14 Oct 2022 over a simulated Da Nang through the whole service"
EXAMPLE = """\
examples:
  canhbao demo                 until Ctrl-C
  canhbao demo --for 60        ends by itself with a summary
  canhbao demo --speed 60      one simulated minute a second
"""
SPEED: Final = 720.0  # twelve minutes a second
SKIP_MINUTES: Final = 120  # the storm file begins at 12:00; what makes the evening begins after 14:00


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--for", dest="for_s", type=positive, metavar="SECONDS", help="end after so long (default: Ctrl-C)"
    )
    parser.add_argument("--speed", type=positive, default=SPEED, help=f"simulated seconds a second (default {SPEED:g})")
    parser.add_argument("--seed", type=int, default=1, help="of the simulated devices (default 1)")
    parser.add_argument("--lang", choices=("vi", "en"), default="vi", help="of the warnings that are printed")
    parser.add_argument(
        "--listen", default="", metavar="HOST:PORT", help="of the page (default 127.0.0.1:8000, or free)"
    )


def run(arguments: argparse.Namespace) -> int:
    logs = set_up(level="WARNING")
    with tempfile.TemporaryDirectory(prefix="canhbao-demo-") as folder:
        try:
            return _play(arguments, Path(folder))
        except ServiceError as error:
            print(f"canhbao demo: {error}", file=sys.stderr)
            return 1
        finally:
            logs.close()


def _play(arguments: argparse.Namespace, folder: Path) -> int:
    city = folder / "city.toml"
    simulator = [sys.executable, "-m", "firmware_sim", "storm", "--seed", str(arguments.seed)]
    made = subprocess.run([*simulator, "--city-out", str(city)], check=False)  # noqa: S603  # our own module
    if made.returncode:
        raise ServiceError("the simulated city could not be made")
    print("starting (the first time, kernels are compiled: half a minute) …", flush=True)
    service = _service(arguments, folder, city)
    print(f"page: {service.page_url}  (?lang=en for English)   API: {service.page_url}api/v1/alerts", flush=True)
    print("simulated time: 14 Oct 2022 from 14:00, Da Nang; one line a warning", flush=True)
    play = [
        *simulator,
        "--url",
        service.mqtt_url,
        "--speed",
        str(arguments.speed),
        "--spool",
        str(folder / "spool"),
        "--skip",
        str(SKIP_MINUTES),
    ]
    child = subprocess.Popen(play)  # noqa: S603  # our own module
    failed = threading.Event()
    watch = threading.Thread(target=_watch, args=(child, service, failed), daemon=True)
    watch.start()

    def end_the_city() -> None:
        child.terminate()
        child.wait()

    try:
        service.run(until_s=arguments.for_s, ending=end_the_city)
        print(_summary(service))
    finally:
        end_the_city()
        service.close()
    return 1 if failed.is_set() else 0


def _service(arguments: argparse.Namespace, folder: Path, city: Path) -> Service:
    """On the usual ports where they are free, else on any: a demo should not fail over a port."""
    chosen = {"CANHBAO_DATA__PATH": str(folder / "data"), "CANHBAO_CITY__FILE": str(city),
              "CANHBAO_CLOCK__ARRIVAL": "data"}  # fmt: skip
    tries = [("127.0.0.1:8000", "embedded"), ("127.0.0.1:0", "embedded:0")]
    if arguments.listen:
        tries = [(arguments.listen, "embedded:0")]
    for listen, broker in tries:
        environ = {**chosen, "CANHBAO_HTTP__LISTEN": listen, "CANHBAO_MQTT__URL": broker}
        service = Service(settings.load(None, environ), lang=arguments.lang)
        try:
            service.start()
        except ServiceError:
            if (listen, broker) == tries[-1]:
                raise
            continue
        return service
    raise AssertionError  # the last try returned or raised


def _watch(child: subprocess.Popen[bytes], service: Service, failed: threading.Event) -> None:
    if child.wait() not in (0, -15):
        failed.set()
        print("canhbao demo: the simulated city failed", file=sys.stderr)
        service.stop()


def _summary(service: Service) -> str:
    counters = service.counters
    told: Counter[tuple[str, int]] = Counter()
    seq = 0
    while page := service.ledger.notices(seq):
        told.update((notice.hazard, notice.level) for _, notice in page)
        seq = page[-1][0]
    readings, messages, levels, notices = (
        counters.get(f"canhbao_{name}_total", 0.0) for name in ("readings", "messages", "transitions", "notices")
    )
    lines = [
        f"{readings:.0f} readings in {messages:.0f} messages, {levels:.0f} changes of level, {notices:.0f} notices"
    ]
    for hazard in sorted({hazard for hazard, _ in told}):
        words = [f"{level_word(n, 'en') or 'over'} {told[hazard, n]}" for n in range(4, -1, -1) if told[hazard, n]]
        lines.append(f"  {hazard_name(hazard, 'en')}: {', '.join(words)}")
    return "\n".join(lines)
