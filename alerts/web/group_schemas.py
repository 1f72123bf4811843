"""The shapes of what is sent and answered about ward groups."""

from __future__ import annotations

from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field

from alerts.people.group import (
    ADDRESS_MOST,
    CONTACTS_MOST,
    HOUSEHOLDS_MOST,
    NAME_MOST,
    Contact,
    Group,
    Leader,
    NewGroup,
    NewLeader,
    Way,
)
from alerts.people.group_state import Said, Says, State
from alerts.residents.answer_keys import KEY_MOST
from alerts.residents.answers import NOTE_MOST
from alerts.residents.group_import import Brought
from alerts.residents.group_overview import Sent, Standing, counted
from alerts.web.payloads import local_time
from alerts.web.schemas import LevelName, Shape
from alerts.words.names import Lang

PAGE_MOST = 500
ANSWERS_SHOWN = 20  # of a group, the newest
_Code = Annotated[str, Field(min_length=1, max_length=64, examples=["20242"])]
_Name = Annotated[str, Field(max_length=2 * NAME_MOST, examples=["Tổ 12 Hải Châu"])]
_Households = Annotated[int, Field(ge=0, le=HOUSEHOLDS_MOST, examples=[85])]
Clear = Literal[Says.TOLD, Says.NEEDS_HELP]


class _In(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class GroupIn(_In):
    area: _Code
    name: _Name
    households: _Households

    @property
    def group(self) -> NewGroup:
        return NewGroup(self.area, self.name, self.households)


class GroupChange(_In):
    """What is to be different; left out: it stays. A group elsewhere is another group."""

    name: _Name | None = None
    households: _Households | None = None


class WayIn(_In):
    channel: str = Field(max_length=32, examples=["sms"])
    address: str = Field(max_length=ADDRESS_MOST, examples=["0900 000 000"], repr=False)
    fallback: bool = Field(False, description="only where the others did not get through")


class LeaderIn(_In):
    lang: Lang = "vi"
    contacts: list[WayIn] = Field(min_length=1, max_length=CONTACTS_MOST)

    @property
    def leader(self) -> NewLeader:
        return NewLeader(self.lang, tuple(Way(one.channel, one.address, one.fallback) for one in self.contacts))


class AnswerIn(_In):
    says: Clear
    note: str = Field("", max_length=NOTE_MOST, description="who needs help, and where; kept sealed")


class LinkIn(AnswerIn):
    token: str = Field(max_length=KEY_MOST, repr=False, description="what stands after # in the link")


class GroupQuery(_In):
    area: str = Field("", max_length=64, description="a code: that area and what is part of it; empty: everywhere")
    cursor: int = Field(0, ge=0, le=2**63 - 1, description="`next` of the page before")
    limit: int = Field(100, ge=1, le=PAGE_MOST)


class ImportQuery(_In):
    dry_run: bool = Field(False, description="say what it would do, and do nothing")


class ContactOut(Shape):
    id: int
    channel: str
    ends: str = Field(description="the last three digits, for operators and above; empty: not shown", examples=["000"])
    fallback: bool
    active: bool

    @classmethod
    def of(cls, one: Contact) -> Self:
        return cls(id=one.id, channel=one.channel, ends=one.ends, fallback=one.fallback, active=one.active)


class LeaderOut(Shape):
    id: int
    lang: str
    since: str
    contacts: list[ContactOut]

    @classmethod
    def of(cls, one: Leader, zone: ZoneInfo) -> Self:
        contacts = [ContactOut.of(contact) for contact in one.contacts]
        return cls(id=one.id, lang=one.lang, since=local_time(one.since, zone), contacts=contacts)


class GroupOut(Shape):
    id: int
    area: str
    name: str
    households: int
    leaders: list[LeaderOut]

    @classmethod
    def of(cls, one: Group, zone: ZoneInfo) -> Self:
        leaders = [LeaderOut.of(leader, zone) for leader in one.leaders]
        return cls(id=one.id, area=one.area, name=one.name, households=one.households, leaders=leaders)


class GroupList(Shape):
    groups: list[GroupOut]
    next: int | None = Field(description="`cursor` of the next page; null: this is the last")


class EndedOut(Shape):
    leaders: int = Field(description="who ended with it")


class RowErrorOut(Shape):
    line: int = Field(description="of the file, from 1: the header")
    column: str = Field(description="empty: the line as a whole")
    expected: str


class BroughtOut(Shape):
    applied: bool = Field(description="false: nothing was changed (a dry run)")
    lines: int
    groups_added: int
    groups_changed: int
    leaders_added: int
    errors: list[RowErrorOut]
    errors_more: int = Field(description="errors beyond those that are shown")

    @classmethod
    def of(cls, one: Brought) -> Self:
        errors = [RowErrorOut(line=row.line, column=row.column, expected=row.expected) for row in one.errors]
        return cls(
            applied=one.applied, lines=one.lines, groups_added=one.groups_added, groups_changed=one.groups_changed,
            leaders_added=one.leaders_added, errors=errors, errors_more=one.errors_more,
        )  # fmt: skip


class AnswerOut(Shape):
    at: str
    says: Says
    version: int = Field(description="the newest that had asked for an answer then")
    by: str = Field(description='"contact 17", or the user who wrote it down')
    note: str

    @classmethod
    def of(cls, said: Said, zone: ZoneInfo) -> Self:
        return cls(at=local_time(said.at, zone), says=said.says, version=said.version, by=said.by, note=said.note)


class SentOut(Shape):
    contact: int
    channel: str
    ends: str
    status: str = Field(description="queued, sending, sent, failed, dead …", examples=["sent"])
    maybe: bool = Field(description="it may have arrived: the provider did not answer")
    sent_at: str | None
    received_at: str | None = Field(description="the provider says that it arrived")
    error: str

    @classmethod
    def of(cls, contact: Contact, what: Sent, zone: ZoneInfo) -> Self:
        return cls(
            contact=contact.id, channel=contact.channel, ends=contact.ends, status=what.status.value, maybe=what.maybe,
            sent_at=_time(what.sent_at, zone), received_at=_time(what.received_at, zone), error=what.error,
        )  # fmt: skip


class StandingOut(Shape):
    id: int
    area: str
    name: str
    households: int
    state: State
    sent: list[SentOut] = Field(description="of the newest version that asks for an answer")
    answers: list[AnswerOut] = Field(description="the newest first")

    @classmethod
    def of(cls, one: Standing, zone: ZoneInfo) -> Self:
        group = one.group
        sent = [SentOut.of(contact, one.sent[contact.id], zone) for contact in group.contacts if contact.id in one.sent]
        answers = [AnswerOut.of(said, zone) for said in reversed(one.said[-ANSWERS_SHOWN:])]
        return cls(id=group.id, area=group.area, name=group.name, households=group.households, state=one.state,
                   sent=sent, answers=answers)  # fmt: skip


class CountOut(Shape):
    groups: int
    households: int


class GroupsOfAlert(Shape):
    """Who has to be seen to first stands first."""

    alert: str
    hazard: str
    area: str
    level: int
    level_name: LevelName
    as_of: str
    asked_version: int = Field(description="the newest version that asks for an answer; 0: none")
    counts: dict[State, CountOut]
    groups: list[StandingOut]


class GivenOut(Shape):
    """What was written down."""

    group: str = Field(examples=["Tổ 12 Hải Châu"])
    area: str
    says: Says
    at: str


def counts_out(standings: list[Standing]) -> dict[State, CountOut]:
    return {state: CountOut(groups=one.groups, households=one.households) for state, one in counted(standings).items()}


def _time(ms: int | None, zone: ZoneInfo) -> str | None:
    return None if ms is None else local_time(ms, zone)
