"""`canhbao import`: files go the way of any reading, once, and what is measured now does not wait for them."""

from __future__ import annotations

import csv
import io
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from math import nan
from pathlib import Path
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import httpx
import pytest
from faces import Town, serving
from histories import eventually
from pyarrow import parquet
from test_run import metrics_of
from test_service import service
from test_spine import MINUTE, NOON, RULES, World

from alerts import importing
from alerts.__main__ import main
from alerts.brought import ROWS_MOST, Brought, Row, bring_of
from alerts.commands import import_
from alerts.driving import BusyError, Desk, UnsureError
from alerts.importing import Imports
from alerts.spine import Spine
from alerts.web.app import create_app
from alerts.web.operators import operators_token
from alerts.web.sources import Desks, Sources
from ingest.data_folder import announce
from ingest.entries import Batch, Configuration, DeadLetter, Entry, Position, Start
from ingest.history.follow import Follower
from ingest.history.store import HOUR_MS, Keep, Store, StoreError
from ingest.history.stores import store_at
from ingest.inbox import Message
from ingest.journal import JournalError

ZONE = ZoneInfo("Asia/Ho_Chi_Minh")
PATH = "/api/v1/import"
CITY = """
city.name = "Đà Nẵng"
city.timezone = "Asia/Ho_Chi_Minh"
[[area]]
code = "20242"
name = "Hải Châu"
[[gateway]]
id = "gw-1"
[[gateway]]
id = "gw-2"
"""
ROWS = (
    ("river", "water_level", 'gateway = "gw-1"'), ("air", "temperature", 'gateway = "gw-2"'),
    ("loose", "street_depth", ""), ("far", "humidity", 'decoder = { network = "chirpstack", id = "0a", field = "h" }'),
    ("meter", "rain", "counter = true"), ("hung", "street_depth", "mount_height = 3.0"),
)  # fmt: skip
CITY += "".join(
    f'[[sensor]]\nid = "{id_}"\nquantity = "{quantity}"\narea = "20242"\nperiod = "60s"\n{more}\n'
    for id_, quantity, more in ROWS
)


class Port(World):
    """A world that files are brought to: a desk, and a history that follows when it is told to."""

    def open(self) -> Spine:
        self.city, self.paused = CITY, list[float]()
        self.desk = Desk(lambda: None)
        self.brought = self.desk.take
        self.store: Store = store_at("duckdb", self.folder, ZONE)
        self.spine = self.start()
        self.imports = Imports(self.desk, self.store, self._city, lambda: self.now / 1000, self.paused.append)
        return self.spine

    def close(self) -> None:
        self.store.close()

    def _city(self) -> Any:
        assert self.spine.view is not None
        return self.spine.view.city

    def follow(self) -> None:
        assert self.stores is not None
        journal = self.stores.journal
        follower = Follower(journal.folder, self.store, Keep(40_000, 40_000), lambda: journal.last, Random(1))
        while follower.step():
            pass

    @contextmanager
    def turning(self) -> Iterator[None]:
        """The spine's thread."""
        ended = threading.Event()

        def turn() -> None:
            while not ended.wait(0.002):
                self.spine.turn()

        thread = threading.Thread(target=turn)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def letters(self) -> list[DeadLetter]:
        return [letter for entry in self.entries() if isinstance(entry, Batch) for letter in entry.refused]

    def readings(self) -> list[tuple[int, int, float]]:
        return [row for entry in self.entries() if isinstance(entry, Batch)
                for row in zip(entry.readings.sensor.tolist(), entry.readings.t.tolist(),
                               entry.readings.value.tolist(), strict=True)]  # fmt: skip


@pytest.fixture
def worlds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Port]]:
    """An open world in a folder; the commands are about the last one."""
    with ExitStack() as closing_all:

        def one(name: str, now: int = NOON + HOUR_MS * 100) -> Port:
            folder = tmp_path / name
            folder.mkdir(exist_ok=True)
            monkeypatch.setenv("CANHBAO_DATA__PATH", str(folder))
            made = Port(folder, now=now)
            made.open()
            closing_all.callback(made.end)
            closing_all.callback(made.close)
            return made

        yield one


@contextmanager
def served(port: Port) -> Iterator[str]:
    """The service of that world: a web server, and the spine's thread."""
    assert port.spine.view is not None
    town = Town(port.folder.parent, port.spine.view)
    desks = Desks(operators_token(port.folder), None, port.imports)  # type: ignore[arg-type]
    sources = Sources(lambda: port.spine.view, *_rest(town.sources(desks)))  # type: ignore[arg-type, return-value]
    with serving(town, create_app(sources)) as url, announce(port.folder, url), port.turning():
        yield url
    town.ledger.close()


def _rest(sources: Sources) -> list[Any]:
    names = ("ledger", "changed", "health", "now_ms", "counters", "operators")
    return [getattr(sources, name) for name in names]


def story(seed: int, minutes: int = 300) -> list[tuple[str, int, float | None]]:
    """What the sensors send, in the order of time: with gaps, missing ones, spikes and stuck values."""
    random = Random(seed)
    rows: list[tuple[str, int, float | None]] = []
    for n in range(minutes):
        for id_ in ("river", "air", "loose", "far"):
            roll = random.random()
            if roll < 0.1:
                continue
            value = {"river": 1.0, "air": 28.0, "loose": 0.01, "far": 70.0}[id_] + round(random.gauss(0, 0.01), 3)
            value += 8.0 * (roll > 0.97)
            rows.append((id_, NOON + n * MINUTE, None if roll < 0.15 else value))
    return rows


def sent(port: Port, rows: list[tuple[str, int, float | None]]) -> None:
    """As gateways and networks would, a minute at a time."""
    quantity = {id_: quantity for id_, quantity, _ in ROWS}
    with port.turning():
        for begin in range(0, len(rows), 400):
            part = [Row(id_, t, quantity[id_], nan if v is None else v) for id_, t, v in rows[begin : begin + 400]]
            assert port.imports.bring(part).accepted == len(part)


def test_exported_imported_into_an_empty_folder_and_exported_again_are_the_same_bytes(
    worlds: Callable[..., Port], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = worlds("first")
    rows = story(7)
    for n, (id_, t, value) in enumerate(row for row in rows if row[0] in ("river", "air")):
        first.now = max(first.now, t)
        gateway = {"river": "gw-1", "air": "gw-2"}[id_]
        payload = f'{{"sensor":"{id_}","t":{t},"v":{"null" if value is None else value}}}'.encode()
        first.waiting.append(Message(f"canhbao/v1/{gateway}/readings", payload, False, 1, n, 1))
        if n % 50 == 49:
            first.spine.turn()
            first.waiting.clear()
    first.spine.turn()
    first.waiting.clear()
    sent(first, [row for row in rows if row[0] in ("loose", "far")])
    first.follow()
    first.store.close()
    files = [tmp_path / f"a.{kind}" for kind in ("csv", "csv.gz", "parquet")]
    for file in files:
        assert main(["export", "--out", str(file)]) == 0
    text = files[0].read_text()
    grades = {row[5] for row in csv.reader(io.StringIO(text))}
    assert {"good", "missing"} < grades
    assert grades & {"suspect", "fail"}
    capsys.readouterr()

    for file in files:
        port = worlds(f"second-{file.name}")
        with served(port):
            assert main(["import", str(file)]) == 0
            said = f"{len(rows)} new, 0 known already, 0 known with another value, 0 refused\n"
            assert capsys.readouterr().out == said
            port.follow()
            size = len(port.entries())
            assert main(["import", str(file)]) == 0, "again"
            said = f"0 new, {len(rows)} known already, 0 known with another value, 0 refused\n"
            assert capsys.readouterr().out == said
        assert [entry for entry in port.entries()[size:] if isinstance(entry, Batch)] == [], "the journal does not grow"
        port.store.close()
        again = tmp_path / f"again-{file.name}"
        assert main(["export", "--out", str(again)]) == 0
        if file.suffix == ".parquet":
            assert parquet.read_table(again) == parquet.read_table(file)
        else:
            assert again.read_bytes() == file.read_bytes()
        capsys.readouterr()


def test_what_is_refused_is_named_by_file_and_line_and_the_rest_goes_in(
    worlds: Callable[..., Port], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    port = worlds("data")
    file = tmp_path / "mixed.csv"
    lines = [
        "river,2022-10-14T12:00:00+07:00,water_level,1.5,m,good",
        "nobody,2022-10-14T12:00:00+07:00,water_level,1.5,m,",
        "river,2022-10-14T12:01:00+07:00,rain,1.5,mm,",
        "meter,2022-10-14T12:01:00+07:00,rain,0.2,mm,",
        "hung,2022-10-14T12:01:00+07:00,street_depth,0.2,m,",
        "river,2022-10-14T12:02:00+07:00,water_level,9999,m,",
        "river,2022-10-14T12:03:00+07:00,water_level,1.5,mm Hg,",
        "river,1999-10-14T12:03:00+07:00,water_level,1.5,m,",
        "river,2032-10-14T12:03:00+07:00,water_level,1.5,m,",
        "river,2022-10-14T12:00:00+07:00,water_level,1.6,m,",
        "river,2022-10-14T12:04:00+07:00,water_level,152,cm,fail",
        "river,2022-10-14T12:00:00+07:00,water_level,150,cm,",
        *(f"meter,2022-10-14T12:{n:02}:00+07:00,rain,0.2,mm," for n in range(2, 12)),
    ]
    file.write_text("sensor_id,time_utc,quantity,value,unit,quality\n" + "\n".join(lines) + "\n")
    with served(port):
        assert main(["import", str(file)]) == 1
    said = capsys.readouterr()
    assert said.out.splitlines() == [
        "2 new, 1 known already, 1 known with another value, 18 refused", "  derived: 12", "  unknown_sensor: 1",
        "  wrong_quantity: 1", "  out_of_bounds: 1", "  wrong_unit: 1", "  too_old: 1", "  from_the_future: 1",
    ]  # fmt: skip
    named = [line.removeprefix(f"{file}:").split(": ")[:2] for line in said.err.splitlines()]
    assert [(int(line), reason) for line, reason in named] == [
        (3, "unknown_sensor"), (4, "wrong_quantity"), (5, "derived"), (6, "derived"), (7, "out_of_bounds"),
        (8, "wrong_unit"), (9, "too_old"), (10, "from_the_future"), (14, "derived"), (15, "derived"), (16, "derived"),
    ]  # fmt: skip
    assert port.readings() == [(0, NOON, 1.5), (0, NOON + 4 * MINUTE, 1.52)]
    assert [int(flag) for entry in port.entries() if isinstance(entry, Batch) for flag in entry.readings.flag] == [1, 4]
    assert port.letters() == [], "what is wrong stays in its file"
    assert port.spine.counters["canhbao_imported_total"] == 2


def test_a_wrong_file_is_named_and_what_was_before_it_is_in(
    worlds: Callable[..., Port], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_, "ROWS_MOST", 2)
    port = worlds("data")
    file = tmp_path / "x.csv"
    good = "".join(f"river,2022-10-14T12:{n:02}:00Z,water_level,1.5,m\n" for n in range(5))
    file.write_text(f"sensor_id,time_utc,quantity,value,unit\n{good}river,yesterday,water_level,1.5,m\n")
    naive = tmp_path / "naive.parquet"
    duckdb.sql("SELECT 'a' sensor_id, now()::TIMESTAMP time_utc, 'b' quantity, 1 value, 'm' unit").write_parquet(
        str(naive)
    )
    short = tmp_path / "short.parquet"
    duckdb.sql("SELECT 'a' sensor_id").write_parquet(str(short))
    (tmp_path / "no.parquet").write_text("sensor_id")
    with served(port):
        assert main(["import", str(file)]) == 2
        said = capsys.readouterr()
        assert f"{file}: line 7 time_utc: found 'yesterday'" in said.err
        assert said.out.startswith("4 new")
        for wrong, what in (
            (naive, "timestamp with time zone"),
            (short, "there is no time_utc"),
            (tmp_path / "no.parquet", "readable Parquet"),
            (tmp_path / "none.csv", "readable CSV"),
        ):
            assert main(["import", str(wrong)]) == 2
            said = capsys.readouterr()
            assert what in said.err
            assert str(wrong) in said.err
            assert said.err.count("\n") == 1
    assert main(["import", str(file)]) == 1
    assert "the service does not run" in capsys.readouterr().err
    assert len(port.readings()) == 4


def test_calls_are_bounded_in_rows_series_and_what_they_span() -> None:
    def located(rows: list[tuple[str, int]]) -> list[import_.Located]:
        return [import_.Located(Path("x"), import_.Numbered(n, import_.tidy.TidyRow(t, id_, "q", 1.0, ""), ""))
                for n, (id_, t) in enumerate(rows)]  # fmt: skip

    def sizes(rows: list[tuple[str, int]]) -> list[int]:
        made = list(import_.calls(located(rows)))
        assert [one for call in made for one in call] == located(rows)
        for call in made:
            importing.check_span([Row(one.numbered.row.sensor_id, one.numbered.row.t, "q", 1.0) for one in call])
        return [len(call) for call in made]

    assert sizes([]) == []
    assert sizes([("a", n) for n in range(2 * ROWS_MOST + 1)]) == [ROWS_MOST, ROWS_MOST, 1]
    assert sizes([(f"s-{n}", 0) for n in range(700)]) == [300, 300, 100]
    assert sizes([("a", n * 1500 * HOUR_MS) for n in range(4)]) == [2, 2]
    assert sizes([("a", 0), ("b", 1500 * HOUR_MS), ("a", 1), ("a", 9_000 * HOUR_MS)]) == [1, 1, 1, 1]
    with pytest.raises(ValueError, match="at most 500"):
        importing.check_span([Row("a", 0, "q", 1.0)] * 501)
    with pytest.raises(ValueError, match="bring less"):
        importing.check_span([Row("a", 0, "q", 1.0), Row("b", 1001 * HOUR_MS, "q", 1.0)])


def test_what_is_measured_now_comes_first(worlds: Callable[..., Port], monkeypatch: pytest.MonkeyPatch) -> None:
    """Between two calls the spine has four times as long as the last one took; two at a time there never are."""
    port = worlds("data")
    now = [100.0]
    imports = Imports(port.desk, port.store, port._city, lambda: now[0], port.paused.append)
    took = iter((0.001, 0.3, 9.0, 0.0))

    def slow(_taken: object) -> None:
        now[0] += next(took)

    monkeypatch.setattr(port.spine, "_count", slow)
    with port.turning():
        for n in range(4):
            imports.bring([Row("river", NOON + n * MINUTE, "water_level", 1.0)])
    assert port.paused == pytest.approx([0.0, importing.PAUSE_MIN_S, 1.2, importing.PAUSE_MAX_S])


def test_only_one_at_a_time_and_none_while_the_spine_or_the_history_is_away(
    worlds: Callable[..., Port], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    port = worlds("data")
    row = Row("river", NOON, "water_level", 1.0)
    monkeypatch.setattr(importing, "WAIT_S", 0.05)
    with pytest.raises(BusyError, match="cannot write"):
        port.imports.bring([row])
    port.spine.turn()
    assert port.readings() == [], "it was called off"
    ask, entered, held = port.imports._desk.ask, threading.Event(), threading.Event()
    monkeypatch.setattr(port.spine, "_count", lambda _: (entered.set(), held.wait(30)))
    thread = threading.Thread(target=port.spine.turn)

    def ask_in_a_turn(what: Any) -> Any:
        asked = ask(what)
        thread.start()
        assert entered.wait(30)
        return asked

    monkeypatch.setattr(port.imports._desk, "ask", ask_in_a_turn)
    with pytest.raises(UnsureError, match="again"):
        port.imports.bring([row])
    held.set()
    thread.join()
    assert len(port.readings()) == 1
    monkeypatch.undo()
    port.imports._one.acquire()
    with pytest.raises(BusyError, match="others"):
        port.imports.bring([row])
    port.imports._one.release()

    class Away:
        def scan(self, *_: object) -> Any:
            raise StoreError("the history is away")

    monkeypatch.setattr(port.imports, "_reader", Away())
    monkeypatch.setattr(import_, "TRIES", 3)
    waits: list[float] = []
    monkeypatch.setattr(import_.time, "sleep", waits.append)
    monkeypatch.setenv("CANHBAO_DATA__PATH", str(port.folder))
    file = tmp_path / "x.csv"
    file.write_text("sensor_id,time_utc,quantity,value,unit\nriver,2022-10-14T12:00:00Z,water_level,1.5,m\n")
    with served(port):
        assert main(["import", str(file)]) == 1
    assert waits == [5.0, 5.0]
    assert "answers 503" in capsys.readouterr().err
    assert len(port.readings()) == 1


def test_old_readings_are_known_by_the_history_where_the_spine_no_longer_knows(worlds: Callable[..., Port]) -> None:
    port = worlds("data")
    old, new = NOON - 1000 * HOUR_MS, NOON
    with port.turning():
        for t in (old, new):
            assert port.imports.bring([Row("river", t, "water_level", 1.0)]).accepted == 1
        port.follow()
        again = port.imports.bring([Row("river", old, "water_level", 1.0), Row("river", old + 1, "water_level", nan)])
        assert (again.accepted, again.duplicates, again.conflicts) == (1, 1, 0)
        port.follow()
        rows = [Row("river", old, "water_level", value, "cm") for value in (150, 100)]
        again = port.imports.bring([*rows, Row("river", old + 1, "water_level", nan)])
        assert (again.accepted, again.duplicates, again.conflicts) == (0, 2, 1)


def test_what_the_history_would_not_keep_is_refused_and_says_which_setting(worlds: Callable[..., Port]) -> None:
    port = worlds("data")
    imports = Imports(port.desk, port.store, port._city, lambda: 0.0, port.paused.append, lambda: NOON)
    with port.turning():
        brought = imports.bring([Row("river", NOON - 1, "water_level", 1.0), Row("river", NOON, "water_level", 1.0)])
    assert (brought.accepted, [(one.row, one.reason) for one in brought.refused]) == (1, [(0, "not_kept")])
    assert "history.keep_raw_days" in brought.refused[0].detail


def test_only_operators_and_bounded_bodies(worlds: Callable[..., Port]) -> None:
    port = worlds("data")
    good = {"series": [{"sensor": "river", "quantity": "water_level"}], "i": [0], "t": [NOON], "value": [1.0]}
    with served(port) as url:
        assert httpx.post(url + PATH, json=good).status_code == 401
        bearer = {"Authorization": f"Bearer {operators_token(port.folder)}"}
        assert httpx.post(url + PATH, json=good, headers=bearer).json()["accepted"] == 1
        assert httpx.post(url + PATH, content=b"x" * 200_000, headers=bearer).status_code == 413
        for wrong in (
            {"i": [1]}, {"i": [0, 0]}, {"i": [-1]}, {"value": []}, {"value": ["x"]}, {"flag": [1, 1]}, {"flag": [5]},
            {"t": [2**60]}, {"more": 1},
        ):  # fmt: skip
            answer = httpx.post(url + PATH, json={**good, **wrong}, headers=bearer)
            assert answer.status_code == 422, wrong
            assert answer.headers["content-type"] == "application/problem+json"
        infinite = '{"series":[{"sensor":"river","quantity":"water_level"}],"i":[0],"t":[1],"value":[1e999]}'
        assert httpx.post(url + PATH, content=infinite, headers=bearer).status_code == 422
    with closing(port.store):
        pass


def test_the_answer_comes_when_it_is_on_disk(worlds: Callable[..., Port], monkeypatch: pytest.MonkeyPatch) -> None:
    port = worlds("data")
    (asked,) = port.desk.ask([bring_of([Row("river", NOON, "water_level", 1.0)], [0], port._city())])
    append, seen = port.spine.way.journal.append, []

    def refusing(entry: Entry) -> Position:
        if isinstance(entry, Batch):
            seen.append(asked.answer.done())
            if len(seen) < 3:
                raise JournalError("the disk is full")
        return append(entry)

    monkeypatch.setattr(port.spine.way.journal, "append", refusing)
    port.spine.turn()
    assert seen == [False, False, False]
    assert asked.answer.result(0) == Brought(1, 0, 0, [])


def test_with_the_datas_clock_an_import_may_be_the_first_to_tell_the_time(tmp_path: Path) -> None:
    port = Port(tmp_path, clock="data")
    port.open()
    rows = [Row("river", NOON - MINUTE, "water_level", 9999.0), Row("river", NOON, "water_level", 1.0)]
    (first, second) = port.desk.ask([bring_of(rows, [0], port._city()), bring_of(rows, [0, 1], port._city())])

    port.spine.turn()

    brought = first.answer.result(0)
    assert (brought.accepted, [one.reason for one in brought.refused]) == (0, ["out_of_bounds"])
    assert second.answer.result(0).accepted == 1
    assert [(type(entry), entry.arrival) for entry in port.entries()] == [
        (Configuration, NOON), (Start, NOON), (Batch, NOON),
    ]  # fmt: skip
    port.end()
    port.close()


@pytest.mark.slow
def test_the_whole_service_takes_files_and_gives_them_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CANHBAO_DATA__PATH", str(tmp_path / "data"))
    (tmp_path / "city.toml").write_text(CITY)
    (tmp_path / "rules.toml").write_text(RULES)
    file = tmp_path / "in.csv"
    lines = [
        f"{id_},2022-10-14T{n // 60:02}:{n % 60:02}:00.000Z,{quantity},{1.0 + n % 7 / 8},{unit},good\n"
        for n in range(600)
        for id_, quantity, unit in (("far", "humidity", "%"), ("river", "water_level", "m"))
    ]
    file.write_text("sensor_id,time_utc,quantity,value,unit,quality\n" + "".join(lines))
    days = {"CANHBAO_HISTORY__KEEP_RAW_DAYS": "36500", "CANHBAO_HISTORY__KEEP_MINUTES_DAYS": "36500"}
    with service(tmp_path, **days) as (page, _):
        assert main(["import", str(file)]) == 0
        assert capsys.readouterr().out.startswith("1200 new")
        eventually(lambda: metrics_of(page).count("canhbao_history_readings_total 1200"))
        assert main(["export", "--out", str(tmp_path / "out.csv")]) == 0
        assert main(["import", str(file)]) == 0
        assert "0 new, 1200 known already" in capsys.readouterr().out
    assert main(["export", "--out", str(tmp_path / "kept.csv")]) == 0
    assert (tmp_path / "kept.csv").read_bytes() == (tmp_path / "out.csv").read_bytes()
    found = [line.rpartition(",")[0] for line in (tmp_path / "out.csv").read_text().splitlines()]
    assert found == [line.rpartition(",")[0] for line in file.read_text().splitlines()]
