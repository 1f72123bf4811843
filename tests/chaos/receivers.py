"""People at the other end: a process that keeps what it is sent on disk before it answers.

It can be killed and stopped like any other process, and told on its standard input to be `slow S`, to `refuse`, to
answer `late S` (after it has the message), or to be `well` again.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
from pathlib import Path
from typing import Any

from chaos.mortal import die_with_parent


class Receiver:
    """Listens on a port of loopback and appends to a file."""

    def __init__(self, file: Path) -> None:
        torn = file.exists() and not file.read_bytes().endswith(b"\n")
        self._fd = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        if torn:
            os.write(self._fd, b"\n")
        self._mood = ("well", 0.0)

    def listen_to_commands(self) -> None:
        for line in sys.stdin:
            mood, _, seconds = line.strip().partition(" ")
            self._mood = (mood, float(seconds or 0))

    async def serve(self, port: int) -> None:
        server = await asyncio.start_server(self._take, "127.0.0.1", port, limit=1 << 20)
        async with server:
            await server.serve_forever()

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = await reader.readline()
        mood, seconds = self._mood
        if mood == "slow":
            await asyncio.sleep(seconds)
        if line.endswith(b"\n") and mood != "refuse":
            os.write(self._fd, line)
            os.fsync(self._fd)
        if mood == "late":
            await asyncio.sleep(seconds)
        writer.write(b"no\n" if mood == "refuse" else b"ok\n")
        writer.close()


def received(file: Path) -> list[tuple[tuple[str, int, str], Any]]:
    """(incident, version, recipient) and body of all that came, in order; what a kill has torn was never answered."""
    found = []
    for line in file.read_bytes().splitlines() if file.exists() else ():
        try:
            told = json.loads(line)
        except ValueError:
            continue
        found.append((tuple(told["key"]), told["body"]))
    return found


if __name__ == "__main__":
    die_with_parent()
    receiver = Receiver(Path(sys.argv[1]))
    threading.Thread(target=receiver.listen_to_commands, daemon=True).start()
    asyncio.run(receiver.serve(int(sys.argv[2])))
