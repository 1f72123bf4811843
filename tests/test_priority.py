"""A process that may not lower its priority works on: @resources of systemd, which our own unit shuts off, has it."""

from __future__ import annotations

import platform
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# The call's number; the filter of seccomp(2) answers EPERM to it, as systemd's SystemCallErrorNumber=EPERM does.
NUMBER = {"x86_64": 141, "aarch64": 140}.get(platform.machine(), 0)
SHUT = """
import ctypes, os, struct, sys
code = struct.pack("=HBBI", 0x20, 0, 0, 0)  # the number
code += struct.pack("=HBBI", 0x15, 0, 1, int(sys.argv[1]))
code += struct.pack("=HBBI", 0x06, 0, 0, 0x00050001)  # EPERM
code += struct.pack("=HBBI", 0x06, 0, 0, 0x7FFF0000)  # allowed
kept = ctypes.create_string_buffer(code, len(code))
class Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("code", ctypes.c_void_p)]
program, libc = Program(4, ctypes.addressof(kept)), ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0  # no new privileges
assert libc.prctl(22, 2, ctypes.byref(program), 0, 0) == 0
try:
    os.nice(1)
except PermissionError:
    print("shut")
sys.argv = ["post"]
from alerts.post.__main__ import main
sys.exit(main())
"""


@pytest.mark.skipif(not NUMBER, reason="no number of setpriority for this machine")
def test_the_post_gets_as_far_as_its_settings_where_it_may_not_stand_back(tmp_path: Path) -> None:
    opening = b'{"city_toml": "", "public_url": ""}\n'
    done = subprocess.run(
        [sys.executable, "-c", SHUT, str(NUMBER)], input=opening, capture_output=True, check=False, cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "PATH": ""}, timeout=60,
    )  # fmt: skip
    assert (done.stdout, done.returncode) == (b"shut\n", 2), done.stderr[-2000:].decode()
    assert b"post: residents.key_file: not set" in done.stderr


def test_our_own_unit_lets_the_history_and_the_post_stand_back() -> None:
    unit = (ROOT / "docs" / "examples" / "systemd" / "canhbao.service").read_text("utf-8")
    filters = re.findall(r"^SystemCallFilter=(.*)$", unit, re.MULTILINE)
    assert filters.index("setpriority") > filters.index("~@privileged @resources")  # what comes later holds
