"""One warning to 100,000 people: the messages made by the post, and by a bare INSERT ... SELECT into the same table.

Both write the same rows into the same file (WAL, synchronous FULL, the same indexes) from the same table of who wants
to hear, in turn, once in chunks of 1,000 with a commit each and once in one transaction. The post besides finds out who
is concerned, looks at quiet hours and keeps where it is. One JSON line a figure; `ratio` is the post's time in that of
the bare statement.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Final

from sqlalchemy import delete, insert, select, text

from alerts.delivery.parcel import Lane
from alerts.ledger.store import Store
from alerts.post import schema
from alerts.post.expand import CHUNK, Expander
from alerts.post.store import contact, open_post, resident, target
from alerts.post.telling import LIFE_MS
from ingest.city import DEFAULT_CITY_FILE, City, parse_city

NIGHT: Final = 1_761_577_200_000  # 2025-10-27 22:00 in Da Nang
NOON: Final = NIGHT - 10 * 3_600_000
BARE: Final = text("""
INSERT INTO message (seq, contact, via, lane, status, attempts, heard_only, leader, created_at, since, next_try_at,
                     expires_at, sent_at, received_at, provider_id, maybe, fell_back, error)
SELECT 1, contact, via, :lane, 'queued', 0, 0, NULL, :now, :now, :now, :expires, NULL, NULL, '', 0, 0, ''
FROM people.target WHERE area = :area AND hazard = 'flood' AND floor <= 4 AND contact > :after AND contact <= :upto
ORDER BY contact
""")


def settle(store: Store, people: int, area: str) -> None:
    """So many people who want to hear of floods there, half of them with quiet hours."""
    numbers = range(1, people + 1)
    with store.writing() as db:
        db.execute(insert(resident), [
            {"id": n, "state": "active", "lang": "vi", "quiet": "22:00-07:00" if n % 2 else "", "daily_cap": 10,
             "created_at": 0} for n in numbers
        ])  # fmt: skip
        db.execute(insert(contact), [
            {"id": n, "resident": n, "channel": "sms", "via": "sms", "address": b"x" * 40, "digest": n.to_bytes(32),
             "fallback": False, "state": "active", "created_at": 0} for n in numbers
        ])  # fmt: skip
        db.execute(insert(target), [
            {"area": area, "hazard": "flood", "contact": n, "floor": 2, "via": "sms"} for n in numbers
        ])  # fmt: skip


def tell(store: Store, area: str, level: int, now: int) -> None:
    with store.writing() as db:
        db.execute(insert(schema.telling), {
            "seq": 1, "incident": "i", "version": 1, "hazard": "flood", "area": area, "level": level, "reason": "first",
            "arrival": now, "event": "", "lane": int(Lane.URGENT), "expires_at": now + LIFE_MS, "entry": None,
            "leader": 1, "after": 0,
        })  # fmt: skip


def clean(store: Store) -> None:
    with store.writing() as db:
        db.execute(delete(schema.message))
        db.execute(delete(schema.telling))
    with store.reading() as db:
        assert not db.execute(select(schema.message.c.id)).first()


def by_the_post(store: Store, city: City, area: str, level: int, now: int, chunk: int) -> float:
    tell(store, area, level, now)
    expander = Expander(store, city, chunk=chunk)
    began = time.perf_counter()
    while expander.turn(now):
        pass
    return time.perf_counter() - began


def by_hand(store: Store, area: str, people: int, now: int, chunk: int) -> float:
    began = time.perf_counter()
    for after in range(0, people, chunk):
        with store.writing() as db:
            db.execute(BARE, {"lane": 0, "now": now, "expires": now + LIFE_MS, "area": area, "after": after,
                              "upto": after + chunk})  # fmt: skip
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=100_000, help="(default 100000)")
    parser.add_argument("--rounds", type=int, default=3, help="(default 3)")
    arguments = parser.parse_args()
    people, city = arguments.people, parse_city(DEFAULT_CITY_FILE.read_text("utf-8"))
    area = next(iter(city.areas))
    with TemporaryDirectory() as folder:
        store = open_post(Path(folder))
        settle(store, people, area)
        for what, level, now, chunk in (
            ("danger, chunks of 1000", 3, NOON, CHUNK),
            ("danger, one transaction", 3, NOON, people),
            ("a warning at night, chunks of 1000", 2, NIGHT, CHUNK),
        ):
            ours, bare = [], []
            for _ in range(arguments.rounds):
                bare.append(by_hand(store, area, people, now, chunk))
                clean(store)
                ours.append(by_the_post(store, city, area, level, now, chunk))
                with store.reading() as db:
                    assert len(db.execute(select(schema.message.c.id)).all()) == people
                clean(store)
            value, floor = people / median(ours), people / median(bare)
            line = {"bench": f"messages made: {what}", "people": people, "value": round(value), "unit": "1/s",
                    "floor": round(floor), "ratio": round(floor / value, 2), "n": arguments.rounds}  # fmt: skip
            print(json.dumps(line), flush=True)
        store.close()


if __name__ == "__main__":
    main()
