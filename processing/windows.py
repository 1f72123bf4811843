"""Per-sensor state in arrays: what each sensor holds, in one pool that grows; made and kept outside the kernels."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from processing.kernels.records import Held

_FIRST_CAPACITY: Final = 8
_COLUMNS: Final = ("t", "value", "span", "doubted")


class Pool:
    """Sorted items of n sensors in one set of columns; a full row moves to the end, twice as wide.

    What a sensor holds is bounded by its longest window (at most rules.WINDOW_MS_MAX) and its rate of readings.
    """

    def __init__(self, rows: int) -> None:
        self.held = _lay_out(np.full(rows, _FIRST_CAPACITY, np.int64))
        self._end = len(self.held.t)  # the places from here on are spare

    def resize(self, rows: int) -> None:
        """Room for `rows` sensors; those there are keep what they hold."""
        missing = rows - len(self.held.size)
        if missing > 0:
            capacity = np.concatenate([self.held.capacity, np.full(missing, _FIRST_CAPACITY, np.int64)])
            self._relay(capacity)

    def widen(self, row: int) -> None:
        """Twice the places for one sensor, behind all others."""
        held = self.held
        capacity = int(held.capacity[row]) * 2
        if self._end + capacity > len(held.t):
            held = self.held = _longer(held, max(self._end + capacity, len(held.t) * 3 // 2))
        base, size, end = int(held.offset[row] + held.head[row]), int(held.size[row]), self._end
        for column in (held.t, held.value, held.span, held.doubted):
            column[end : end + size] = column[base : base + size]
        held.offset[row], held.capacity[row], held.head[row] = end, capacity, 0
        self._end += capacity
        if self._end > 2 * int(held.capacity.sum()):
            self._relay(held.capacity.copy())  # half of the places lie behind rows that moved away

    def clear(self, row: int) -> None:
        self.held.size[row] = self.held.head[row] = 0

    def clip(self, row: int, before: int) -> None:
        """Forget the items of a row with t < before."""
        held = self.held
        base, size = int(held.offset[row] + held.head[row]), int(held.size[row])
        gone = int(np.searchsorted(held.t[base : base + size], before, side="left"))
        held.head[row] += gone
        held.size[row] -= gone

    def to_state(self) -> dict[str, Any]:
        state = {"size": self.held.size.tobytes()}
        for name in _COLUMNS:
            column = getattr(self.held, name)
            state[name] = b"".join(self._items(column, n).tobytes() for n in range(self.rows))
        return state

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Pool:
        size = np.frombuffer(state["size"], np.int64).copy()
        pool = cls(0)
        pool.held = _lay_out(
            np.maximum(_FIRST_CAPACITY, size + size // 4)
        )  # else every row would widen at its next reading
        pool._end = len(pool.held.t)
        pool.held.size[:] = size
        rows = np.repeat(np.arange(len(size)), size)
        within = np.arange(len(rows)) - np.repeat(np.cumsum(size) - size, size)
        places = pool.held.offset[rows] + within
        for name in _COLUMNS:
            column = getattr(pool.held, name)
            column[places] = np.frombuffer(state[name], column.dtype)
        return pool

    @property
    def rows(self) -> int:
        return len(self.held.size)

    @property
    def widest(self) -> int:
        return int(self.held.capacity.max(initial=0))

    def _items(self, column: np.ndarray[Any, Any], row: int) -> np.ndarray[Any, Any]:
        base = int(self.held.offset[row] + self.held.head[row])
        return column[base : base + int(self.held.size[row])]

    def _relay(self, capacity: np.ndarray[Any, Any]) -> None:
        new = _lay_out(capacity)
        for n in range(self.rows):
            size, to = int(self.held.size[n]), int(new.offset[n])
            new.size[n] = size
            for name in _COLUMNS:
                getattr(new, name)[to : to + size] = self._items(getattr(self.held, name), n)
        self.held, self._end = new, len(new.t)


def one_row(places: int) -> Held:
    """A single row with so many places."""
    return _lay_out(np.array([places], np.int64))


def _lay_out(capacity: np.ndarray[Any, Any]) -> Held:
    total = int(capacity.sum())
    nothing = np.zeros(len(capacity), np.int64)
    return Held(
        t=np.empty(total, np.int64), value=np.empty(total, np.float64), span=np.empty(total, np.int64),
        doubted=np.empty(total, np.uint8),
        offset=np.cumsum(capacity) - capacity, capacity=capacity.copy(), head=nothing.copy(), size=nothing.copy(),
    )  # fmt: skip


def _longer(held: Held, places: int) -> Held:
    """The same with spare places at the end: by half as many each time, so that rows that move cost little."""

    def longer(column: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        return np.concatenate([column, np.empty(places - len(column), column.dtype)])

    return held._replace(**{name: longer(getattr(held, name)) for name in _COLUMNS})
