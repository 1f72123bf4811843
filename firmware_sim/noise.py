"""Noise as a function of a key and a moment: the same answer whenever, and in whatever order, it is asked for."""

from __future__ import annotations

import hashlib
from typing import Final

import numpy as np

from ingest.readings import Float64, Int64

_64_BITS: Final = (1 << 64) - 1
_GOLDEN: Final = np.uint64(0x9E3779B97F4A7C15)
_MIX_1: Final = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2: Final = np.uint64(0x94D049BB133111EB)


def key_of(seed: int, name: str) -> int:
    """64 bits that belong to `name` under `seed`."""
    return int.from_bytes(hashlib.blake2b(f"{seed}/{name}".encode(), digest_size=8).digest(), "little")


def uniform(key: int, moments: Int64) -> Float64:
    """One number in [0, 1) for each of `moments`, shape kept (the splitmix64 generator, entered at any point)."""
    z = np.uint64(key & _64_BITS) + moments.astype(np.uint64) * _GOLDEN
    z = (z ^ (z >> np.uint64(30))) * _MIX_1
    z = (z ^ (z >> np.uint64(27))) * _MIX_2
    z ^= z >> np.uint64(31)
    return (z >> np.uint64(11)).astype(np.float64) * 2.0**-53


def normal(key: int, moments: Int64) -> Float64:
    """One draw of the standard normal distribution for each of `moments` (Box-Muller), shape kept."""
    radius = np.sqrt(-2.0 * np.log(1.0 - uniform(key, moments)))
    return np.asarray(radius * np.cos(2.0 * np.pi * uniform(key ^ 0x5DEECE66D, moments)), np.float64)
