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


@kernel()
def insert(held: Held, n: int, at: int, t: int, value: float, span: int, doubted: bool) -> None:
    """Put an item at place `at` of row n, which has room."""
    base = held.offset[n] + held.head[n]
    i = base + held.size[n]
    while i > base + at:
        held.t[i] = held.t[i - 1]
        held.value[i] = held.value[i - 1]
        held.span[i] = held.span[i - 1]
        held.doubted[i] = held.doubted[i - 1]
        i -= 1
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
