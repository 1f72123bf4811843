"""What a process really did, read from `strace -f -yy -xx`: when bytes were on disk, and when its answers left."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

# Threads keep to their order in the trace: a call that another one interrupts stands in two lines, begun and resumed.
_LINE = re.compile(r"(?P<thread>\d+)\s+(?:<\.\.\. \w+ resumed>(?P<rest>.*)|(?P<whole>\w+\(.*))\Z")
_CALL = re.compile(r'(\w+)\(\d+<((?:TCP\S*?\[[^\]]*\])|[^>]*)>(?:, *(?:"([^"]*)")?.*)?\)\s+= (-?\d+)')
_UNFINISHED = " <unfinished ...>"
PUBLISH, PUBACK = 3, 4


@dataclass(frozen=True)
class Call:
    """`target`: a path, or TCP:[from->to]. `began` and `ended`: lines of the trace; `data` what was moved."""

    name: str
    target: str
    data: bytes
    result: int
    began: int
    ended: int


@dataclass(frozen=True)
class Packet:
    """MQTT. `mid` 0 where it has none. `began`: no byte of it left before; `ended`: all of it was there."""

    connection: str
    kind: int
    topic: str
    payload: bytes
    mid: int
    began: int
    ended: int


@dataclass(frozen=True)
class Offered:
    """A message: its payload, bytes that nothing but its entry in the journal has, and its seq where it has one."""

    payload: bytes
    mark: bytes
    seq: int | None = None


@dataclass
class _Stream:
    """The bytes of one direction of one connection, with the lines in which they moved."""

    connection: str
    data: bytearray = field(default_factory=bytearray)
    lines: list[tuple[int, int]] = field(default_factory=list)  # (began, ended) of each byte

    def add(self, call: Call) -> None:
        moved = call.data[: max(0, call.result)]
        self.data += moved
        self.lines += [(call.began, call.ended)] * len(moved)

    def packets(self) -> Iterator[Packet]:
        at = 0
        while (head := _length(self.data, at + 1)) is not None and head[1] + head[0] <= len(self.data):
            length, body = head
            lines = self.lines[at : body + length]
            yield _packet(self.connection, self.data[at], bytes(self.data[body : body + length]), lines)
            at = body + length


def strace(file: Path) -> list[str]:
    """What to put before a command so that its calls go into `file`; the command stays our child."""
    return ["strace", "-D", "-f", "-yy", "-xx", "-s", "70000", "--seccomp-bpf", "-e", "signal=none",
            "-e", "trace=fsync,fdatasync,pwrite64,sendto,recvfrom", "-o", str(file)]  # fmt: skip


def calls(trace: Iterable[str]) -> Iterator[Call]:
    """Those that ended, in the order of their ends."""
    open_calls: dict[str, tuple[int, str]] = {}
    for number, line in enumerate(trace):
        match = _LINE.match(line.rstrip("\n"))
        if match is None:
            continue  # signals, exits
        began, text = number, match["whole"] or ""
        if match["rest"] is not None:
            began, text = open_calls.pop(match["thread"])
            text += match["rest"]
        elif text.endswith(_UNFINISHED):
            open_calls[match["thread"]] = number, text.removesuffix(_UNFINISHED)
            continue
        if found := _CALL.match(text):
            name, target, data, result = found.groups()
            yield Call(name, _text(target), _bytes(data or ""), int(result), began, number)


def too_early(trace: Iterable[str], port: int, offered: Sequence[Offered]) -> list[str]:
    """Every message that was answered on the connection to `port` before the journal had it on disk, or never was."""
    found = list(calls(trace))
    came = _packets(found, port, "recvfrom")
    left = _packets(found, port, "sendto")
    receipts = [packet for packet in left if packet.kind == PUBLISH and packet.topic.endswith("/receipt")]
    wrong = []
    for n, message in enumerate(offered):
        on_disk = _on_disk(found, message.mark)
        copies = [packet for packet in came if packet.kind == PUBLISH and packet.payload == message.payload]
        answers = {"acknowledged": [line for copy in copies for line in _acks(left, copy)]}
        if message.seq is not None:
            answers["receipted"] = [packet.began for packet in receipts if _covers(packet.payload, message.seq)]
        for what, lines in answers.items():
            if not lines:
                wrong.append(f"message {n} was never {what}")
            elif on_disk is None or min(lines) < on_disk:
                wrong.append(f"message {n} was {what} in line {min(lines)}, on disk in line {on_disk}")
    return wrong


def _acks(left: Sequence[Packet], copy: Packet) -> list[int]:
    """Where the acknowledgement of this copy began to leave; later its number may be another message's."""
    return [packet.began for packet in left if packet.kind == PUBACK and packet.mid == copy.mid
            and packet.connection == copy.connection and packet.began > copy.ended][:1]  # fmt: skip


def _on_disk(found: Sequence[Call], mark: bytes) -> int | None:
    """The line in which the journal's log was synced after `mark` had been written to it."""
    logs = [call for call in found if "/journal/" in call.target and call.target.endswith("-wal") and call.result >= 0]
    written = min((call.ended for call in logs if call.name == "pwrite64" and mark in call.data), default=None)
    if written is None:
        return None
    return min((call.ended for call in logs if call.name in ("fsync", "fdatasync") and call.began > written),
               default=None)  # fmt: skip


def _packets(found: Sequence[Call], port: int, name: str) -> list[Packet]:
    streams: dict[str, _Stream] = {}
    for call in found:
        if call.name == name and call.target.endswith(f"->127.0.0.1:{port}]"):
            streams.setdefault(call.target, _Stream(call.target)).add(call)
    return [packet for stream in streams.values() for packet in stream.packets()]


def _packet(connection: str, head: int, body: bytes, lines: Sequence[tuple[int, int]]) -> Packet:
    kind, qos = head >> 4, head >> 1 & 3
    topic, rest, mid = "", body, 0
    if kind == PUBLISH:
        size = int.from_bytes(body[:2])
        topic, rest = body[2 : 2 + size].decode(), body[2 + size :]
    if kind == PUBACK or (kind == PUBLISH and qos):
        mid, rest = int.from_bytes(rest[:2]), rest[2:]
    return Packet(connection, kind, topic, rest, mid, lines[0][0], lines[-1][1])


def _length(data: bytearray, at: int) -> tuple[int, int] | None:
    """MQTT's variable length and where the body begins; None where it is not all there."""
    value = 0
    for n, byte in enumerate(data[at : at + 4]):
        value |= (byte & 0x7F) << 7 * n
        if byte < 0x80:
            return value, at + n + 1
    return None


def _covers(receipt: bytes, seq: int) -> bool:
    through = re.search(rb'"seq":(\d+)', receipt)
    return through is not None and int(through[1]) >= seq


def _bytes(escaped: str) -> bytes:
    return bytes.fromhex(escaped.replace("\\x", ""))


def _text(target: str) -> str:
    return _bytes(target).decode(errors="replace") if target.startswith("\\x") else target
