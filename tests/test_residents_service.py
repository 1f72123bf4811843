"""The whole service with residents: what it needs, what it opens, and what it refuses to start on."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import httpx
import pytest
from sqlalchemy import func, select
from test_service import RUN, service
from test_spine import CITY, RULES

from alerts.people.resident import Choice, Subscription, Wanted
from alerts.residents.book import Book
from alerts.residents.limits import SignUpLimits
from alerts.residents.schema import contact
from alerts.residents.seal import Seal
from alerts.residents.store import open_residents
from ingest.city import parse_city

KEY, OTHER = "5a" * 32, "a5" * 32
LONG_AGO = 1_600_000_000_000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "city.toml").write_text(CITY, "utf-8")
    (tmp_path / "rules.toml").write_text(RULES, "utf-8")
    (tmp_path / "data").mkdir()
    return tmp_path


def sign_up(folder: Path, now_ms: int, *, confirmed: bool) -> None:
    store, city = open_residents(folder / "data"), parse_city(CITY)
    book = Book(store, Seal(bytes.fromhex(KEY)), SignUpLimits(time.monotonic), "")
    choice = Choice((Subscription("20242", "flood", 2),))
    (asked,) = book.sign_up(choice, [Wanted("mail", "mail", "lan@example.vn")], city, now_ms)
    if confirmed:
        with store.writing() as db:
            book._confirmed(db, 1, asked.contact, now_ms, city)
    store.close()


def test_the_service_opens_the_book_of_residents_and_forgets_what_nobody_confirmed(folder: Path) -> None:
    sign_up(folder, LONG_AGO, confirmed=False)
    with service(folder, CANHBAO_RESIDENTS__KEY=KEY) as (page, _), httpx.Client(base_url=page) as client:
        sent = {"areas": [{"code": "20242"}], "contacts": [{"channel": "pigeon", "address": "lan@example.vn"}]}
        answer = client.post("api/v1/subscriptions", json=sent)
        store = open_residents(folder / "data")
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            with store.reading() as db:
                if not (left := db.execute(select(func.count()).select_from(contact)).scalar_one()):
                    break
            time.sleep(0.05)
        store.close()

    assert answer.status_code == 422
    assert answer.json()["detail"].startswith("contacts.0.channel: ")
    assert left == 0
    shared = [path for path in (folder / "data").rglob("*.sqlite*") if path.stat().st_mode & 0o077]
    assert not shared, "wards, users and answers are for the service alone"
    assert "lan@" not in (folder / "log").read_text()


def test_a_service_with_another_key_does_not_start(folder: Path) -> None:
    sign_up(folder, LONG_AGO, confirmed=True)
    with pytest.raises(AssertionError), service(folder, CANHBAO_RESIDENTS__KEY=OTHER):  # it ends with exit code 1
        pass
    said = (folder / "log").read_text()
    assert "residents.key_file: another key than that of residents.sqlite (contact 1: not sealed with this key)" in said
    assert OTHER not in said
    assert "Traceback" not in said


def test_a_key_that_is_none_is_told_without_being_shown(folder: Path) -> None:
    environ = {**os.environ, "CANHBAO_RESIDENTS__KEY": "hunter2", "CANHBAO_DATA__PATH": str(folder / "data")}
    ran = subprocess.run(RUN, env=environ, capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 2
    assert "CANHBAO_RESIDENTS__KEY" in ran.stderr
    assert "64 hexadecimal digits" in ran.stderr
    assert "hunter2" not in ran.stderr
