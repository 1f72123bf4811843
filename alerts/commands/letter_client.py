"""How `canhbao dead-letters` reaches the letters: through the running service, or in the journal where none runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ValidationError

from alerts.commands.caller import Caller, CallError, WrongCallError
from alerts.ledger.marks import Marks
from alerts.ledger.store import Store
from alerts.letters import Letters
from alerts.web.letters import LetterDetail, LetterList, LetterOut, LetterQuery
from ingest.city import ConfigError, parse_city
from ingest.data_folder import announced
from ingest.disk import LOCAL
from ingest.journal import Journal

_PATH: Final = "/api/v1/dead-letters"


class Running:
    """The letters of a service that runs, asked over HTTP with the token of its data folder. Raises as Caller does."""

    def __init__(self, url: str, folder: Path) -> None:
        self._ask = Caller(url, folder, "dead-letters").ask

    def page(self, query: Mapping[str, Any]) -> dict[str, Any]:
        return self._ask("GET", f"{_PATH}?{urlencode(query)}")

    def one(self, id_: int) -> dict[str, Any]:
        return self._ask("GET", f"{_PATH}/{id_}")

    def drive(self, id_: int, sent: Mapping[str, Any]) -> dict[str, Any]:
        return self._ask("POST", f"{_PATH}/{id_}/drive", sent)

    def drive_some(self, query: Mapping[str, Any]) -> dict[str, Any]:
        return self._ask("POST", f"{_PATH}/drive", query)


class Kept:
    """The letters in the journal of a service that does not run. Nothing is written."""

    def __init__(self, letters: Letters, zone: ZoneInfo) -> None:
        self._letters, self._zone = letters, zone

    def page(self, query: Mapping[str, Any]) -> dict[str, Any]:
        try:
            asked = LetterQuery.model_validate(query)
        except ValidationError as error:
            said = error.errors()[0]["msg"].removeprefix("Value error, ")
            raise WrongCallError(said, "canhbao dead-letters --help") from None
        got = self._letters.page(asked.wanted, before_id=asked.cursor, limit=asked.limit)
        return _plain(LetterList(letters=[LetterOut.of(one, self._zone) for one in got.letters], next=got.after))

    def one(self, id_: int) -> dict[str, Any]:
        letter = self._letters.one(id_)
        if letter is None:
            raise WrongCallError(f"no dead letter {id_}", "canhbao dead-letters list")
        return _plain(LetterDetail.of(letter, self._zone))

    def drive(self, _id: int, _sent: Mapping[str, Any]) -> dict[str, Any]:
        raise CallError("the service does not run, and it alone writes: canhbao run")

    def drive_some(self, _query: Mapping[str, Any]) -> dict[str, Any]:
        return self.drive(0, {})


@contextmanager
def office(folder: Path) -> Iterator[Running | Kept]:
    """Raises CallError, ConfigError, FolderError, JournalError."""
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
