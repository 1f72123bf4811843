"""The authority of one broker, kept in its folder: who has a certificate, and from whom it was taken back.

ca/ca.key, ca/ca.crt     signs; whom gateways believe the broker, and the broker its gateways
ca/crl.pem               revoked, for Mosquitto; made of ca/revoked
ca/issued/ID.crt         what a gateway or a user of ours may come with, one after the other
ca/revoked/ID.crt        what nobody may come with any more
tls/server.crt, .key     the broker's
collector….crt, .key     those of our own users, beside their passwords
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from ingest.broker import certificates
from ingest.broker.certificates import LASTS, Signer, belongs, hosts_of, is_of, key_pem, new_key, pem
from ingest.broker.mosquitto import MosquittoFolder
from ingest.broker.mosquitto_conf import SERVICE_USERS
from ingest.city import ConfigError, is_gateway_id
from ingest.tls import SOON

HOSTS_MOST: Final = 100
_FIRST: Final = "an authority; make one: canhbao gateway ca --host NAME"


@dataclass(frozen=True, slots=True)
class Standing:
    """One certificate of the broker's own: where it is, when it ends (UTC), whether it was made just now, whether
    it is signed by this authority.
    """

    file: Path
    ends: datetime
    made: bool = False
    ours: bool = True


@dataclass(frozen=True, slots=True)
class Credential:
    """What a client needs, in PEM. No repr shows the key."""

    certificate: str
    key: str

    def __repr__(self) -> str:
        return "Credential(…)"


class Authority:
    """Change it only while the folder is `changing`. Methods raise OSError, and ConfigError for files that they cannot
    use.
    """

    def __init__(self, broker: MosquittoFolder) -> None:
        self._broker = broker
        self.folder = broker.folder / "ca"
        self.certificate_file = self.folder / "ca.crt"
        self._key_file, self._list_file = self.folder / "ca.key", self.folder / "crl.pem"
        self._server_file = broker.folder / "tls" / "server.crt"

    @property
    def present(self) -> bool:
        return self._key_file.exists()

    def complete(self, hosts: Sequence[str], now: datetime) -> list[Standing]:
        """Everything that is missing is made; what ends soon is made anew, with the key it had. All as it is now.

        `hosts`: what the broker is reached as; none: as before. A tls/server.crt of another authority is left alone.
        """
        for name in ("", "issued", "revoked"):
            self._broker.make_folder(self.folder / name)
        signer, standing = self._complete_authority(now)
        if not self._list_file.exists() or standing.made:
            self._write_list(signer, now)
        return [standing, self._complete_server(signer, hosts, now),
                *(self._complete_user(signer, user, now) for user in SERVICE_USERS)]  # fmt: skip

    def standings(self) -> list[Standing]:
        """As they are; those that are not there left out."""
        files = [self.certificate_file, self._server_file, *map(self.user_file, SERVICE_USERS)]
        return [Standing(file, _first(file).not_valid_after_utc) for file in files if file.exists()]

    def user_file(self, user: str) -> Path:
        """Where the certificate of a user of ours is; its key is beside it, as `.key`."""
        return self._broker.folder / f"{user}.crt"

    @property
    def gateways(self) -> dict[str, datetime]:
        """Everybody with a certificate that was not revoked -> when the newest of his ends (UTC)."""
        files = sorted((self.folder / "issued").glob("*.crt"))
        held = {file.stem: _certificates(file) for file in files if is_gateway_id(file.stem)}
        return {id_: max(each.not_valid_after_utc for each in all_) for id_, all_ in held.items() if all_}

    def issue(self, gateway: str, now: datetime) -> Credential:
        """One more certificate, besides those that it has. Raises ValueError for a name that no gateway may have."""
        if not is_gateway_id(gateway):
            raise ValueError(f"{gateway!r} is not for a gateway")
        key = new_key()
        return Credential(pem(self._issue(self._signer(), key, gateway, now)), key_pem(key))

    def revoke(self, user: str, now: datetime) -> None:
        """All that it has. The broker goes by it once it has read its files again, for those who connect from then on.

        In this order: cut off anywhere it can be done again.
        """
        signer, issued = self._signer(), self.folder / "issued" / f"{user}.crt"
        revoked = self.folder / "revoked" / f"{user}.crt"
        self._record(revoked, [*_certificates(revoked), *_certificates(issued)], now)
        self._write_list(signer, now)
        issued.unlink(missing_ok=True)

    # -- what complete() makes -------------------------------------------------------------------------------------

    def _complete_authority(self, now: datetime) -> tuple[Signer, Standing]:
        if self.certificate_file.exists() and not self.present:
            raise ConfigError(
                "ca.key", "none", "the key of ca.crt; or it is a city's own authority, which this command leaves alone",
                str(self.certificate_file),
            )  # fmt: skip
        key, _ = self._key(self._key_file)
        old = _first(self.certificate_file) if self.certificate_file.exists() else None
        if old is not None and not belongs(old, key):
            raise ConfigError("ca.key", "the key of another certificate", "that of ca.crt", str(self.certificate_file))
        # Whatever it signs from now on shall last as long as it should.
        if old is not None and old.not_valid_after_utc >= now + LASTS:
            return Signer(old, key), Standing(self.certificate_file, old.not_valid_after_utc)
        name = old.subject if old is not None else certificates.authority_name(key)
        made = certificates.authority(key, name, now)
        self._broker.write(self.certificate_file, pem(made))
        return Signer(made, key), Standing(self.certificate_file, made.not_valid_after_utc, made=True)

    def _complete_server(self, signer: Signer, hosts: Sequence[str], now: datetime) -> Standing:
        file = self._server_file
        present = _first(file) if file.exists() else None
        if present is not None and not is_of(signer, present):
            return Standing(file, present.not_valid_after_utc, ours=False)
        wanted = list(dict.fromkeys(hosts)) or list(hosts_of(present) if present is not None else ())
        if not wanted:
            raise ConfigError("--host", "none", "the names and addresses by which gateways reach the broker")
        if present is not None and set(hosts_of(present)) != set(wanted):
            present = None
        return self._kept(file, present, now, lambda key: certificates.for_server(signer, key, wanted, now))

    def _complete_user(self, signer: Signer, user: str, now: datetime) -> Standing:
        """Taken away by somebody, it is in wrong hands: what there was is revoked."""
        file = self.user_file(user)
        present = _first(file) if file.exists() and file.with_suffix(".key").exists() else None
        if present is None or not is_of(signer, present):
            present = None
            if (self.folder / "issued" / f"{user}.crt").exists():
                self.revoke(user, now)
        return self._kept(file, present, now, lambda key: self._issue(signer, key, user, now))

    def _kept(
        self, file: Path, present: x509.Certificate | None, now: datetime,
        make: Callable[[ec.EllipticCurvePrivateKey], x509.Certificate],
    ) -> Standing:  # fmt: skip
        """`present`, unless it ends soon. The key stays: there is no moment at which the two do not fit together."""
        key, fresh = self._key(file.with_suffix(".key"))
        if present is not None and not fresh and belongs(present, key) and present.not_valid_after_utc >= now + SOON:
            return Standing(file, present.not_valid_after_utc)
        made = make(key)
        self._broker.write(file, pem(made))
        return Standing(file, made.not_valid_after_utc, made=True)

    # -- files -----------------------------------------------------------------------------------------------------

    def _signer(self) -> Signer:
        if not self.present or not self.certificate_file.exists():
            raise ConfigError("the authority", "none", _FIRST, str(self.folder))
        return Signer(_first(self.certificate_file), self._key(self._key_file)[0])

    def _key(self, file: Path) -> tuple[ec.EllipticCurvePrivateKey, bool]:
        """The key of the file, and whether it was made now."""
        if not file.exists():
            key = new_key()
            self._broker.write(file, key_pem(key))
            return key, True
        try:
            return certificates.read_key(file.read_bytes()), False
        except ValueError as error:
            raise ConfigError(
                "the key", str(error), "a key on P-256 in PEM, without a pass phrase", str(file)
            ) from None

    def _issue(self, signer: Signer, key: ec.EllipticCurvePrivateKey, user: str, now: datetime) -> x509.Certificate:
        """Recorded before anybody has it: what is recorded can be revoked."""
        made = certificates.for_client(signer, key, user, now)
        file = self.folder / "issued" / f"{user}.crt"
        self._record(file, [*_certificates(file), made], now)
        return made

    def _record(self, file: Path, of: Sequence[x509.Certificate], now: datetime) -> None:
        """Without those that have ended: nobody lets them in."""
        held = {each.serial_number: each for each in of if each.not_valid_after_utc >= now}
        self._broker.write(file, "".join(map(pem, held.values())))

    def _write_list(self, signer: Signer, now: datetime) -> None:
        """Whole or not at all: Mosquitto goes without a list that it cannot read, and says nothing."""
        files = sorted((self.folder / "revoked").glob("*.crt"))
        revoked = [each for file in files for each in _certificates(file) if each.not_valid_after_utc >= now]
        self._broker.write(self._list_file, pem(certificates.revocations(signer, revoked, now)))


def _certificates(file: Path) -> list[x509.Certificate]:
    """All of a file, [] where it is not there or empty."""
    content = file.read_bytes() if file.exists() else b""
    try:
        return x509.load_pem_x509_certificates(content) if content.strip() else []
    except ValueError as error:
        raise ConfigError("the certificate", str(error), "certificates in PEM", str(file)) from None


def _first(file: Path) -> x509.Certificate:
    found = _certificates(file)
    if not found:
        raise ConfigError("the certificate", "nothing", "a certificate in PEM", str(file))
    return found[0]
