"""TLS as a client: whom we believe, and, where the other side asks for it, the certificate that says who we are."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509

SOON: Final = timedelta(days=30)  # what ends within it is told, and made anew


@dataclass(frozen=True, slots=True)
class Identity:
    """A certificate (its chain may follow it) and its key: files in PEM, the key without a pass phrase."""

    certificate: Path
    key: Path

    def load_into(self, context: ssl.SSLContext) -> None:
        """For the connections that begin from now on. Raises OSError that names the files."""
        try:
            context.load_cert_chain(self.certificate, self.key, password="")  # never asked for on a terminal
        except OSError as error:  # ssl's own among them
            raise OSError(f"{self.certificate} with {self.key}: {error.strerror or error}") from error

    def try_out(self) -> None:
        """Raises OSError, ValueError where the files are no certificate and its key."""
        self.load_into(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
        self.ends()

    def ends(self) -> datetime:
        """UTC. Raises OSError, ValueError where there is no certificate."""
        return x509.load_pem_x509_certificate(self.certificate.read_bytes()).not_valid_after_utc


class TlsContext(ssl.SSLContext):
    """`alert`: the word of TLS by which the other side last ended a connection that we thought was made.

    In TLS 1.3 a client hears only then that its certificate is not liked.
    """

    alert: str = ""


class _TlsSocket(ssl.SSLSocket):
    def do_handshake(self, block: bool = False) -> None:  # noqa: FBT001, FBT002  # ssl's
        try:
            super().do_handshake(block)
        except OSError:
            self.close()  # paho forgets it as it is
            raise

    def recv(self, buflen: int = 1024, flags: int = 0) -> bytes:
        try:
            return super().recv(buflen, flags)
        except ssl.SSLError as error:
            if isinstance(self.context, TlsContext) and "_ALERT_" in (error.reason or ""):
                self.context.alert = error.reason.partition("_ALERT_")[2].replace("_", " ").lower()
            raise


def tls_context(ca_file: Path | None, identity: Identity | None = None) -> TlsContext:
    """Believes whom `ca_file` names, None: whom this machine believes. Raises OSError where a file cannot be used."""
    context = TlsContext(ssl.PROTOCOL_TLS_CLIENT)
    context.sslsocket_class = _TlsSocket
    if ca_file is None:
        context.load_default_certs()
    else:
        context.load_verify_locations(ca_file)
    if identity is not None:
        identity.load_into(context)
    return context


def ended(identity: Identity, now: datetime) -> str:
    """What to say of a certificate that has ended, "" of one that holds. Raises OSError, ValueError as `ends`."""
    ends = identity.ends()
    return f"the certificate {identity.certificate} ended on {ends:%Y-%m-%dT%H:%M:%SZ}" if ends < now else ""


def ends_soon(identity: Identity, now: datetime) -> str:
    """Likewise of one that ends within SOON."""
    ends = identity.ends()
    return f"the certificate {identity.certificate} ends on {ends:%Y-%m-%dT%H:%M:%SZ}" if ends < now + SOON else ""
