"""A list of ward groups and their leaders as a file: CSV, one line a leader. Pure."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from alerts.people.group import (
    ADDRESS_MOST,
    GROUPS_MOST,
    HOUSEHOLDS_MOST,
    NewGroup,
    NewLeader,
    Way,
    checked_households,
    checked_name,
)
from alerts.words.names import LANGS, Lang

COLUMNS: Final = ("area", "group", "households", "leader_channel", "leader_address", "lang")
ROWS_MOST: Final = GROUPS_MOST


@dataclass(frozen=True, slots=True)
class Row:
    """A group and one of its leaders, or a group alone."""

    line: int  # of the file, from 1: the header
    group: NewGroup
    leader: NewLeader | None


@dataclass(frozen=True, slots=True)
class RowError:
    """`column` "": the line as a whole. `expected` repeats nothing of what stands there: it may be an address."""

    line: int
    column: str
    expected: str


class CellError(ValueError):
    """What a cell has to hold, without a word of what it holds. `column` "": the line as a whole."""

    def __init__(self, column: str, expected: str) -> None:
        super().__init__(expected)
        self.column, self.expected = column, expected


def read_rows(text: str) -> Iterator[Row | RowError]:
    """The lines of a file with the header COLUMNS. Whether areas and channels exist is not looked at here."""
    lines = csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline=""), strict=True)
    try:
        if tuple(cell.strip() for cell in next(lines, [])) != COLUMNS:
            yield RowError(1, "", "the header " + ",".join(COLUMNS))
            return
        for count, cells in enumerate((cells for cells in lines if any(cell.strip() for cell in cells)), 1):
            if count > ROWS_MOST:
                yield RowError(lines.line_num, "", f"at most {ROWS_MOST} lines; the others go into another file")
                return
            yield _read(lines.line_num, [cell.strip() for cell in cells])
    except csv.Error:
        yield RowError(lines.line_num, "", "CSV: cells with a comma, a quote or a line end stand in quotes")


def _read(line: int, cells: list[str]) -> Row | RowError:
    try:
        return _row(line, cells)
    except CellError as error:
        return RowError(line, error.column, error.expected)


def _row(line: int, cells: list[str]) -> Row:
    if len(cells) != len(COLUMNS):
        raise CellError("", f"{len(COLUMNS)} cells, of which there are {len(cells)}")
    area, name, households, channel, address, lang = cells
    try:
        name = checked_name(name)
    except ValueError as error:
        raise CellError("group", str(error)) from None
    group = NewGroup(area, name, _households(households))
    return Row(line, group, _leader(channel, address, lang or "vi"))


def _households(text: str) -> int:
    try:
        return checked_households(int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else -1)
    except ValueError:
        raise CellError("households", f"a whole number from 0 to {HOUSEHOLDS_MOST}") from None


def _leader(channel: str, address: str, lang: str) -> NewLeader | None:
    if not channel and not address:
        return None
    if not channel or not address:
        raise CellError("leader_address" if channel else "leader_channel", "both of a leader's cells, or neither")
    if len(address) > ADDRESS_MOST:
        raise CellError("leader_address", f"at most {ADDRESS_MOST} characters")
    return NewLeader(_lang(lang), (Way(channel, address),))


def _lang(text: str) -> Lang:
    for lang in LANGS:
        if text == lang:
            return lang
    raise CellError("lang", " or ".join(LANGS))
