"""The tokens of a Zalo account: renewed by one, on disk before they are used, and never seen by anybody else."""

import asyncio
import json
import logging
import signal
import stat
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any, TypeVar

import pytest
from carriers.zalo import APP_ID, FIRST_REFRESH, SECRET, Zalo, zalo
from channel_settings import NOW

from alerts.delivery import zalo_token
from alerts.delivery.channels.channel import ChannelError
from alerts.delivery.zalo_token import ZaloToken, measured, read_kept, token_file
from alerts.given import Secret

HOUR = 3_600_000
T = TypeVar("T")
# A process of its own: what it prints is the token that it would use.
CHILD = """
import asyncio, os, signal, sys
from pathlib import Path
from random import Random
from alerts.delivery import zalo_token
from alerts.delivery.zalo_token import ZaloToken
from alerts.given import Secret

folder, app, secret, url, now, at_the_store = sys.argv[1:]
kept, write = [], zalo_token.write_private

def dying(file, text):
    kept.append(text)
    if len(kept) == 2:  # the intent was the first
        os.kill(os.getpid(), signal.SIGKILL)
    write(file, text)

if at_the_store == "die":
    zalo_token.write_private = dying

async def main():
    token = ZaloToken(Path(folder), app, Secret(secret), url, lambda: int(now), Random(1))
    sys.stdin.readline()
    print(await token.access(), flush=True)
    await token.close()

print("ready", flush=True)
asyncio.run(main())
"""


class Clock:
    ms = NOW

    def __call__(self) -> int:
        return self.ms


@pytest.fixture
def fake() -> Iterator[Zalo]:
    with zalo() as running:
        yield running


@pytest.fixture
def clock() -> Clock:
    return Clock()


def token(folder: Path, fake: Zalo, clock: Clock) -> ZaloToken:
    return ZaloToken(folder, APP_ID, Secret(SECRET), fake.url, clock, Random(7))


def on(made: ZaloToken, call: Callable[[ZaloToken], Awaitable[T]]) -> T:
    async def run() -> T:
        try:
            return await call(made)
        finally:
            await made.close()

    return asyncio.run(run())


def authorized(folder: Path, fake: Zalo, clock: Clock) -> None:
    on(token(folder, fake, clock), lambda it: it.authorize(FIRST_REFRESH))


def child(folder: Path, fake: Zalo, clock: Clock, at_the_store: str = "live") -> "subprocess.Popen[str]":
    arguments = [str(folder), APP_ID, SECRET, fake.url, str(clock.ms), at_the_store]
    process = subprocess.Popen(
        [sys.executable, "-c", CHILD, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def go(process: "subprocess.Popen[str]") -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def test_it_serves_until_hours_before_its_end_and_is_renewed_then(tmp_path: Path, fake: Zalo, clock: Clock) -> None:
    authorized(tmp_path, fake, clock)
    kept = read_kept(token_file(tmp_path, APP_ID))
    assert kept is not None
    assert 3 * HOUR <= kept.access_until - kept.refresh_at <= 5 * HOUR

    assert on(token(tmp_path, fake, clock), lambda it: it.access()) == "access-1"
    clock.ms = kept.refresh_at
    assert on(token(tmp_path, fake, clock), lambda it: it.access()) == "access-2"
    assert fake.asked == [FIRST_REFRESH, "refresh-1"]


def test_many_tasks_renew_it_once(tmp_path: Path, fake: Zalo, clock: Clock) -> None:
    authorized(tmp_path, fake, clock)
    clock.ms += 24 * HOUR

    async def storm(it: ZaloToken) -> list[str]:
        others = [token(tmp_path, fake, clock) for _ in range(3)]  # two channels, and a command
        found = await asyncio.gather(*(each.access() for each in [it, *others] for _ in range(20)))
        for other in others:
            await other.close()
        return found

    assert set(on(token(tmp_path, fake, clock), storm)) == {"access-2"}
    assert fake.rotations == 2


def test_processes_renew_it_once(tmp_path: Path, fake: Zalo, clock: Clock) -> None:
    authorized(tmp_path, fake, clock)
    clock.ms += 24 * HOUR
    processes = [child(tmp_path, fake, clock) for _ in range(2)]

    for process in processes:
        go(process)

    assert [process.communicate(timeout=30)[0] for process in processes] == ["access-2\n"] * 2
    assert fake.rotations == 2


def test_killed_between_answer_and_disk_the_pair_is_lost_and_was_never_used(
    tmp_path: Path, fake: Zalo, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    authorized(tmp_path, fake, clock)
    kept = read_kept(token_file(tmp_path, APP_ID))
    assert kept is not None
    clock.ms = kept.refresh_at

    process = child(tmp_path, fake, clock, "die")
    go(process)

    assert process.communicate(timeout=30)[0] == ""  # nobody was given what is not on disk
    assert process.returncode == -signal.SIGKILL
    assert fake.rotations == 2
    # The next one serves the old token for the hours that it has left, and says what a person has to do.
    assert on(token(tmp_path, fake, clock), lambda it: it.access()) == "access-1"
    assert "lost between Zalo's answer and our disk" in caplog.text
    assert "canhbao zalo authorize" in caplog.text
    after = read_kept(token_file(tmp_path, APP_ID))
    assert after is not None
    assert after.lost
    assert measured(token_file(tmp_path, APP_ID), clock.ms)["canhbao_zalo_token_refused"] == 1
    clock.ms = after.access_until
    with pytest.raises(ChannelError, match="authorize") as error:
        on(token(tmp_path, fake, clock), lambda it: it.access())
    assert error.value.everybody
    # A person brings a new one: all is as before.
    fake.refresh = "refresh-of-a-person"
    on(token(tmp_path, fake, clock), lambda it: it.authorize("refresh-of-a-person"))
    assert on(token(tmp_path, fake, clock), lambda it: it.access()) == "access-3"
    assert measured(token_file(tmp_path, APP_ID), clock.ms)["canhbao_zalo_token_refused"] == 0


def test_an_answer_that_never_came_is_asked_for_again_and_told_as_lost(
    tmp_path: Path, fake: Zalo, clock: Clock
) -> None:
    authorized(tmp_path, fake, clock)
    clock.ms += 22 * HOUR
    fake.lose_answers = 1

    async def twice(it: ZaloToken) -> None:
        assert await it.access() == "access-1"
        clock.ms += 61_000
        assert await it.access() == "access-1"

    on(token(tmp_path, fake, clock), twice)

    assert fake.asked == [FIRST_REFRESH, "refresh-1", "refresh-1"]
    kept = read_kept(token_file(tmp_path, APP_ID))
    assert kept is not None
    assert kept.lost
    assert kept.trying_since == clock.ms - 61_000


def test_a_provider_that_is_down_costs_nothing(tmp_path: Path, fake: Zalo, clock: Clock) -> None:
    authorized(tmp_path, fake, clock)
    clock.ms += 22 * HOUR
    fake.down = True
    assert on(token(tmp_path, fake, clock), lambda it: it.access()) == "access-1"
    fake.down = False

    assert on(token(tmp_path, fake, clock), lambda it: it.access()) == "access-2"


def test_whoever_waits_may_be_cancelled_the_pair_is_stored(tmp_path: Path, fake: Zalo, clock: Clock) -> None:
    """A message has its time; the renewal that it began has not."""
    authorized(tmp_path, fake, clock)
    clock.ms += 22 * HOUR
    fake.rotated.clear()

    async def hurried(it: ZaloToken) -> None:
        waiting = asyncio.create_task(it.access())
        assert await asyncio.to_thread(fake.rotated.wait, 10)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    on(token(tmp_path, fake, clock), hurried)

    assert on(token(tmp_path, fake, clock), lambda it: it.access()) == "access-2"
    assert fake.asked == [FIRST_REFRESH, "refresh-1"]


def test_a_pair_that_the_disk_refuses_is_not_used_and_stored_later(
    tmp_path: Path, fake: Zalo, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    authorized(tmp_path, fake, clock)
    clock.ms += 22 * HOUR
    write, full = zalo_token.write_private, [False, True, True]

    def refusing(file: Path, text: str) -> None:
        if full and full.pop(0):
            raise OSError(28, "No space left on device")
        write(file, text)

    monkeypatch.setattr(zalo_token, "write_private", refusing)

    async def thrice(it: ZaloToken) -> list[str]:
        return [await it.access() for _ in range(3)]

    assert on(token(tmp_path, fake, clock), thrice) == ["access-1", "access-1", "access-2"]
    assert fake.rotations == 2  # it was asked for once


def test_a_full_disk_is_seen_before_anything_is_asked(
    tmp_path: Path, fake: Zalo, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    authorized(tmp_path, fake, clock)
    clock.ms += 22 * HOUR

    def full(_: Path, __: str) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(zalo_token, "write_private", full)

    assert on(token(tmp_path, fake, clock), lambda it: it.access()) == "access-1"
    assert fake.rotations == 1


def test_a_token_that_is_not_taken_is_renewed_once_for_all_who_say_so(tmp_path: Path, fake: Zalo, clock: Clock) -> None:
    authorized(tmp_path, fake, clock)
    made = token(tmp_path, fake, clock)

    async def all_say_so(it: ZaloToken) -> list[str]:
        return await asyncio.gather(*(it.renewed("access-1") for _ in range(10)))

    assert set(on(made, all_say_so)) == {"access-2"}
    assert on(token(tmp_path, fake, clock), lambda it: it.renewed("access-1")) == "access-2"  # another has done it
    assert fake.rotations == 2


def test_a_refusal_is_not_repeated_with_every_message(tmp_path: Path, fake: Zalo, clock: Clock) -> None:
    authorized(tmp_path, fake, clock)
    fake.refresh = "another"
    clock.ms += 26 * HOUR

    async def many(it: ZaloToken) -> None:
        for _ in range(50):
            with pytest.raises(ChannelError) as error:
                await it.access()
            assert error.value.everybody
            assert not error.value.maybe

    on(token(tmp_path, fake, clock), many)

    assert len(fake.asked) == 2


def test_a_person_who_brings_a_wrong_one_changes_nothing(tmp_path: Path, fake: Zalo, clock: Clock) -> None:
    authorized(tmp_path, fake, clock)

    with pytest.raises(ChannelError, match="-14014"):
        on(token(tmp_path, fake, clock), lambda it: it.authorize("refresh-wrong"))

    assert on(token(tmp_path, fake, clock), lambda it: it.access()) == "access-1"


@pytest.mark.parametrize("life", ["0", "-5", "nan", "9" * 20, ""])
def test_an_answer_that_makes_no_sense_is_no_pair(tmp_path: Path, fake: Zalo, clock: Clock, life: str) -> None:
    fake.expires_in = life

    with pytest.raises(ChannelError, match="without a pair"):
        authorized(tmp_path, fake, clock)

    assert measured(token_file(tmp_path, APP_ID), clock.ms)["canhbao_zalo_access_token_seconds"] == 0


def test_the_file_is_its_owners_alone_and_tells_nothing_without_the_secret(
    tmp_path: Path, fake: Zalo, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    authorized(tmp_path, fake, clock)
    file = token_file(tmp_path, APP_ID)

    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    written: dict[str, Any] = json.loads(file.read_bytes())
    assert measured(token_file(tmp_path, APP_ID), clock.ms)["canhbao_zalo_access_token_seconds"] == 25 * 3600
    for token_text in ("access-1", "refresh-1", FIRST_REFRESH, SECRET):
        assert token_text not in json.dumps(written)
        assert token_text not in caplog.text
    other = ZaloToken(tmp_path, APP_ID, Secret("another secret"), fake.url, clock)
    with pytest.raises(ChannelError, match="not of this app's secret"):
        on(other, lambda it: it.access())


def test_without_a_token_a_person_is_asked_for_one(tmp_path: Path, fake: Zalo, clock: Clock) -> None:
    with pytest.raises(ChannelError, match="canhbao zalo authorize") as error:
        on(token(tmp_path, fake, clock), lambda it: it.access())

    assert error.value.everybody
    assert fake.asked == []
