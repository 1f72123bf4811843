"""Residents' messages as operators see them: by the numbers of contacts, which say nothing of who or where."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import Text, cast, literal, select

from alerts.ledger.deliveries import Side
from alerts.post import schema
from alerts.post.queue import CONTACT

_MESSAGE, _TELLING = schema.message, schema.telling
_LIFE: Final = (
    select(_TELLING.c.expires_at - _TELLING.c.arrival).where(_TELLING.c.seq == _MESSAGE.c.seq).scalar_subquery()
)


def _anew(now: int) -> Mapping[str, Any]:
    """It lives as long once more as it did from the beginning: a person says that it still helps."""
    return {"expires_at": now + _LIFE}


POST: Final = Side(
    "post", _MESSAGE, _TELLING, _MESSAGE.c.via, _MESSAGE.c.contact, literal(CONTACT) + cast(_MESSAGE.c.contact, Text),
    _TELLING.c.arrival, _MESSAGE.c.received_at, _anew,
)  # fmt: skip
