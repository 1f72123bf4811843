"""Items that sensors hold, in order of time."""

from __future__ import annotations

from processing.kernels.compiled import kernel
from processing.kernels.records import Held


@kernel()
def position_of(held: Held, n: int, t: int) -> int:
    """How many items of row n have a time <= t."""
    base = held.offset[n] + held.head[n]
    low, high = 0, held.size[n]
    if high > 0 and held.t[base + high - 1] <= t:
        return high
    while low < high:
        middle = (low + high) // 2
        if held.t[base + middle] <= t:
            low = middle + 1
        else:
            high = middle
    return low


@kernel()
def has_room(held: Held, n: int) -> bool:
    """Whether row n takes one more item, after moving it to the front of its places if that is needed."""
    if held.head[n] + held.size[n] < held.capacity[n]:
        return True
    if held.head[n] == 0 or held.head[n] < held.capacity[n] // 4:
        return False  # growing is cheaper than moving everything for a few places
    base = held.offset[n]
    for i in range(held.size[n]):
        held.t[base + i] = held.t[base + held.head[n] + i]
        held.value[base + i] = held.value[base + held.head[n] + i]
        held.span[base + i] = held.span[base + held.head[n] + i]
        held.doubted[base + i] = held.doubted[base + held.head[n] + i]
    held.head[n] = 0
    return True


@kernel(inline="always")
def _copy(held: Held, to: int, of: int) -> None:
    held.t[to] = held.t[of]
    held.value[to] = held.value[of]
    held.span[to] = held.span[of]
    held.doubted[to] = held.doubted[of]


@kernel()
def _centre(held: Held, n: int) -> None:
    """Row n, which has room behind it alone, gets half of that room before it."""
    by = (held.capacity[n] - held.size[n] + 1) // 2
    for i in range(held.offset[n] + held.size[n] - 1, held.offset[n] - 1, -1):
        _copy(held, i + by, i)
    held.head[n] = by


@kernel()
def insert(held: Held, n: int, at: int, t: int, value: float, span: int, doubted: bool) -> None:
    """Put an item at place `at` of row n, which has room.

    The shorter side makes way, so that times that fall (a spool sent newest first) cost no more than times that rise.
    """
    front = at < held.size[n] // 2
    if front and held.head[n] == 0:
        _centre(held, n)
    base = held.offset[n] + held.head[n]
    if front:
        for j in range(base, base + at):
            _copy(held, j - 1, j)
        i = base + at - 1
        held.head[n] -= 1
    else:
        for j in range(base + held.size[n], base + at, -1):
            _copy(held, j, j - 1)
        i = base + at
    held.t[i] = t
    held.value[i] = value
    held.span[i] = span
    held.doubted[i] = doubted
    held.size[n] += 1


@kernel()
def sift(held: Held, n: int, sieve: Held) -> None:
    """Row 0 of `sieve`, which has room, becomes row n without its doubted items."""
    base, count = held.offset[n] + held.head[n], 0
    for i in range(base, base + held.size[n]):
        if not held.doubted[i]:
            sieve.t[count], sieve.value[count], sieve.span[count] = held.t[i], held.value[i], held.span[i]
            count += 1
    sieve.size[0] = count


@kernel()
def forget(held: Held, n: int, count: int) -> None:
    held.head[n] += count
    held.size[n] -= count
    if held.size[n] == 0:
        held.head[n] = 0
