"""The key that browsers know us by for web push: made once, kept in the data folder for its owner alone.

Browsers subscribe with its public half, and push services refuse every other: with it every subscription is lost.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from alerts.delivery.webpush_crypto import CURVE, base64url, point_of
from ingest.data_folder import FolderError, write_private

VAPID_FILE: Final = "vapid_key.pem"


def vapid_key(folder: Path) -> EllipticCurvePrivateKey:
    """Made where there is none; the service and its post, which both ask, get the same. Raises FolderError, OSError."""
    file = folder / VAPID_FILE
    lock = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not file.exists():
            made = generate_private_key(CURVE)
            write_private(file, made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode())
    finally:
        os.close(lock)
    try:
        key = load_pem_private_key(file.read_bytes(), password=None)
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, EllipticCurvePrivateKey) or not isinstance(key.curve, SECP256R1):
        raise FolderError(f"{file}: this is no key of ours; put it back from a backup")
    return key


def public_text(key: EllipticCurvePrivateKey) -> str:
    """As browsers take it for their `applicationServerKey`: the point in base64url."""
    return base64url(point_of(key))
