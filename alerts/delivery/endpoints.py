"""Who gets webhooks: the file that `webhook.file` names, read and checked as a whole."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from alerts.delivery.guard import Guard
from alerts.given import Given, Secret, secret_of
from alerts.incidents.incident import EMERGENCY, Notice
from ingest.city import City, ConfigError, parse_toml

ENDPOINTS_MOST: Final = 50
SECRET_LEAST: Final = 24  # characters; 32 random bytes in hex have 64
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,31}\Z")


class _Row(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    url: str
    secret_file: str
    old_secret_file: str = ""
    areas: tuple[str, ...] = ()
    hazards: tuple[str, ...] = ()
    floor: int = 1
    drills: bool = False


class _Document(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    webhook: list[_Row]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One receiver and what concerns it. `areas`: each with all that is part of it; none: the whole city.

    `secrets`: the one in force; while it is being changed, the one before it as well. `url` may hold a token.
    """

    name: str
    url: Secret
    secrets: tuple[Secret, ...]
    areas: tuple[str, ...] = ()
    hazards: tuple[str, ...] = ()
    floor: int = 1
    drills: bool = False

    def wants(self, notice: Notice, lineage: Sequence[str]) -> bool:
        """Every version of an incident from the first that reaches the floor, its easings and its end among them.

        `lineage`: the notice's area and all that it is part of.
        """
        high = max(notice.level, notice.previous_level, notice.peak) >= self.floor
        here = not self.areas or any(area in self.areas for area in lineage)
        return (
            high and here and (not self.hazards or notice.hazard in self.hazards) and (self.drills or not notice.drill)
        )


def read_endpoints(path: Path, guard: Guard, city: City | None) -> list[Endpoint]:
    """In the order of the file. Raises ConfigError naming the file and the entry; no URL and no secret stands in it."""
    file = str(path)
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError("the file", str(error), "a UTF-8 file that can be read", file) from None
    rows = parse_toml(text, _Document, file).webhook
    if not 1 <= len(rows) <= ENDPOINTS_MOST:
        raise ConfigError("webhook", f"{len(rows)} entries", f"1 to {ENDPOINTS_MOST} [[webhook]]", file)
    names = [row.name for row in rows]
    for row in rows:
        if names.count(row.name) > 1:
            raise ConfigError("webhook.name", row.name, "a name of its own for each", file)
    return [_endpoint(row, path, guard, city) for row in rows]


def _endpoint(row: _Row, path: Path, guard: Guard, city: City | None) -> Endpoint:
    key, file = f"webhook {row.name!r}", str(path)
    if not _NAME.match(row.name):
        raise ConfigError("webhook.name", row.name, "1 to 32 of a-z 0-9 -", file)
    if expected := guard.fault(row.url):
        raise ConfigError(f"{key} url", "an address that may not be used", expected, file)
    if not 1 <= row.floor <= EMERGENCY:
        raise ConfigError(f"{key} floor", row.floor, f"a level, 1 to {EMERGENCY}", file)
    for area in row.areas:
        if city is not None and area not in city.areas:  # a slip of the pen would mean silence
            raise ConfigError(f"{key} areas", area, "codes of the city's areas", file)
    files = [("secret_file", row.secret_file)]
    files += [("old_secret_file", row.old_secret_file)] if row.old_secret_file else []
    secrets = tuple(_secret(Given(text, f"{key} {name}", path.parent, file)) for name, text in files)
    return Endpoint(row.name, Secret(row.url), secrets, row.areas, row.hazards, row.floor, row.drills)


def _secret(given: Given) -> Secret:
    given.filled()
    secret = secret_of(Given("", given.name, given.folder, given.file), given)
    if secret is None or len(secret.reveal()) < SECRET_LEAST:
        raise given.wrong(
            f"a file with a secret of at least {SECRET_LEAST} characters, as openssl rand -hex 32 makes it"
        )
    return secret
