"""Regular expressions of strangers, in RE2: the engine whose syntax Prometheus has, linear in what it reads.

DuckDB carries it; an empty database in memory, with nothing outside in reach, lends it to us.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import cache
from typing import Final

import duckdb

from alerts.promql.tokens import QueryError

PATTERN_MAX: Final = 8_192  # characters
# The option s: a dot is any character, as in Prometheus 3.
_MATCH: Final = "SELECT value FROM (SELECT unnest($1::VARCHAR[]) AS value) WHERE regexp_full_match(value, $2, 's')"
_lock = threading.Lock()


def re2_matches(pattern: str, values: Sequence[str]) -> list[bool]:
    """Which of the values the whole pattern matches. Raises QueryError for what is no pattern, or too large a one."""
    if len(pattern) > PATTERN_MAX:
        raise QueryError(f"a pattern of {len(pattern)} characters, at most {PATTERN_MAX} are read")
    try:
        with _lock:
            found = {row[0] for row in _engine().execute(_MATCH, [list(values), pattern]).fetchall()}
    except duckdb.InvalidInputException as error:
        raise QueryError(f"error parsing regexp: {str(error).removeprefix('Invalid Input Error: ')[:200]}") from None
    return [value in found for value in values]


@cache
def _engine() -> duckdb.DuckDBPyConnection:
    return duckdb.connect(
        ":memory:",
        config={"threads": 1, "memory_limit": "64MB", "enable_external_access": False, "lock_configuration": True},
    )
