"""X.509 for a small authority of one broker: its own certificate, the broker's, its clients', and what was taken back.

Keys are on P-256 with SHA-256: what every TLS of the last ten years takes, down to secure elements and mbedTLS on
gateways; Ed25519, which OpenSSL knows since 1.1.1, is not to be had there. Everything is as RFC 5280 wants it, so that
verifiers that are strict about it (Python's since 3.13) agree.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_address
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

AUTHORITY_LASTS: Final = timedelta(days=3652)
LASTS: Final = timedelta(days=730)  # the others: masts are climbed seldom, and a stolen key should not live for ever
# Everything begins this much earlier than it is made: clocks of gateways lag, and Mosquitto refuses everybody while
# the list of revoked certificates lies in its future.
_BACKDATED: Final = timedelta(days=1)
_HOST: Final = re.compile(r"(?=.{1,253}\Z)(?!-)[a-z0-9-]{1,63}(?<!-)(\.(?!-)[a-z0-9-]{1,63}(?<!-))*\Z")


@dataclass(frozen=True, slots=True)
class Signer:
    """An authority: its certificate, and the key that signs."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


def new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def key_pem(key: ec.EllipticCurvePrivateKey) -> str:
    """PKCS #8, without a pass phrase."""
    form, private = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return key.private_bytes(form, private, serialization.NoEncryption()).decode("ascii")


def read_key(pem: bytes) -> ec.EllipticCurvePrivateKey:
    """Raises ValueError where it is no such key of ours."""
    try:
        key = serialization.load_pem_private_key(pem, None)
    except TypeError as error:  # it has a pass phrase
        raise ValueError(str(error)) from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ValueError("not a key on an elliptic curve")  # noqa: TRY004  # of a file, not of a caller
    return key


def pem(certificate: x509.Certificate | x509.CertificateRevocationList) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode("ascii")


def is_host(text: str) -> bool:
    """Whether it is an address, or a name in ASCII and small letters, as certificates name them."""
    try:
        ip_address(text)
    except ValueError:
        return bool(_HOST.match(text))
    return True


def authority(key: ec.EllipticCurvePrivateKey, name: x509.Name, now: datetime) -> x509.Certificate:
    """Signed by itself. With the key and the name of an older one it stands for what that one signed as well."""
    usage = _usage(key_cert_sign=True, crl_sign=True)
    return (
        _begun(name, name, key.public_key(), now, now + AUTHORITY_LASTS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )


def authority_name(key: ec.EllipticCurvePrivateKey) -> x509.Name:
    """Another one for every key, and the same for the same: a lost certificate of an authority can be made again."""
    return _name(f"canhbao authority {x509.SubjectKeyIdentifier.from_public_key(key.public_key()).digest.hex()[:8]}")


def for_server(
    signer: Signer, key: ec.EllipticCurvePrivateKey, hosts: Sequence[str], now: datetime
) -> x509.Certificate:
    """For a broker that is reached as `hosts`, each of which `is_host`."""
    names = x509.SubjectAlternativeName([_general_name(host) for host in hosts])
    leaf = _leaf(signer, key, "broker", ExtendedKeyUsageOID.SERVER_AUTH, now)
    return leaf.add_extension(names, critical=False).sign(signer.key, hashes.SHA256())


def for_client(signer: Signer, key: ec.EllipticCurvePrivateKey, user: str, now: datetime) -> x509.Certificate:
    """Whoever has the key is `user` (the CN) to the broker."""
    return _leaf(signer, key, user, ExtendedKeyUsageOID.CLIENT_AUTH, now).sign(signer.key, hashes.SHA256())


def revocations(signer: Signer, revoked: Iterable[x509.Certificate], now: datetime) -> x509.CertificateRevocationList:
    """Good for as long as the authority: a list that ends locks out every gateway, and this one lies beside the broker,
    where none can be held back.
    """
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.key.public_key())
    listed = (
        x509.CertificateRevocationListBuilder(signer.certificate.subject)
        .last_update(now - _BACKDATED)
        .next_update(signer.certificate.not_valid_after_utc)
        .add_extension(issuer, critical=False)
        .add_extension(x509.CRLNumber(int(now.timestamp() * 1000)), critical=False)
    )
    for certificate in revoked:
        entry = x509.RevokedCertificateBuilder(certificate.serial_number, now - _BACKDATED).build()
        listed = listed.add_revoked_certificate(entry)
    return listed.sign(signer.key, hashes.SHA256())


def hosts_of(certificate: x509.Certificate) -> tuple[str, ...]:
    """Those that `for_server` was given."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    return tuple(str(name.value) for name in names)


def is_of(signer: Signer, certificate: x509.Certificate) -> bool:
    """Whether `signer` has signed it."""
    try:
        certificate.verify_directly_issued_by(signer.certificate)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def belongs(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> bool:
    return certificate.public_key() == key.public_key()


def _leaf(
    signer: Signer, key: ec.EllipticCurvePrivateKey, name: str, purpose: x509.ObjectIdentifier, now: datetime
) -> x509.CertificateBuilder:
    """For one purpose alone: no client's certificate may pass for the broker's."""
    ends = min(now + LASTS, signer.certificate.not_valid_after_utc)
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.key.public_key())
    return (
        _begun(_name(name), signer.certificate.subject, key.public_key(), now, ends)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(digital_signature=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        .add_extension(issuer, critical=False)
    )


def _begun(
    name: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime, ends: datetime
) -> x509.CertificateBuilder:
    return x509.CertificateBuilder(
        issuer, name, key, x509.random_serial_number(), now - _BACKDATED, ends
    ).add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)


def _usage(*, digital_signature: bool = False, key_cert_sign: bool = False, crl_sign: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature, key_cert_sign=key_cert_sign, crl_sign=crl_sign, content_commitment=False,
        key_encipherment=False, data_encipherment=False, key_agreement=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)
