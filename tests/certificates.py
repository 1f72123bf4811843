"""Throw-away certificates, made by openssl: an authority, and a server on 127.0.0.1 that it speaks for."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path


def authority(openssl: str, folder: Path) -> Path:
    """A new one in `folder`: its certificate, beside its key."""
    folder.mkdir()
    _run(openssl, folder, "req", "-x509", *_NEW_KEY, "-keyout", "ca.key", "-out", "ca.crt", "-days", "2",
         "-subj", "/CN=a city's authority")  # fmt: skip
    return folder / "ca.crt"


def certify(openssl: str, ca: Path, folder: Path) -> None:
    """server.crt and server.key in `folder`, signed by `ca`."""
    (ca.parent / "san").write_text("subjectAltName=IP:127.0.0.1\n")
    _run(openssl, ca.parent, "req", *_NEW_KEY, "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=broker")
    _run(openssl, ca.parent, "x509", "-req", "-in", "server.csr", "-CA", "ca.crt", "-CAkey", "ca.key",
         "-CAcreateserial", "-days", "2", "-extfile", "san", "-out", "server.crt")  # fmt: skip
    for name in ("server.crt", "server.key"):
        shutil.copy(ca.parent / name, folder / name)


_NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


def _run(openssl: str, folder: Path, *arguments: str) -> None:
    subprocess.run([openssl, *arguments], cwd=folder, check=True, capture_output=True, timeout=30)
