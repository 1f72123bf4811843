"""The service as a process that can die at named moments, any number of times.

A zygote imports everything and compiles the kernels once. Each line on its standard input is a life: it forks a child
that runs the real `canhbao run` with the real settings, and says on its standard output how that ended. A fork costs
hundredths of a second where a fresh start costs seconds, so that a thousand kills are affordable.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from functools import wraps
from types import ModuleType
from typing import Any, Final

from chaos.mortal import die_with_parent
from chaos.mutations import mutated, patched
from chaos.sink import Sink

from alerts import __main__ as canhbao
from alerts.app import Service
from alerts.delivery import channels
from alerts.delivery.channels.channel import Kind
from alerts.delivery.channels.console import Console
from alerts.delivery.channels.mqtt import Mqtt
from alerts.delivery.fan_out import FanOut
from alerts.ledger import ledger
from alerts.ledger.ledger import Ledger
from alerts.snapshots import Snapshots
from alerts.way import Way
from alerts.web.bench import Bench
from ingest.entries import Batch
from ingest.inbox import Inbox
from ingest.journal import Journal
from ingest.mqtt.source import MqttSource
from processing.acceptance import Acceptance
from processing.warm import warm_up

PAUSE_S: Final = 0.03  # after the wrong step of a mutation: long enough for a packet, and for a kill
# Waits that are made for days of running, shortened so that minutes of storm see as many of their ends.
HURRY: Final = (
    ("alerts.way", "SNAPSHOT_ENTRIES", 8),
    ("alerts.delivery.pace", "LAST_RETRY_MS", 500),
    ("ingest.mqtt.connection", "_RECONNECT_S", (0.1, 0.5)),
    ("ingest.broker.nats", "_BACKOFF_S", (0.1,)),
)
# The same of what decides: whoever goes through a storm's journal again needs them too (`hurried`).
HURRY_DECIDING: Final = (("alerts.incidents.members", "SOLE_MS", 300),)
LOADED_LATE: Final = ("uvicorn.lifespan.on", "uvicorn.loops.auto", "uvicorn.protocols.http.auto", "encodings.idna")


@dataclass(frozen=True, slots=True)
class Doom:
    """What befalls a life when it reaches `moment` for the `nth` time (from 1).

    `action`: KILL, TERM, STOP (the signals), SLEEP (the thread that is there hangs for `seconds`, as on a disk),
    CUT (the collector's connection breaks).
    """

    moment: str
    nth: int
    action: str = "KILL"
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Life:
    """One run of the service. `environ`: its settings. `out`, `marks`: files that it appends to."""

    environ: dict[str, str]
    out: str
    marks: str
    dooms: tuple[Doom, ...] = ()
    mutation: str = ""

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, line: str) -> Life:
        told = json.loads(line)
        return cls(**told | {"dooms": tuple(Doom(**doom) for doom in told["dooms"])})


class Moments:
    """Counts the moments that are reached, in any thread, and brings about what is planned for them."""

    def __init__(self, dooms: tuple[Doom, ...], marks: str) -> None:
        self._dooms = {(doom.moment, doom.nth): doom for doom in dooms}
        self._reached: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._marks = os.open(marks, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        self.source: MqttSource | None = None

    def reach(self, moment: str) -> None:
        with self._lock:
            self._reached[moment] += 1
            doom = self._dooms.get((moment, self._reached[moment]))
        if doom is not None:
            self.mark(moment, doom.action)
            self._befall(doom)

    def pause(self) -> None:
        """After the wrong step of a mutation, which is a moment like any other."""
        time.sleep(PAUSE_S)
        self.reach("wrong_step")

    def mark(self, moment: str, action: str = "") -> None:
        """One write, so that a kill leaves the line whole or not at all."""
        line = {"pid": os.getpid(), "moment": moment, "action": action, "at": time.time()}
        os.write(self._marks, (json.dumps(line) + "\n").encode())

    def _befall(self, doom: Doom) -> None:
        match doom.action:
            case "SLEEP":
                time.sleep(doom.seconds)
            case "CUT":
                assert self.source is not None
                self.source._client.cut()
            case _:
                os.kill(os.getpid(), getattr(signal, f"SIG{doom.action}"))


@dataclass(slots=True)
class _Hooks:
    """Where the moments lie in the real code. The innermost layer: a mutation wraps around it."""

    moments: Moments
    undo: ExitStack = field(default_factory=ExitStack)

    def around(
        self,
        owner: type | ModuleType,
        name: str,
        before: str = "",
        after: str = "",
        when: Callable[..., bool] = lambda *_: True,
    ) -> None:
        """`when` is given the arguments of the call: whether it is such a moment."""
        old, reach = getattr(owner, name), self.moments.reach

        @wraps(old)
        def hooked(this: Any, *args: Any, **named: Any) -> Any:
            counts = when(*args)
            if before and counts:
                reach(before)
            result = old(this, *args, **named)
            if after and counts:
                reach(after)
            return result

        @wraps(old)
        async def awaited(this: Any, *args: Any, **named: Any) -> Any:
            reach(before)
            result = await old(this, *args, **named)
            reach(after)
            return result

        new = awaited if asyncio.iscoroutinefunction(old) else hooked
        self.undo.enter_context(patched(owner, name, new))

    def put(self) -> None:
        self.around(Inbox, "put", after="received")
        self.around(Acceptance, "accept", after="graded")
        self.around(Journal, "append", "before_commit", "after_commit", lambda entry: isinstance(entry, Batch))
        self.around(Way, "answer", "before_receipt", "after_receipt", lambda owed: bool(owed.receipts))
        self.around(Ledger, "record", "before_ledger", "after_ledger")
        self.around(Snapshots, "write", after="snapshot_unnamed")
        for channel in (Console, Mqtt, Sink):
            self.around(channel, "send", "before_send", "after_send")
        self.around(Way, "act", "before_act", "after_act")
        self.around(ledger, "write_verb", after="in_act")  # the last statement of the transaction
        self.around(Bench, "do", after="before_answer")
        self.around(MqttSource, "start", before="started")  # a moment as well: everything is recovered, nobody is heard


MOMENTS: Final = (
    "received", "graded", "before_commit", "after_commit", "before_receipt", "after_receipt", "before_ledger",
    "after_ledger", "snapshot_unnamed", "before_send", "after_send", "started",
)  # fmt: skip


ACT_MOMENTS: Final = ("before_act", "in_act", "after_act", "before_answer")  # of what people do


@contextmanager
def hurried(what: Iterable[tuple[str, str, Any]] = HURRY_DECIDING) -> Iterator[None]:
    """The waits of HURRY or HURRY_DECIDING shortened, until the block ends."""
    with ExitStack() as undo:
        for module, name, value in what:
            owner = importlib.import_module(module)
            assert hasattr(owner, name), f"{module}.{name} has another name now"
            undo.enter_context(patched(owner, name, value))
        yield


@contextmanager
def doomed(life: Life) -> Iterator[None]:
    """The real classes with the moments of `life` and its mutation, until the block ends."""
    moments = Moments(life.dooms, life.marks)
    hooks = _Hooks(moments)
    start, connect, subscribed = Service.start, MqttSource.start, MqttSource._on_subscribe
    renew = FanOut.renew

    def started(self: Service) -> None:
        start(self)
        moments.mark("ready")

    def known(self: MqttSource) -> None:
        moments.source = self
        connect(self)

    def granted(self: MqttSource, *answer: Any) -> None:
        moments.mark("subscribed")
        subscribed(self, *answer)

    def renewed(self: FanOut, now: int) -> None:
        renew(self, now)
        moments.mark("renewed")

    with hooks.undo as undo:
        undo.enter_context(patched(FanOut, "renew", renewed))
        undo.enter_context(patched(MqttSource, "_on_subscribe", granted))
        undo.enter_context(patched(Service, "start", started))
        undo.enter_context(patched(MqttSource, "start", known))
        hooks.put()
        if life.mutation:
            undo.enter_context(mutated(life.mutation, moments.pause))
        yield


def live(life: Life) -> int:
    """Run the service in this process; its exit code."""
    out = os.open(life.out, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.dup2(out, 1)
    os.dup2(out, 2)
    os.environ.update(life.environ)
    with doomed(life):
        return canhbao.main(["run", "--log-level", "WARNING"])


def zygote() -> None:
    """Until its standard input ends: a life a line."""
    die_with_parent()
    for name in ("alerts.commands.demo", "alerts.commands.run", *LOADED_LATE):
        importlib.import_module(name)
    with hurried((*HURRY, *HURRY_DECIDING)):
        _lead_lives()


def _lead_lives() -> None:
    assert isinstance(channels.KINDS, dict)
    channels.KINDS[Sink.name] = Kind(Sink.name, "desk", lambda _section, _means: Sink(os.environ["CHAOS_SINK"]))
    warm_up()
    _say(ready=True)
    for line in sys.stdin:
        life = Life.from_json(line)
        pid = os.fork()
        if not pid:
            _end(life)
        _say(pid=pid)
        while True:
            _, status = os.waitpid(pid, os.WUNTRACED)
            if not os.WIFSTOPPED(status):
                break
            _say(stopped=pid)
        _say(ended=os.waitstatus_to_exitcode(status), was=pid)


def _end(life: Life) -> None:
    """The child: lives, and ends without the zygote's own end."""
    code = 70
    try:
        die_with_parent()
        os.close(0)
        code = live(life)
        sys.stdout.flush()
    except BaseException:
        sys.excepthook(*sys.exc_info())
        raise
    finally:
        sys.stderr.flush()
        os._exit(code)


def _say(**what: Any) -> None:
    os.write(1, (json.dumps(what) + "\n").encode())


if __name__ == "__main__":
    zygote()
