"""Where a person's verb becomes an act: may he, what is its key, what became of it."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from http import HTTPStatus
from typing import Annotated, Final, Self
from zoneinfo import ZoneInfo

from fastapi import Depends, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException

from alerts.acting import Acted
from alerts.driving import BusyError, UnsureError
from alerts.incidents.incident import Incident
from alerts.incidents.verbs import Act, RefusedError, Verb
from alerts.people.rights import may
from alerts.people.user import User
from alerts.web.operators import REFUSALS, Who, forbidden
from alerts.web.payloads import local_time
from alerts.web.people import IdempotencyKey
from alerts.web.problems import shown_problems
from alerts.web.schemas import Shape
from alerts.web.sources import Sources
from ingest.city import City

KEY_HEADER: Final = "Idempotency-Key"
WHY_MOST: Final = 500
AREAS_MOST: Final = 300
AGAIN: Final = {"Retry-After": "2"}
PROBLEMS: Final = REFUSALS | shown_problems(
    HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.SERVICE_UNAVAILABLE
)


Code = Annotated[str, Field(min_length=1, max_length=64)]


class Said(BaseModel):
    """Body of every verb."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    why: str = Field(
        default="", max_length=WHY_MOST, description="for the audit and for colleagues", examples=["seen on site"]
    )


class VersionOut(Shape):
    incident: str
    version: int


class ActedOut(Shape):
    """What became of it. It is on disk, and audited."""

    at: str
    by: str
    incidents: list[str] = Field(description="that it was about")
    versions: list[VersionOut] = Field(description="that it made; residents may hear of them")
    already: bool = Field(description="it was done before, under the same key: this is what came of it then")
    key: str

    @classmethod
    def of(cls, acted: Acted, act: Act, zone: ZoneInfo) -> Self:
        versions = [VersionOut(incident=incident, version=version) for incident, version in acted.versions]
        return cls(
            at=local_time(acted.at, zone), by=act.by, incidents=list(acted.incidents), versions=versions,
            already=acted.already, key=act.key,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Call:
    """One call of one person. `given`: the key as the caller gave it, or drawn for this call."""

    user: User
    given: str
    request: Request

    def key(self, sent: BaseModel | None) -> str:
        """What names the act: the caller's key and what he asks, as it was sent, so that a key that is used twice for
        different things by mistake drops none of them.
        """
        asked = f"{self.request.method} {self.request.url.path} {'' if sent is None else sent.model_dump_json()}"
        return f"{self.given}.{sha256(asked.encode()).hexdigest()[:16]}"

    def new_id(self, sent: BaseModel) -> str:
        """For something that the act makes: the same whenever the same is asked under the same key."""
        return sha256(f"{self.user.name} {self.key(sent)}".encode()).hexdigest()[:12]


async def _call(request: Request, response: Response, user: Who, key: IdempotencyKey = "") -> Call:
    call = Call(user, key or secrets.token_hex(16), request)
    response.headers[KEY_HEADER] = call.given
    return call


Calling = Annotated[Call, Depends(_call)]  # as a parameter of a handler


class Bench:
    def __init__(self, sources: Sources, act: Callable[[Act], Acted]) -> None:
        self._sources, self._act = sources, act

    @property
    def city(self) -> City:
        return self._sources.view().city

    @property
    def now_ms(self) -> int:
        return self._sources.now_ms()

    def incident(self, id_: str) -> Incident:
        found = self._sources.ledger.incident(id_)
        if found is None:
            raise HTTPException(HTTPStatus.NOT_FOUND, f"no warning {id_[:200]!r}")
        return found

    def areas(self, codes: Sequence[str]) -> tuple[str, ...]:
        """These and all that is part of them, each once. Raises HTTPException for one that the city does not have."""
        for code in codes:
            if code not in self.city.areas:
                raise HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, f"areas: {code!r} is not one of /api/v1/areas")
        return tuple(dict.fromkeys(area for code in codes for area in self.city.within(code)))

    def check(self, call: Call, verb: Verb, places: Iterable[tuple[str, str]]) -> None:
        """`places`: hazard and area of everything that it touches; each has to be within the person's rights.

        Raises HTTPException.
        """
        for hazard, area in places:
            if said := may(call.user, verb, hazard, area, self.city):
                raise forbidden(call.user, call.request, said)

    def do(self, call: Call, verb: Verb, places: Iterable[tuple[str, str]], sent: Said | None = None) -> ActedOut:
        """`places`: as `check` takes them. Raises HTTPException."""
        self.check(call, verb, places)
        why = "" if sent is None else sent.why
        act = Act(verb, call.user.name, self.now_ms, call.key(sent), why)
        try:
            return ActedOut.of(self._act(act), act, self.city.timezone)
        except RefusedError as error:
            raise HTTPException(HTTPStatus.CONFLICT, str(error)) from None
        except BusyError as error:
            raise HTTPException(HTTPStatus.SERVICE_UNAVAILABLE, f"nothing was done: {error}", AGAIN) from None
        except UnsureError as error:
            said = f"{error}; ask again with the same {KEY_HEADER}"
            raise HTTPException(HTTPStatus.SERVICE_UNAVAILABLE, said, AGAIN) from None
