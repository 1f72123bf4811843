"""The processes of a storm, held by hand: each can be killed or stopped at any time, and is started again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from chaos.doomed import Doom, Life

ROOT: Final = Path(__file__).parents[2]
FAILED_MOST: Final = 20  # the port may still be held by what is being killed; more than so often it is something else
START_S: Final = 120.0  # the first start on a machine compiles the kernels


def environment() -> dict[str, str]:
    """For our own programs: they find the project and the tests, and use one thread for arithmetic."""
    return {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}", "OPENBLAS_NUM_THREADS": "1"}


class Worker:
    """A process that stands in for the world around the service."""

    def __init__(self, name: str, command: Sequence[str], log: Path) -> None:
        self.name, self._command, self._log = name, command, log
        self._back_at: float | None = None  # stopped until then
        self.start()

    def start(self) -> None:
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, *self._command], env=environment(), stdin=subprocess.PIPE, stdout=log, stderr=log
            )

    def tell(self, line: str) -> None:
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):  # it was killed just now
            self.process.stdin.write(f"{line}\n".encode())
            self.process.stdin.flush()

    def kill(self) -> None:
        """And start again at once."""
        self.end()
        self.start()

    def stop_for(self, seconds: float) -> None:
        self.process.send_signal(signal.SIGSTOP)
        self._back_at = time.monotonic() + seconds

    def look(self) -> None:
        """Goes on after a stop when its time is over."""
        assert self.process.poll() is None, f"{self.name} ended by itself: {self._log.read_text()[-2000:]}"
        if self._back_at is not None and time.monotonic() >= self._back_at:
            self.wake()

    def wake(self) -> None:
        self.process.send_signal(signal.SIGCONT)
        self._back_at = None

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        if self.process.stdin is not None:
            with suppress(BrokenPipeError):
                self.process.stdin.close()


@dataclass(slots=True)
class Lived:
    """One life of the service, as it went. `ended`: exit code, negative for a signal."""

    pid: int
    began: float
    dooms: tuple[Doom, ...]
    moments: list[dict[str, Any]] = field(default_factory=list)  # what befell it, in order
    ready: float | None = None
    renewed: bool = False  # it tells all states anew, as it cannot know what the broker kept
    ended: int | None = None

    @property
    def how(self) -> str:
        """What ended it: the moment that was planned and came, or something from outside."""
        kills = [one for one in self.moments if one["action"] in ("KILL", "TERM")]
        if self.ended == 0:
            return f"TERM {kills[-1]['moment']}" if kills else "TERM outside"
        if self.ended == -signal.SIGKILL:
            return f"KILL {kills[-1]['moment']}" if kills else "KILL outside"
        return "TERM while it starts" if self.ended == -signal.SIGTERM else f"exit {self.ended}"


class Service:
    """The zygote and the life that it leads now. `look` notices what has happened."""

    def __init__(self, folder: Path, environ: dict[str, str], mutation: str) -> None:
        self._folder, self._environ, self._mutation = folder, environ, mutation
        self._log = (folder / "lives.jsonl").open("a")
        self._marks_at = 0
        self.marks = folder / "marks.jsonl"
        self.life = Lived(0, 0.0, (), ended=0)
        self.lives: Counter[str] = Counter()
        self._failed = 0  # starts in a row that ended by themselves
        self.stopped_at: float | None = None
        self.on_mark: Callable[[dict[str, Any]], None] = lambda _mark: None
        with (folder / "service.log").open("ab") as log:
            self._zygote = subprocess.Popen(
                [sys.executable, "-m", "chaos.doomed"], env=environment(), cwd=folder,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
            )  # fmt: skip
        assert self._zygote.stdout is not None
        self._said = b""
        os.set_blocking(self._zygote.stdout.fileno(), False)
        deadline = time.monotonic() + START_S
        while {"ready": True} not in self._hear():
            assert time.monotonic() < deadline, self.log
            assert self._zygote.poll() is None, self.log
            time.sleep(0.02)

    @property
    def log(self) -> str:
        return (self._folder / "service.log").read_text(errors="replace")[-4000:]

    def begin(self, dooms: tuple[Doom, ...] = ()) -> None:
        """A new life; the one before has ended."""
        assert self._zygote.stdin is not None
        out, marks = str(self._folder / "service.log"), str(self.marks)
        life = Life(self._environ, out, marks, dooms, self._mutation)
        self._zygote.stdin.write(f"{life.to_json()}\n".encode())
        self._zygote.stdin.flush()
        self.life = Lived(0, time.monotonic(), dooms)

    def look(self) -> bool:
        """Whether it has ended by now."""
        said = self._hear()
        self._read_marks()
        for one in said:
            self.life.pid = one.get("pid", self.life.pid)
            if "stopped" in one:
                self.stopped_at = time.monotonic()
            if "ended" in one:
                self.life.ended = one["ended"]
                self._read_marks()
                self._note(self.life)
                return True
        assert self._zygote.poll() is None, self.log
        return False

    def signal(self, number: signal.Signals) -> None:
        if self.life.pid and self.life.ended is None:
            with suppress(ProcessLookupError):
                os.kill(self.life.pid, number)

    def go_on(self) -> None:
        """After a stop."""
        self.signal(signal.SIGCONT)
        self.stopped_at = None

    def close(self) -> None:
        assert self._zygote.stdin is not None
        assert self._zygote.stdout is not None
        self.signal(signal.SIGKILL)
        self._zygote.stdin.close()
        self._zygote.kill()
        self._zygote.wait()
        self._zygote.stdout.close()
        self._log.close()

    def _note(self, life: Lived) -> None:
        self.lives[life.how] += 1
        self._failed = self._failed + 1 if life.how.startswith("exit") else 0
        assert self._failed < FAILED_MOST, f"it does not start any more: {self.log}"
        seconds = round(time.monotonic() - life.began, 3)
        ready_s = None if life.ready is None else round(life.ready - life.began, 3)
        told = {"pid": life.pid, "how": life.how, "ready_s": ready_s, "lived_s": seconds}
        print(json.dumps(told), file=self._log, flush=True)

    def _read_marks(self) -> None:
        """What the children have written about themselves since the last look."""
        if not self.marks.exists():
            return
        with self.marks.open("rb") as file:
            file.seek(self._marks_at)
            new = file.read()
        self._marks_at += len(new)
        for line in new.splitlines():
            mark = json.loads(line)
            if mark["moment"] == "ready":
                self.life.ready = time.monotonic()
            self.life.renewed |= mark["moment"] == "renewed"
            if mark["action"]:
                self.life.moments.append(mark)
            self.on_mark(mark)

    def _hear(self) -> list[dict[str, Any]]:
        assert self._zygote.stdout is not None
        with suppress(BlockingIOError):
            self._said += self._zygote.stdout.read1() or b""
        *whole, self._said = self._said.split(b"\n")
        return [json.loads(line) for line in whole]


def children(pid: int, name: str) -> list[int]:
    """The processes called `name` that `pid` has started."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            head, _, rest = stat.read_text().rpartition(")")
            if head.endswith(f"({name}") and int(rest.split()[1]) == pid:
                found.append(int(stat.parent.name))
    return found
