"""What leaves only after it is on disk, seen from outside: the system calls of the real service."""

from __future__ import annotations

import json
import struct
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from brokers import Client, Mosquitto, until
from stories import stored
from syscalls import Offered, strace, too_early
from test_service import RUN, service
from test_spine import CITY, RULES

BOOT = "9f0c31d2a7b84e65"
EACH = 6
ALTERED = (sys.executable, "-m", "tests.altered")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "city.toml").write_text(CITY)
    (tmp_path / "rules.toml").write_text(RULES)
    return tmp_path


@pytest.fixture(params=["bundled", pytest.param("mosquitto", marks=pytest.mark.server("mosquitto"))])
def broker_url(
    request: pytest.FixtureRequest, tmp_path: Path, free_port: Callable[[], int], program: Callable[[str], str]
) -> Iterator[str]:
    if request.param == "bundled":
        yield "embedded:0"
        return
    broker = Mosquitto(program("mosquitto"), tmp_path, free_port())
    broker.start()
    yield broker.url
    broker.stop()


def offered(n: int) -> Offered:
    """Odd ones of a numbered gateway, even ones of a device without numbers; each has a value that none other has."""
    value = 0.5 + n * 1e-7
    reading = {"sensor": "river", "t": time.time_ns() // 1_000_000 + n, "v": value}
    mark = struct.pack("<d", value)
    if n % 2 == 0:
        return Offered(json.dumps(reading).encode(), mark)
    seq = (n + 1) // 2
    message = {"boot": BOOT, "seq": seq, "first": 1, "readings": [reading]}
    return Offered(json.dumps(message).encode(), mark, seq)


def traced(folder: Path, url: str, command: tuple[str, ...] = RUN) -> list[str]:
    """What is wrong with the answers of a service that is sent one message after another, then some at once."""
    trace, messages = folder / "trace", [offered(n) for n in range(1, 2 * EACH + 1)]
    with service(folder, command=[*strace(trace), *command], CANHBAO_MQTT__URL=url) as (_, broker):
        port = int(broker.rpartition(":")[2])
        with Client(port, "canhbao/v1/gw-1/receipt") as gateway:
            for message in messages[:EACH]:
                gateway.publish("canhbao/v1/gw-1/readings", message.payload)
            gateway.publish("canhbao/v1/gw-1/readings", *(message.payload for message in messages[EACH:]))
            until(lambda: any(b'"seq":%d}' % EACH in payload for _, payload, _ in gateway.heard), "no receipts")
            # The last one has no number, so no receipt tells of it: its turn ends, and with it its acknowledgement.
            until(lambda: stored(folder / "data").total() == len(messages), "not all is in the journal")
    until(lambda: trace.read_text().endswith("+++ exited with 0 +++\n"), "the trace has no end")
    return too_early(trace.read_text().splitlines(), port, messages)


@pytest.mark.server("strace")
def test_no_receipt_and_no_acknowledgement_leaves_before_the_journal_is_synced(folder: Path, broker_url: str) -> None:
    assert traced(folder, broker_url) == []


@pytest.mark.server("strace")
def test_a_service_that_answers_before_it_commits_is_seen(folder: Path) -> None:
    wrong = traced(folder, "embedded:0", (*ALTERED, "answers_first"))

    assert any("was receipted in line" in line for line in wrong)
    assert any("was acknowledged in line" in line for line in wrong)
    assert not any("never" in line for line in wrong)


# --- the check itself, on traces that are made up --------------------------------------------------------------------

TOPIC = b"canhbao/v1/gw-1/readings"
SOCKET = "20<TCP:[127.0.0.1:53014->127.0.0.1:1883]>"
LOG = f"12<{''.join(f'{chr(92)}x{byte:02x}' for byte in b'/d/journal/2026-01-01.sqlite-wal')}>"


def hexed(data: bytes) -> str:
    return '"' + "".join(f"\\x{byte:02x}" for byte in data) + '"'


def publish(topic: bytes, payload: bytes, mid: int) -> bytes:
    body = len(topic).to_bytes(2) + topic + mid.to_bytes(2) + payload
    return b"\x32" + bytes([len(body)]) + body


RECV = f"7 recvfrom({SOCKET}, {hexed(publish(TOPIC, b'{1}', 5))}, 100, 0, NULL, NULL) = 100"
WRITE = f"8 pwrite64({LOG}, {hexed(b'..mark..')}, 8, 0) = 8"
SYNC = f"8 fdatasync({LOG}) = 0"
RECEIPT = publish(b"canhbao/v1/gw-1/receipt", b'{"seq":7}', 9)
SEND_RECEIPT = f"7 sendto({SOCKET}, {hexed(RECEIPT)}, {len(RECEIPT)}, 0, NULL, 0) = {len(RECEIPT)}"
SEND_ACK = f"7 sendto({SOCKET}, {hexed(b'@' + bytes([2, 0, 5]))}, 4, 0, NULL, 0) = 4"
MESSAGE = Offered(b"{1}", b"mark", 7)


def test_a_trace_in_the_right_order_is_right() -> None:
    assert too_early([RECV, WRITE, SYNC, SEND_RECEIPT, SEND_ACK, "7 +++ exited with 0 +++"], 1883, [MESSAGE]) == []


@pytest.mark.parametrize(
    ("trace", "wrong"),
    [
        ([RECV, WRITE, SEND_RECEIPT, SYNC, SEND_ACK], ["message 0 was receipted in line 2, on disk in line 3"]),
        ([RECV, SEND_ACK, WRITE, SYNC, SEND_RECEIPT], ["message 0 was acknowledged in line 1, on disk in line 3"]),
        ([RECV, WRITE, SYNC, SEND_ACK], ["message 0 was never receipted"]),
        ([RECV, WRITE, SYNC, SEND_RECEIPT], ["message 0 was never acknowledged"]),
        ([RECV, SYNC, WRITE, SEND_ACK, SEND_RECEIPT],
         ["message 0 was acknowledged in line 3, on disk in line None",
          "message 0 was receipted in line 4, on disk in line None"]),
        ([RECV, WRITE, SYNC.replace("= 0", "= -1 EIO"), SEND_ACK, SYNC, SEND_RECEIPT],
         ["message 0 was acknowledged in line 3, on disk in line 4"]),
        ([RECV, WRITE, SYNC.replace(")", " <unfinished ...>").removesuffix(" = 0"), SEND_RECEIPT,
          "8 <... fdatasync resumed>) = 0", SEND_ACK],
         ["message 0 was receipted in line 3, on disk in line 4"]),
        ([SEND_ACK, RECV, WRITE, SYNC, SEND_RECEIPT], ["message 0 was never acknowledged"]),
        ([RECV, WRITE, SYNC, SEND_ACK.replace("53014", "53015"), SEND_RECEIPT], ["message 0 was never acknowledged"]),
    ],
)  # fmt: skip
def test_a_trace_in_a_wrong_order_is_seen(trace: list[str], wrong: list[str]) -> None:
    assert too_early(trace, 1883, [MESSAGE]) == wrong


def test_packets_are_found_wherever_the_calls_cut_them() -> None:
    sent = b"".join((RECEIPT, b"\x40\x02\x00\x05"))
    cut = [f"7 sendto({SOCKET}, {hexed(sent[at:])}, 99, 0, NULL, 0) = {min(11, len(sent) - at)}"
           for at in range(0, len(sent), 11)]  # fmt: skip
    assert too_early([RECV, WRITE, SYNC, *cut], 1883, [MESSAGE]) == []
    assert len(too_early([RECV, WRITE, *cut, SYNC], 1883, [MESSAGE])) == 2
