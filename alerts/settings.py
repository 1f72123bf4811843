"""Settings: canhbao.toml and the environment, read once at the start and checked as a whole.

Every key `section.key` is also the variable CANHBAO_SECTION__KEY, which wins. Secrets come from the environment or from
a file that a `…_file` key names; a secret in canhbao.toml itself is refused. Relative paths in the file are relative to
the file; those in the environment, to the working folder.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import SplitResult, parse_qs, urlsplit

from alerts.delivery.channels import KINDS
from alerts.delivery.channels.channel import Kind
from alerts.given import PREFIX, Given, Secret, Section, secret_of
from alerts.residents.seal import Seal, SealError
from alerts.watch.logs import LogFormat
from ingest.city import DEFAULT_CITY_FILE, FOREIGN, ConfigError, parse_toml
from ingest.entries import ClockMode
from ingest.history.store import Keep
from ingest.networks import prefix_fault
from ingest.tls import Identity, tls_context
from processing.rules import DEFAULT_RULES_FILE

EMBEDDED_MQTT_PORT: Final = 1883
DAYS_MAX: Final = 36_500
_PUBLIC_URL_MOST: Final = 64
LOG_LEVELS: Final = ("DEBUG", "INFO", "WARNING", "ERROR")

# Every key and its default; all are text. "" means: see the function that reads it.
_DEFAULTS: Final[Mapping[str, Mapping[str, str]]] = {
    "data": {"path": "./data"},
    "city": {"file": ""},
    "rules": {"file": ""},
    "clock": {"arrival": "wall"},
    "mqtt": {
        "url": "embedded",
        "username": "collector",
        "client_id": "",
        "backfill_username": "collector-backfill",
        "out_username": "collector-out",
        "password_file": "",
        "backfill_password_file": "",
        "out_password_file": "",
        "ca_file": "",
        "certificate_file": "",
        "key_file": "",
        "backfill_certificate_file": "",
        "backfill_key_file": "",
        "out_certificate_file": "",
        "out_key_file": "",
    },
    "networks": dict.fromkeys(FOREIGN, ""),
    "http": {"listen": "127.0.0.1:8000", "public_url": ""},
    "history": {"url": "duckdb", "token_file": "", "keep_raw_days": "400", "keep_minutes_days": "800"},
    "cap": {"sender": "", "sender_name": "", "contact": ""},
    "residents": {"key_file": ""},
    "log": {"format": "auto", "level": "info"},
    **{
        kind.name: {**kind.keys, **{f"{secret}_file": "" for secret in kind.secrets}}
        for kind in KINDS.values()
        if kind.keys
    },
}
_SECRETS: Final[Mapping[str, Sequence[str]]] = {
    "mqtt": ("password", "backfill_password", "out_password"),
    "history": ("token",),
    "residents": ("key",),
    **{kind.name: kind.secrets for kind in KINDS.values() if kind.keys},
}


@dataclass(frozen=True, slots=True)
class MqttSettings:
    """`embedded_port` None: a broker of the city's at `url`; else we start our own there (0: any free port).

    `client_id` "": made once and kept in the data folder. A password None: the server asks for none. `ca_file`: whom to
    believe the broker's certificate, None: whom this machine believes. An identity None: no certificate of ours.
    """

    url: str
    embedded_port: int | None
    username: str
    client_id: str
    backfill_username: str
    out_username: str
    password: Secret | None
    backfill_password: Secret | None
    out_password: Secret | None
    ca_file: Path | None
    identity: Identity | None
    backfill_identity: Identity | None
    out_identity: Identity | None


@dataclass(frozen=True, slots=True)
class CapSettings:
    """Who speaks in CAP documents; "": made of the city's name, and no contact."""

    sender: str
    sender_name: str
    contact: str


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that an operator may choose, checked. `http_port` 0: any free one.

    `public_url`: where residents reach the service, with its last slash; "" where nobody has said it.
    `networks`: other networks that are read, by what their topics begin with. `channels`: the sections of those that
    have one. `residents_key`: by which residents' addresses are sealed; None: nobody can subscribe. `residents_keyed`:
    whether one is set, read or not. `file`: where all this was read, None where there is no file.
    """

    file: Path | None

    data_path: Path
    city_file: Path
    rules_file: Path
    clock: ClockMode
    mqtt: MqttSettings
    networks: Mapping[str, str]
    http_host: str
    http_port: int
    public_url: str
    history_url: str
    history_token: Secret | None
    history_keep: Keep
    cap: CapSettings
    channels: Mapping[str, Section]
    residents_key: Secret | None
    residents_keyed: bool
    log_format: LogFormat
    log_level: str


def load(path: Path | None, environ: Mapping[str, str], *, with_secrets: bool = True) -> Settings:
    """The settings of the file at `path` (None: no file) under those of `environ`.

    Without secrets for what makes them: their files may not be there yet.

    Raises ConfigError, naming the key or the variable, for whatever is unknown, of the wrong type or impossible.
    """
    given = _from_file(path) if path is not None else {}
    given |= _from_environment(environ)
    folder = path.parent if path is not None else Path()

    def of(section: str, key: str) -> Given:
        default = Given(_DEFAULTS[section].get(key, ""), f"{section}.{key}", folder)
        return given.get((section, key), default)

    def secret(section: str, key: str) -> Secret | None:
        return secret_of(of(section, key), of(section, f"{key}_file")) if with_secrets else None

    def identity(prefix: str) -> Identity | None:
        files = of("mqtt", f"{prefix}certificate_file"), of("mqtt", f"{prefix}key_file")
        return _identity(*files, of("mqtt", "url")) if with_secrets else None

    def section(name: str, kind: Kind) -> Section:
        keys = {key: of(name, key) for key in kind.keys}
        return Section(keys, {key: secret(name, key) for key in kind.secrets})

    host, port = _listen(of("http", "listen"))
    data_path, key_file = of("data", "path").path(), of("residents", "key_file")
    _check_outside(key_file, data_path)
    return Settings(
        file=path,
        data_path=data_path,
        city_file=_existing_file(of("city", "file"), beside=folder / "city.toml", bundled=DEFAULT_CITY_FILE),
        rules_file=_existing_file(of("rules", "file"), beside=folder / "rules.toml", bundled=DEFAULT_RULES_FILE),
        clock=_clock(of("clock", "arrival")),
        mqtt=MqttSettings(
            url=of("mqtt", "url").text,
            embedded_port=_embedded_port(of("mqtt", "url")),
            username=of("mqtt", "username").filled(),
            client_id=of("mqtt", "client_id").text,
            backfill_username=of("mqtt", "backfill_username").filled(),
            out_username=of("mqtt", "out_username").filled(),
            password=secret("mqtt", "password"),
            backfill_password=secret("mqtt", "backfill_password"),
            out_password=secret("mqtt", "out_password"),
            ca_file=_certificates(of("mqtt", "ca_file"), of("mqtt", "url"), read=with_secrets),
            identity=identity(""),
            backfill_identity=identity("backfill_"),
            out_identity=identity("out_"),
        ),
        networks={name: prefix for name in FOREIGN if (prefix := _prefix(name, of("networks", name)))},
        http_host=host,
        http_port=port,
        public_url=_public_url(of("http", "public_url")),
        history_url=_history(of("history", "url")),
        history_token=secret("history", "token"),
        history_keep=_keep(of("history", "keep_raw_days"), of("history", "keep_minutes_days")),
        cap=CapSettings(_sender(of("cap", "sender")), of("cap", "sender_name").text, of("cap", "contact").text),
        channels={name: section(name, kind) for name, kind in KINDS.items() if kind.keys},
        residents_key=_residents_key(of("residents", "key"), key_file, secret("residents", "key")),
        residents_keyed=bool(of("residents", "key").text or key_file.text),
        log_format=_log_format(of("log", "format")),
        log_level=_log_level(of("log", "level")),
    )


def read_text(path: Path) -> str:
    """A file that people write. Raises ConfigError where it cannot be read or is no UTF-8."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError("the file", str(error), "a readable text in UTF-8", str(path)) from None


def _from_file(path: Path) -> dict[tuple[str, str], Given]:
    file = str(path)
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError("the file", str(error), "a UTF-8 file that can be read", file) from None
    given = {}
    for section, table in parse_toml(text, dict[str, Any], file).items():
        if section not in _DEFAULTS:
            raise ConfigError(f"[{section}]", "an unknown section", _nearest(section, _DEFAULTS, "[{}]"), file)
        if not isinstance(table, dict):
            raise ConfigError(section, table, f"a section: [{section}]", file)
        for key, value in table.items():
            name = f"{section}.{key}"
            if key in _SECRETS.get(section, ()):
                raise ConfigError(name, "a secret", f"{_variable(section, key)} or {section}.{key}_file", file)
            if key not in _DEFAULTS[section]:
                raise ConfigError(name, "an unknown key", _nearest(key, _DEFAULTS[section], section + ".{}"), file)
            if not isinstance(value, str):
                raise ConfigError(name, value, f"text in quotes, such as {_DEFAULTS[section][key]!r}", file)
            given[section, key] = Given(value, name, path.parent, file)
    return given


def _from_environment(environ: Mapping[str, str]) -> dict[tuple[str, str], Given]:
    known = {
        _variable(section, key): (section, key)
        for section, keys in _DEFAULTS.items()
        for key in (*keys, *_SECRETS.get(section, ()))
    }
    given = {}
    for name, value in environ.items():
        if not name.startswith(PREFIX):
            continue
        if name not in known:
            raise ConfigError(name, "an unknown variable", _nearest(name, known, "{}"))
        given[known[name]] = Given(value, name, Path())
    return given


def _variable(section: str, key: str) -> str:
    return f"{PREFIX}{section}__{key}".upper()


def _nearest(name: str, known: Mapping[str, Any], shown: str) -> str:
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    if close:
        return shown.format(close[0])
    return "one of " + " ".join(shown.format(each) for each in known)


def _prefix(network: str, given: Given) -> str:
    if fault := prefix_fault(network, given.text):
        raise given.wrong(fault)
    return given.text


def _existing_file(given: Given, *, beside: Path, bundled: Path) -> Path:
    """The file that was named; else the one beside the settings; else ours."""
    if not given.text:
        return beside if beside.is_file() else bundled
    path = given.path()
    if not path.is_file():
        raise given.wrong(f"a file; there is none at {path}")
    return path


def _clock(given: Given) -> ClockMode:
    match given.text:
        case "wall":
            return "wall"
        case "data":
            return "data"
    raise given.wrong('"wall" or "data"')


def _log_format(given: Given) -> LogFormat:
    match given.text:
        case "auto" | "console" | "json" as form:
            return form
    raise given.wrong('"auto", "console" or "json"')


def _log_level(given: Given) -> str:
    if given.text.upper() not in LOG_LEVELS:
        raise given.wrong('"debug", "info", "warning" or "error"')
    return given.text.upper()


def _embedded_port(given: Given) -> int | None:
    """The port of the bundled broker, None where `given` names another broker."""
    if given.text == "embedded":
        return EMBEDDED_MQTT_PORT
    if given.text.startswith("embedded:"):
        return _port(given, given.text.removeprefix("embedded:"))
    _server(given, ("mqtt", "mqtts"), '"embedded", "embedded:PORT", mqtt://host:port or mqtts://host:port')
    return None


def _server(given: Given, schemes: tuple[str, ...], expected: str) -> SplitResult:
    """The parts of an address without user and password. Raises ConfigError that never repeats a password."""
    try:
        url = urlsplit(given.text)
        host, port = url.hostname, url.port
    except ValueError:
        raise given.wrong(expected, shown="an address that cannot be read") from None
    if "@" in given.text:  # wherever it stands: what is before it may be a password
        raise given.wrong("an address alone; the user and the secret have settings of their own", shown="…@…")
    if url.scheme not in schemes or not host or port == 0:
        raise given.wrong(expected)
    return url


def _public_url(given: Given) -> str:
    """It stands in texts that are paid by their length, and in front of addresses of ours: host and port, no more."""
    if not given.text:
        return ""
    expected = f'https://host or http://host:port, at most {_PUBLIC_URL_MOST} characters, such as "https://canhbao.vn"'
    url = _server(given, ("http", "https"), expected)
    short_ascii = given.text.isascii() and given.text.isprintable() and len(given.text) <= _PUBLIC_URL_MOST
    if not short_ascii or " " in given.text or url.path not in ("", "/") or url.query or url.fragment:
        raise given.wrong(expected)
    return f"{url.scheme}://{url.netloc.lower()}/"


def _listen(given: Given) -> tuple[str, int]:
    host, colon, port = given.text.rpartition(":")
    if not colon or not host:
        raise given.wrong('"host:port", such as "127.0.0.1:8000"')
    return host.strip("[]"), _port(given, port)


def _port(given: Given, text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) <= 65_535):
        raise given.wrong("a port from 0 (any free one) to 65535")
    return int(text)


def _history(given: Given) -> str:
    expected = '"duckdb" or influx+http(s)://host:8086?org=…&bucket=…'
    if given.text != "duckdb":
        url = _server(given, ("influx+http", "influx+https"), expected)
        if set(parse_qs(url.query)) != {"org", "bucket"}:
            raise given.wrong(expected, shown="other parameters than org and bucket")
    return given.text


def _sender(given: Given) -> str:
    """As CAP 1.2 wants it (section 3.2.1): it stands between commas and spaces in references."""
    if not given.text.isprintable() or any(c in given.text for c in " ,<&"):
        raise given.wrong("a name unique in the world, such as canhbao@danang.gov.vn: no space, comma, < or &")
    return given.text


def _check_outside(key_file: Given, data: Path) -> None:
    """A key that lies beside what it opens protects nothing: whoever takes the folder has both."""
    if key_file.text and key_file.path().resolve().is_relative_to(data.resolve()):
        raise key_file.wrong(f"a file outside the data folder {data}: backups and copies of that must not hold the key")


def _residents_key(direct: Given, key_file: Given, secret: Secret | None) -> Secret | None:
    if secret is not None:
        try:
            Seal.of(secret)
        except SealError as error:
            given = direct if direct.text else key_file
            raise given.wrong(f"{error}: openssl rand -hex 32", shown="what is none") from None
    return secret


def _keep(raw: Given, minutes: Given) -> Keep:
    keep = Keep(_days(raw), _days(minutes))
    if keep.minutes_days < keep.raw_days:
        coarser = (
            f"history.keep_minutes_days at least history.keep_raw_days: {keep.minutes_days} and {keep.raw_days} days"
        )
        raise (minutes if minutes.file else raw).wrong(coarser)
    return keep


def _days(given: Given) -> int:
    if not (given.text.isascii() and given.text.isdigit() and 1 <= int(given.text) <= DAYS_MAX):
        raise given.wrong(f"a number of days from 1 to {DAYS_MAX}, in quotes")
    return int(given.text)


def _certificates(given: Given, url: Given, *, read: bool) -> Path | None:
    if not given.text:
        return None
    _only_over_tls(given, url)
    path = given.path()
    try:
        if read:
            tls_context(path)
    except OSError as error:
        raise given.wrong(f"a file of certificates in PEM; {path}: {error.strerror or error}") from None
    return path


def _identity(certificate: Given, key: Given, url: Given) -> Identity | None:
    """Whether it has ended is asked when it is used: it may be renewed while we run."""
    if not certificate.text and not key.text:
        return None
    for given, other in ((certificate, key), (key, certificate)):
        if not other.text:
            raise given.wrong(f"{other.name} beside it: a certificate and its key go together")
    _only_over_tls(certificate, url)
    found = Identity(certificate.path(), key.path())
    try:
        found.try_out()
    except (OSError, ValueError) as error:
        raise certificate.wrong(f"a certificate in PEM, and its key without a pass phrase; {error}") from None
    return found


def _only_over_tls(given: Given, url: Given) -> None:
    if urlsplit(url.text).scheme != "mqtts":  # nobody should believe that it is TLS
        raise given.wrong("no certificates where mqtt.url is no mqtts://host:port")
