"""Imports run upstream only, without cycles, and only the edges touch the world: read from the source, not believed."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("ingest", "processing", "alerts", "firmware_sim", "grafana")
# Who may import what of ours; the longest name that fits a module counts.
MAY_IMPORT = {
    "ingest": ("ingest",),
    "processing": ("ingest", "processing"),
    # What a kernel was compiled with is part of what numba keeps of it: none of it may stand where nobody looks.
    "processing.kernels": ("processing.kernels", "ingest.readings"),
    "alerts": ("ingest", "processing", "alerts"),
    "alerts.app": ROOMS,
    "alerts.commands": ROOMS,
    "alerts.__main__": ROOMS,
    "firmware_sim": ("ingest", "firmware_sim"),
    "grafana": ("ingest.quantity", "ingest.city", "processing.rules", "grafana"),
}
AT_THE_TOP = ("alerts.app", "alerts.commands", "alerts.__main__")  # nobody below imports these
# Modules that touch disk, network, clock or environment. Every other one is pure: a new edge is a decision made here.
EDGES = (
    "ingest.mqtt", "ingest.tls", "ingest.inbox", "ingest.lanes", "ingest.journal", "ingest.day_file", "ingest.disk",
    "ingest.data_folder", "ingest.keeper", "ingest.priority", "ingest.tidy", "ingest.tidy_parquet", "ingest.history",
    "ingest.broker",
    "processing.kernels.compiled",
    "alerts.spine", "alerts.way", "alerts.works", "alerts.driving", "alerts.importing", "alerts.letters",
    "alerts.folds", "alerts.snapshots", "alerts.staff", "alerts.acts",
    "alerts.decisions", "alerts.backup", "alerts.ledger", "alerts.delivery",
    "alerts.proof.keys",
    "alerts.web", "alerts.watch", "alerts.settings", "alerts.given", "alerts.residents", "alerts.residents_side",
    "alerts.post", *AT_THE_TOP,
    "firmware_sim.spool", "firmware_sim.gateway", "firmware_sim.play", "firmware_sim.csv", "firmware_sim.tidy",
    "firmware_sim.__main__",
    "grafana.client", "grafana.push", "grafana.public_api", "grafana.annotate", "grafana.files", "grafana.commands",
    "grafana.__main__",
)  # fmt: skip
RECORDS = {
    "ingest.inbox.Message",
    "ingest.tidy.TidyRow",
    "ingest.history.tidy_files.Wanted",
}  # born at an edge, and no more than data
COMPILER = "processing.kernels.compiled"  # reads the sources of the kernels, when it is imported
WORLD = {
    "asyncio", "fastapi", "httpx", "logging", "multiprocessing", "os", "paho", "playwright", "queue", "requests",
    "secrets", "select", "signal", "socket", "sqlalchemy", "sqlite3", "ssl", "starlette", "structlog", "subprocess",
    "tempfile", "threading", "time", "tqdm", "urllib.request", "uuid", "uvicorn",
}  # fmt: skip
WORLDLY_CALLS = {
    "open", "input", "print", "now", "utcnow", "today", "read_text", "read_bytes", "write_text", "write_bytes", "mkdir",
}  # fmt: skip
CHANCE = re.compile(r"(np\.|numpy\.)?random\.\w+|Random|default_rng")
SEEDED = {"Random", "default_rng", "SeedSequence", "PCG64"}  # with a seed given, chance is an argument like any other


def within(module: str, rooms: tuple[str, ...] | set[str]) -> bool:
    return any(module == room or module.startswith(room + ".") for room in rooms)


def imports(tree: ast.AST) -> Iterator[str]:
    """Every module that the source imports; of `from a import b` both a and a.b, as b may be a module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "we write imports in full"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def chance(call: ast.Call) -> bool:
    """A draw from a generator that nobody seeded."""
    name = ast.unparse(call.func)
    seeded = name.rpartition(".")[2] in SEEDED and (call.args or call.keywords)
    return CHANCE.fullmatch(name) is not None and not seeded


def breaches(module: str, source: str) -> list[str]:
    """What `module` with this source does that its place does not allow."""
    tree = ast.parse(source)
    names = list(imports(tree))
    room = max((place for place in MAY_IMPORT if within(module, (place,))), key=len)
    found = [f"imports {name}" for name in names if within(name, ROOMS) and not within(name, MAY_IMPORT[room])]
    if not within(module, AT_THE_TOP):
        found += [f"imports {name}, which is above it" for name in names if within(name, AT_THE_TOP)]
    if within(module, ("processing.kernels",)):
        names = [name for name in names if not within(name, (COMPILER,))]
    elif any(within(name, (COMPILER,)) for name in names):
        found.append("compiles: kernels have one home")
    if any(within(name, ("numba",)) for name in names) and module != COMPILER:
        found.append("imports numba: kernels have one home, and one way to be compiled")
    if not within(module, EDGES):
        calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
        found += [f"is pure, imports {name}" for name in names if within(name, WORLD)]
        found += [f"is pure, imports the edge {name}" for name in names if within(name, EDGES) and name not in RECORDS]
        found += [f"is pure, line {call.lineno}: {ast.unparse(call.func)}" for call in calls
                  if ast.unparse(call.func).rpartition(".")[2] in WORLDLY_CALLS or chance(call)]  # fmt: skip
    return found


def sources() -> dict[str, str]:
    """Module name -> text, of everything in our rooms."""
    paths = sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))
    names = [".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for path in paths]
    return dict(zip(names, (path.read_text("utf-8") for path in paths), strict=True))


def cycle(texts: dict[str, str]) -> list[str]:
    """A circle among the imports at module level, [] if there is none."""
    graph = {}
    for module, text in texts.items():
        top = ast.Module([node for node in ast.parse(text).body if not isinstance(node, ast.FunctionDef)], [])
        named = {name if name in texts else name.rpartition(".")[0] for name in imports(top)}
        graph[module] = {name for name in named if name in texts and name != module}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


@pytest.mark.parametrize(("module", "source"), sources().items(), ids=list(sources()))
def test_every_module_keeps_to_its_room(module: str, source: str) -> None:
    assert not breaches(module, source)


def test_no_import_goes_in_a_circle() -> None:
    assert not cycle(sources())


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("ingest.city", "from processing import rules"),
        ("ingest.city", "def f():\n    import processing.rules"),
        ("processing.engine", "from alerts.view import View"),
        ("processing.engine", "from firmware_sim import storm"),
        ("alerts.web.app", "from firmware_sim.storm import rain"),
        ("alerts.web.app", "import grafana"),
        ("alerts.web.app", "from alerts.commands import run"),
        ("alerts.view", "from alerts import app"),
        ("firmware_sim.fleet", "from processing.rules import Rule"),
        ("grafana.boards", "from ingest.readings import Readings"),
        ("processing.windows", "from numba import njit"),
        ("processing.windows", "from processing.kernels.compiled import kernel"),
        ("processing.kernels.held", "from numba import njit"),
        ("processing.kernels.held", "from processing.plan import HORIZON_MS_MIN"),
        ("ingest.counters", "import sqlite3"),
        ("alerts.words.sentences", "from alerts.ledger.ledger import Ledger"),
        ("ingest.receipts", "from time import monotonic"),
        ("processing.engine", "import urllib.request"),
        ("processing.engine", "from datetime import datetime\nx = datetime.now()"),
        ("processing.rules", "from os import environ"),
        ("alerts.words.sentences", "from pathlib import Path\nx = Path('a').read_text()"),
        ("alerts.incidents.life_cycle", "import random\nx = random.random()"),
        ("firmware_sim.storm", "import numpy as np\nx = np.random.default_rng()"),
        ("firmware_sim.storm", "import random\nx = random.Random()"),
    ],
)
def test_whoever_leaves_the_room_is_seen(module: str, source: str) -> None:
    assert breaches(module, source)


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("alerts.commands.demo", "from firmware_sim.play import play\nimport grafana"),
        ("grafana.boards", "from ingest.city import City\nfrom ingest import quantity"),
        ("ingest.journal", "import sqlite3, time\nx = time.time()"),
        ("firmware_sim.storm", "import random\nx = random.Random(7)"),
        ("processing.kernels.compiled", "from numba import njit"),
        ("processing.kernels.held", "from processing.kernels.compiled import kernel"),
    ],
)
def test_whoever_stays_is_left_in_peace(module: str, source: str) -> None:
    assert not breaches(module, source)


def test_a_circle_is_seen() -> None:
    assert cycle({"ingest": "", "ingest.a": "from ingest import b", "ingest.b": "from ingest.a import x"})
    assert not cycle({"ingest.a": "def f():\n    from ingest import b", "ingest.b": "from ingest.a import x"})
