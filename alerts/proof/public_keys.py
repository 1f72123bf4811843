"""Public keys as others get them: the document at /.well-known/canhbao-key.json, and keys read from it or from PEM."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from alerts.proof.signature import ALGORITHM, key_id, raw

KEY_PATH: Final = "/.well-known/canhbao-key.json"


def document(*keys: Ed25519PublicKey) -> dict[str, Any]:
    """A JSON Web Key Set (RFC 7517, 8037), each key with its PEM for those who check with openssl."""
    return {"keys": [_jwk(key) for key in keys]}


def keys_in(text: str) -> dict[str, Ed25519PublicKey]:
    """Id -> key, of a document or of a PEM. Raises ValueError, with one line, where there is none."""
    if text.lstrip().startswith("-----BEGIN"):
        key = load_pem_public_key(text.encode())
        if not isinstance(key, Ed25519PublicKey):
            raise ValueError(f"no {ALGORITHM} key")
        return {key_id(key): key}
    try:
        rows = json.loads(text)["keys"]
        found = [Ed25519PublicKey.from_public_bytes(_bytes(row["x"])) for row in rows if row["crv"] == ALGORITHM]
    except (KeyError, TypeError, ValueError):
        raise ValueError("neither a PEM nor a set of keys as at /.well-known/canhbao-key.json") from None
    if not found:
        raise ValueError(f"no {ALGORITHM} key in it")
    return {key_id(key): key for key in found}


def _jwk(key: Ed25519PublicKey) -> dict[str, str]:
    pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    return {"kid": key_id(key), "kty": "OKP", "crv": ALGORITHM, "alg": "EdDSA", "use": "sig", "x": raw(key), "pem": pem}


def _bytes(base64url: str) -> bytes:
    return urlsafe_b64decode(base64url + "=" * (-len(base64url) % 4))
