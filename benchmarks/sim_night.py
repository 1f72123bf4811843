"""The storm of 14 October 2022 told to a city, with each provider at its own pace: what arrives when, on a clock that
is played.

The notices are those that the whole pipeline makes of the simulated storm, with an operator on duty. The post's own
code follows, expands, judges, claims, settles and paces them in real files; only providers and the clock are played. A
provider takes what comes at once, so that the quotas alone decide. With --scale 10 a tenth of the people and a tenth of
every quota: the same times with a tenth of the work. One JSON line a channel and lane.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from random import Random
from statistics import quantiles
from tempfile import TemporaryDirectory
from typing import Final

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from post.doomed import Contents
from post.rows import rows
from post.script import Writer
from post.town import KEY, NIGHT, Contact, Person, Residents
from timeline import october_2022
from timeline.duty import Duty
from timeline.storm import play_storm

from alerts.delivery.channels.channel import Quota
from alerts.delivery.parcel import Lane, Parcel
from alerts.incidents.incident import Notice
from alerts.post.compose import Composer
from alerts.post.post import Post, PostParts
from alerts.post.store import open_post
from alerts.residents.seal import Seal
from ingest.city import City, parse_city

# Messages a second, the day's number, and the part of residents who chose it. All of it is assumed, and none confirmed
# by a contract: 50/s for a brand name in SMS, 200/s for a mail server of one's own, push services that are faster than
# we are; about 20 calls a second are said of Zalo (4,000 a minute for an app, by its documents), and a new ZNS account
# begins with a small number a day.
QUOTAS: Final = {
    "webpush": (1_000.0, None, 0.30),
    "zalo": (20.0, None, 0.40),
    "sms": (50.0, None, 0.20),
    "mail": (200.0, None, 0.08),
    "zns": (20.0, 500, 0.02),
}
STEP_MS: Final = 1_000
AFTER_MS: Final = 14 * 3_600_000  # by then what quiet hours held back is out


@dataclass(slots=True)
class Played:
    """A provider that takes everything and notes when."""

    name: str
    quota: Quota
    clock: Clock
    at_once: int
    timeout_s: float = 10.0
    took: dict[tuple[int, int], int] = field(default_factory=dict)  # seq, contact -> when

    async def send(self, parcel: Parcel) -> str:
        self.took[parcel.seq, int(parcel.recipient.removeprefix("contact "))] = self.clock.now
        return ""

    async def close(self) -> None:
        pass


@dataclass(slots=True)
class Clock:
    now: int


def people(number: int, areas: tuple[str, ...]) -> list[Person]:
    random, found = Random(2022), []
    for n in range(1, number + 1):
        channel = random.choices(list(QUOTAS), [part for _, _, part in QUOTAS.values()])[0]
        wants = {(random.choice(areas), hazard): floor for hazard, floor in (("flood", 2), ("rain", 3), ("power", 2))}
        found.append(Person(n, "vi", NIGHT, 10, wants, (Contact(n, channel, f"+8490{n:07}"),)))
    return found


async def play(post: Post, clock: Clock, writer: Writer, notices: list[Notice]) -> None:
    """Second by second; where nothing waits, on to the next notice."""
    at = [(arrival, list(group)) for arrival, group in groupby(notices, key=lambda notice: notice.arrival)]
    end = notices[-1].arrival + AFTER_MS
    while clock.now < end:
        while at and at[0][0] <= clock.now:
            writer.write(at.pop(0)[1], clock.now)
        done = await post.turn()
        clock.now += STEP_MS if done else 10 * STEP_MS


def report(data: Path, played: list[Played], notices: dict[int, Notice], lanes: dict[int, int]) -> None:
    waits: dict[tuple[str, int], list[float]] = defaultdict(list)
    for channel in played:
        for (seq, _), at in channel.took.items():
            waits[channel.name, lanes[seq]].append((at - notices[seq].arrival) / 1000)
    found = rows(data)
    for (name, lane), seconds in sorted(waits.items()):
        cuts = quantiles(seconds, n=100) if len(seconds) > 1 else [seconds[0]] * 99
        line = {"bench": f"night: {name}, {Lane(lane).name.lower()}", "messages": len(seconds),
                "p50_s": round(cuts[49]), "p95_s": round(cuts[94]), "last_s": round(max(seconds))}  # fmt: skip
        print(json.dumps(line), flush=True)
    became = Counter(row.status for row in found)
    why = Counter(row.error for row in found if row.status == "dead")
    line = {"bench": "night: what became of all", "messages": len(found), **became, "dead_because": dict(why)}
    print(json.dumps(line), flush=True)


def told(seed: int) -> tuple[list[Notice], City, tuple[str, ...]]:
    town = october_2022.town(seed)
    pipeline = play_storm(
        town.city_toml, town.sent, (october_2022.BEGIN, october_2022.END), town.areas, Duty(town.deepest)
    )
    return pipeline.notices, parse_city(town.city_toml), town.areas


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=150_000, help="(default 150000)")
    parser.add_argument("--scale", type=float, default=1.0, help="by which people and quotas are divided (default 1)")
    parser.add_argument("--seed", type=int, default=1, help="of the storm (default 1)")
    arguments = parser.parse_args()
    notices, city, areas = told(arguments.seed)
    began = time.monotonic()
    with TemporaryDirectory() as folder:
        data, clock = Path(folder) / "data", Clock(notices[0].arrival)
        residents, writer, store = Residents(data), Writer(data), open_post(data)
        residents.add(people(int(arguments.people / arguments.scale), areas), 0)
        played = [
            Played(name, Quota(per_s / arguments.scale, max(1.0, per_s / arguments.scale),
                               per_day=None if day is None else int(day / arguments.scale)),
                   clock, max(16, int(per_s / arguments.scale)))
            for name, (per_s, day, _) in QUOTAS.items()
        ]  # fmt: skip
        composer = Composer(Contents(writer.ledger), Seal(bytes.fromhex(KEY)), lambda: city, public_url="")
        channels = {channel.name: channel for channel in played}
        post = Post(PostParts(store, writer.ledger, composer, city, channels, lambda: clock.now, Random(1)))
        asyncio.run(play(post, clock, writer, notices))
        with store.reading() as db:
            lanes = dict(tuple(row) for row in db.exec_driver_sql("SELECT seq, lane FROM telling"))
        numbers = {writer.seqs[one.incident, one.version]: one for one in writer.written}
        print(json.dumps({"bench": "night: what was told", "notices": len(notices),
                          "to_residents": sum(one.told and not one.drill for one in notices),
                          "people": int(arguments.people / arguments.scale), "scale": arguments.scale,
                          "played_h": round((clock.now - notices[0].arrival) / 3_600_000, 1),
                          "took_s": round(time.monotonic() - began)}), flush=True)  # fmt: skip
        report(data, played, numbers, lanes)
        for part in (residents, writer, store):
            part.close()


if __name__ == "__main__":
    main()
