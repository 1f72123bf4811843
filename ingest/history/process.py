"""The process of the history, seen by the service: started, told how far it may follow, started again when it ends."""

from __future__ import annotations

import logging
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import IO, Final

from ingest.history import wire
from ingest.history.client import LINES, Client
from ingest.keeper import Keeper

log = logging.getLogger(__name__)

_TELL_S: Final = 0.25  # how often it is told how far it may follow
_STOP_S: Final = 5.0  # to put its file in order; what is not gone then is killed, which loses nothing
_PROJECT: Final = Path(__file__).parents[2]


class HistoryProcess:
    """Running from `start` to `stop`; `client` asks it. Whatever becomes of it, its callers go on.

    `until`: the last position of the journal that is decided. `arguments` and `environ`: of `python -m ingest.history`.
    `progress`: the last that it said.
    """

    def __init__(self, arguments: Sequence[str], environ: Mapping[str, str], until: Callable[[], int]) -> None:
        self.client = Client(self._kill)
        self.progress = wire.Progress()
        self._arguments, self._environ, self._until = arguments, environ, until
        self._readings = self._retries = self._gaps = self._refused = 0  # of the processes before this one
        self._last_line = "it said nothing"
        self._process: subprocess.Popen[str] | None = None
        self._keeper = Keeper("history", self._live)

    def start(self) -> None:
        self._keeper.start()

    def stop(self) -> None:
        """End it cleanly, by force after some seconds."""
        self._keeper.stopping.set()
        if not self._keeper.join(2 * _STOP_S):  # one that hangs may have let its socket fill up, and our keeper wait
            self._kill()
            self._keeper.join(_STOP_S)

    @property
    def fault(self) -> str:
        """Why it does not follow, "" while it does."""
        return self._keeper.fault or self.progress.fault

    @property
    def restarts(self) -> int:
        """Unexpected ends of the process since the start."""
        return self._keeper.restarts

    @property
    def counters(self) -> Mapping[str, float]:
        """Metric name -> since the start of the service."""
        now = self.progress
        return {
            "canhbao_history_position": now.position,
            "canhbao_history_readings_total": self._readings + now.readings,
            "canhbao_history_retries_total": self._retries + now.retries,
            "canhbao_history_gaps_total": self._gaps + now.gaps,
            "canhbao_history_refused_total": self._refused + now.refused,
            "canhbao_history_restarts_total": self.restarts,
        }

    def _live(self) -> str:
        with self._running() as (process, control):
            self._listen(process, control)
        return self._last_line

    @contextmanager
    def _running(self) -> Iterator[tuple[subprocess.Popen[str], Connection]]:
        """A process, connected. Raises OSError where it cannot be started."""
        ours, theirs = zip(*(socket.socketpair() for _ in range(LINES + 1)), strict=True)
        control, *lines = [Connection(end.detach()) for end in ours]
        try:
            process = self._spawn([end.fileno() for end in theirs])
        finally:
            for end in theirs:
                end.close()
        try:
            self.client.connect(lines)
            yield process, control
        finally:
            self.client.disconnect()
            control.close()
            _end(process)

    def _spawn(self, fds: Sequence[int]) -> subprocess.Popen[str]:
        paths = [str(_PROJECT), *filter(None, [self._environ.get("PYTHONPATH")])]  # as we run, installed or not
        environ = {**self._environ, "PYTHONPATH": os.pathsep.join(paths)}
        process = subprocess.Popen(  # noqa: S603  # our own program
            [sys.executable, "-m", "ingest.history", *self._arguments, "--lines", *map(str, fds)],
            env=environ, pass_fds=fds, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            text=True, errors="replace", process_group=0,  # Ctrl-C on the terminal is ours to answer
        )  # fmt: skip
        assert process.stderr is not None
        threading.Thread(target=self._log, args=(process.stderr,), name="history-log", daemon=True).start()
        self._process = process
        return process

    def _listen(self, process: subprocess.Popen[str], control: Connection) -> None:
        """Until the process ends, or we are to stop."""
        told = -1
        try:
            while not self._keeper.stopping.is_set():
                if (until := self._until()) != told:
                    wire.send(control, wire.Follow(until))
                    told = until
                if control.poll(_TELL_S):
                    self.progress = wire.receive(control, wire.Progress)
                    self._keeper.fault = ""
            wire.send(control, wire.Stop())
            process.wait(_STOP_S)
        except (EOFError, OSError, subprocess.TimeoutExpired):
            pass  # it has ended, or is ended
        now = self.progress
        self._readings += now.readings
        self._retries += now.retries
        self._gaps += now.gaps
        self._refused += now.refused
        self.progress = wire.Progress(now.position, now.arrival)

    def _log(self, lines: IO[str]) -> None:
        with lines:
            for line in lines:
                word, _, said = line.strip().partition(" ")
                level = logging.getLevelName(word)
                self._last_line = said or word
                log.log(level if isinstance(level, int) else logging.WARNING, "history: %s", line.strip())

    def _kill(self) -> None:
        if (process := self._process) is not None:
            process.kill()


def _end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait()
