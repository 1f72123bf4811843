"""A backup has residents with it, sealed; in an order after which nobody is passed over."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from faces import serving
from sqlalchemy import insert, select
from subscribing import API, KEY, NAME, Residents, bearer, bytes_of

from alerts import backup
from alerts.backup import restore, take
from alerts.post import schema as post
from alerts.post.store import open_post
from alerts.residents import endings
from alerts.residents.book import Book
from alerts.residents.limits import SignUpLimits
from alerts.residents.schema import contact, target
from alerts.residents.seal import Seal
from alerts.residents.store import open_residents
from ingest.entries import Configuration
from ingest.journal import Journal

NOW = 1_665_746_580_000


@pytest.fixture
def residents(tmp_path: Path) -> Iterator[Residents]:
    made = Residents(tmp_path / "data")
    journal = Journal.open(tmp_path / "data" / "journal")
    journal.append(Configuration(NOW, "", "", ()))
    journal.append(Configuration(NOW, "", "", ()))
    yield made
    journal.close()
    made.close()


@pytest.fixture
def client(residents: Residents) -> Iterator[httpx.Client]:
    with serving(residents.town, residents.app()) as url, httpx.Client(base_url=url, timeout=10) as asking:
        yield asking


@pytest.mark.parametrize("name", ["kept", "kept.tar"])
def test_residents_come_back_and_their_key_and_addresses_are_not_in_it(
    residents: Residents, client: httpx.Client, tmp_path: Path, name: str
) -> None:
    token = residents.subscribed(client, proxy_for=NAME)
    open_post(residents.folder).close()
    mine = client.get(API, headers=bearer(token)).json()

    taken = take(residents.folder, tmp_path / name, NOW)
    assert {"residents.sqlite", "post.sqlite"} <= set(taken.files)
    kept = bytes_of(tmp_path / name) if name == "kept" else (tmp_path / name).read_bytes()
    assert not [text for text in ("lan@example.vn", NAME, KEY.hex(), token) if text.encode() in kept]
    assert KEY not in kept
    restore(tmp_path / name, tmp_path / "back")
    with open_residents(tmp_path / "back").reading() as db:
        assert len(db.execute(select(target)).all()) == 3
    store = open_residents(tmp_path / "back")
    found = Book(store, Seal(KEY), SignUpLimits(lambda: 0.0), "").shown(token, NOW)
    store.close()
    assert found is not None
    assert [one.address for one in found.contacts] == [mine["contacts"][0]["address"]]


def test_what_is_followed_is_copied_after_what_follows_it(
    residents: Residents, client: httpx.Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While each file is copied somebody signs up, and the post goes on: it must not stand further than they do."""
    copy, store = backup._copy_database, open_post(residents.folder)

    def meanwhile(source: Path, into: Path, position: Callable[[Any], int]) -> int:
        found = copy(source, into, position)
        residents.seconds += 3_600
        residents.sign_up(client, ("mail", f"{source.stem}@example.vn"))
        with store.writing() as db:
            last = max(errand["id"] for errand in residents.errands())
            db.execute(insert(post.progress).prefix_with("OR REPLACE"), _progress(last))
        return found

    monkeypatch.setattr(backup, "_copy_database", meanwhile)
    residents.sign_up(client, ("mail", "first@example.vn"))
    with store.writing() as db:
        db.execute(insert(post.progress).prefix_with("OR REPLACE"), _progress(1))
    take(residents.folder, tmp_path / "kept", NOW)
    store.close()

    back, following = open_residents(tmp_path / "kept"), open_post(tmp_path / "kept")
    with following.reading() as db:
        stands = db.execute(select(post.progress.c.errand)).scalar_one()
    with back.reading() as db:
        knows = db.exec_driver_sql("SELECT seq FROM sqlite_sequence WHERE name = 'errand'").scalar_one()
    back.close()
    following.close()
    assert stands <= knows


def _progress(errand: int) -> dict[str, Any]:
    columns = {column.name: 0 for column in post.progress.columns if not column.nullable}
    return columns | {"id": 1, "errand": errand}


def test_where_an_address_is_gone_the_post_gives_its_place_to_the_fallback(
    residents: Residents, client: httpx.Client
) -> None:
    token = residents.subscribed(client)
    add = {"add_contacts": [{"channel": "sms", "address": "0905 123 456", "fallback": True}]}
    asked = client.patch(API, json=add, headers=bearer(token)).json()["confirm"]
    sent = {"id": asked[0]["id"], "code": residents.errands()[-1]["code"]}
    assert client.post(f"{API}/confirm", json=sent).status_code == 200

    store = open_post(residents.folder)
    with store.writing() as db:  # the post's own connection
        endings.gone(db, 1, NOW)
    store.close()
    with residents.store.reading() as db:
        assert {row.contact for row in db.execute(select(target))} == {2}
        assert db.execute(select(contact.c.state).where(contact.c.id == 1)).scalar_one() == "gone"
    log = client.get(f"{API}/export", headers=bearer(token)).json()["consents"]
    assert re.search("Không còn gửi được qua thư điện tử", str(log))
