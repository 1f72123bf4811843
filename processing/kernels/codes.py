"""Numbers that kernels and Python have in common: codes, bits of the quality tests, spans of time."""

from __future__ import annotations

from typing import Final

# Codes of Statistic, in the order of the enum.
LAST: Final = 0
SUM: Final = 1
MEAN: Final = 2
MAX: Final = 3
MIN: Final = 4
RISE: Final = 5
COUNT: Final = 6

NEVER: Final = -(2**62)  # a moment before every other: "unset" for timers, T and bases

GOOD: Final = 1
NOT_EVALUATED: Final = 2
SUSPECT: Final = 3
FAIL: Final = 4
MISSING: Final = 9

# Quality tests as bits: what found a reading suspect; shifted by FAILED, what found that it fails.
GROSS: Final = 1
RATE: Final = 2
FLAT: Final = 4
GAP: Final = 8
SPIKE: Final = 16
BLIP: Final = 32
PLATEAU: Final = 64
UNIT: Final = 128
CLOGGED: Final = 256
FAILED: Final = 16
# Of the pause or of the reading before: told, and never in the flag.
TOLD_ONLY: Final = (GAP | SPIKE | BLIP) << FAILED | GAP | SPIKE | BLIP
PASSED_OVER_MAX: Final = 8  # missing or impossible readings between two neighbours in time; more, and there is none
UNIT_MS: Final = 6 * 3_600_000  # for so long values on the other side of a unit jump stay suspect
UNIT_TOLERANCE: Final = 0.02  # of the factor: the water itself moves meanwhile
DRY_MS: Final = 3_600_000  # DOMAIN section 8, clogged: no rain for 60 min while
BUCKET_MS: Final = 300_000  # (neighbours' rain is summed in whole 5 min, the running one and the 11 before)
BUCKETS: Final = 12
CLOGGED_MM: Final = 15.0  # the median of
NEIGHBOURS_LEAST: Final = 3  # gauges nearby has reached this

ACCEPTED: Final = 0
DUPLICATE: Final = 1
CONFLICT: Final = 2

FRESH_MS: Final = 900_000  # with twice the period the bound of freshness (CONTRACTS section 4, Evaluation)
LATE_BREACH_MS: Final = 6 * 3_600_000
DANGER: Final = 3
PARTIALS: Final = (
    80  # a double's exponents span 2098 bits: at most 40 non-overlapping partials of 53, twice that is safe
)
