"""Readings: the column batch that walks from the journal to the history, never an object a reading."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from enum import IntEnum
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

Int32: TypeAlias = NDArray[np.int32]
Int64: TypeAlias = NDArray[np.int64]
Float64: TypeAlias = NDArray[np.float64]
UInt8: TypeAlias = NDArray[np.uint8]


class Flag(IntEnum):
    """Primary QARTOD flag (IOOS QARTOD manual, flag scheme of IOC 54:V3)."""

    GOOD = 1
    NOT_EVALUATED = 2
    SUSPECT = 3
    FAIL = 4
    MISSING = 9


_DTYPES: Final = {
    "sensor": np.int32,
    "t": np.int64,
    "value": np.float64,
    "raw": np.float64,
    "flag": np.uint8,
    "span": np.int64,
    "arrival": np.int64,
    "late": np.uint8,
}


@dataclass(frozen=True, slots=True)
class Readings:
    """n accepted readings, all columns of shape (n,), in the order of their arrival.

    `sensor` number; `t` measured, `arrival` arrived, ms UTC; `value` in the quantity's unit, NaN where missing (for a
    counter: the increment); `raw` as it was sent, in the quantity's unit (for a counter: the total); `flag` QARTOD;
    `span` ms that the value covers, 0 where unknown; `late` 1 where t lies before every window of its sensor.
    """

    sensor: Int32
    t: Int64
    value: Float64
    raw: Float64
    flag: UInt8
    span: Int64
    arrival: Int64
    late: UInt8

    def __post_init__(self) -> None:
        for name, dtype in _DTYPES.items():
            column = getattr(self, name)
            assert column.dtype == dtype, f"{name}: {column.dtype}"
            assert column.shape == self.sensor.shape, f"{name}: {column.shape}"

    def __len__(self) -> int:
        return len(self.sensor)

    def __getitem__(self, rows: slice) -> Readings:
        return Readings(*(getattr(self, name)[rows] for name in _DTYPES))

    @classmethod
    def of(cls, **columns: Any) -> Readings:
        """From any array-likes; `raw` defaults to value, flag to 2, span and late to 0, arrival to t."""
        columns.setdefault("raw", columns["value"])
        columns.setdefault("arrival", columns["t"])
        columns.setdefault("flag", np.full(len(columns["t"]), Flag.NOT_EVALUATED))
        for name in ("span", "late"):
            columns.setdefault(name, np.zeros(len(columns["t"])))
        return cls(**{name: np.ascontiguousarray(columns[name], dtype) for name, dtype in _DTYPES.items()})

    @classmethod
    def empty(cls) -> Readings:
        return cls(*(np.empty(0, dtype) for dtype in _DTYPES.values()))

    @classmethod
    def join(cls, parts: Sequence[Readings]) -> Readings:
        if not parts:
            return cls.empty()
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in _DTYPES))

    def to_bytes(self) -> dict[str, bytes]:
        """Each column little-endian; `from_bytes` undoes it."""
        return {field.name: getattr(self, field.name).astype(_little(field.name), copy=False).tobytes()
                for field in fields(self)}  # fmt: skip

    @classmethod
    def from_bytes(cls, columns: dict[str, bytes]) -> Readings:
        return cls(*(np.frombuffer(columns[name], _little(name)).astype(dtype) for name, dtype in _DTYPES.items()))


@dataclass(frozen=True, slots=True)
class Signs:
    """Signs of life of sensors that brought no reading for the journal: what they sent was refused, or known already.

    Columns of shape (n,) in the order of `arrival`, ms UTC; at most one a sensor and tick is worth keeping, since it
    says no more than that the sensor was there in that time (docs/reference/levels.md, 15).
    """

    sensor: Int32
    arrival: Int64

    def __post_init__(self) -> None:
        for name in ("sensor", "arrival"):
            column = getattr(self, name)
            assert column.dtype == _DTYPES[name], f"{name}: {column.dtype}"
            assert column.shape == self.sensor.shape, f"{name}: {column.shape}"

    def __len__(self) -> int:
        return len(self.sensor)

    def __getitem__(self, rows: slice | NDArray[Any]) -> Signs:
        return Signs(self.sensor[rows], self.arrival[rows])

    @classmethod
    def join(cls, parts: Sequence[Signs]) -> Signs:
        """In the order of arrival, whatever the order of the parts."""
        sensor = np.concatenate([np.empty(0, np.int32), *(part.sensor for part in parts)])
        arrival = np.concatenate([np.empty(0, np.int64), *(part.arrival for part in parts)])
        order = np.argsort(arrival, kind="stable")
        return cls(sensor[order], arrival[order])

    def to_bytes(self) -> dict[str, bytes]:
        """Each column little-endian; `from_bytes` undoes it."""
        return {name: getattr(self, name).astype(_little(name), copy=False).tobytes() for name in ("sensor", "arrival")}

    @classmethod
    def from_bytes(cls, columns: dict[str, bytes]) -> Signs:
        return cls(
            *(np.frombuffer(columns[name], _little(name)).astype(_DTYPES[name]) for name in ("sensor", "arrival"))
        )


NO_SIGNS: Final = Signs(np.empty(0, np.int32), np.empty(0, np.int64))


def _little(name: str) -> np.dtype[Any]:
    return np.dtype(_DTYPES[name]).newbyteorder("<")
