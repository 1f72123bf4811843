"""The processes of a storm of the post, held by hand."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from chaos.processes import environment
from post.faults import Plan
from post.lives import Life
from post.pace import Pace

START_S: Final = 60.0


class ProviderProcess:
    """The provider, on a port of loopback, from now until `close`."""

    def __init__(self, folder: Path, port: int, plan: Plan, pace: Pace) -> None:
        plan_file = folder / "plan.json"
        plan_file.write_text(plan.to_json(), "utf-8")
        command = ["-m", "post.provider", str(folder / "accepted.jsonl"), str(port), str(plan_file), str(pace)]
        with (folder / "provider.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, *command], env=environment(), stdout=subprocess.PIPE, stderr=log
            )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == b"ready\n", (folder / "provider.log").read_text()

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()


class Post:
    """The zygote and the life that it leads now."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._pid = 0
        self.ended: list[int] = []  # of each life, negative for a signal
        with (folder / "post.log").open("ab") as log:
            self._zygote = subprocess.Popen(
                [sys.executable, "-m", "post.doomed"], env=environment(), cwd=folder,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
            )  # fmt: skip
        self._said = b""
        assert self._hear(START_S) == {"ready": True}, self.log

    @property
    def log(self) -> str:
        return (self._folder / "post.log").read_text(errors="replace")[-4000:]

    @property
    def alive(self) -> bool:
        return self._pid > 0

    def begin(self, life: Life) -> None:
        assert not self.alive
        assert self._zygote.stdin is not None
        self._zygote.stdin.write(f"{life.to_json()}\n".encode())
        self._zygote.stdin.flush()
        self._pid = self._hear(START_S)["pid"]

    def wait(self, seconds: float) -> bool:
        """Whether this life has ended within so long."""
        said = self._hear(seconds)
        if "ended" not in said:
            return False
        self.ended.append(said["ended"])
        assert said["ended"] in (0, -signal.SIGKILL), f"it ended by itself ({said['ended']}): {self.log}"
        self._pid = 0
        return True

    def strike(self, number: signal.Signals = signal.SIGKILL) -> None:
        """And wait until it is over."""
        with suppress(ProcessLookupError):
            os.kill(self._pid, number)
        assert self.wait(START_S), self.log

    def close(self) -> None:
        if self.alive:
            with suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGKILL)
        assert self._zygote.stdin is not None
        assert self._zygote.stdout is not None
        self._zygote.stdin.close()
        self._zygote.kill()
        self._zygote.wait()
        self._zygote.stdout.close()

    def _hear(self, seconds: float) -> dict[str, Any]:
        """What it says next; nothing within `seconds`: {}."""
        assert self._zygote.stdout is not None
        deadline = time.monotonic() + seconds
        while b"\n" not in self._said:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self._zygote.stdout], [], [], left)[0]:
                return {}
            new = os.read(self._zygote.stdout.fileno(), 4096)
            assert new, f"the zygote ended: {self.log}"
            self._said += new
        line, _, self._said = self._said.partition(b"\n")
        return dict(json.loads(line))
