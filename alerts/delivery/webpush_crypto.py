"""Web push: a message that only one browser can read (RFC 8291 over RFC 8188), and who sends it (VAPID, RFC 8292).

Pure: randomness and time are arguments. Why this is our own and not a library's: docs/decisions/0014.
"""

from __future__ import annotations

import hmac
from base64 import b64decode, urlsafe_b64encode
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final

import msgspec
from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDH,
    ECDSA,
    SECP256R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
)
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

CURVE: Final = SECP256R1()
SALT_BYTES: Final = 16
AUTH_BYTES: Final = 16
POINT_BYTES: Final = 65  # uncompressed
BODY_MOST: Final = 4096  # bytes that every push service takes (RFC 8030 section 7.2)
_RECORD: Final = 4096  # one record, larger than any that fits into BODY_MOST
_OVERHEAD: Final = SALT_BYTES + 4 + 1 + POINT_BYTES + 1 + 16  # salt, record size, length and key; delimiter and tag
PLAIN_MOST: Final = BODY_MOST - _OVERHEAD
PADDED_TO: Final = 256  # bytes: lengths alone would tell a push service whose ward a warning is for

VAPID_LIFE_S: Final = 12 * 3600  # RFC 8292 section 2 allows 24 h; services' clocks may be off
_ORIGINS_MOST: Final = 1_000  # tokens kept; beyond it all are made anew


@dataclass(frozen=True, slots=True)
class BrowserKeys:
    """Of a subscription: the browser's public key, as a point (POINT_BYTES), and its secret (AUTH_BYTES)."""

    point: bytes = field(repr=False)
    auth: bytes = field(repr=False)


def encrypt(plain: bytes, to: BrowserKeys, ephemeral: EllipticCurvePrivateKey, salt: bytes) -> bytes:
    """The body of a push message, Content-Encoding aes128gcm, padded to whole PADDED_TO where there is room.

    `ephemeral` and `salt` (SALT_BYTES) are random and for this message alone: a pair that is used twice gives both
    messages away. Raises ValueError for more than PLAIN_MOST bytes and for a point that is not on the curve.
    """
    if len(plain) > PLAIN_MOST:
        raise ValueError(f"{len(plain)} bytes; at most {PLAIN_MOST} fit into a push message")
    public = point_of(ephemeral)
    secret = ephemeral.exchange(ECDH(), EllipticCurvePublicKey.from_encoded_point(CURVE, to.point))
    # RFC 8291 section 3.4, the HKDFs of RFC 5869 written out: each is one block long
    mixed = _hmac(_hmac(to.auth, secret), b"WebPush: info\0" + to.point + public + b"\1")
    key, nonce = content_keys(mixed, salt)
    padding = min(-(len(plain) + 1) % PADDED_TO, PLAIN_MOST - len(plain))
    sealed = AESGCM(key).encrypt(nonce, plain + b"\2" + bytes(padding), None)
    return b"".join((salt, _RECORD.to_bytes(4, "big"), bytes((len(public),)), public, sealed))


def content_keys(secret: bytes, salt: bytes) -> tuple[bytes, bytes]:
    """Key (16 bytes) and nonce (12) of a first record: RFC 8188 sections 2.2 and 2.3."""
    mixed = _hmac(salt, secret)
    return _hmac(mixed, b"Content-Encoding: aes128gcm\0\1")[:16], _hmac(mixed, b"Content-Encoding: nonce\0\1")[:12]


def _hmac(key: bytes, message: bytes) -> bytes:
    return hmac.digest(key, message, sha256)


class Vapid:
    """Who we are, to push services: one signed token an origin, made anew at half its life."""

    def __init__(self, key: EllipticCurvePrivateKey, contact: str) -> None:
        """`contact`: a mailto: or https: address where the people of a push service reach ours."""
        self._key, self._contact = key, contact
        self.public = base64url(point_of(key))  # what browsers subscribe with
        self._kept: dict[str, tuple[str, int]] = {}

    def authorization(self, origin: str, now_s: int) -> str:
        """The header of this name. `origin`: scheme and host of the endpoint, as RFC 6454 writes it."""
        header, until = self._kept.get(origin, ("", 0))
        if not VAPID_LIFE_S // 2 < until - now_s <= VAPID_LIFE_S:  # also where the clock was set back
            if len(self._kept) >= _ORIGINS_MOST:
                self._kept.clear()
            until = now_s + VAPID_LIFE_S
            header = f"vapid t={self._token(origin, until)},k={self.public}"
            self._kept[origin] = header, until
        return header

    def _token(self, origin: str, until_s: int) -> str:
        """A JSON Web Token (RFC 7515) by ES256 (RFC 7518 section 3.4)."""
        head = base64url(b'{"typ":"JWT","alg":"ES256"}')
        said = base64url(msgspec.json.encode({"aud": origin, "exp": until_s, "sub": self._contact}))
        r, s = decode_dss_signature(self._key.sign(f"{head}.{said}".encode(), ECDSA(SHA256())))
        return f"{head}.{said}.{base64url(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


def point_of(key: EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def browser_keys(p256dh: str, auth: str) -> BrowserKeys:
    """As a browser writes them. Raises ValueError, repeating nothing of them."""
    try:
        keys = BrowserKeys(from_base64url(p256dh), from_base64url(auth))
    except ValueError:
        keys = BrowserKeys(b"", b"")
    if len(keys.point) != POINT_BYTES or len(keys.auth) != AUTH_BYTES:
        raise ValueError(f"p256dh of {POINT_BYTES} bytes and auth of {AUTH_BYTES}, in base64url")
    return keys


def base64url(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def from_base64url(text: str) -> bytes:
    """With or without its padding. Raises ValueError."""
    bare = text.rstrip("=")
    return b64decode(bare + "=" * (-len(bare) % 4), altchars=b"-_", validate=True)
