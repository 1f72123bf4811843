"""The small authority: what it signs, what it keeps, what it makes anew; held against OpenSSL's strictest reading."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from certificates import authority as foreign_authority
from certificates import certify
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from ingest.broker.authority import Authority, Standing
from ingest.broker.certificates import AUTHORITY_LASTS, LASTS, is_host
from ingest.broker.mosquitto import MosquittoFolder
from ingest.broker.mosquitto_conf import SERVICE_USERS
from ingest.city import ConfigError
from ingest.tls import SOON, Identity, ended, ends_soon, tls_context

NOW = datetime(2026, 7, 1, tzinfo=UTC)
DAY = timedelta(days=1)
HOSTS = ["broker.example", "192.0.2.7", "2001:db8::7"]


@pytest.fixture
def folder(tmp_path: Path) -> MosquittoFolder:
    (tmp_path / "mosquitto").mkdir()
    folder = MosquittoFolder(tmp_path / "mosquitto")
    with folder.changing():
        pass
    return folder


@pytest.fixture
def authority(folder: MosquittoFolder) -> Authority:
    authority = Authority(folder)
    authority.complete(HOSTS, NOW)
    return authority


def files(folder: MosquittoFolder) -> dict[Path, bytes]:
    return {file: file.read_bytes() for file in folder.folder.rglob("*") if file.is_file()}


def made(standings: list[Standing]) -> list[str]:
    return [each.file.name for each in standings if each.made]


def read(file: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(file.read_bytes())


def revoked(authority: Authority) -> set[int]:
    crl = x509.load_pem_x509_crl((authority.folder / "crl.pem").read_bytes())
    assert crl.is_signature_valid(read(authority.certificate_file).public_key())  # type: ignore[arg-type]
    return {entry.serial_number for entry in crl}


@pytest.mark.server("openssl")
def test_openssl_finds_nothing_wrong_with_what_it_signs(
    folder: MosquittoFolder, authority: Authority, program: Callable[[str], str], tmp_path: Path
) -> None:
    (tmp_path / "gw.crt").write_text(authority.issue("gw-1", NOW).certificate)
    strict = [program("openssl"), "verify", "-x509_strict", "-check_ss_sig", "-crl_check", "-attime",
              str(int(NOW.timestamp())), "-CAfile", str(authority.certificate_file),
              "-CRLfile", str(authority.folder / "crl.pem")]  # fmt: skip

    def verified(file: Path, *more: str) -> bool:
        return subprocess.run([*strict, *more, str(file)], capture_output=True, check=False).returncode == 0

    server = folder.folder / "tls" / "server.crt"
    assert verified(server, "-purpose", "sslserver", "-verify_hostname", "broker.example")
    assert verified(server, "-purpose", "sslserver", "-verify_ip", "2001:db8::7")
    assert not verified(server, "-verify_hostname", "other.example")
    assert verified(tmp_path / "gw.crt", "-purpose", "sslclient")
    # A gateway may not pass for the broker, nor the broker for a user.
    assert not verified(tmp_path / "gw.crt", "-purpose", "sslserver")
    assert not verified(server, "-purpose", "sslclient")
    authority.revoke("gw-1", NOW)
    assert not verified(tmp_path / "gw.crt", "-purpose", "sslclient")
    assert verified(server, "-purpose", "sslserver")


def test_every_file_of_keys_is_its_owners_alone_and_no_repr_shows_one(
    folder: MosquittoFolder, authority: Authority
) -> None:
    credential = authority.issue("gw-1", NOW)
    for file, content in files(folder).items():
        if b"PRIVATE KEY" in content:
            assert stat.S_IMODE(file.stat().st_mode) == 0o600
    keys = [folder.folder / name for name in ("ca/ca.key", "tls/server.key", "collector.key")]
    assert all(b"PRIVATE KEY" in file.read_bytes() for file in keys)
    assert "PRIVATE" not in repr(credential)
    assert not any(credential.key.encode() in content for content in files(folder).values())


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_what_root_makes_belongs_to_the_owner_of_the_folder(folder: MosquittoFolder) -> None:
    os.chown(folder.folder, 65534, 65534)
    Authority(folder).complete(HOSTS, NOW)
    assert {file.stat().st_uid for file in (folder.folder / "ca").rglob("*")} == {65534}
    assert (folder.folder / "tls" / "server.key").stat().st_uid == 65534


def test_serials_are_random_and_names_are_those_of_the_users(authority: Authority) -> None:
    issued = [x509.load_pem_x509_certificate(authority.issue(f"gw-{n}", NOW).certificate.encode()) for n in range(20)]
    serials = {each.serial_number for each in issued}
    assert len(serials) == 20
    assert min(serial.bit_length() for serial in serials) > 100
    assert [each.subject.rfc4514_string() for each in issued] == [f"CN=gw-{n}" for n in range(20)]
    assert {read(authority.user_file(user)).subject.rfc4514_string() for user in SERVICE_USERS} == {
        f"CN={user}" for user in SERVICE_USERS
    }


@pytest.mark.parametrize("name", ["collector", "collector-out", "collector-2", "GW", "", "gw 1", "a" * 33, "../gw"])
def test_no_gateway_is_given_the_name_of_a_user_of_ours(authority: Authority, name: str) -> None:
    with pytest.raises(ValueError, match="not for a gateway"):
        authority.issue(name, NOW)


def test_again_it_changes_nothing_until_something_ends_soon(folder: MosquittoFolder, authority: Authority) -> None:
    before = files(folder)
    for hosts, at in ((HOSTS, NOW), ([], NOW + DAY), (list(reversed(HOSTS)), NOW + LASTS - SOON - 2 * DAY)):
        assert made(authority.complete(hosts, at)) == []
    assert files(folder) == before

    later = NOW + LASTS - SOON + DAY
    assert set(made(authority.complete([], later))) == {"server.crt", *(f"{user}.crt" for user in SERVICE_USERS)}
    assert (folder.folder / "tls" / "server.key").read_bytes() == before[folder.folder / "tls" / "server.key"]
    assert read(folder.folder / "tls" / "server.crt").not_valid_after_utc == later + LASTS
    assert revoked(authority) == set()  # what a running service holds stays good


def test_other_hosts_make_another_certificate_of_the_broker(folder: MosquittoFolder, authority: Authority) -> None:
    assert made(authority.complete(["other.example"], NOW)) == ["server.crt"]
    names = read(folder.folder / "tls" / "server.crt").extensions.get_extension_for_class(x509.SubjectAlternativeName)
    assert names.value.get_values_for_type(x509.DNSName) == ["other.example"]


def test_nothing_outlives_its_authority_which_is_renewed_with_its_key(
    folder: MosquittoFolder, authority: Authority
) -> None:
    first, key = read(authority.certificate_file), (authority.folder / "ca.key").read_bytes()
    late = NOW + AUTHORITY_LASTS - 100 * DAY
    gateway = x509.load_pem_x509_certificate(authority.issue("gw-1", late).certificate.encode())
    assert gateway.not_valid_after_utc == first.not_valid_after_utc

    assert "ca.crt" in made(authority.complete([], NOW + AUTHORITY_LASTS - LASTS + DAY))
    renewed = read(authority.certificate_file)
    assert renewed.not_valid_after_utc > late + LASTS
    assert (authority.folder / "ca.key").read_bytes() == key
    gateway.verify_directly_issued_by(renewed)  # what the first one signed holds
    read(folder.folder / "tls" / "server.crt").verify_directly_issued_by(first)  # gateways that know the first go on
    assert x509.load_pem_x509_crl((authority.folder / "crl.pem").read_bytes()).next_update_utc == (
        renewed.not_valid_after_utc
    )


def test_what_is_revoked_stays_revoked_until_it_has_ended(authority: Authority) -> None:
    serials = [x509.load_pem_x509_certificate(authority.issue("gw-1", at).certificate.encode()).serial_number
               for at in (NOW, NOW + 300 * DAY)]  # fmt: skip
    other = x509.load_pem_x509_certificate(authority.issue("gw-2", NOW).certificate.encode()).serial_number
    assert authority.gateways == {"gw-1": NOW + 300 * DAY + LASTS, "gw-2": NOW + LASTS}

    authority.revoke("gw-1", NOW + 300 * DAY)
    assert revoked(authority) == set(serials)
    assert list(authority.gateways) == ["gw-2"]
    authority.revoke("gw-1", NOW + 300 * DAY)  # cut off and done again
    assert revoked(authority) == set(serials)
    authority.issue("gw-1", NOW + 300 * DAY)  # a new one brings the old ones not back
    authority.revoke("gw-2", NOW + 301 * DAY)
    assert revoked(authority) == {*serials, other}
    authority.complete(["x"], NOW + LASTS + DAY)
    authority.revoke("gw-3", NOW + LASTS + DAY)
    assert revoked(authority) == {serials[1]}


def test_the_list_holds_now_and_as_long_as_the_authority(authority: Authority) -> None:
    crl = x509.load_pem_x509_crl((authority.folder / "crl.pem").read_bytes())
    assert crl.last_update_utc < NOW  # a broker whose clock is behind would refuse everybody
    assert crl.next_update_utc == read(authority.certificate_file).not_valid_after_utc


def test_a_certificate_of_ours_that_somebody_took_away_is_revoked(authority: Authority) -> None:
    lost = read(authority.user_file("collector")).serial_number
    authority.user_file("collector").with_suffix(".key").unlink()
    assert made(authority.complete([], NOW)) == ["collector.crt"]
    assert revoked(authority) == {lost}
    assert read(authority.user_file("collector")).serial_number != lost


def test_what_was_cut_off_or_lost_is_made_again_and_what_was_signed_holds(
    folder: MosquittoFolder, authority: Authority
) -> None:
    gateway = x509.load_pem_x509_certificate(authority.issue("gw-1", NOW).certificate.encode())
    (authority.folder / "ca.crt").unlink()
    (folder.folder / "tls" / "server.crt").unlink()
    assert made(authority.complete(HOSTS, NOW)) == ["ca.crt", "server.crt"]
    gateway.verify_directly_issued_by(read(authority.certificate_file))
    Identity(folder.folder / "tls" / "server.crt", folder.folder / "tls" / "server.key").try_out()


@pytest.mark.server("openssl")
def test_a_citys_own_authority_and_certificate_are_left_alone(
    folder: MosquittoFolder, program: Callable[[str], str], tmp_path: Path
) -> None:
    own = foreign_authority(program("openssl"), tmp_path / "city")
    certify(program("openssl"), own, folder.folder / "tls")
    before = (folder.folder / "tls" / "server.crt").read_bytes()
    server = Authority(folder).complete(["x"], NOW)[1]
    assert (server.ours, server.made) == (False, False)
    assert (folder.folder / "tls" / "server.crt").read_bytes() == before

    (folder.folder / "ca" / "ca.key").unlink()
    with pytest.raises(ConfigError, match=r"a city's own authority, which this command leaves alone"):
        Authority(folder).complete(["x"], NOW)
    for action in (lambda: Authority(folder).issue("gw-1", NOW), lambda: Authority(folder).revoke("gw-1", NOW)):
        with pytest.raises(ConfigError, match="canhbao gateway ca"):
            action()


@pytest.mark.parametrize("name", ["ca/ca.key", "ca/ca.crt", "tls/server.crt", "tls/server.key", "collector.crt"])
def test_a_file_that_cannot_be_read_is_named(folder: MosquittoFolder, authority: Authority, name: str) -> None:
    for content in ("", "no PEM", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"):
        (folder.folder / name).write_text(content)
        with pytest.raises(ConfigError) as wrong:
            authority.complete([], NOW)
        assert wrong.value.file == str(folder.folder / name)


def test_another_key_of_the_authority_is_said_and_nothing_is_signed_with_it(authority: Authority) -> None:
    server = authority.user_file("collector").with_suffix(".key")
    (authority.folder / "ca.key").write_bytes(server.read_bytes())
    with pytest.raises(ConfigError, match="another certificate"):
        authority.complete([], NOW)


@pytest.mark.parametrize(
    ("text", "host"),
    [("broker.example", True), ("b", True), ("192.0.2.1", True), ("::1", True), ("xn--nng-8qa.vn", True),
     ("", False), ("a b", False), ("mqtts://b", False), ("b:8883", False), ("-b", False), ("b-.x", False),
     ("b..x", False), ("Đà-nẵng.vn", False), ("B.example", False), ("b\n", False), ("a" * 64, False),
     (".".join(["a" * 60] * 5), False), ("*.example", False)],
)  # fmt: skip
def test_hosts_are_names_or_addresses(text: str, host: bool) -> None:
    assert is_host(text) is host


# --- as a client -----------------------------------------------------------------------------------------------------


def test_what_has_ended_is_named_with_its_date(authority: Authority) -> None:
    identity = Identity(authority.user_file("collector"), authority.user_file("collector").with_suffix(".key"))
    end = NOW + LASTS
    assert ended(identity, end) == ""
    assert ended(identity, end + DAY) == f"the certificate {identity.certificate} ended on {end:%Y-%m-%dT%H:%M:%SZ}"
    assert ends_soon(identity, end - SOON - DAY) == ""
    assert "ends on 2028-06-30" in ends_soon(identity, end - SOON + DAY)


def test_files_that_do_not_fit_are_named_and_nobody_is_asked_for_a_pass_phrase(
    authority: Authority, tmp_path: Path
) -> None:
    certificate, key = authority.user_file("collector"), authority.user_file("collector-out").with_suffix(".key")
    locked = tmp_path / "locked.key"
    plain = serialization.load_pem_private_key(certificate.with_suffix(".key").read_bytes(), None)
    locked.write_bytes(plain.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                           serialization.BestAvailableEncryption(b"hush")))  # fmt: skip
    for files_ in ((certificate, key), (certificate, tmp_path / "nowhere"), (tmp_path / "nowhere", key),
                   (certificate, locked), (key, key)):  # fmt: skip
        with pytest.raises(OSError, match=str(files_[1])):
            tls_context(None, Identity(*files_))
    assert _at_a_terminal(TRY_OUT, str(certificate), str(locked)) == 3


TRY_OUT = """
import sys
from pathlib import Path
from ingest.tls import Identity
try:
    Identity(*map(Path, sys.argv[1:])).try_out()
except OSError:
    sys.exit(3)
"""


def _at_a_terminal(code: str, *arguments: str) -> int:
    """How it ends where somebody could be asked; nobody answers."""
    outer = "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))"
    command = [sys.executable, "-c", outer, sys.executable, "-c", code, *arguments]
    root = Path(__file__).parents[1]
    done = subprocess.run(command, cwd=root, stdin=subprocess.DEVNULL, capture_output=True, timeout=30, check=False)
    return done.returncode
