"""From a publish to the warning on the stream of events, through the real service, at 1,000 messages a second.

`python -m alerts run` with its own broker, the wall's clock and a city of 2,000 sensors in 100 areas. One MQTT client
publishes for all gateways, one numbered reading a message; one sensor an area changes its level with every reading, so
that some 40 warnings a second begin or grow worse, and those are timed. The floor is the same client, rate, payload and
broker, and one plain subscriber instead of the service. Service and floor take turns.

One JSON line a figure; `ratio` = value / floor; null where nothing comparable can be done without the service.
"""

from __future__ import annotations

import argparse
import tempfile
import threading
import time
from functools import partial
from pathlib import Path
from statistics import median, quantiles

from surroundings import Client, Times, all_there, cpu_s, listen, now_ns, service, tell, warnings_in

from ingest.formats.native import encode

AREAS = 100
SENSORS_A_GATEWAY = 20  # the first of each changes its level with every reading
SENSORS = AREAS * SENSORS_A_GATEWAY
DEPTHS_M = (0.12, 0.22, 0.32, 0.52, 0.0)  # one after the other: four rises, then the end
RULES_TOML = """
[[rule]]
name = "depth"
hazard = "flood"
quantity = "street_depth"
statistic = "last"
levels = { advisory = 0.1, warning = 0.2, danger = 0.3, emergency = 0.5 }
[hazard.flood]
confirm_by = "none"
quiet = "500ms"
"""
_tell = partial(tell, "latency")
BOOT = "00112233445566778899aabbccddeeff"


def _city_toml() -> str:
    text = '[city]\nname = "bench"\ntimezone = "Asia/Ho_Chi_Minh"\n'
    for n in range(AREAS):
        text += f'[[area]]\ncode = "a{n}"\nname = "a{n}"\n[[gateway]]\nid = "gw-{n}"\n'
    for n in range(SENSORS):
        area = n // SENSORS_A_GATEWAY
        text += (f'[[sensor]]\nid = "s{n}"\nquantity = "street_depth"\narea = "a{area}"\ngateway = "gw-{area}"\n'
                 f'period = "2s"\nquality.off = "all"\n')  # fmt: skip  # such rises in 2 s are no water
    return text


class Gateways(Client):
    """The publishing client: what each sensor says next, and the receipts that come."""

    def __init__(self, url: str, topic: str, password: str = "") -> None:
        super().__init__(url, "canhbao/v1/+/receipt", f"bench-{topic.rpartition('/')[2]}", password)
        self._topic, self._count, self._seq = topic, 0, [0] * AREAS
        self.published: Times = {}  # (gateway, seq)
        self.rises: Times = {}  # (area, t ms) of what begins a warning or makes it worse

    def publish(self, rate: int, seconds: float) -> None:
        began = now_ns()
        for n in range(int(rate * seconds)):
            time.sleep(max(0, began + n * 1_000_000_000 // rate - now_ns()) / 1e9)
            visit, sensor = divmod(self._count, SENSORS)
            gateway, place = divmod(sensor, SENSORS_A_GATEWAY)
            depth = 0.0 if place else DEPTHS_M[visit % len(DEPTHS_M)]
            self._count += 1
            self._seq[gateway] += 1
            t, seq = time.time_ns() // 1_000_000, self._seq[gateway]
            payload = encode([f"s{sensor}"], [t], [depth], boot=BOOT, seq=seq, first=max(1, seq - 9))
            self.published[f"gw-{gateway}", seq] = now = now_ns()
            if depth:
                self.rises[f"a{gateway}", t] = now
            self.mqtt.publish(self._topic.format(f"gw-{gateway}"), payload, 1)


def _measure(folder: Path, rounds: int, rate: int, seconds: float) -> None:
    used_s, spans_s = 0.0, []
    with service(folder, _city_toml(), RULES_TOML) as (pid, page, url):
        password = (folder / "data" / "broker" / "collector.password").read_text("utf-8").strip()
        # The floor goes the other way, from the collector to gateways: what gateways send, the service would read.
        subscriber = Client(url, "canhbao/v1/+/command", "bench-subscriber")
        ours, floor = Gateways(url, "canhbao/v1/{}/readings"), Gateways(url, "canhbao/v1/{}/command", password)
        events: list[tuple[int, bytes]] = []
        threading.Thread(target=listen, args=(page, events), daemon=True).start()
        time.sleep(1.0)
        for _ in range(rounds):
            began, cpu_before_s = now_ns(), cpu_s(pid)
            ours.publish(rate, seconds)
            receipts = all_there(ours.published, lambda: ours.times(through=True))
            warnings = all_there(ours.rises, lambda: warnings_in(events))
            spans_s.append((max(ours.times(through=True).values()) - began) / 1e9)
            used_s += cpu_s(pid) - cpu_before_s
            floor.publish(rate, seconds)
            bare = all_there(floor.published, lambda: subscriber.times(through=False))
    n = len(ours.published)
    for name, found in (("warning on the stream", warnings), ("receipt", receipts)):
        _tell(f"publish to {name}, median", median(found), "ms", median(bare), len(found))
        _tell(f"publish to {name}, p99", quantiles(found, n=100)[98], "ms", quantiles(bare, n=100)[98], len(found))
    _tell("receipted, first publish to last receipt", int(rate * seconds) / median(spans_s), "readings/s", rate, n)
    _tell("processor time of the service", used_s * 1000 / n, "s/1000 messages", None, n)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="turns of service and floor (default: 5)")
    parser.add_argument("--rate", type=int, default=1_000, help="messages a second (default: 1000)")
    parser.add_argument("--seconds", type=float, default=4.0, help="of a turn (default: 4)")
    parser.add_argument("--folder", type=Path, default=Path("/var/tmp"), help="on which disk (default: /var/tmp)")  # noqa: S108  # a folder of our own is made in it
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-latency-", dir=arguments.folder) as folder:
        _measure(Path(folder), arguments.rounds, arguments.rate, arguments.seconds)


if __name__ == "__main__":
    main()
