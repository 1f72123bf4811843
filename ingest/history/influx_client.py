"""The way to an InfluxDB 2 server: bounded requests, no thread and no retries of its own, errors without the token."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final, NoReturn
from urllib.parse import parse_qs, urlsplit

from influxdb_client.client.influxdb_client import InfluxDBClient
from influxdb_client.client.write_api import SYNCHRONOUS
from influxdb_client.domain.dialect import Dialect
from influxdb_client.domain.write_precision import WritePrecision
from influxdb_client.rest import ApiException
from urllib3.exceptions import HTTPError

from ingest.history.store import StoreError

log = logging.getLogger(__name__)

LINES_MAX: Final = 5_000  # in one request, which is what InfluxDB's documents advise
TIMEOUT_MS: Final = 30_000
AGAIN_MAX_S: Final = 3_600.0  # what a server may ask us to wait
NAMED_MAX: Final = 10  # refused lines of one request that the log names; the others are counted
_PARTS: Final = re.compile(r"(?<!\\) ")  # between a line's series, fields and time
_BEYOND: Final = "points beyond retention policy"
_REFUSED_WHOLE: Final = (HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNPROCESSABLE_ENTITY)


@dataclass(frozen=True, slots=True)
class Address:
    """Where a bucket is, out of influx+http(s)://host:port?org=…&bucket=…."""

    url: str
    org: str
    bucket: str
    token: str = field(repr=False)

    @classmethod
    def of(cls, history_url: str, token: str) -> Address:
        parts = urlsplit(history_url)
        query = parse_qs(parts.query)
        scheme = parts.scheme.removeprefix("influx+")
        return cls(f"{scheme}://{parts.netloc}{parts.path}", query["org"][0], query["bucket"][0], token)


class _RefusedError(Exception):
    """The server will never take these lines as they are."""


class InfluxClient:
    """Writes lines and asks questions. `refused`: lines that the server will never take, since the start."""

    def __init__(self, address: Address) -> None:
        self._at = address
        self._client: Any = InfluxDBClient(
            address.url, address.token, org=address.org, timeout=TIMEOUT_MS, enable_gzip=True
        )
        self._dialect = Dialect(header=True, delimiter=",", comment_prefix="#", annotations=[])  # type: ignore[no-untyped-call]
        self._writing: Any = self._client.write_api(write_options=SYNCHRONOUS)
        self._asking: Any = self._client.query_api()
        self.refused = 0

    @property
    def bucket(self) -> str:
        return self._at.bucket

    def write(self, lines: Sequence[str]) -> None:
        """All of them are in the store when this returns, but for those that it refuses by themselves.

        Raises StoreError: some may be in then; written again they change nothing.
        """
        for begin in range(0, len(lines), LINES_MAX):
            named = self._write_halving(lines[begin : begin + LINES_MAX], 0)
            if named > NAMED_MAX:
                log.warning("history: %d more lines were refused", named - NAMED_MAX)

    def rows(self, flux: str) -> Iterator[Mapping[str, str]]:
        """The rows of all results by the names of their columns, `result` and `table` among them. Raises StoreError."""
        columns: list[str] = []
        try:
            for row in self._asking.query_csv(flux, org=self._at.org, dialect=self._dialect):
                if row[1:3] == ["result", "table"]:
                    columns = row
                elif row[1:3] == ["error", "reference"]:
                    columns = []  # it fails in the middle of an answer: the next row says why
                elif row and len(row) != len(columns):
                    raise StoreError(f"{self._at.url}: {' '.join(row).strip()[:200]}")
                elif row:
                    yield dict(zip(columns, row, strict=True))
        except ApiException as error:
            self._away(error)
        except (HTTPError, OSError, UnicodeDecodeError) as error:
            raise StoreError(f"{self._at.url} does not answer: {type(error).__name__}") from None

    def close(self) -> None:
        self._writing.close()
        self._client.close()

    def _write_halving(self, lines: Sequence[str], named: int) -> int:
        """The lines that are refused are found by halves: the others go in. How many were, with `named` before them."""
        try:
            self._post(lines)
        except _RefusedError as error:
            if len(lines) > 1:
                middle = len(lines) // 2
                return self._write_halving(lines[middle:], self._write_halving(lines[:middle], named))
            self.refused += 1
            if named < NAMED_MAX:
                series, *_, t = _PARTS.split(lines[0])
                log.warning("history: %s refuses %s at %s ms: %s", self._at.url, series, t, error)
            return named + 1
        return named

    def _post(self, lines: Sequence[str]) -> None:
        """Raises _RefusedError, StoreError."""
        try:
            self._writing.write(self._at.bucket, self._at.org, "\n".join(lines), WritePrecision.MS)
        except ApiException as error:
            said = str(error.message)[:300]
            if error.status == HTTPStatus.UNPROCESSABLE_ENTITY and _BEYOND in said:
                self.refused += _dropped(said, len(lines))  # the bucket keeps nothing as old; the others are in
                log.warning("history: %s: %s", self._at.url, said)
                return
            if error.status in _REFUSED_WHOLE:
                raise _RefusedError(said) from None
            self._away(error)
        except (HTTPError, OSError) as error:
            raise StoreError(f"{self._at.url} does not answer: {type(error).__name__}") from None

    def _away(self, error: ApiException) -> NoReturn:
        """`from None`: the library's error holds the request, and with it the token."""
        said = str(error.message)[:300]
        raise StoreError(f"{self._at.url} answers {error.status}: {said}", _again_s(error.retry_after)) from None


def _dropped(said: str, most: int) -> int:
    number = said.rpartition("dropped=")[2].split(" ")[0]
    return int(number) if number.isdecimal() else most


def _again_s(retry_after: str | None) -> float:
    """Seconds that the server asks for; 0 where it names none (or a date, which nobody sends)."""
    return min(float(retry_after), AGAIN_MAX_S) if retry_after and retry_after.isdecimal() else 0.0
