"""`canhbao export`: files that hold what the journal holds, with the service running and without."""

from __future__ import annotations

import asyncio
import csv
import gzip
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager, nullcontext
from datetime import UTC, datetime
from math import isnan
from pathlib import Path
from random import Random
from zoneinfo import ZoneInfo

import httpx
import numpy as np
import pytest
from faces import Town, serving
from histories import eventually
from pyarrow import parquet
from test_influx import disorder

from alerts.__main__ import main
from alerts.exporting import moment
from alerts.spine import _nothing_yet
from alerts.web import export as web_export
from alerts.web.app import create_app
from alerts.web.asking import Asking
from alerts.web.operators import known_token, operators_token
from alerts.web.sources import Desks, Sources
from ingest.data_folder import announce
from ingest.entries import ORIGIN, Batch, Configuration
from ingest.history.follow import Follower
from ingest.history.store import DAY_MS, Keep, Named, Rows, StoreError
from ingest.history.stores import store_at
from ingest.history.tidy_files import QUALITIES
from ingest.journal import Journal
from ingest.readings import Readings

NOON = 1_665_723_600_000  # 14 Oct 2022, 12:00 in Da Nang
ZONE = ZoneInfo("Asia/Ho_Chi_Minh")
PATH = "/api/v1/export"
CITY = """
city.name = "Đà Nẵng"
city.timezone = "Asia/Ho_Chi_Minh"
[[area]]
code = "48"
name = "Đà Nẵng"
[[area]]
code = "20242"
name = "Hải Châu"
parent = "48"
[[area]]
code = "20257"
name = "Sơn Trà"
[[quantity]]
name = "flow"
unit = 'm3/s, "gross"'
bounds = [-1e9, 1e9]
[[sensor]]
id = "rain-1"
quantity = "rain"
area = "20242"
[[sensor]]
id = "river-1"
quantity = "water_level"
area = "20257"
[[sensor]]
id = "flow-1"
quantity = "flow"
area = "48"
"""
IDS = ("rain-1", "river-1", "flow-1", "gone-1")
WORDS = {
    "rain-1": ("rain", "mm"),
    "river-1": ("water_level", "m"),
    "flow-1": ("flow", 'm3/s, "gross"'),
    "gone-1": ("", ""),
}
Line = tuple[str, int, str, float | None, str, str]


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder of a service that has run."""
    data = tmp_path_factory.mktemp("data")
    journal = Journal.open(data / "journal")
    journal.append(Configuration(0, CITY, "", IDS))
    for n, one in enumerate(disorder(5, 200)):
        columns = {"sensor": one.sensor, "t": one.t, "value": one.value, "raw": one.raw, "flag": one.flag}
        journal.append(Batch(Readings.of(**columns, arrival=np.full(len(one), NOON + n)), arrival=NOON + n))
    with closing(store_at("duckdb", data, ZONE)) as store:
        follower = Follower(data / "journal", store, Keep(40_000, 40_000), lambda: journal.last, Random(1))
        while follower.step():
            pass
    journal.close()
    operators_token(data)
    return data


@pytest.fixture(scope="module")
def untouched(filled: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of it from before anybody opened it again."""
    return shutil.copytree(filled, tmp_path_factory.mktemp("untouched") / "data")


@pytest.fixture(autouse=True)
def _copied_first(untouched: Path) -> None:
    """Whichever test comes first."""
    assert untouched.is_dir()


@pytest.fixture
def folder(filled: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CANHBAO_DATA__PATH", str(filled))
    return filled


@pytest.fixture
def configuration(folder: Path) -> Configuration:
    found = Journal.open(folder / "journal", read_only=True).configuration
    assert found is not None
    return found


Change = Callable[[Sources], Sources]


@contextmanager
def running(folder: Path, town_folder: Path, configuration: Configuration, reader: object = None) -> Iterator[str]:
    """The address of a service of that folder."""
    town = Town(town_folder, _nothing_yet(configuration))
    with closing(store_at("duckdb", folder, ZONE)) as store:
        town.history = reader or store  # type: ignore[assignment]
        app = create_app(town.sources(Desks(known_token(folder), None)))  # type: ignore[arg-type]
        with serving(town, app) as url, announce(folder, url):
            yield url
    town.ledger.close()


def of_journal(folder: Path, fits: Callable[[str, int], bool] = lambda _id, _t: True) -> list[Line]:
    """What has to be in the files: the first of every (sensor, t), by t, then sensor."""
    found: dict[tuple[int, str], Line] = {}
    for _, entry in Journal.open(folder / "journal", read_only=True).read(ORIGIN):
        for one in [entry.readings] if isinstance(entry, Batch) else []:
            columns = (one.sensor, one.t, one.value, one.flag)
            for number, t, value, flag in zip(*(column.tolist() for column in columns), strict=True):
                id_ = IDS[number]
                quantity, unit = WORDS[id_]
                line = (id_, t, quantity, None if isnan(value) else value, unit, QUALITIES[flag])
                found.setdefault((t, id_), line)
    return [found[key] for key in sorted(found) if fits(key[1], key[0])]


def of_csv(text: str) -> list[Line]:
    head, *rows = csv.reader(text.splitlines())
    assert ",".join(head) == "sensor_id,time_utc,quantity,value,unit,quality"
    return [(id_, _ms(datetime.fromisoformat(time)), quantity, float(value) if value else None, unit, quality)
            for id_, time, quantity, value, unit, quality in rows]  # fmt: skip


def _ms(moment: datetime) -> int:
    assert moment.tzinfo is not None
    return round(moment.timestamp() * 1000)


def of_parquet(file: Path) -> list[Line]:
    rows = parquet.read_table(file).to_pylist()
    return [(row["sensor_id"], _ms(row["time_utc"]), row["quantity"], row["value"], row["unit"], row["quality"])
            for row in rows]  # fmt: skip


def export(*arguments: str) -> int:
    return main(["export", *arguments])


@pytest.mark.parametrize("served", [False, True], ids=["kept", "running"])
def test_every_kind_of_file_holds_what_the_journal_holds(
    folder: Path, configuration: Configuration, tmp_path: Path, served: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    expected = of_journal(folder)
    assert len(expected) > 500
    assert {line[5] for line in expected} == set(QUALITIES.values())
    out = tmp_path / "out"
    with running(folder, tmp_path, configuration) if served else nullcontext():
        for kind in ("csv", "csv.gz", "parquet"):
            assert export("--out", str(out / f"all.{kind}")) == 0
            assert export("--by", "day", "--format", kind, "--out", str(out / kind)) == 0
    said = capsys.readouterr()
    days = sorted({datetime.fromtimestamp(t / 1000, ZONE).date().isoformat() for _, t, *_ in expected})
    assert said.err.splitlines() == [f"{len(expected)} readings", f"{len(expected)} readings in {len(days)} files"] * 3
    assert said.out == ""
    assert of_csv((out / "all.csv").read_text()) == expected
    assert gzip.decompress((out / "all.csv.gz").read_bytes()) == (out / "all.csv").read_bytes()
    assert of_parquet(out / "all.parquet") == expected
    assert str(parquet.read_schema(out / "all.parquet").field("time_utc").type) == "timestamp[us, tz=UTC]"
    assert sorted(file.name for file in out.iterdir()) == [
        "all.csv",
        "all.csv.gz",
        "all.parquet",
        "csv",
        "csv.gz",
        "parquet",
    ]
    for kind in ("csv", "csv.gz", "parquet"):
        assert sorted(file.name for file in (out / kind).iterdir()) == [f"{day}.{kind}" for day in days]
        for day in days:
            begins = moment(day, ZONE)
            file = out / kind / f"{day}.{kind}"
            found = of_parquet(file) if kind == "parquet" else of_csv(
                (gzip.decompress(file.read_bytes()) if kind == "csv.gz" else file.read_bytes()).decode()
            )  # fmt: skip
            assert found == [line for line in expected if begins <= line[1] < begins + DAY_MS]


@pytest.mark.parametrize("served", [False, True], ids=["kept", "running"])
def test_what_is_asked_for_and_nothing_else(
    folder: Path, configuration: Configuration, tmp_path: Path, served: bool, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    def asked(*arguments: str) -> list[Line]:
        assert export(*arguments) == 0
        return of_csv(capfdbinary.readouterr().out.decode())

    day = moment("2022-10-12", ZONE)
    with running(folder, tmp_path, configuration) if served else nullcontext():
        assert asked() == of_journal(folder)
        assert asked("--sensor", "gone-1", "--sensor", "rain-1") == of_journal(
            folder, lambda id_, _: id_ in ("gone-1", "rain-1")
        )
        assert asked("--area", "48") == of_journal(folder, lambda id_, _: id_ in ("rain-1", "flow-1")), "and all in it"
        assert asked("--area", "48", "--quantity", "rain") == of_journal(folder, lambda id_, _: id_ == "rain-1")
        assert asked("--from", "2022-10-12", "--to", "2022-10-13") == of_journal(
            folder, lambda _, t: day <= t < day + DAY_MS
        )
        exact = of_journal(folder)[77][1]
        since = datetime.fromtimestamp(exact / 1000, UTC).isoformat(timespec="milliseconds")
        assert asked("--from", since) == of_journal(folder, lambda _, t: t >= exact)
        assert asked("--from", "2030-01-01") == []
        for wrong in (["--sensor", "rain"], ["--area", "x"], ["--quantity", "y"], ["--from", "yesterday"],
                      ["--from", "2022-10-12T00:00:00"], ["--from", "2022-10-12", "--to", "2022-10-12"],
                      ["--format", "parquet"], ["--by", "day"]):  # fmt: skip
            assert export(*wrong) == 2, wrong
            out, err = capfdbinary.readouterr()
            assert out == b""
            assert err.startswith(b"canhbao export: ")
            assert err.count(b"\n") == 1
            if wrong[0] not in ("--format", "--by"):
                assert err.endswith(b"; see canhbao export --help\n")


def test_a_folder_without_a_history_and_one_that_nobody_may_write(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert folder.exists()
    (tmp_path / "a file").touch()
    assert export("--out", str(tmp_path / "a file" / "x.csv")) == 1
    assert "a file" in capsys.readouterr().err
    monkeypatch.setenv("CANHBAO_DATA__PATH", str(tmp_path / "nothing"))
    assert export() == 2
    assert "a service that has run" in capsys.readouterr().err
    assert not (tmp_path / "nothing").exists()


def test_what_the_history_has_not_followed_yet_is_said(
    untouched: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(untouched, tmp_path / "data")
    journal = Journal.open(tmp_path / "data" / "journal")
    journal.append(Batch(Readings.of(sensor=[0], t=[NOON], value=[1.0], arrival=[NOON + 10**6])))
    journal.close()
    monkeypatch.setenv("CANHBAO_DATA__PATH", str(tmp_path / "data"))
    command = [sys.executable, "-m", "alerts", "export", "--sensor", "rain-1"]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    assert (
        ran.stderr
        == "canhbao export: the newest 1 entries are not in the history yet: the service has to run for that\n"
    )
    assert len(of_csv(ran.stdout)) > 100


class Broken:
    """A history that fails after the first chunk."""

    def __init__(self) -> None:
        self.closed = 0

    def scan(self, *_: object) -> Generator[Rows, None, None]:
        try:
            named = (Named("rain-1", "rain", "mm", "20242", ""),)
            yield Rows(named, np.zeros(1, "i4"), np.zeros(1, "i8"), np.zeros(1), np.zeros(1), np.ones(1, "u1"))
            raise StoreError("it has ended while it was asked")
        finally:
            self.closed += 1


def test_half_an_export_is_no_file(
    folder: Path, configuration: Configuration, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with running(folder, tmp_path, configuration, Broken()):
        assert export("--out", str(tmp_path / "out" / "x.csv.gz")) == 1
        assert export("--out", str(tmp_path / "out" / "y.parquet")) == 1
    assert capsys.readouterr().err == "canhbao export: it has ended while it was asked\n" * 2
    assert list((tmp_path / "out").iterdir()) == []


FULL = """
import resource, sys
from alerts.__main__ import main
resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, 2_000))  # bytes of a file, beyond which writing fails
sys.exit(main(["export", "--out", sys.argv[1]]))
"""


@pytest.mark.parametrize("kind", ["csv", "csv.gz", "parquet"])
def test_a_disk_without_room_is_said_and_nothing_is_left_on_it(
    folder: Path, configuration: Configuration, tmp_path: Path, kind: str
) -> None:
    out = tmp_path / "out" / f"x.{kind}"
    with running(folder, tmp_path, configuration):
        ran = subprocess.run([sys.executable, "-c", FULL, str(out)], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr.count("\n") == 1
    assert "File too large" in ran.stderr
    assert list(out.parent.iterdir()) == []


class Endless(Broken):
    """A history that has always more."""

    def scan(self, *_: object) -> Generator[Rows, None, None]:
        rows = Rows((), np.zeros(10**6, "i4"), *(np.zeros(10**6, kind) for kind in ("i8", "f8", "f8", "u1")))
        try:
            while True:
                yield rows
        finally:
            self.closed += 1


def test_who_goes_away_is_not_read_for_any_longer(folder: Path, configuration: Configuration, tmp_path: Path) -> None:
    endless = Endless()
    with running(folder, tmp_path, configuration, endless) as url:
        bearer = {"Authorization": f"Bearer {known_token(folder)}"}
        with httpx.stream("GET", url + PATH, headers=bearer) as answer:
            assert next(answer.iter_raw())
            assert endless.closed == 0
        eventually(lambda: endless.closed, 20)


def test_a_service_that_ends_while_the_history_is_asked_ends_the_export() -> None:
    asked, answered, closed = threading.Event(), threading.Event(), threading.Event()

    def rows() -> Generator[Rows, None, None]:
        try:
            yield from Broken().scan()
        except StoreError:
            asked.set()
            answered.wait(20)
        finally:
            closed.set()

    async def send(_message: object) -> None:
        """Whatever is sent is taken."""

    async def story() -> None:
        chunks = rows()
        answer = web_export._Stream(Asking(Broken()), chunks, next(chunks))  # type: ignore[arg-type]
        exporting = asyncio.create_task(answer({}, asyncio.Event().wait, send))  # type: ignore[arg-type]
        await asyncio.to_thread(asked.wait, 20)
        exporting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await exporting
        answered.set()

    asyncio.run(story())
    assert closed.wait(20)


def test_only_operators_and_a_stream_that_nobody_reads_is_let_go(
    folder: Path, configuration: Configuration, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web_export, "SEND_S", 0.2)
    endless = Endless()
    with running(folder, tmp_path, configuration, endless) as url:
        assert httpx.get(url + PATH).status_code == 401
        bearer = {"Authorization": f"Bearer {known_token(folder)}"}
        assert httpx.get(f"{url}{PATH}?sensor=x", headers=bearer).status_code == 422
        with httpx.stream("GET", url + PATH, headers=bearer) as answer:
            assert answer.headers["Canhbao-Timezone"] == "Asia/Ho_Chi_Minh"
            assert answer.headers["cache-control"] == "no-store"
            eventually(lambda: endless.closed, 20)
