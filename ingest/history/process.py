"""The process of the history, seen by the service: started, told how far it may follow, started again when it ends."""

from __future__ import annotations

import logging
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import IO, Final

from ingest.history import wire
from ingest.history.client import LINES, Client

log = logging.getLogger(__name__)

_BACKOFF_S: Final = (0.2, 0.5, 1.0, 2.0, 5.0)  # between restarts; the last one repeats, without end
_STEADY_S: Final = 60.0  # alive for so long, a process starts the backoff anew
_TELL_S: Final = 0.25  # how often it is told how far it may follow
_STOP_S: Final = 5.0  # to put its file in order; what is not gone then is killed, which loses nothing
_PROJECT: Final = Path(__file__).parents[2]


class HistoryProcess:
    """Running from `start` to `stop`; `client` asks it. Whatever becomes of it, its callers go on.

    `until`: the last position of the journal that is decided. `arguments` and `environ`: of `python -m ingest.history`.
    `progress`: the last that it said; `restarts` counts its unexpected ends.
    """

    def __init__(self, arguments: Sequence[str], environ: Mapping[str, str], until: Callable[[], int]) -> None:
        self.client = Client(self._kill)
        self.progress = wire.Progress()
        self.restarts = 0
        self._arguments, self._environ, self._until = arguments, environ, until
        self._readings = self._retries = self._gaps = self._refused = 0  # of the processes before this one
        self._fault = "is being started"
        self._last_line = "it said nothing"
        self._process: subprocess.Popen[str] | None = None
        self._stopping = threading.Event()
        self._keeper = threading.Thread(target=self._keep, name="history", daemon=True)

    def start(self) -> None:
        self._keeper.start()

    def stop(self) -> None:
        """End it cleanly, by force after some seconds."""
        self._stopping.set()
        self._keeper.join(2 * _STOP_S)
        if self._keeper.is_alive():  # one that hangs may have let its socket fill up, and our keeper wait for room
            self._kill()
            self._keeper.join(_STOP_S)

    @property
    def fault(self) -> str:
        """Why it does not follow, "" while it does."""
        return self._fault or self.progress.fault

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

    def _keep(self) -> None:
        failures = 0
        while not self._stopping.is_set():
            started = time.monotonic()
            try:
                with self._running() as (process, control):
                    self._listen(process, control)
            except OSError as error:
                self._last_line = f"cannot be started: {error}"
            except Exception as error:  # whatever it is, the next process may do better
                log.exception("history")
                self._last_line = f"not understood: {error}"
            if self._stopping.is_set():
                return
            failures = 0 if time.monotonic() - started > _STEADY_S else failures
            wait_s = _BACKOFF_S[min(failures, len(_BACKOFF_S) - 1)]
            failures += 1
            self.restarts += 1
            self._fault = f"its process has ended ({self._last_line}); it is started again"
            log.error("history: its process ended (%s), again in %.1f s", self._last_line, wait_s)
            self._stopping.wait(wait_s)

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
            while not self._stopping.is_set():
                if (until := self._until()) != told:
                    wire.send(control, wire.Follow(until))
                    told = until
                if control.poll(_TELL_S):
                    self.progress = wire.receive(control, wire.Progress)
                    self._fault = ""
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
