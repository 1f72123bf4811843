"""Settings: canhbao.toml and the environment, read once at the start and checked as a whole.

Every key `section.key` is also the variable CANHBAO_SECTION__KEY, which wins. Secrets come from the environment or from
a file that a `…_file` key names; a secret in canhbao.toml itself is refused. Relative paths in the file are relative to
the file; those in the environment, to the working folder.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import SplitResult, parse_qs, urlsplit

from alerts.watch.logs import LogFormat
from ingest.city import DEFAULT_CITY_FILE, FOREIGN, ConfigError, parse_toml
from ingest.entries import ClockMode
from ingest.history.store import Keep
from ingest.networks import prefix_fault
from ingest.tls import Identity, tls_context
from processing.rules import DEFAULT_RULES_FILE

PREFIX: Final = "CANHBAO_"
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
    "log": {"format": "auto", "level": "info"},
}
_SECRETS: Final = {"mqtt": ("password", "backfill_password", "out_password"), "history": ("token",)}


@dataclass(frozen=True, slots=True, repr=False)
class Secret:
    """A text that no log, error or page may show; `reveal` is for the line that hands it to a server."""

    _text: str

    def reveal(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return "Secret(…)"


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
    `networks`: other networks that are read, by what their topics begin with.
    """

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
    log_format: LogFormat
    log_level: str


@dataclass(frozen=True, slots=True)
class _Given:
    """One setting as somebody wrote it; `name` and `origin` are what an error must point at."""

    text: str
    name: str  # "mqtt.url" or "CANHBAO_MQTT__URL"
    folder: Path  # that a relative path starts from
    file: str = ""

    def wrong(self, expected: str, *, shown: str | None = None) -> ConfigError:
        return ConfigError(self.name, self.text if shown is None else shown, expected, self.file)


def load(path: Path | None, environ: Mapping[str, str], *, with_secrets: bool = True) -> Settings:
    """The settings of the file at `path` (None: no file) under those of `environ`.

    Without secrets for what makes them: their files may not be there yet.

    Raises ConfigError, naming the key or the variable, for whatever is unknown, of the wrong type or impossible.
    """
    given = _from_file(path) if path is not None else {}
    given |= _from_environment(environ)
    folder = path.parent if path is not None else Path()

    def of(section: str, key: str) -> _Given:
        default = _Given(_DEFAULTS[section].get(key, ""), f"{section}.{key}", folder)
        return given.get((section, key), default)

    def secret(section: str, key: str) -> Secret | None:
        return _secret(of(section, key), of(section, f"{key}_file")) if with_secrets else None

    def identity(prefix: str) -> Identity | None:
        files = of("mqtt", f"{prefix}certificate_file"), of("mqtt", f"{prefix}key_file")
        return _identity(*files, of("mqtt", "url")) if with_secrets else None

    host, port = _listen(of("http", "listen"))
    return Settings(
        data_path=_path(of("data", "path")),
        city_file=_existing_file(of("city", "file"), beside=folder / "city.toml", bundled=DEFAULT_CITY_FILE),
        rules_file=_existing_file(of("rules", "file"), beside=folder / "rules.toml", bundled=DEFAULT_RULES_FILE),
        clock=_clock(of("clock", "arrival")),
        mqtt=MqttSettings(
            url=of("mqtt", "url").text,
            embedded_port=_embedded_port(of("mqtt", "url")),
            username=_filled(of("mqtt", "username")),
            client_id=of("mqtt", "client_id").text,
            backfill_username=_filled(of("mqtt", "backfill_username")),
            out_username=_filled(of("mqtt", "out_username")),
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
        log_format=_log_format(of("log", "format")),
        log_level=_log_level(of("log", "level")),
    )


def read_text(path: Path) -> str:
    """A file that people write. Raises ConfigError where it cannot be read or is no UTF-8."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError("the file", str(error), "a readable text in UTF-8", str(path)) from None


def _from_file(path: Path) -> dict[tuple[str, str], _Given]:
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
            given[section, key] = _Given(value, name, path.parent, file)
    return given


def _from_environment(environ: Mapping[str, str]) -> dict[tuple[str, str], _Given]:
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
        given[known[name]] = _Given(value, name, Path())
    return given


def _variable(section: str, key: str) -> str:
    return f"{PREFIX}{section}__{key}".upper()


def _nearest(name: str, known: Mapping[str, Any], shown: str) -> str:
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    if close:
        return shown.format(close[0])
    return "one of " + " ".join(shown.format(each) for each in known)


def _prefix(network: str, given: _Given) -> str:
    if fault := prefix_fault(network, given.text):
        raise given.wrong(fault)
    return given.text


def _filled(given: _Given) -> str:
    if not given.text:
        raise given.wrong("a name")
    return given.text


def _path(given: _Given) -> Path:
    try:
        return given.folder / Path(_filled(given)).expanduser()
    except RuntimeError:
        raise given.wrong("a path; there is no such user's home") from None


def _existing_file(given: _Given, *, beside: Path, bundled: Path) -> Path:
    """The file that was named; else the one beside the settings; else ours."""
    if not given.text:
        return beside if beside.is_file() else bundled
    path = _path(given)
    if not path.is_file():
        raise given.wrong(f"a file; there is none at {path}")
    return path


def _clock(given: _Given) -> ClockMode:
    match given.text:
        case "wall":
            return "wall"
        case "data":
            return "data"
    raise given.wrong('"wall" or "data"')


def _log_format(given: _Given) -> LogFormat:
    match given.text:
        case "auto" | "console" | "json" as form:
            return form
    raise given.wrong('"auto", "console" or "json"')


def _log_level(given: _Given) -> str:
    if given.text.upper() not in LOG_LEVELS:
        raise given.wrong('"debug", "info", "warning" or "error"')
    return given.text.upper()


def _embedded_port(given: _Given) -> int | None:
    """The port of the bundled broker, None where `given` names another broker."""
    if given.text == "embedded":
        return EMBEDDED_MQTT_PORT
    if given.text.startswith("embedded:"):
        return _port(given, given.text.removeprefix("embedded:"))
    _server(given, ("mqtt", "mqtts"), '"embedded", "embedded:PORT", mqtt://host:port or mqtts://host:port')
    return None


def _server(given: _Given, schemes: tuple[str, ...], expected: str) -> SplitResult:
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


def _public_url(given: _Given) -> str:
    """It stands in texts that are paid by their length, and in front of addresses of ours: host and port, no more."""
    if not given.text:
        return ""
    expected = f'https://host or http://host:port, at most {_PUBLIC_URL_MOST} characters, such as "https://canhbao.vn"'
    url = _server(given, ("http", "https"), expected)
    short_ascii = given.text.isascii() and given.text.isprintable() and len(given.text) <= _PUBLIC_URL_MOST
    if not short_ascii or " " in given.text or url.path not in ("", "/") or url.query or url.fragment:
        raise given.wrong(expected)
    return f"{url.scheme}://{url.netloc.lower()}/"


def _listen(given: _Given) -> tuple[str, int]:
    host, colon, port = given.text.rpartition(":")
    if not colon or not host:
        raise given.wrong('"host:port", such as "127.0.0.1:8000"')
    return host.strip("[]"), _port(given, port)


def _port(given: _Given, text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) <= 65_535):
        raise given.wrong("a port from 0 (any free one) to 65535")
    return int(text)


def _history(given: _Given) -> str:
    expected = '"duckdb" or influx+http(s)://host:8086?org=…&bucket=…'
    if given.text != "duckdb":
        url = _server(given, ("influx+http", "influx+https"), expected)
        if set(parse_qs(url.query)) != {"org", "bucket"}:
            raise given.wrong(expected, shown="other parameters than org and bucket")
    return given.text


def _sender(given: _Given) -> str:
    """As CAP 1.2 wants it (section 3.2.1): it stands between commas and spaces in references."""
    if not given.text.isprintable() or any(c in given.text for c in " ,<&"):
        raise given.wrong("a name unique in the world, such as canhbao@danang.gov.vn: no space, comma, < or &")
    return given.text


def _keep(raw: _Given, minutes: _Given) -> Keep:
    keep = Keep(_days(raw), _days(minutes))
    if keep.minutes_days < keep.raw_days:
        coarser = (
            f"history.keep_minutes_days at least history.keep_raw_days: {keep.minutes_days} and {keep.raw_days} days"
        )
        raise (minutes if minutes.file else raw).wrong(coarser)
    return keep


def _days(given: _Given) -> int:
    if not (given.text.isascii() and given.text.isdigit() and 1 <= int(given.text) <= DAYS_MAX):
        raise given.wrong(f"a number of days from 1 to {DAYS_MAX}, in quotes")
    return int(given.text)


def _certificates(given: _Given, url: _Given, *, read: bool) -> Path | None:
    if not given.text:
        return None
    _only_over_tls(given, url)
    path = _path(given)
    try:
        if read:
            tls_context(path)
    except OSError as error:
        raise given.wrong(f"a file of certificates in PEM; {path}: {error.strerror or error}") from None
    return path


def _identity(certificate: _Given, key: _Given, url: _Given) -> Identity | None:
    """Whether it has ended is asked when it is used: it may be renewed while we run."""
    if not certificate.text and not key.text:
        return None
    for given, other in ((certificate, key), (key, certificate)):
        if not other.text:
            raise given.wrong(f"{other.name} beside it: a certificate and its key go together")
    _only_over_tls(certificate, url)
    found = Identity(_path(certificate), _path(key))
    try:
        found.try_out()
    except (OSError, ValueError) as error:
        raise certificate.wrong(f"a certificate in PEM, and its key without a pass phrase; {error}") from None
    return found


def _only_over_tls(given: _Given, url: _Given) -> None:
    if urlsplit(url.text).scheme != "mqtts":  # nobody should believe that it is TLS
        raise given.wrong("no certificates where mqtt.url is no mqtts://host:port")


def _secret(direct: _Given, from_file: _Given) -> Secret | None:
    """The variable's text, else what stands in the file, without its line end; None where neither is given."""
    if direct.text:
        return Secret(direct.text)
    if not from_file.text:
        return None
    path = _path(from_file)
    try:
        text = path.read_text("utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError):
        raise from_file.wrong(f"a UTF-8 file that can be read; {path} is not") from None
    if not text:
        raise from_file.wrong(f"a secret; {path} is empty")
    return Secret(text)
