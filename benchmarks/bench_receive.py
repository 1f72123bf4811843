"""From the broker to the journal: readings a second of processor, beside receivers that do nothing else.

The bundled broker keeps the same messages for three receivers with sessions at QoS 1: the collector's own parts
(source, inbox, spine, journal on disk, receipts, acknowledgements), a bare paho client that acknowledges by hand, and
libmosquitto (Debian's mosquitto_sub, without its start; left out where it is not installed). They empty their queues in
turn, each round in another order. Measured is the processor time of the receiving process, in all its threads.

Messages are single readings in JSON, 100 readings in JSON, and 100 in CBOR columns, numbered, of 50 gateways. What
readings mean (engine, incidents, views) comes after the journal; it is told apart and in no other figure. Steps are
told as what they add to bare paho; `hearing` is the rest: callback, inbox, a second thread.

One JSON line a figure, medians of the rounds; `floor` is the other receiver, in steps bare paho; ratio = value / floor.
"""

from __future__ import annotations

import argparse
import resource
import shutil
import subprocess
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, Final

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion
from steps import Steps
from surroundings import Client, tell

from alerts import spine as spine_module
from alerts.folds import Folds
from alerts.ledger.ledger import Ledger
from alerts.snapshots import Snapshots
from alerts.spine import Spine, Texts
from alerts.way import Clock, Stores
from ingest.broker.nats import NatsBroker
from ingest.formats import cbor, native
from ingest.inbox import Inbox, Message
from ingest.journal import Journal
from ingest.mqtt.source import COLLECTOR_TOPICS, MqttSource
from processing.warm import warm_up

GATEWAYS: Final = 50
SENSORS_A_GATEWAY: Final = 100
BOOT: Final = "00112233445566778899aabbccddeeff"
WAIT_S: Final = 60.0
FILLED: Final = (
    130  # readings of each sensor beforehand: from here to twice as many its place in the pools is wide enough
)
AFTER: Final = "after the journal"
STEPS: Final = ("decode and look up", "accept", "journal", "receipts", "acknowledge")


@dataclass(frozen=True, slots=True)
class Format:
    topic: str
    encode: Callable[..., bytes]
    readings: int  # a message
    messages: int  # a round


FORMATS: Final = {
    "single JSON": Format("readings", native.encode, 1, 5_000),
    "JSON of 100": Format("readings", native.encode, 100, 500),
    "CBOR columns of 100": Format("readings/cbor", cbor.encode_columns, 100, 500),
}
RULES_TOML: Final = """
[[rule]]
name = "depth"
hazard = "flood"
quantity = "street_depth"
statistic = "last"
levels = { advisory = 0.1, danger = 0.3 }
[hazard.flood]
confirm_by = "none"
"""


def _city_toml() -> str:
    text = '[city]\nname = "bench"\ntimezone = "Asia/Ho_Chi_Minh"\n[[area]]\ncode = "a"\nname = "a"\n'
    for gateway in range(GATEWAYS):
        text += f'[[gateway]]\nid = "gw-{gateway}"\n'
        for n in range(SENSORS_A_GATEWAY):
            text += (f'[[sensor]]\nid = "street-{gateway}-{n}"\nquantity = "street_depth"\narea = "a"\n'
                     f'gateway = "gw-{gateway}"\nperiod = "60s"\n')  # fmt: skip
    return text


class Collector:
    """The service's parts from the broker to the journal, in this process."""

    def __init__(self, folder: Path, broker: NatsBroker, closing: ExitStack) -> None:
        texts = Texts(_city_toml(), RULES_TOML)
        self.steps = Steps()
        self.source = MqttSource(
            broker.url, broker.collector.username, broker.collector.password, "bench-ours", COLLECTOR_TOPICS, Inbox()
        )
        journal, ledger = Journal.open(folder / "journal"), Ledger.open(folder / "ledger.sqlite")
        closing.callback(journal.close)
        closing.callback(ledger.close)
        clock = Clock("wall", lambda: time.time_ns() // 1_000_000, time.monotonic, lambda _: False)
        self.spine = Spine(
            self.source.inbox.drain, self.source, Stores(journal, ledger, Snapshots(folder / "snapshots")), texts,
            clock, lambda _: None,
        )  # fmt: skip
        for where, name, step in (
            (spine_module, "offer", STEPS[0]), (spine_module, "take", STEPS[1]), (journal, "append", STEPS[2]),
            (self.spine, "_answer", STEPS[3]), (self.source, "acknowledge", STEPS[4]),
            (Folds, "judge", AFTER), (self.spine, "_decide", AFTER), (self.spine, "_show", AFTER),
        ):  # fmt: skip
            setattr(where, name, self.steps.timed(step, getattr(where, name)))
        self.spine.begin()

    def fill(self, messages: Iterable[tuple[str, bytes]]) -> None:
        """Take these without a broker."""
        for n, (topic, payload) in enumerate(messages, 1):
            self.source.inbox.put(Message(topic, payload, retained=False, qos=0, mid=0, epoch=0))
            if n % GATEWAYS == 0:
                self.spine.turn(0.0)

    def receive(self, messages: int) -> float:
        """Seconds of processor until so many messages are on disk and acknowledged; those of its steps beside."""
        acked = self.source.counters["acked"]
        self.steps.cpu_s.clear()
        began, deadline = time.process_time(), time.monotonic() + WAIT_S
        self.source.start()
        while self.source.counters["acked"] < acked + messages:
            self.spine.turn(0.1)
            _still_before(deadline)
        self.source.stop()
        return time.process_time() - began


def bare_paho(broker: NatsBroker, messages: int) -> float:
    """Seconds of processor of a paho client, manual acknowledgements, that hears so many messages."""
    count, done = [0], threading.Event()

    def on_message(client: paho.Client, _: Any, message: paho.MQTTMessage) -> None:
        client.ack(message.mid, message.qos)
        count[0] += 1
        if count[0] >= messages:
            done.set()

    client = paho.Client(CallbackAPIVersion.VERSION2, "bench-paho", clean_session=False, manual_ack=True)
    client.username_pw_set(broker.collector.username, broker.collector.password)
    client.on_message = on_message
    client.on_connect = lambda c, *_: c.subscribe([(topic, 1) for topic in COLLECTOR_TOPICS])
    began = time.process_time()
    client.connect(*broker.address)
    client.loop_start()
    if messages and not done.wait(WAIT_S):
        raise RuntimeError(f"paho heard {count[0]} of {messages}")
    if not messages:
        time.sleep(0.5)  # until the broker knows the session
    client.disconnect()
    client.loop_stop()
    return time.process_time() - began


def libmosquitto(broker: NatsBroker, messages: int) -> float:
    """Seconds of processor of mosquitto_sub, that hears so many messages; with its start."""
    program = shutil.which("mosquitto_sub") or ""
    host, port = broker.address
    command = [program, "-h", host, "-p", str(port), "-q", "1", "-c", "-i", "bench-c", "-u", broker.collector.username,
               "-P", broker.collector.password]  # fmt: skip
    command += [part for topic in COLLECTOR_TOPICS for part in ("-t", topic)]
    command += ["-C", str(messages)] if messages else ["-E"]  # none: ends once it has subscribed
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True, timeout=WAIT_S)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


class Offers:
    """What the gateways publish: each reading has a time of its own."""

    def __init__(self) -> None:
        self._first_t = time.time_ns() // 1_000_000 - 10 * 60_000
        self._seqs: Counter[int] = Counter()
        self._readings: Counter[int] = Counter()

    def publish(self, broker: NatsBroker, kind: Format) -> None:
        """The messages of a round; the broker has them when this returns."""
        client = Client(broker.url, "canhbao/v1/none/receipt", "bench-gateways")
        for topic, payload in self.messages(kind, kind.messages):
            client.mqtt.publish(topic, payload, 1)
        deadline = time.monotonic() + WAIT_S
        while client.mqtt._out_messages:  # noqa: SLF001  # paho tells each message's end alone
            _still_before(deadline)
            time.sleep(0.01)
        client.close()

    def messages(self, kind: Format, count: int) -> Iterator[tuple[str, bytes]]:
        """Topics and payloads, of one gateway after the other."""
        for n in range(count):
            gateway = n % GATEWAYS
            yield f"canhbao/v1/gw-{gateway}/{kind.topic}", self._message(gateway, kind)

    def _message(self, gateway: int, kind: Format) -> bytes:
        before = self._readings[gateway]
        numbers = range(before, before + kind.readings)
        self._readings[gateway] += kind.readings
        self._seqs[gateway] = seq = self._seqs[gateway] + 1
        sensors = [f"street-{gateway}-{n % SENSORS_A_GATEWAY}" for n in numbers]
        times = [self._first_t + n // SENSORS_A_GATEWAY * 1_000 for n in numbers]
        return kind.encode(sensors, times, [0.03] * len(sensors), boot=BOOT, seq=seq, first=max(1, seq - 9))


def _still_before(deadline: float) -> None:
    if time.monotonic() > deadline:
        raise RuntimeError("messages are missing")


def _measure(folder: Path, rounds: int, closing: ExitStack) -> None:
    warm_up()
    broker = NatsBroker.start(folder)
    closing.callback(broker.stop)
    ours, offers = Collector(folder, broker, closing), Offers()
    receivers: dict[str, Callable[[int], float]] = {"ours": ours.receive, "paho": partial(bare_paho, broker)}
    if shutil.which("mosquitto_sub"):
        receivers["libmosquitto"] = partial(libmosquitto, broker)
    ours.fill(offers.messages(FORMATS["CBOR columns of 100"], FILLED * GATEWAYS))
    begun_s = {name: [receive(0) for _ in range(3)][-1] for name, receive in receivers.items()}
    for title, kind in FORMATS.items():
        found: dict[str, list[float]] = defaultdict(list)
        for n in range(rounds + 1):
            offers.publish(broker, kind)
            names = list(receivers)[n % len(receivers) :] + list(receivers)[: n % len(receivers)]
            used_s = {name: receivers[name](kind.messages) - begun_s[name] for name in names}
            steps = {step: took_s for step, took_s in ours.steps.cpu_s.items() if step != AFTER}
            used_s["ours"] -= ours.steps.cpu_s[AFTER]
            steps["hearing"] = used_s["ours"] - used_s["paho"] - sum(steps.values())
            if n:  # the first one warms caches
                for name, took_s in {**used_s, **steps, AFTER: ours.steps.cpu_s[AFTER]}.items():
                    found[name].append(took_s / kind.messages)
        _report(title, kind, {name: median(values) for name, values in found.items()}, kind.messages * rounds)


def _report(title: str, kind: Format, used_s: dict[str, float], n: int) -> None:
    for floor in ("paho", "libmosquitto"):
        if floor in used_s:
            rates = [kind.readings / used_s[name] for name in ("ours", floor)]
            tell("receive", f"{title}: broker to journal, beside {floor}", rates[0], "readings/CPU-s", rates[1], n)
    for step in ("hearing", *STEPS, AFTER):
        if step in used_s:
            tell("receive", f"{title}: above paho, {step}", used_s[step] * 1e6, "us/message", used_s["paho"] * 1e6, n)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="turns of the receivers (default: 5)")
    parser.add_argument("--folder", type=Path, default=Path("/var/tmp"), help="on which disk (default: /var/tmp)")  # noqa: S108  # a folder of our own is made in it
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-receive-", dir=arguments.folder) as folder, ExitStack() as closing:
        _measure(Path(folder), arguments.rounds, closing)


if __name__ == "__main__":
    main()
