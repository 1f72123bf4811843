"""How `canhbao dead-letters` reaches the letters: through the running service, or in the journal where none runs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode, urlsplit
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ValidationError

from alerts.ledger.marks import Marks
from alerts.ledger.store import Store
from alerts.letters import Letters
from alerts.web.letters import LetterDetail, LetterList, LetterOut, LetterQuery
from alerts.web.operators import known_token
from ingest.city import ConfigError, parse_city
from ingest.data_folder import announced
from ingest.disk import LOCAL
from ingest.journal import Journal

TIMEOUT_S: Final = 30.0  # the service answers within 20, also where its disk refuses
_PATH: Final = "/api/v1/dead-letters"


class OfficeError(Exception):
    """The letters cannot be had, or not driven now; one line that says why."""


class Running:
    """The letters of a service that runs, asked over HTTP with the token of its data folder."""

    def __init__(self, url: str, folder: Path) -> None:
        self._at = urlsplit(url)
        try:
            self._token = known_token(folder)
        except OSError as error:
            raise OfficeError(f"{error.filename}: {error.strerror}; run this as the user of the service") from None

    def page(self, query: Mapping[str, Any]) -> dict[str, Any]:
        return self._ask("GET", f"{_PATH}?{urlencode(query)}")

    def one(self, id_: int) -> dict[str, Any]:
        return self._ask("GET", f"{_PATH}/{id_}")

    def drive(self, id_: int, sent: Mapping[str, Any]) -> dict[str, Any]:
        return self._ask("POST", f"{_PATH}/{id_}/drive", sent)

    def drive_some(self, query: Mapping[str, Any]) -> dict[str, Any]:
        return self._ask("POST", f"{_PATH}/drive", query)

    def _ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Raises OfficeError, and ConfigError for what the service calls a wrong question."""
        sent = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
        # No library that would take a proxy from the environment: the token stays on this machine.
        connection = HTTPConnection(self._at.hostname or "", self._at.port, timeout=TIMEOUT_S)
        try:
            connection.request(method, path, sent, headers)
            answer = connection.getresponse()
            status, told = answer.status, json.loads(answer.read())
        except (OSError, HTTPException, ValueError) as error:
            raise OfficeError(f"the service at {self._at.geturl()} does not answer: {error}") from None
        finally:
            connection.close()
        if status in (404, 422):
            raise ConfigError("the call", told["detail"], "see canhbao dead-letters --help")
        if status != 200:
            raise OfficeError(f"the service answers {status}: {told['detail']}")
        return dict(told)


class Kept:
    """The letters in the journal of a service that does not run. Nothing is written."""

    def __init__(self, letters: Letters, zone: ZoneInfo) -> None:
        self._letters, self._zone = letters, zone

    def page(self, query: Mapping[str, Any]) -> dict[str, Any]:
        try:
            asked = LetterQuery.model_validate(query)
        except ValidationError as error:
            raise ConfigError("the call", error.errors()[0]["msg"], "see canhbao dead-letters --help") from None
        got = self._letters.page(asked.wanted, before_id=asked.cursor, limit=asked.limit)
        return _plain(LetterList(letters=[LetterOut.of(one, self._zone) for one in got.letters], next=got.after))

    def one(self, id_: int) -> dict[str, Any]:
        letter = self._letters.one(id_)
        if letter is None:
            raise ConfigError("the call", f"no dead letter {id_}", "see canhbao dead-letters list")
        return _plain(LetterDetail.of(letter, self._zone))

    def drive(self, _id: int, _sent: Mapping[str, Any]) -> dict[str, Any]:
        raise OfficeError("the service does not run, and it alone writes: canhbao run")

    def drive_some(self, _query: Mapping[str, Any]) -> dict[str, Any]:
        return self.drive(0, {})


@contextmanager
def office(folder: Path) -> Iterator[Running | Kept]:
    """Raises OfficeError, ConfigError, FolderError, JournalError."""
    url = announced(folder)
    if url is not None:
        yield Running(url, folder)
        return
    ledger = folder / "ledger.sqlite"
    journal = Journal.open(folder / "journal", read_only=True)
    if journal.configuration is None or not ledger.exists():
        raise ConfigError("data.path", str(folder), "the data folder of a service that has run")
    with closing(Store(ledger, LOCAL)) as store:
        yield Kept(Letters(journal, Marks(store)), parse_city(journal.configuration.city_toml).timezone)


def _plain(shape: BaseModel) -> dict[str, Any]:
    return shape.model_dump(mode="json")
