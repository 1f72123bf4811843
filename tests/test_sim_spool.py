"""The spool is what a gateway knows after its power went."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from firmware_sim.spool import Spool, SpoolError


def test_boot_seq_and_what_has_no_receipt_survive_a_restart(tmp_path: Path):
    spool = Spool(tmp_path / "s")
    before = spool.open(["gw-a", "gw-b"])
    spool.append([("gw-a", b"one"), ("gw-b", b"other"), ("gw-a", b"two")])
    spool.settle("gw-a", [1])
    spool.close()

    spool = Spool(tmp_path / "s")
    after = spool.open(["gw-a", "gw-b"])

    assert after["gw-a"].boot == before["gw-a"].boot != before["gw-b"].boot
    assert len(bytes.fromhex(after["gw-a"].boot)) == 8
    assert (after["gw-a"].head, after["gw-a"].seqs) == (3, (2,))
    assert spool.readings("gw-a", 2) == b"two"
    assert [kept.seq for kept in spool.append([("gw-a", b"three")])] == [3]
    spool.close()


def test_a_full_spool_drops_the_oldest_and_counts(tmp_path: Path):
    spool = Spool(tmp_path / "s", messages_max=3)
    spool.open(["gw-a", "gw-b"])

    kept = spool.append([("gw-a", b"%d" % i) for i in range(5)] + [("gw-b", b"x")])

    assert [(k.seq, k.dropped_through) for k in kept] == [(1, 0), (2, 0), (3, 0), (4, 1), (5, 2), (1, 0)]
    assert spool.dropped == 2
    assert spool.open(["gw-a"])["gw-a"].seqs == (3, 4, 5)
    with pytest.raises(KeyError):
        spool.readings("gw-a", 2)
    spool.close()


def test_receipts_make_room_again(tmp_path: Path):
    spool = Spool(tmp_path / "s", messages_max=2)
    spool.open(["gw-a"])
    spool.append([("gw-a", b"1"), ("gw-a", b"2")])
    spool.settle("gw-a", [1, 2, 2, 7])

    spool.append([("gw-a", b"3"), ("gw-a", b"4")])

    assert spool.dropped == 0
    spool.close()


def test_a_parked_message_keeps_its_readings_aside_and_its_seq_empty(tmp_path: Path):
    spool = Spool(tmp_path / "s")
    spool.open(["gw-a"])
    spool.append([("gw-a", b"poison")])

    spool.park("gw-a", 1, b"nothing")
    spool.close()

    spool = Spool(tmp_path / "s")
    assert spool.open(["gw-a"])["gw-a"].seqs == (1,)
    assert spool.readings("gw-a", 1) == b"nothing"
    assert spool.parked() == [("gw-a", 1, b"poison")]
    spool.close()


def test_a_second_process_cannot_number_the_same_messages(tmp_path: Path):
    spool = Spool(tmp_path / "s")
    spool.open(["gw-a"])
    code = "import sys, pathlib; from firmware_sim.spool import Spool; Spool(pathlib.Path(sys.argv[1]))"

    other = subprocess.run([sys.executable, "-c", code, tmp_path / "s"], capture_output=True, text=True, check=False)

    assert other.returncode != 0
    assert "SpoolError" in other.stderr
    assert "locked" in other.stderr
    spool.close()


def test_a_file_that_is_no_spool_is_refused(tmp_path: Path):
    (tmp_path / "s").write_bytes(b"no database, and long enough to be looked at" * 100)

    with pytest.raises(SpoolError):
        Spool(tmp_path / "s")


_WRITER = """
import pathlib, sys
from firmware_sim.spool import Spool
spool = Spool(pathlib.Path(sys.argv[1]))
spool.open(["gw-a"])
while True:
    kept = spool.append([("gw-a", b"x" * 50)] * 3)
    print(kept[-1].seq, flush=True)
"""


def test_what_was_kept_is_there_after_kill_minus_9(tmp_path: Path):
    said = 0
    for _ in range(3):
        writer = subprocess.Popen([sys.executable, "-c", _WRITER, tmp_path / "s"], stdout=subprocess.PIPE, text=True)
        assert writer.stdout is not None
        lines = [writer.stdout.readline()]
        time.sleep(0.05)
        os.kill(writer.pid, 9)
        lines += writer.stdout.read().splitlines()
        writer.stdout.close()
        writer.wait()
        said = max(said, *(int(line) for line in lines if line.strip().isdigit()))

    spool = Spool(tmp_path / "s")
    held = spool.open(["gw-a"])["gw-a"]
    assert held.head > said > 0
    assert held.seqs == tuple(range(1, held.head))
    spool.close()
