"""The provider of the storms does what its plan says, refuses what a strict one does, and writes down what it has."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from post.faults import Fault, Plan
from post.pace import Pace
from post.provider import Provider, accepted
from post.sink import Sink, reach

from alerts.delivery.channels.channel import ChannelError
from alerts.delivery.parcel import Parcel

HURRY = Pace(0.0, 0, 6_000)  # a hang of 60 s is one of 10 ms
PHONE = "east:+84905123456"


@asynccontextmanager
async def served(file: Path, plan: Plan) -> AsyncIterator[tuple[Provider, Sink]]:
    provider = Provider(file, plan, HURRY)
    runner = web.AppRunner(provider.app(), handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    sink = Sink("bell", f"http://127.0.0.1:{runner.addresses[0][1]}", 5.0)
    try:
        yield provider, sink
    finally:
        await sink.close()
        await runner.cleanup()


def parcel(address: str = PHONE) -> Parcel:
    body = {"texts": {"vi": "Nguy hiểm"}, "reason": "first", "area": "A"}
    return Parcel(1, 1, "bell", "contact 1", "inc-1", 1, 1, 3, "vi", body, 0, 1, address=address)


def outcome(tmp_path: Path, plan: Plan, address: str = PHONE) -> tuple[str, int]:
    """What one try brings: the provider's number or the error; and how many acceptances."""
    file = tmp_path / "accepted.jsonl"

    async def story() -> str:
        async with served(file, plan) as (_, sink):
            try:
                return await sink.send(parcel(address))
            except ChannelError as error:
                flags = [name for name in ("permanent", "gone", "everybody", "maybe") if getattr(error, name)]
                return " ".join([str(error).partition(":")[0], *flags])

    return asyncio.run(story()), len(accepted(file))


@pytest.mark.parametrize(
    ("fault", "said", "count"),
    [
        (Fault.FINE, f"m-{parcel().key[:12]}", 1), (Fault.LATE, f"m-{parcel().key[:12]}", 1),
        (Fault.TWICE, f"m-{parcel().key[:12]}", 2), (Fault.CUT, "no answer maybe", 1), (Fault.FAIL, "500", 0),
        (Fault.HANG, "504", 0), (Fault.BUSY, "429", 0),
    ],
)  # fmt: skip
def test_each_fault_is_what_it_is_called(tmp_path: Path, fault: Fault, said: str, count: int) -> None:
    assert outcome(tmp_path, Plan(1, {fault.value: 1})) == (said, count)


@pytest.mark.parametrize(
    ("plan", "said"),
    [
        (Plan(1, {"fine": 1}, refused=[PHONE]), "400 permanent"),
        (Plan(1, {"fine": 1}, gone=[PHONE]), "410 permanent gone"),
        (Plan(1, {"fine": 1}, down={"east": [(0, 1 << 60)]}), "503 everybody"),
    ],
)
def test_who_is_refused_is_never_accepted(tmp_path: Path, plan: Plan, said: str) -> None:
    assert outcome(tmp_path, plan) == (said, 0)


def test_nothing_is_taken_without_a_key(tmp_path: Path) -> None:
    class Keyless(Parcel):
        key = ""

    async def story() -> dict[str, Any]:
        async with served(tmp_path / "accepted.jsonl", Plan(1)) as (provider, sink):
            whole = parcel()
            with pytest.raises(ChannelError, match="400"):
                await sink.send(Keyless(*(getattr(whole, name) for name in Parcel.__dataclass_fields__)))
            return dict(provider.refusals)

    assert asyncio.run(story()) == {"Idempotency-Key is missing": 1}
    assert accepted(tmp_path / "accepted.jsonl") == []


def test_the_same_key_meets_the_same_faults_and_at_last_none() -> None:
    plan = Plan(7)
    key = "0" * 32
    assert [Plan(7).fault(key, n) for n in range(1, 9)] == [plan.fault(key, n) for n in range(1, 9)]
    assert {plan.fault(key, n) for n in range(4, 9)} == {Fault.FINE}
    assert {plan.fault(f"{n:032x}", 1) for n in range(500)} == set(Fault)


def test_an_address_is_checked_and_names_its_provider() -> None:
    assert reach(PHONE).provider == "east"
    assert reach("+84905123456").provider == ""
    with pytest.raises(ValueError, match="a number such as"):
        reach("0905")
