"""One life of the post in a storm, as the storm hands it to the zygote."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Life:
    """`pace`: of the storm's clock. `moment` reached for the `nth` time (from 1) is the death; "": none is planned.

    `mutation`: the mistake that this life makes.
    """

    data: str
    provider: str
    pace: str
    moment: str = ""
    nth: int = 1
    mutation: str = ""

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, line: str) -> Life:
        return cls(**json.loads(line))


MOMENTS: Final = (
    "before_follow", "after_follow", "before_chunk", "in_chunk", "after_chunk", "before_claim", "in_claim",
    "after_claim", "before_send", "after_send", "before_settle", "in_settle", "after_settle",
)  # fmt: skip
