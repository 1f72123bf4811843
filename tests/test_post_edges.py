"""What must not stop the post or lose a message at its edges: odd quotas, lost channels, words that cannot be made."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from random import Random

import pytest
from sqlalchemy import delete, select, update

from alerts.delivery.channels.channel import ChannelError, Quota
from alerts.delivery.pace import Breaker, Bucket, Free
from alerts.delivery.parcel import Parcel
from alerts.post import compose, schema
from alerts.post.process import Opening, PostProcess
from alerts.post.queue import PostQueue
from alerts.post.store import resident as beside
from alerts.residents.schema import resident
from alerts.residents.store import open_residents
from tests.post_stage import NOON, Provider, first, stage, told

AN, BINH = "+84905000001", "+84905000002"


async def no_such_number(_: Parcel) -> str:
    raise ChannelError("no such number", permanent=True)


def test_danger_told_in_the_same_moment_takes_nothing_of_the_daily_number(tmp_path: Path) -> None:
    sms = Provider()
    with stage(tmp_path, sms) as on:
        number = on.resident(f"sms {AN}", cap=1)[0]
        on.also(number, "B")
        on.decide(first("A", 3), first("B", 2))
        on.play()
    assert told(sms) == [("flood.A", 1, AN), ("flood.B", 1, AN)]


def test_what_is_kept_for_the_urgent_is_kept_from_all_lanes_together(tmp_path: Path) -> None:
    with stage(tmp_path) as on:
        for number in range(9):
            on.resident(f"sms +8490500010{number}", floor=1)
        on.decide(first("A", 2), first("48", 1))
        on.make()
        queue = PostQueue(on.store, "sms", on.composer, on.city.timezone)
        assert len(queue.claim(on.now, Free(10, 9), 60_000).parcels) == 9


@pytest.mark.parametrize("per_s", [0.5, 1.0, 1.2, 1.9, 2.0, 2.5, 30.0])
def test_whatever_the_quota_what_is_not_urgent_has_its_turn(per_s: float) -> None:
    bucket = Bucket(Quota(per_s, burst=max(1.0, per_s)))
    alone = per_s <= 1
    turns = 0
    for tenth in range(600):
        free = bucket.free(tenth * 100)
        begun = free.urgent if alone else free.others
        bucket.take(begun)
        turns += begun
    assert turns >= int(per_s * 50)


def test_a_clock_that_is_set_back_holds_no_breaker_open_for_as_long() -> None:
    breaker = Breaker(Random(1))
    breaker.failed(NOON, everybody=True)
    assert breaker.free(NOON) == 0
    back = NOON - 3_600_000
    assert breaker.free(back) == 0
    assert breaker.free(back + 1_001) == 1


def test_messages_of_a_channel_that_is_set_up_no_more_are_given_up_and_the_fallback_warns(tmp_path: Path) -> None:
    mail = Provider("mail")
    with stage(tmp_path, mail) as on:
        number = on.resident(f"sms {AN}", fallback="mail an@example.vn")[0]
        on.decide(first("A", 3))
        on.play(NOON + 10_000, 1_000)
        assert ("flood.A", 1, number, "dead") in on.rows()
    assert told(mail) == [("flood.A", 1, "an@example.vn")]


def test_where_words_for_several_cannot_be_made_each_is_told_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:  # fmt: skip
    def broken(*_: object, **__: object) -> None:
        raise KeyError(AN)

    monkeypatch.setattr(compose, "city_message", broken)
    sms, mail = Provider(), Provider("mail")
    with stage(tmp_path, sms, mail) as on:
        both = on.resident(f"sms {AN}")[0]
        on.also(both, "B")
        on.resident(f"sms {BINH}")
        on.decide(*(first(area, 3, event="city.1") for area in "AB"))
        on.play()
        left = on.rows()
    assert sorted(told(sms)) == [("flood.A", 1, AN), ("flood.A", 1, BINH), ("flood.B", 1, AN)], left
    assert AN not in caplog.text


def test_a_code_is_sent_to_the_address_that_it_proves_and_to_no_other(tmp_path: Path) -> None:
    sms, mail = Provider(), Provider("mail")
    sms.answer = no_such_number
    with stage(tmp_path, sms, mail) as on:
        number = on.resident(f"sms {AN}", fallback="mail an@example.vn")[0]
        on.errand(number)
        on.play()
        assert not mail.got


LISTENER = """
import json, sys
opening = json.loads(sys.stdin.buffer.readline())
print(json.dumps({"letters": len(opening["city_toml"])}), flush=True)
print(json.dumps({"letters": len(opening["city_toml"]), "woken": len(sys.stdin.buffer.readline())}), flush=True)
sys.stdin.read()
"""


def test_waking_the_post_while_it_is_told_the_registry_neither_waits_nor_garbles_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "listener.py").write_text(LISTENER, "utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    def opening() -> Opening:
        post.wake()
        return Opening("x" * 1_000_000, "")

    post = PostProcess([], opening, lambda: False, "listener")
    post.start()
    try:
        assert until(lambda: "letters" in post.counters), post.fault
        post.wake()
        assert until(lambda: post.counters.get("woken") == 1), post.counters
        assert post.counters["letters"] == 1_000_000
        assert post.counters["canhbao_post_restarts_total"] == 0
    finally:
        post.stop()
    post.wake()  # of no use, and no harm


def until(so: Callable[[], bool]) -> bool:
    for _ in range(500):
        if so():
            return True
        time.sleep(0.02)
    return False


def test_while_messages_are_made_residents_may_sign_up(tmp_path: Path) -> None:
    with stage(tmp_path) as on:
        on.resident(f"sms {AN}")
        theirs = open_residents(tmp_path)
        try:
            with on.store.writing() as db:
                another = sqlite3.connect(tmp_path / "post.sqlite", timeout=0)
                with closing(another), pytest.raises(sqlite3.OperationalError, match="locked"):
                    another.execute("BEGIN IMMEDIATE")  # nobody else writes here meanwhile
                db.execute(delete(schema.told))
                with theirs.writing() as other:
                    other.execute(update(resident).values(lang="en"))
            with on.store.reading() as db:
                assert db.execute(select(beside.c.lang)).scalar() == "en"
        finally:
            theirs.close()
