"""The signature of a message: Ed25519 (RFC 8032) over its canonical form, to be checked by anybody, offline.

Signed is the whole message but `signature` itself, as JSON with its keys sorted, in UTF-8, without blanks: of texts,
whole numbers, truth values and null that is the form of RFC 8785.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode, urlsafe_b64encode
from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

ALGORITHM: Final = "Ed25519"
FIELD: Final = "signature"
_DEPTH_MOST: Final = 8  # of a message; ours have three


class NotSignedError(Exception):
    """This is no signed message of ours; one line that says why."""


class WrongSignatureError(Exception):
    """The signature does not fit: the message was changed, or another key signed it. One line that says which."""


def canonical(message: Mapping[str, Any]) -> bytes:
    """What is signed. Raises NotSignedError for what has no one form: numbers with a point, other types."""
    body = {name: value for name, value in message.items() if name != FIELD}
    _plain(body, _DEPTH_MOST)
    try:
        return json.dumps(body, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()
    except UnicodeEncodeError:
        raise NotSignedError("the message holds half a character (a lone surrogate)") from None


def signed(message: Mapping[str, Any], key: Ed25519PrivateKey) -> dict[str, Any]:
    """The message with its signature; what it had of that name is replaced."""
    value = b64encode(key.sign(canonical(message))).decode()
    return {**message, FIELD: {"alg": ALGORITHM, "key": key_id(key.public_key()), "value": value}}


def verify(message: Mapping[str, Any], keys: Mapping[str, Ed25519PublicKey]) -> str:
    """The id of the key that signed it, one of `keys`. Raises NotSignedError, WrongSignatureError."""
    named, value = _signature(message)
    key = keys.get(named)
    if key is None:
        raise WrongSignatureError(f"signed with the key {named}, which is not one of those given: {', '.join(keys)}")
    try:
        key.verify(value, canonical(message))
    except InvalidSignature:
        raise WrongSignatureError("the signature does not fit the message: something in it was changed") from None
    return named


def key_id(key: Ed25519PublicKey) -> str:
    """The thumbprint of RFC 7638, as RFC 8037 has it for Ed25519."""
    named = json.dumps({"crv": ALGORITHM, "kty": "OKP", "x": raw(key)}, separators=(",", ":"))
    return _base64url(sha256(named.encode()).digest())


def raw(key: Ed25519PublicKey) -> str:
    """Its 32 bytes in base64url, the `x` of a JSON Web Key."""
    return _base64url(key.public_bytes(Encoding.Raw, PublicFormat.Raw))


def _signature(message: Mapping[str, Any]) -> tuple[str, bytes]:
    match message.get(FIELD):
        case {"alg": str(algorithm), "key": str(named), "value": str(value)}:
            if algorithm != ALGORITHM:
                raise NotSignedError(f"signed by {algorithm!r}, not by {ALGORITHM}")
            try:
                return named, b64decode(value, validate=True)
            except ValueError:
                raise NotSignedError("signature.value is no base64") from None
        case None:
            raise NotSignedError("it bears no signature")
    raise NotSignedError("its signature has not the form {alg, key, value}")


def _plain(value: object, depth: int) -> None:
    if depth == 0:
        raise NotSignedError("the message is nested too deep")
    if isinstance(value, dict):
        for name, inner in value.items():
            if not isinstance(name, str):
                raise NotSignedError("the message has a key that is no text")
            _plain(inner, depth - 1)
    elif isinstance(value, list | tuple):
        for inner in value:
            _plain(inner, depth - 1)
    elif not isinstance(value, str | int | None):
        raise NotSignedError(f"the message holds {type(value).__name__}, which has more than one form")


def _base64url(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()
