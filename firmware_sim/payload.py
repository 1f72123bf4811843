"""Messages of readings: cut to size before they are numbered, numbered when they are sent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ingest.formats import native
from ingest.formats.decoded import PAYLOAD_BYTES_MAX

_NUMBERING_BYTES_MAX: Final = 160  # "boot" of 16 digits, "seq" and "first" of up to 16
EMPTY: Final = native.encode((), (), ())


def unnumbered(
    sensors: Sequence[str], t: Sequence[int], values: Sequence[float], units: Sequence[str | None] = ()
) -> list[bytes]:
    """As few messages as hold these readings in their order, each within the size limit once it is numbered."""
    whole = native.encode(sensors, t, values, units)
    if len(whole) <= PAYLOAD_BYTES_MAX - _NUMBERING_BYTES_MAX or len(sensors) < 2:
        return [whole]
    half = len(sensors) // 2
    return [
        *unnumbered(sensors[:half], t[:half], values[:half], units[:half]),
        *unnumbered(sensors[half:], t[half:], values[half:], units[half:]),
    ]


def numbered(message: bytes, *, boot: str, seq: int, first: int) -> bytes:
    """The payload that goes on the wire, from a message of `unnumbered`."""
    rows = native.decode("", message)
    return native.encode(rows.sensors, rows.t, rows.values, rows.units, boot=boot, seq=seq, first=first)
