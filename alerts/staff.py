"""Users as admins make and change them: what is checked, and how far an admin's own scope reaches."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from alerts.ledger.people import By, People, PeopleError, Token
from alerts.people.user import Centre, Role, User, is_user_name, wider
from ingest.city import City

_HAZARD: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}\Z")
CODES_MOST: Final = 500  # areas, and hazards, of one user


class OutsideError(Exception):
    """It lies outside the scope of who wants to do it; one line that says where."""


@dataclass(frozen=True, slots=True)
class Change:
    """What is to be different; None: as it is."""

    role: Role | None = None
    areas: tuple[str, ...] | None = None
    hazards: tuple[str, ...] | None = None
    centre: Centre | None = None
    active: bool | None = None

    def of(self, user: User) -> User:
        given = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return replace(user, **{name: value for name, value in given.items() if value is not None})


class Staff:
    """`city`: the registry in force. Every method raises PeopleError, OutsideError, ValueError and LedgerError."""

    def __init__(self, people: People, city: Callable[[], City], now_ms: Callable[[], int]) -> None:
        self._people, self._city, self._now_ms = people, city, now_ms
        self.holder = people.holder

    def user(self, name: str) -> User | None:
        return self._people.user(name)

    def listed(self, by: User) -> list[tuple[User, list[Token]]]:
        """Those within the scope of `by`, by name, with their tokens."""
        return [(user, self._people.tokens(user.name)) for user in self._people.users if not self._beyond(user, by)]

    def within(self, name: str, by: User) -> User:
        """The user, who is within the scope of `by`."""
        return self._found(name, by)

    def add(self, user: User, by: User, key: str = "") -> User:
        self._check(user, by)
        return self._people.add(user, self._by(by, key))

    def change(self, name: str, change: Change, by: User, key: str = "") -> User:
        after = change.of(self._found(name, by))
        self._check(after, by)
        return self._people.change(after, self._by(by, key))

    def issue(self, name: str, by: User, key: str = "") -> str:
        """The token, which is kept nowhere."""
        self._found(name, by)
        return self._people.issue(name, self._by(by, key))

    def revoke(self, name: str, token: str, by: User, key: str = "") -> list[str]:
        """The ids of the tokens that were in force until now. `token` "": all."""
        self._found(name, by)
        return self._people.revoke(name, token, self._by(by, key))

    def _by(self, by: User, key: str) -> By:
        # A blank, which no caller's key can have: it is never that of a verb on warnings.
        return By(by.name, self._now_ms(), key and f"users {key}")

    def _found(self, name: str, by: User) -> User:
        user = self._people.user(name)
        if user is None:
            raise PeopleError(f"there is no user {name[:64]}")
        if where := self._beyond(user, by):
            raise OutsideError(f"{name}: {where} is outside the scope of {by.name}")
        return user

    def _check(self, user: User, by: User) -> None:
        if not is_user_name(user.name):
            raise ValueError(f"name: {user.name[:64]!r} is not 1 to 32 of a-z 0-9 . _ - that stands for a person")
        areas = self._city().areas
        for code in user.areas:
            if code not in areas:
                raise ValueError(f"areas: {code[:64]!r} is not one of the city's")
        for hazard in user.hazards:
            if not _HAZARD.match(hazard):
                raise ValueError(f"hazards: {hazard[:64]!r} is no name of a hazard")
        for what, codes in (("areas", user.areas), ("hazards", user.hazards)):
            if len(codes) > CODES_MOST or len(set(codes)) < len(codes):
                raise ValueError(f"{what}: each once, at most {CODES_MOST}")
        if where := self._beyond(user, by):
            raise OutsideError(f"{where} is outside the scope of {by.name}")

    def _beyond(self, user: User, by: User) -> str:
        return wider(user, by, self._city())
