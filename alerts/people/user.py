"""A person who works with warnings: role, scope, and what the table of rights asks of both."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from ingest.city import City

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,31}\Z")
# Names that stand for no person: the machine's own token, and what the service does by itself.
RESERVED: Final = ("operator", "canhbao", "system", "admin", "nobody")


class Role(StrEnum):
    """Each may all that those before it may."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    APPROVER = "approver"
    ADMIN = "admin"

    def covers(self, needed: Role) -> bool:
        return _RANK[self] >= _RANK[needed]


class Centre(StrEnum):
    """Whose person it is. A label: rights follow from role and scope alone."""

    WARD = "ward"
    DISASTER = "disaster"
    POWER = "power"
    EDUCATION = "education"
    OTHER = "other"


_RANK: Final = {role: n for n, role in enumerate(Role)}


@dataclass(frozen=True, slots=True)
class User:
    """`areas`: codes, each with all that is part of it; none: the whole city. `hazards`: none: all of them."""

    name: str
    role: Role
    areas: tuple[str, ...] = ()
    hazards: tuple[str, ...] = ()
    centre: Centre = Centre.OTHER
    active: bool = True

    @property
    def everywhere(self) -> bool:
        """Neither area nor hazard limits it."""
        return not self.areas and not self.hazards

    def in_area(self, area: str, city: City) -> bool:
        """`area` "": the whole city."""
        if not self.areas:
            return True
        return any(code in self.areas for code in city.lineage(area)) if area else False

    def in_hazard(self, hazard: str) -> bool:
        """`hazard` "": all of them."""
        return not self.hazards or hazard in self.hazards


def is_user_name(text: str) -> bool:
    """Whether a person may be called so: it stands in the audit, in URLs and on marks."""
    return bool(_NAME.match(text)) and text not in RESERVED


def wider(scope: User, than: User, city: City) -> str:
    """Where `scope` reaches beyond `than`, in words; "" where it does not."""
    outside: Iterable[str] = [a for a in scope.areas or ("",) if not than.in_area(a, city)]
    for area in outside:
        return f"area {area}" if area else "the whole city"
    for hazard in scope.hazards or ("",):
        if not than.in_hazard(hazard):
            return f"hazard {hazard}" if hazard else "all hazards"
    return ""
