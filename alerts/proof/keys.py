"""The two secrets that warnings prove themselves with: made once, kept in the data folder for its owner alone."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from ingest.data_folder import FolderError, kept_random, write_private

CODE_FILE: Final = "code_secret"
SIGNING_FILE: Final = "signing_key.pem"
_SECRET: Final = re.compile("[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Keys:
    """What codes are drawn with (128 bits), and what messages are signed with."""

    code: bytes = field(repr=False)
    signing: Ed25519PrivateKey = field(repr=False)


def open_keys(folder: Path) -> Keys:
    """Made where there are none. Raises FolderError for a file that is none of ours, OSError."""
    secret = kept_random(folder / CODE_FILE)
    if not _SECRET.fullmatch(secret):  # an empty one would let everybody work the codes out
        raise FolderError(f"{folder / CODE_FILE}: this is no secret of ours; put it back from a backup")
    file = folder / SIGNING_FILE
    if not file.exists():
        made = Ed25519PrivateKey.generate()
        write_private(file, made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode())
    return Keys(bytes.fromhex(secret), signing_key(folder))


def signing_key(folder: Path) -> Ed25519PrivateKey:
    """The one that the folder has. Raises FolderError, OSError."""
    file = folder / SIGNING_FILE
    try:
        key = load_pem_private_key(file.read_bytes(), password=None)
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise FolderError(f"{file}: this is no key of ours; put it back from a backup")
    return key
