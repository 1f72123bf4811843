"""How `canhbao user` reaches the users: through the running service, or in the ledger where none runs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import quote

from pydantic import BaseModel, ValidationError

from alerts.commands.caller import Caller, CallError, WrongCallError
from alerts.ledger.audit import Audit
from alerts.ledger.people import People, PeopleError
from alerts.ledger.store import Store
from alerts.staff import Staff
from alerts.web.operators import HERE
from alerts.web.people import UserChange, UserIn, UserList, UserOut, Verified, listed_users, verified
from ingest.city import City
from ingest.data_folder import announced, lock_folder
from ingest.disk import LOCAL

_HELP: Final = "canhbao user --help"
T = TypeVar("T")


class Running:
    """The users of a service that runs, asked over HTTP with the token of its data folder. Raises as Caller does."""

    def __init__(self, url: str, folder: Path) -> None:
        self._ask = Caller(url, folder, "user").ask

    def listed(self) -> dict[str, Any]:
        return self._ask("GET", "/api/v1/users")

    def add(self, user: Mapping[str, Any]) -> None:
        self._ask("POST", "/api/v1/users", user)

    def change(self, name: str, change: Mapping[str, Any]) -> dict[str, Any]:
        return self._ask("PATCH", f"/api/v1/users/{quote(name, safe='')}", change)

    def token(self, name: str) -> str:
        return str(self._ask("POST", f"/api/v1/users/{quote(name, safe='')}/tokens", {})["token"])

    def revoke(self, name: str, token: str) -> list[str]:
        one = f"/{quote(token, safe='')}" if token else ""
        return list(self._ask("DELETE", f"/api/v1/users/{quote(name, safe='')}/tokens{one}")["revoked"])

    def reach(self, name: str, contact: Mapping[str, Any] | None) -> str:
        """By what he is called from now on; None: by nothing."""
        path = f"/api/v1/users/{quote(name, safe='')}/contact"
        return str((self._ask("DELETE", path) if contact is None else self._ask("PUT", path, contact))["called_by"])

    def verified(self, head: str) -> dict[str, Any]:
        return self._ask("GET", "/api/v1/audit/verify" + (f"?head={quote(head, safe='')}" if head else ""))


class Kept:
    """The users in the ledger of a service that does not run. Raises CallError, and WrongCallError."""

    def __init__(self, staff: Staff, audit: Audit, city: City) -> None:
        self._staff, self._audit, self._city = staff, audit, city

    def listed(self) -> dict[str, Any]:
        found: UserList = _able(lambda: listed_users(self._staff, HERE, self._city.timezone, {}))
        return _plain(found)

    def add(self, user: Mapping[str, Any]) -> None:
        _able(lambda: self._staff.add(UserIn.model_validate(user).user, HERE))

    def change(self, name: str, change: Mapping[str, Any]) -> dict[str, Any]:
        wanted = _able(lambda: UserChange.model_validate(change)).change
        return _plain(UserOut.of(_able(lambda: self._staff.change(name, wanted, HERE))))

    def token(self, name: str) -> str:
        return _able(lambda: self._staff.issue(name, HERE))

    def revoke(self, name: str, token: str) -> list[str]:
        return _able(lambda: self._staff.revoke(name, token, HERE))

    def reach(self, _name: str, _contact: Mapping[str, Any] | None) -> str:
        raise CallError("contacts are the running service's to keep: start it first")

    def verified(self, head: str) -> dict[str, Any]:
        shown: Verified = _able(lambda: verified(self._audit, head or None))
        return _plain(shown)


@contextmanager
def office(folder: Path, city: Callable[[], City]) -> Iterator[Running | Kept]:
    """`city`: the registry, where no service runs. Raises CallError, ConfigError, FolderError, LedgerError."""
    url = announced(folder)
    if url is not None:
        yield Running(url, folder)
        return
    known = city()
    with lock_folder(folder), closing(Store.open(folder / "ledger.sqlite", LOCAL)) as store:
        staff = Staff(People(store), lambda: known, lambda: time.time_ns() // 1_000_000)
        yield Kept(staff, Audit(store), known)


def _able(do: Callable[[], T]) -> T:
    try:
        return do()
    except PeopleError as error:
        raise CallError(str(error)) from None
    except ValidationError as error:
        first = error.errors()[0]
        raise WrongCallError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}", _HELP) from None
    except ValueError as error:
        raise WrongCallError(str(error), _HELP) from None


def _plain(shape: BaseModel) -> dict[str, Any]:
    return shape.model_dump(mode="json")
