"""Dead letters for operators (CONTRACTS section 5): which there are, one by one, and driving them again."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Callable
from http import HTTPStatus
from typing import Annotated, Any, Final, Literal, Self, TypeVar
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Path, Query
from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from starlette.exceptions import HTTPException

from alerts.driving import BusyError, Driven, UnsureError
from alerts.letters import SOME_MOST, CutLetterError, Letter
from alerts.web.operators import REFUSALS, Door, Who, operator_route
from alerts.web.payloads import local_time
from alerts.web.problems import shown_problems
from alerts.web.schemas import Shape
from alerts.web.sources import Desks, Sources
from alerts.web.warnings import with_plus
from ingest.day_file import Wanted
from ingest.formats import OBJECT_BYTES_MAX

PAGE_MOST: Final = 500
_ID_MOST: Final = 2**63 - 2
_Id = Annotated[int, Path(ge=1, le=_ID_MOST)]
_Since = Annotated[AwareDatetime, BeforeValidator(with_plus)]
_PROBLEMS: Final = REFUSALS | shown_problems(HTTPStatus.UNPROCESSABLE_ENTITY)
_NOT_FOUND: Final = shown_problems(HTTPStatus.NOT_FOUND)
_UNABLE: Final = shown_problems(HTTPStatus.CONFLICT, HTTPStatus.SERVICE_UNAVAILABLE)
T = TypeVar("T")


def _decoded(value: Any) -> Any:
    """Strictly: a letter that somebody has mistyped must not be read as another one. Raises ValueError."""
    return b64decode(value, validate=True) if isinstance(value, str) else value


_Bytes = Annotated[bytes, BeforeValidator(_decoded)]


class _Filter(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    reason: str | None = Field(None, max_length=40, examples=["unknown_sensor"])
    gateway: str | None = Field(None, max_length=64, description="empty: those that name none", examples=["gw-1"])
    since: _Since | None = Field(None, description="arrived at or after; RFC 3339 with an offset")

    @property
    def wanted(self) -> Wanted:
        since = None if self.since is None else int(self.since.timestamp() * 1000)
        return Wanted(self.reason, self.gateway, since)


class LetterQuery(_Filter):
    """Which letters, the newest first."""

    cursor: int | None = Field(None, ge=1, le=_ID_MOST, description="`next` of the page before")
    limit: int = Field(100, ge=1, le=PAGE_MOST)


class DriveSome(_Filter):
    """Which letters to drive, the oldest first, as they are. Letters that are settled are passed over."""

    cursor: int = Field(0, ge=0, le=_ID_MOST, description="`next` of the call before")
    limit: int = Field(SOME_MOST, ge=1, le=SOME_MOST, description="letters looked at in this call")


class DriveOne(BaseModel):
    """What to send instead of what was kept; nothing: as it is. A payload is at most as large as any network's message.

    Larger ones are refused, and the letter stays as it is: with 422, or with 413 and unread (BODY_BYTES_MAX).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    topic: str | None = Field(None, min_length=1, max_length=512)
    payload: str | None = Field(None, max_length=OBJECT_BYTES_MAX, description="as text")
    payload_base64: _Bytes | None = Field(None, max_length=OBJECT_BYTES_MAX, description="in base64")

    @model_validator(mode="after")
    def _one_payload(self) -> Self:
        if self.payload is not None and self.payload_base64 is not None:
            raise ValueError("either payload or payload_base64")
        return self

    @property
    def bytes(self) -> bytes | None:
        return self.payload_base64 if self.payload is None else self.payload.encode()


class DrivenOut(Shape):
    """What became of a letter that was driven again."""

    at: str
    by: str
    corrected: bool = Field(description="with another topic or payload than was kept")
    accepted: int = Field(description="new readings, now in the journal")
    duplicates: int = Field(description="readings that were known already")
    conflicts: int = Field(description="readings known with another value; the first stands")
    refused: dict[str, int] = Field(description="reason -> readings refused again", examples=[{"unknown_sensor": 2}])
    position: int | None = Field(description="of the journal's entry with its readings")

    @classmethod
    def of(cls, driven: Driven, zone: ZoneInfo) -> Self:
        return cls(
            at=local_time(driven.at, zone), by=driven.by, corrected=driven.corrected, accepted=driven.accepted,
            duplicates=driven.duplicates, conflicts=driven.conflicts, refused=dict(driven.refused),
            position=driven.position,
        )  # fmt: skip


class LetterOut(Shape):
    """One dead letter. open: not driven yet, or refused again; settled: driven, and nothing of it refused."""

    id: int
    arrival: str
    gateway: str = Field(description="empty where the topic names none")
    topic: str
    reason: str
    detail: str
    size: int = Field(description="bytes of the payload that are kept")
    cut: bool = Field(description="larger than its sender may send: the beginning is kept")
    state: Literal["open", "settled"]
    drivings: list[DrivenOut] = Field(description="the oldest first")

    @classmethod
    def of(cls, letter: Letter, zone: ZoneInfo) -> LetterOut:
        return cls(**_fields(letter, zone))


class LetterDetail(LetterOut):
    payload: str | None = Field(description="as text, null where it is no UTF-8")
    payload_base64: str

    @classmethod
    def of(cls, letter: Letter, zone: ZoneInfo) -> LetterDetail:
        payload = letter.kept.letter.payload
        return cls(
            **_fields(letter, zone), payload=_text(payload), payload_base64=b64encode(payload).decode()
        )  # fmt: skip


class LetterList(Shape):
    letters: list[LetterOut]
    next: int | None = Field(description="cursor of the next page; null: this is the last")


class TourOut(Shape):
    driven: int = Field(description="letters")
    skipped: int = Field(description="letters settled before")
    cut: int = Field(description="letters that cannot be driven as they are, as they were not kept whole")
    accepted: int
    duplicates: int
    conflicts: int
    refused: dict[str, int] = Field(description="reason -> readings refused again")
    next: int | None = Field(description="cursor of the next call; null: these were the last")


def letter_routes(sources: Sources, desks: Desks, door: Door) -> APIRouter:
    """Handlers run in worker threads: the journal is files, and driving waits for the disk."""
    router = APIRouter(prefix="/api/v1", tags=["operators"], route_class=operator_route(door))
    letters = desks.letters

    def found(id_: int) -> Letter:
        letter = letters.one(id_)
        if letter is None:
            raise HTTPException(HTTPStatus.NOT_FOUND, f"no dead letter {id_}")
        return letter

    def zone() -> ZoneInfo:
        return sources.view().city.timezone

    @router.get("/dead-letters", summary="What was refused, the newest first", responses=_PROBLEMS)
    def page(query: Annotated[LetterQuery, Query()]) -> LetterList:
        got = letters.page(query.wanted, before_id=query.cursor, limit=query.limit)
        return LetterList(letters=[LetterOut.of(letter, zone()) for letter in got.letters], next=got.after)

    @router.get("/dead-letters/{id}", summary="One of them, with its payload", responses=_PROBLEMS | _NOT_FOUND)
    def one(id: _Id) -> LetterDetail:  # noqa: A002  # the name in the path is the API's
        return LetterDetail.of(found(id), zone())

    @router.post(
        "/dead-letters/{id}/drive", summary="Drive it again, as it is or corrected",
        responses=_PROBLEMS | _NOT_FOUND | _UNABLE,
    )  # fmt: skip
    def drive(id: _Id, sent: DriveOne, user: Who) -> DrivenOut:  # noqa: A002  # the name in the path is the API's
        letter = found(id)
        driven = _able(lambda: letters.drive(letter, user.name, topic=sent.topic, payload=sent.bytes))
        return DrivenOut.of(driven, zone())

    @router.post("/dead-letters/drive", summary="Drive some of them again", responses=_PROBLEMS | _UNABLE)
    def drive_some(query: DriveSome, user: Who) -> TourOut:
        tour = _able(lambda: letters.drive_some(query.wanted, user.name, after_id=query.cursor, limit=query.limit))
        return TourOut(
            driven=tour.driven, skipped=tour.skipped, cut=tour.cut, accepted=tour.accepted,
            duplicates=tour.duplicates, conflicts=tour.conflicts, refused=dict(tour.refused), next=tour.after,
        )  # fmt: skip

    return router


def _able(drive: Callable[[], T]) -> T:
    try:
        return drive()
    except CutLetterError as error:
        raise HTTPException(HTTPStatus.CONFLICT, str(error)) from None
    except BusyError as error:
        raise HTTPException(HTTPStatus.SERVICE_UNAVAILABLE, f"nothing was driven: {error}") from None
    except UnsureError as error:
        raise HTTPException(HTTPStatus.SERVICE_UNAVAILABLE, str(error)) from None


def _fields(letter: Letter, zone: ZoneInfo) -> dict[str, Any]:
    kept = letter.kept.letter
    return {
        "id": letter.kept.id, "arrival": local_time(kept.arrival, zone), "gateway": kept.gateway, "topic": kept.topic,
        "reason": kept.reason, "detail": kept.detail, "size": len(kept.payload), "cut": letter.cut,
        "state": "settled" if letter.settled else "open",
        "drivings": [DrivenOut.of(driven, zone) for driven in letter.drivings],
    }  # fmt: skip


def _text(payload: bytes) -> str | None:
    try:
        return payload.decode()
    except UnicodeDecodeError:
        return None
