"""A listener of the stream of events, for tests."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx


@dataclass(frozen=True)
class Event:
    name: str
    id: str
    data: Any
    raw: str


class Heard:
    """What one listener hears."""

    def __init__(self, lines: Iterator[str]) -> None:
        self._lines = lines

    def __iter__(self) -> Iterator[Event]:
        block: list[str] = []
        for line in self._lines:
            if line:
                block.append(line)
                continue
            fields = dict(row.split(": ", 1) for row in block if not row.startswith(":"))
            if "event" in fields:
                yield Event(fields["event"], fields.get("id", ""), json.loads(fields["data"]), "\n".join(block))
            block = []

    def until(self, name: str) -> Event:
        return next(event for event in self if event.name == name)

    def alerts(self, count: int) -> list[int]:
        found: list[int] = []
        for event in self:
            found += [event.data["seq"]] if event.name == "alert" else []
            if len(found) == count:
                return found
        raise AssertionError(f"the stream ended after {found}")


@contextmanager
def listening(url: str, last: object = None, *, query: str = "") -> Iterator[Heard]:
    """Connected, and sure to hear what happens from now on."""
    headers = {} if last is None else {b"Last-Event-ID": str(last).encode()}
    with httpx.stream("GET", f"{url}/api/v1/events{query}", headers=headers, timeout=5) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        lines = answer.iter_lines()
        assert next(lines).startswith("retry: ")
        time.sleep(0.05)  # it joins right after this line
        yield Heard(lines)


def wait_until(true: Callable[[], bool], within_s: float = 5) -> None:
    deadline = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.02)
