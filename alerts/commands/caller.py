"""Calls to the running service of a data folder, over HTTP, with the token that lies there (docs/decisions/0008)."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing, contextmanager
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPResponse
from json import JSONDecodeError
from pathlib import Path
from typing import Any, Final, NoReturn
from urllib.parse import urlsplit

from alerts.web.export import ZONE_HEADER
from alerts.web.operators import known_token
from ingest.city import ConfigError
from ingest.history.store import Rows
from ingest.history.stream import rows_in

TIMEOUT_S: Final = 60.0  # the service answers letters within 20 also where its disk refuses; a long scan takes more


class CallError(Exception):
    """The service cannot be asked, or not do it now; one line that says why. `again_s`: when it may be tried again."""

    def __init__(self, message: str, again_s: float = 0.0) -> None:
        super().__init__(message)
        self.again_s = again_s


class WrongCallError(ConfigError):
    """What was asked for is not there, or is no question: a sentence that says so, and where to look."""

    def __init__(self, said: str, look: str) -> None:
        super().__init__("the call", said, look)

    def __str__(self) -> str:
        return f"{self.found}; see {self.expected}"


class Caller:
    """`command`: whose --help is named where a call is wrong. Raises CallError, and ConfigError for wrong questions."""

    def __init__(self, url: str, folder: Path, command: str) -> None:
        self._at, self._command = urlsplit(url), command
        try:
            self._token = known_token(folder)
        except OSError as error:
            raise CallError(f"{error.filename}: {error.strerror}; run this as the user of the service") from None

    def ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        with self.answer(method, path, body) as answer, self._as_call_error():
            return dict(json.loads(answer.read()))

    def rows(self, path: str, zone: Callable[[str], object] = str) -> Generator[Rows, None, None]:
        """Of an export (alerts/web/export.py). `zone` is told the city's first. Raises StoreError as well."""
        with self.answer("GET", path) as answer, self._as_call_error():
            zone(answer.headers[ZONE_HEADER])
            yield from rows_in(answer)

    @contextmanager
    def answer(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Iterator[HTTPResponse]:
        """Of a call that the service takes, still to be read."""
        sent = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
        # No library that would take a proxy from the environment: the token stays on this machine.
        connection = HTTPConnection(self._at.hostname or "", self._at.port, timeout=TIMEOUT_S)
        with closing(connection):
            with self._as_call_error():
                connection.request(method, path, sent, headers)
                answer = connection.getresponse()
            if answer.status != HTTPStatus.OK:
                with self._as_call_error():
                    detail = json.loads(answer.read())["detail"]
                self._refused(answer, detail)
            yield answer

    def _refused(self, answer: HTTPResponse, detail: str) -> NoReturn:
        if answer.status in (HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY):
            raise WrongCallError(detail, f"canhbao {self._command} --help")
        again = answer.headers.get("Retry-After", "")
        raise CallError(f"the service answers {answer.status}: {detail}", float(again) if again.isdecimal() else 0.0)

    @contextmanager
    def _as_call_error(self) -> Iterator[None]:
        try:
            yield
        except (OSError, HTTPException, JSONDecodeError, KeyError) as error:
            raise CallError(f"the service at {self._at.geturl()} does not answer: {error}") from None
