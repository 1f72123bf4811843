"""What all tests share: servers and data or a reason why not, how many examples are tried, and how they are counted."""

from __future__ import annotations

import faulthandler
import multiprocessing
import os
import re
import socket
import traceback
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Final

import pytest
from hypothesis import HealthCheck, settings
from servers import SERVERS

CI = os.environ.get("CI") == "true"
SHARED_DATA = Path(__file__).parents[2] / "shared" / "data"

# Of the seeds of a proof: enough that all processors end at nearly the same time, few enough that handing them out
# costs nothing.
_PARTS: Final = 200
_PORTS: Final = range(20_000, 32_000)
_WORKERS_MAX: Final = 8

# No deadlines and no complaint about slowness: the first call of a kernel compiles it, and CI machines are shared.
_COMMON = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow], "print_blob": True}
settings.register_profile("developer", max_examples=100, **_COMMON)
# Always the same examples: a red build then belongs to its change. Developers and `make proof` look for new ones.
settings.register_profile("ci", max_examples=100, derandomize=True, database=None, **_COMMON)
settings.register_profile("proof", max_examples=5_000, **_COMMON)
settings.load_profile("ci" if CI else "developer")

_TALLIES = pytest.StashKey[list["Tally"]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_TALLIES] = []


@pytest.hookimpl(tryfirst=True)  # before -m chooses
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What counts its trials runs in `make proof` too, with more of them; hypothesis marks its own tests so."""
    for item in items:
        if "tally" in getattr(item, "fixturenames", ()):
            item.add_marker("counted")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """`@pytest.mark.server("mosquitto")`: without that server a skip, and under CI a failure.

    pytest's closing summary (-ra) gathers the skips by their reason: which server, and what brings it.
    """
    for mark in item.iter_markers("server"):
        for name in mark.args:
            if SERVERS[name].program() is None:
                reason = f"{name} is not installed: apt-get install {SERVERS[name].package}"
                if CI:
                    pytest.fail(reason, pytrace=False)
                pytest.skip(reason)


class Tally:
    """Counts the trials of one test for `make proof`: with no failure in n trials, the rate is below 3/n (95 %)."""

    def __init__(self, name: str, seed: int, *, full: bool) -> None:
        self.name, self.seed, self.full = name, seed, full
        self.n = self.failures = 0

    def seeds(self, few: int, many: int) -> range:
        """The seeds to try, one after the other: `few` of them in `make test`, `many` in `make proof`."""
        return range(self.seed, self.seed + (many if self.full else few))

    @contextmanager
    def trial(self) -> Iterator[None]:
        self.n += 1
        try:
            yield
        except BaseException:
            self.failures += 1
            raise

    def all_hold(self, check: Callable[[int], object], few: int, many: int) -> None:
        """Trials of `check`, which raises for a seed that shows a fault and is nothing but a function of it.

        `many` are shared out over all processors; `check` is then one that can be pickled. A process that dies of a
        trial fails the test, with its stack on stderr; a seed among the next part of them is the reason.
        """
        seeds = self.seeds(few, many)
        if not self.full:
            for seed in seeds:
                with self.trial():
                    check(seed)
            return
        step = max(1, len(seeds) // _PARTS)
        parts = [seeds[at : at + step] for at in range(0, len(seeds), step)]
        pool = ProcessPoolExecutor(mp_context=multiprocessing.get_context("spawn"), initializer=faulthandler.enable)
        try:
            for held, fault in pool.map(partial(_tried, check), parts):
                self.n += held
                if fault:
                    with self.trial():
                        pytest.fail(f"seed {self.seed + self.n - 1}: {fault}", pytrace=False)
        except BrokenProcessPool:
            with self.trial():
                raise
        finally:
            pool.shutdown(cancel_futures=True)

    def __str__(self) -> str:
        last = self.seed + max(self.n, 1) - 1
        bound = f"{3 / self.n:.2g}" if self.n and not self.failures else "-"
        return f"{self.name}: n={self.n} failures={self.failures} 3/n={bound} seeds={self.seed}..{last}"


def _tried(check: Callable[[int], object], seeds: range) -> tuple[int, str]:
    """How many hold before the first that does not, and what came of that one."""
    warnings.simplefilter("error")  # as pytest has it, which is not in this process
    for held, seed in enumerate(seeds):
        try:
            check(seed)
        except Exception:  # noqa: BLE001  # whatever it is, it belongs to its seed
            return held, traceback.format_exc()
    return len(seeds), ""


@pytest.fixture
def tally(request: pytest.FixtureRequest) -> Tally:
    """For tests of many seeded trials; stops at the first that fails, whose seed is the last one of the summary."""
    config = request.config
    full = config.getoption("--hypothesis-profile") == "proof"
    tally = Tally(request.node.nodeid, int(config.getoption("--hypothesis-seed") or 0), full=full)
    config.stash[_TALLIES].append(tally)
    return tally


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if config.getoption("--hypothesis-profile") != "proof":
        return
    terminalreporter.section("proof")
    for line in [*map(str, config.stash[_TALLIES]), *_hypothesis_counts(terminalreporter)]:
        terminalreporter.write_line(line)
    terminalreporter.write_line(f"again with: make proof SEED={config.getoption('--hypothesis-seed')}")


def _hypothesis_counts(terminalreporter: pytest.TerminalReporter) -> Iterator[str]:
    """n and failures out of the statistics that hypothesis leaves at a report (its own wording, as a last resort)."""
    for report in chain.from_iterable(terminalreporter.stats.values()):
        told = getattr(report, "_hypothesis_stats", None)
        if told is None:
            continue
        counts = re.findall(r"(\d+) passing, (\d+) failing", told)
        if not counts:
            yield told
            continue
        n, failures = (sum(map(int, column)) for column in zip(*counts, strict=True))
        yield f"{report.nodeid}: n={n + failures} failures={failures} 3/n={'-' if failures else f'{3 / max(n, 1):.2g}'}"


@pytest.fixture(scope="session")
def free_port(worker_id: str) -> Callable[[], int]:
    """A TCP port of loopback that nobody listens on, at each call another.

    Tests run in several processes: each hands out ports of its own, and they lie below those that Linux gives to
    outgoing connections, so that nobody takes one between the call and the server that is started on it. Two test runs
    at a time begin at different ones.
    """
    ours = _PORTS[int(worker_id.removeprefix("gw") if worker_id != "master" else 0) % _WORKERS_MAX :: _WORKERS_MAX]
    first = os.getpid() % len(ours)
    ports = chain(ours[first:], ours[:first])

    def free() -> int:
        for port in ports:
            with suppress(OSError), socket.create_server(("127.0.0.1", port)):
                return port
        raise AssertionError(f"no free port left in {_PORTS}")

    return free


@pytest.fixture
def program() -> Callable[[str], str]:
    """The path of a server's program; to be used under `@pytest.mark.server(name)`."""

    def path(name: str) -> str:
        found = SERVERS[name].program()
        assert found is not None, f"{name}: say @pytest.mark.server({name!r})"
        return found

    return path


@pytest.fixture
def shared_data() -> Path:
    """The folder of recorded real readings; it lies beside the project and is no part of it."""
    if not SHARED_DATA.is_dir():
        pytest.skip("recorded data is not here: ../shared/data, beside the project")
    return SHARED_DATA
