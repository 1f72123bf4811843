"""Users and tokens for admins, and the audit (CONTRACTS section 5)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Annotated, Any, Final, Self, TypeVar
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Header, Path, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException

from alerts.ledger.audit import Audit, Head, Written
from alerts.ledger.people import PeopleError, Token
from alerts.people.user import Centre, Role, User
from alerts.residents.staff_contacts import StaffContacts
from alerts.staff import Change, OutsideError, Staff
from alerts.web.operators import REFUSALS, Door, Who, operator_route
from alerts.web.payloads import local_time
from alerts.web.problems import shown_problems
from alerts.web.schemas import Shape
from alerts.web.sources import Sources
from alerts.words.names import Lang

PAGE_MOST: Final = 500
KEY_MOST: Final = 64
_PROBLEMS: Final = REFUSALS | shown_problems(HTTPStatus.UNPROCESSABLE_ENTITY)
_UNABLE: Final = _PROBLEMS | shown_problems(HTTPStatus.CONFLICT)
_REACHED: Final = _UNABLE | shown_problems(HTTPStatus.SERVICE_UNAVAILABLE)
_Name = Annotated[str, Path(max_length=32, examples=["tran.lan"])]
_TokenId = Annotated[str, Path(min_length=1, max_length=12, examples=["1f2e3d4c5b6a"])]
_Codes = Annotated[tuple[Annotated[str, Field(max_length=64)], ...], Field(max_length=500)]
IdempotencyKey = Annotated[
    str,
    Header(
        alias="Idempotency-Key", max_length=KEY_MOST, pattern=r"^[\x21-\x7e]*$",
        description="the same key again, from the same person for the same thing, changes nothing and is answered as "
        "the first time; without one each call is an act of its own",
    ),
]  # fmt: skip
T = TypeVar("T")


class UserIn(BaseModel):
    """A person. No areas: the whole city; no hazards: all of them. An area covers all that are part of it."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: str = Field(max_length=64, examples=["tran.lan"])
    role: Role = Field(examples=["approver"])
    areas: _Codes = Field((), examples=[["20242"]])
    hazards: _Codes = Field((), examples=[["flood", "rain"]])
    centre: Centre = Centre.OTHER

    @property
    def user(self) -> User:
        return User(self.name, self.role, self.areas, self.hazards, self.centre)


class UserChange(BaseModel):
    """What is to be different; left out: it stays."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    role: Role | None = None
    areas: _Codes | None = Field(None, description="an empty list: the whole city")
    hazards: _Codes | None = Field(None, description="an empty list: all of them")
    centre: Centre | None = None
    active: bool | None = Field(None, description="false: every token ends, for good")

    @property
    def change(self) -> Change:
        return Change(self.role, self.areas, self.hazards, self.centre, self.active)


class TokenOut(Shape):
    id: str = Field(description="the public part of the token", examples=["1f2e3d4c5b6a"])
    created_at: str
    revoked_at: str | None

    @classmethod
    def of(cls, token: Token, zone: ZoneInfo) -> Self:
        revoked = None if token.revoked_at is None else local_time(token.revoked_at, zone)
        return cls(id=token.id, created_at=local_time(token.created_at, zone), revoked_at=revoked)


class UserOut(Shape):
    name: str
    role: Role
    areas: list[str]
    hazards: list[str]
    centre: Centre
    active: bool

    @classmethod
    def of(cls, user: User) -> Self:
        return cls(**_fields(user))


class StaffOut(UserOut):
    tokens: list[TokenOut]
    called_by: str = Field("", description="the channel of his contact; empty: calls reach him on the console alone")


class ContactIn(BaseModel):
    """By what a user is called. The address is sealed, and shown to nobody."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    channel: str = Field(max_length=64, examples=["sms"])
    address: str = Field(max_length=4096, repr=False, examples=["+84 900 000 000"])
    lang: Lang = "vi"


class ContactOut(Shape):
    name: str
    called_by: str


class UserList(Shape):
    users: list[StaffOut]


class NewToken(Shape):
    token: str = Field(description="shown this once; it is kept nowhere")


class RevokedOut(Shape):
    revoked: list[str] = Field(description="ids of tokens that were in force until now")


class AuditQuery(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    by: str | None = Field(None, max_length=32)
    object: str | None = Field(None, max_length=200, examples=["incident/flood.20242.20221014T0803Z"])
    cursor: int | None = Field(None, ge=1, le=2**63 - 1, description="`next` of the page before")
    limit: int = Field(100, ge=1, le=PAGE_MOST)


class AuditRow(Shape):
    seq: int
    at: str
    at_ms: int = Field(description="as it is hashed")
    by: str
    verb: str
    object: str
    detail: Mapping[str, Any] = Field(description="what was asked")
    answer: Mapping[str, Any] = Field(description="what came of it")
    key: str
    previous: str
    hash: str

    @classmethod
    def of(cls, row: Written, zone: ZoneInfo) -> Self:
        one = row.entry
        return cls(
            seq=row.seq, at=local_time(one.at, zone), at_ms=one.at, by=one.by, verb=one.verb, object=one.object,
            detail=one.detail, answer=one.answer, key=one.key, previous=row.previous, hash=row.hash,
        )  # fmt: skip


class AuditPage(Shape):
    head: str = Field(description="number and hash of the newest row: keep it, and an end cut off later is found")
    rows: list[AuditRow]
    next: int | None = Field(description="cursor of the next page; null: this is the last")


class VerifyQuery(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    head: str | None = Field(None, max_length=90, description="one that was kept")


class Verified(Shape):
    whole: bool
    head: str = Field(description="up to which the chain holds")
    broken: int | None = Field(description="the first row that does not hold")
    why: str


def people_routes(sources: Sources, staff: Staff, contacts: StaffContacts | None, door: Door) -> APIRouter:
    """Admins only; which of the users they see and change is for `staff` to say.

    `contacts` None: no key seals addresses here, so that none are kept.
    """
    route = operator_route(door, read=Role.ADMIN, write=Role.ADMIN, everywhere=False)
    router = APIRouter(prefix="/api/v1", tags=["operators"], route_class=route)

    @router.get("/users", summary="Users within one's own scope, and their tokens", responses=_PROBLEMS)
    def listed(user: Who) -> UserList:
        called_by = {} if contacts is None else contacts.listed()
        return listed_users(staff, user, sources.view().city.timezone, called_by)

    @router.post("/users", summary="A new user; the same again changes nothing", responses=_UNABLE)
    def add(sent: UserIn, user: Who, key: IdempotencyKey = "") -> UserOut:
        return UserOut.of(_able(lambda: staff.add(sent.user, user, key)))

    @router.patch("/users/{name}", summary="Role, scope, whether active", responses=_UNABLE)
    def change(name: _Name, sent: UserChange, user: Who, key: IdempotencyKey = "") -> UserOut:
        changed = _able(lambda: staff.change(name, sent.change, user, key))
        if not changed.active and contacts is not None:
            _able(lambda: contacts.end(name, user, key))
        return UserOut.of(changed)

    @router.post("/users/{name}/tokens", summary="A token, shown once", responses=_UNABLE)
    def issue(name: _Name, user: Who, key: IdempotencyKey = "") -> NewToken:
        return NewToken(token=_able(lambda: staff.issue(name, user, key)))

    @router.delete("/users/{name}/tokens", summary="All tokens of a user end", responses=_UNABLE)
    def revoke_all(name: _Name, user: Who, key: IdempotencyKey = "") -> RevokedOut:
        return RevokedOut(revoked=_able(lambda: staff.revoke(name, "", user, key)))

    @router.delete("/users/{name}/tokens/{token}", summary="One token ends", responses=_UNABLE)
    def revoke(name: _Name, token: _TokenId, user: Who, key: IdempotencyKey = "") -> RevokedOut:
        return RevokedOut(revoked=_able(lambda: staff.revoke(name, token, user, key)))

    @router.put("/users/{name}/contact", summary="By what he is called, in place of what was", responses=_REACHED)
    def reach(name: _Name, sent: ContactIn, user: Who, key: IdempotencyKey = "") -> ContactOut:
        _able(lambda: _there(contacts).set(name, sent.channel, sent.address, sent.lang, user, key))
        return ContactOut(name=name, called_by=sent.channel)

    @router.delete("/users/{name}/contact", summary="Calls reach him on the console alone", responses=_REACHED)
    def unreach(name: _Name, user: Who, key: IdempotencyKey = "") -> ContactOut:
        _able(lambda: _there(contacts).end(name, user, key))
        return ContactOut(name=name, called_by="")

    return router


def _there(contacts: StaffContacts | None) -> StaffContacts:
    """Raises HTTPException."""
    if contacts is None:
        raise HTTPException(HTTPStatus.SERVICE_UNAVAILABLE, "contacts are not set up: residents.key_file")
    return contacts


def audit_routes(sources: Sources, audit: Audit, door: Door) -> APIRouter:
    """For admins of everything: the audit is not cut to areas."""
    router = APIRouter(prefix="/api/v1", tags=["operators"], route_class=operator_route(door, read=Role.ADMIN))

    @router.get("/audit", summary="What people did, the newest first", responses=_PROBLEMS)
    def page(query: Annotated[AuditQuery, Query()]) -> AuditPage:
        zone, head = sources.view().city.timezone, audit.head()
        rows, after = audit.page(before=query.cursor, by=query.by, object_=query.object, limit=query.limit)
        return AuditPage(head=str(head), rows=[AuditRow.of(row, zone) for row in rows], next=after)

    @router.get("/audit/verify", summary="Whether the chain of hashes holds", responses=_PROBLEMS)
    def verify(query: Annotated[VerifyQuery, Query()]) -> Verified:
        return _able(lambda: verified(audit, query.head))

    return router


def listed_users(staff: Staff, by: User, zone: ZoneInfo, called_by: Mapping[str, str]) -> UserList:
    """Those within the scope of `by`. `called_by`: name -> the channel of his contact."""
    rows = [
        StaffOut(
            **_fields(one), tokens=[TokenOut.of(token, zone) for token in tokens], called_by=called_by.get(one.name, "")
        )
        for one, tokens in staff.listed(by)
    ]
    return UserList(users=rows)


def verified(audit: Audit, kept: str | None) -> Verified:
    """Raises ValueError for a head that is none."""
    head, fault = audit.verify(None if kept is None else Head.of(kept))
    if fault is None:
        return Verified(whole=True, head=str(head), broken=None, why="")
    return Verified(whole=False, head=str(head), broken=fault.seq, why=fault.why)


def _able(do: Callable[[], T]) -> T:
    try:
        return do()
    except OutsideError as error:
        raise HTTPException(HTTPStatus.FORBIDDEN, str(error)) from None
    except PeopleError as error:
        raise HTTPException(HTTPStatus.CONFLICT, str(error)) from None
    except ValueError as error:
        raise HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, str(error)) from None


def _fields(user: User) -> dict[str, Any]:
    return {
        "name": user.name, "role": user.role, "areas": list(user.areas), "hazards": list(user.hazards),
        "centre": user.centre, "active": user.active,
    }  # fmt: skip
