"""The audit and the people in the ledger: every row that is edited, removed or moved is seen; no token is kept."""

from __future__ import annotations

import json
import logging
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from alerts.ledger import audit, people
from alerts.ledger.audit import GENESIS, Audit, Entry, Head
from alerts.ledger.people import TOKENS_MOST, By, People, PeopleError
from alerts.ledger.store import LedgerError, Store
from alerts.people.user import Centre, Role, User
from ingest.disk import LOCAL

NOON = 1_665_723_600_000
COLUMNS = ("seq", "at", "by", "verb", "object", "detail", "answer", "key", "previous")
BY = By("zoe", NOON)
LAN = User("lan", Role.OPERATOR, ("20242",), ("flood",), Centre.WARD)


def entry(n: int, **other: Any) -> Entry:
    row = Entry(NOON + n, "lan", "comment", f"incident/flood-{n}", f"key-{n}", {"text": f"nước rút {n}\n\x7f"})
    return replace(row, **other)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Seven rows of audit."""
    path = tmp_path / "ledger.sqlite"
    with closing(Store.open(path, LOCAL)) as store:
        for n in range(1, 8):
            with store.writing() as db:
                audit.append(db, entry(n, answer={"incidents": [f"flood-{n}"]}))
    return path


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(Store.open(tmp_path / "ledger.sqlite", LOCAL)) as opened:
        yield opened


def checked(file: Path, kept: Head | None = None) -> tuple[Head, int | None]:
    with closing(Store.open(file, LOCAL)) as store:
        head, fault = Audit(store).verify(kept)
        return head, None if fault is None else fault.seq


def tamper(file: Path, *statements: str) -> None:
    """As somebody who can write the file, and who drops what stands in his way."""
    with closing(sqlite3.connect(file)) as db:
        db.executescript("DROP TRIGGER audit_no_update; DROP TRIGGER audit_no_delete;" + ";".join(statements))


def test_the_chain_is_what_the_document_says(file: Path) -> None:
    with closing(sqlite3.connect(file)) as db:
        rows = [dict(zip((*COLUMNS, "hash"), row, strict=True)) for row in db.execute("SELECT * FROM audit")]
    previous = "0" * 64
    for n, row in enumerate(rows, 1):
        text = json.dumps([row[name] for name in COLUMNS], ensure_ascii=False, separators=(",", ":"))
        assert (row["seq"], row["previous"]) == (n, previous)
        assert sha256(text.encode()).hexdigest() == row["hash"]
        previous = row["hash"]
    assert checked(file) == (Head(7, previous), None)
    assert json.loads(rows[0]["detail"]) == {"text": "nước rút 1\n\x7f"}


@pytest.mark.parametrize("seq", range(1, 8))
@pytest.mark.parametrize("column", [*COLUMNS, "hash"])
def test_every_edited_value_is_found_at_its_row(file: Path, seq: int, column: str) -> None:
    other = "seq + 100" if column == "seq" else f'"{column}" || 7'
    tamper(file, f'UPDATE audit SET "{column}" = {other} WHERE seq = {seq}')
    assert checked(file)[1] == seq


def test_a_row_that_is_hashed_anew_does_not_fit_the_next_one(file: Path) -> None:
    with closing(sqlite3.connect(file)) as db:
        row = dict(zip(COLUMNS, db.execute("SELECT * FROM audit WHERE seq = 3").fetchone()[:-1], strict=True))
    hash_ = audit.digest(row | {"verb": "approve"})
    tamper(file, f"UPDATE audit SET verb = 'approve', hash = '{hash_}' WHERE seq = 3")
    assert checked(file)[1] == 4


def test_the_check_in_the_document_finds_what_ours_finds(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = (Path(__file__).parents[1] / "docs" / "reference" / "audit.md").read_text("utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    check = code.replace('"ledger.sqlite"', repr(str(file)))
    exec(check, {})  # the document's own
    assert capsys.readouterr().out.strip() == str(checked(file)[0])
    tamper(file, "UPDATE audit SET by = 'an' WHERE seq = 5")
    with pytest.raises(AssertionError, match="row 5"):
        exec(check, {})


@pytest.mark.parametrize("seq", range(1, 7))
def test_every_removed_row_is_found(file: Path, seq: int) -> None:
    tamper(file, f"DELETE FROM audit WHERE seq = {seq}")
    assert checked(file)[1] == seq


def test_rows_that_change_places_are_found(file: Path) -> None:
    tamper(file, "UPDATE audit SET seq = -1 WHERE seq = 2", "UPDATE audit SET seq = 2 WHERE seq = 5",
           "UPDATE audit SET seq = 5 WHERE seq = -1")  # fmt: skip
    assert checked(file)[1] == 2


def test_a_row_put_before_the_first_is_found(file: Path) -> None:
    tamper(file, "INSERT INTO audit SELECT 0, at, by, verb, object, detail, answer, 'other', previous, hash FROM audit "
                 "WHERE seq = 1")  # fmt: skip
    assert checked(file)[1] == 1


def test_an_end_that_was_cut_off_is_found_by_whoever_kept_the_head(file: Path) -> None:
    head = checked(file)[0]
    tamper(file, "DELETE FROM audit WHERE seq > 5")
    assert checked(file)[1] is None, "the chain alone cannot tell"
    assert checked(file, head)[1] == 6


def test_a_chain_made_anew_is_found_by_whoever_kept_the_head(file: Path) -> None:
    head = checked(file)[0]
    tamper(file, "DELETE FROM audit WHERE seq > 3")
    with closing(Store.open(file, LOCAL)) as store:
        for n in range(4, 10):
            with store.writing() as db:
                audit.append(db, entry(n, verb="approve"))
    assert checked(file)[1] is None
    assert checked(file, head)[1] == 7
    assert Head.of(str(head)) == head
    for wrong in ("", "7", "7:abc", f"x:{GENESIS}", f"-1:{GENESIS}", f"{10**16}:{GENESIS}"):
        with pytest.raises(ValueError, match="no head"):
            Head.of(wrong)


def test_nothing_of_ours_can_change_or_remove_a_row(file: Path) -> None:
    with closing(Store.open(file, LOCAL)) as store:
        for statement in ("UPDATE audit SET at = 0", "DELETE FROM audit"):
            with pytest.raises(LedgerError, match="only added to"), store.writing() as db:
                db.exec_driver_sql(statement)


def test_the_same_key_of_the_same_person_is_one_row(store: Store) -> None:
    with store.writing() as db:
        first, new = audit.append(db, entry(1, answer={"version": 3}))
        again, twice = audit.append(db, entry(1, at=NOON + 9, answer={"version": 4}))
        other, third = audit.append(db, entry(1, by="an"))
    assert (new, twice, third) == (True, False, True)
    assert (again, again.entry.answer) == (first, {"version": 3})
    assert (first.seq, other.seq, other.previous) == (1, 2, first.hash)
    assert Audit(store).find("lan", "key-1") == first
    assert Audit(store).find("lan", "key-2") is None
    with pytest.raises(ValueError, match="without a key"), store.writing() as db:
        audit.append(db, entry(2, key=""))


def test_a_turn_that_fails_leaves_no_row(store: Store) -> None:
    with pytest.raises(ValueError, match="without a key"), store.writing() as db:
        audit.append(db, entry(1)), audit.append(db, entry(2, key=""))
    assert Audit(store).head() == Head()


def test_pages_come_newest_first_and_by_person_or_thing(file: Path) -> None:
    with closing(Store.open(file, LOCAL)) as store:
        with store.writing() as db:
            audit.append(db, entry(8, by="an", object="incident/flood-1"))
        pages = Audit(store)
        first, after = pages.page(limit=3)
        rest, end = pages.page(before=after, limit=5)
        assert [row.seq for row in (*first, *rest)] == [8, 7, 6, 5, 4, 3, 2, 1]
        assert (after, end) == (6, None)
        assert [row.seq for row in pages.page(by="an")[0]] == [8]
        assert [row.seq for row in pages.page(object_="incident/flood-1")[0]] == [8, 1]


def test_people_survive_a_restart_and_changes_are_audited(store: Store) -> None:
    known = People(store)
    known.add(LAN, BY)
    known.add(LAN, BY)
    token = known.issue("lan", BY)
    approver = replace(LAN, role=Role.APPROVER, areas=())
    known.change(approver, By("zoe", NOON + 1))
    again = People(store)
    assert again.users == (approver,)
    assert again.holder(token) == known.holder(token) == approver
    rows = Audit(store).page()[0]
    assert [(row.entry.verb, row.entry.by, row.entry.object) for row in reversed(rows)] == [
        ("user_add", "zoe", "user/lan"), ("token_issue", "zoe", "user/lan"), ("user_change", "zoe", "user/lan"),
    ]  # fmt: skip
    assert rows[0].entry.detail["from"]["areas"] == ["20242"]
    assert Audit(store).verify()[1] is None


def test_only_the_whole_token_of_somebody_active_is_taken(store: Store) -> None:
    known = People(store)
    known.add(LAN, BY)
    known.add(User("an", Role.VIEWER), BY)
    mine, other = known.issue("lan", BY), known.issue("an", BY)
    assert known.holder(mine) == LAN
    swapped = mine[:16] + other[16:]
    for wrong in ("", "cb_", mine[:-1], mine + "0", mine.upper(), f" {mine}", swapped, mine[3:], "é" * 80,
                  mine[:-1] + ("0" if mine[-1] != "0" else "1"), f"cb_{'0' * 12}_{'0' * 64}"):  # fmt: skip
        assert known.holder(wrong) is None, wrong
    known.change(replace(LAN, active=False), BY)
    assert known.holder(mine) is None
    known.change(LAN, BY)
    assert known.holder(mine) is None, "a token does not come back with its user"
    known.change(replace(LAN, active=False), BY)
    with pytest.raises(PeopleError, match="not active"):
        known.issue("lan", BY)
    known.change(LAN, BY)
    again = known.issue("lan", BY)
    with store.writing() as db:
        db.exec_driver_sql("UPDATE account SET active = 0")
    assert People(store).holder(again) is None, "also where his tokens were left in force"


def test_revoked_is_revoked_at_once_and_after_a_restart(store: Store) -> None:
    known = People(store)
    known.add(LAN, BY)
    first, second = known.issue("lan", BY), known.issue("lan", BY)
    assert known.revoke("lan", first[3:15], BY) == [first[3:15]]
    assert (known.holder(first), known.holder(second)) == (None, LAN)
    assert known.revoke("lan", first[3:15], BY) == [], "again it changes nothing"
    assert known.revoke("lan", "", BY) == [second[3:15]]
    assert People(store).holder(second) is None
    assert [one.revoked_at for one in known.tokens("lan")] == [NOON, NOON]
    with pytest.raises(PeopleError, match="no token"):
        known.revoke("lan", "0" * 12, BY)


def test_what_cannot_be_done_changes_nothing(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    known = People(store)
    known.add(LAN, BY)
    head = Audit(store).head()
    with pytest.raises(PeopleError, match="already"):
        known.add(replace(LAN, role=Role.ADMIN), BY)
    with pytest.raises(PeopleError, match="no user an"):
        known.issue("an", BY)
    with pytest.raises(PeopleError, match="no user an"):
        known.change(replace(LAN, name="an"), BY)
    monkeypatch.setattr(people, "USERS_MOST", 1)
    with pytest.raises(PeopleError, match="1 users"):
        known.add(replace(LAN, name="an"), BY)
    assert Audit(store).head() == head
    for _ in range(TOKENS_MOST):
        known.issue("lan", BY)
    with pytest.raises(PeopleError, match="revoke one"):
        known.issue("lan", BY)
    known.revoke("lan", "", By("zoe", NOON, "key"))
    token = known.issue("lan", BY)
    with pytest.raises(PeopleError, match="done before"):
        known.revoke("lan", "", By("zoe", NOON, "key"))
    assert known.holder(token) == People(store).holder(token) == LAN


def test_no_token_is_kept_or_logged(store: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    known = People(store)
    known.add(LAN, BY)
    token = known.issue("lan", BY)
    known.revoke("lan", "", BY)
    store.close()
    secret = token[16:]
    kept = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert token[3:15].encode() in kept
    assert secret.encode() not in kept
    assert sha256(secret.encode()).hexdigest().encode() in kept
    assert secret not in caplog.text
    assert secret not in repr(vars(known))
    assert "audit 3:" in caplog.text, "the head is in the log, which leaves the machine"
