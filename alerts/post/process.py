"""The process of the post, seen by the service: started, woken, listened to, started again when it ends."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from ingest.keeper import Keeper

log = logging.getLogger(__name__)

_STOP_S: Final = 10.0  # to finish what is being sent; what is not answered then is sent again after the next start
_HELD_S: Final = 0.5  # how soon a release is seen
_PROJECT: Final = Path(__file__).parents[2]


class Opening(msgspec.Struct, frozen=True):
    """What the service tells the post at its start. `public_url`: with its last slash; "": nobody has said it."""

    city_toml: str
    public_url: str
    log_level: str = ""


class PostProcess:
    """Running from `start` to `stop`, unless `held` says that nothing may be sent. Whatever becomes of it, the service
    goes on. `arguments`: of `python -m alerts.post`. `program`: the module that is run.
    """

    def __init__(
        self, arguments: Sequence[str], opening: Callable[[], Opening], held: Callable[[], bool],
        program: str = "alerts.post",
    ) -> None:  # fmt: skip
        self._arguments, self._opening, self._held, self._program = arguments, opening, held, program
        self._process: subprocess.Popen[bytes] | None = None
        self._awake = threading.Lock()  # over who writes to its input, and who closes that
        self._listens = False  # it was told what it has to know; before that a line of ours would cut that in two
        self._said: dict[str, float] = {}
        self._keeper = Keeper("post", self._live)

    def start(self) -> None:
        self._keeper.start()

    def stop(self) -> None:
        """End it cleanly, by force after some seconds."""
        self._keeper.stopping.set()
        if (process := self._process) is not None:
            assert process.stdin is not None
            self._hang_up(process)
            try:
                process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
        self._keeper.join(_STOP_S)

    def wake(self) -> None:
        """There may be something new. From any thread."""
        with self._awake:
            if self._listens and (process := self._process) is not None and process.stdin is not None:
                with suppress(OSError):  # it has ended; or its pipe is full of such lines: it wakes anyway
                    os.write(process.stdin.fileno(), b"\n")

    @property
    def fault(self) -> str:
        """Why it does not run, "" while it does."""
        return self._keeper.fault

    @property
    def counters(self) -> Mapping[str, float]:
        """Metric name -> since its process started, or now."""
        return {**self._said, "canhbao_post_restarts_total": self._keeper.restarts}

    def _live(self) -> str:
        while self._held():
            self._keeper.fault = "waits for the release after a restore"
            if self._keeper.stopping.wait(_HELD_S):
                return ""
        process = self._spawn()
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            with suppress(BrokenPipeError):  # it says on standard error what it does not like
                process.stdin.write(msgspec.json.encode(self._opening()) + b"\n")
                process.stdin.flush()
                with self._awake:
                    if not process.stdin.closed:
                        os.set_blocking(process.stdin.fileno(), False)
                        self._listens = True
            for line in process.stdout:
                self._said, self._keeper.fault = json.loads(line), ""
            code = process.wait()
        finally:
            process.kill()
            process.wait()
            self._process = None
            process.stdout.close()
            self._hang_up(process)
        return f"exit code {code}"

    def _hang_up(self, process: subprocess.Popen[bytes]) -> None:
        """No line is written to its number afterwards, which may be another file's by then."""
        with self._awake, suppress(OSError):
            self._listens = False
            assert process.stdin is not None
            process.stdin.close()

    def _spawn(self) -> subprocess.Popen[bytes]:
        paths = [str(_PROJECT), *filter(None, [os.environ.get("PYTHONPATH")])]  # as we run, installed or not
        environ = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
        self._process = process = subprocess.Popen(  # noqa: S603  # our own program
            [sys.executable, "-m", self._program, *self._arguments],
            env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            process_group=0,  # Ctrl-C on the terminal is ours to answer
        )  # fmt: skip
        return process
