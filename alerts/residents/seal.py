"""Sealing what names a person: AES-256-GCM, with a key that lies outside the data folder.

Whoever has the folder, or a backup of it, has neither addresses nor the means to try some out: the digest by which an
address is found again is keyed as well (HMAC-SHA-256). Both keys are derived from the one that is set (HKDF, RFC 5869).
"""

from __future__ import annotations

import hmac
import secrets
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from alerts.given import Secret

KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12


class SealError(Exception):
    """The key is no key, or not the one that this was sealed with."""


class Seal:
    """`place`: where a sealed text stands, such as "contact 17"; it opens nowhere else."""

    def __init__(self, key: bytes) -> None:
        """Raises SealError unless `key` has KEY_BYTES."""
        if len(key) != KEY_BYTES:
            raise SealError(f"a key of {KEY_BYTES} bytes, in {2 * KEY_BYTES} hexadecimal digits")
        self._cipher = AESGCM(_derived(key, b"canhbao seal"))
        self._digest_key = _derived(key, b"canhbao digest")

    @classmethod
    def of(cls, secret: Secret) -> Seal:
        try:
            return cls(bytes.fromhex(secret.reveal()))
        except ValueError:
            raise SealError(f"a key of {KEY_BYTES} bytes, in {2 * KEY_BYTES} hexadecimal digits") from None

    def close(self, text: str, place: str) -> bytes:
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, text.encode(), place.encode())

    def open(self, sealed: bytes, place: str) -> str:
        """Raises SealError."""
        try:
            return self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], place.encode()).decode()
        except (InvalidTag, ValueError):  # or too short to be any
            raise SealError(f"{place}: not sealed with this key") from None

    def digest(self, channel: str, address: str) -> bytes:
        """The same for the same address; it tells nothing to whoever lacks the key."""
        return hmac.digest(self._digest_key, f"{channel}\n{address}".encode(), "sha256")


def _derived(key: bytes, use: bytes) -> bytes:
    return HKDF(SHA256(), KEY_BYTES, None, use).derive(key)
