"""What a subscription looks like in JSON, in and out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Self
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, model_validator

from alerts.people.resident import (
    ADDRESS_MOST,
    AREAS_MOST,
    CONTACTS_MOST,
    DAILY_CAP,
    DAILY_CAP_MOST,
    HAZARDS_MOST,
    PROXY_MOST,
    QUIET,
    Choice,
    Contact,
    Resident,
    State,
    Subscription,
    wanted_hazards,
)
from alerts.residents.book import Asked, Consented
from alerts.web.payloads import local_time
from alerts.web.schemas import Shape
from alerts.words.names import Lang

_Level = Annotated[int, Field(ge=1, le=4)]
_Hazard = Annotated[str, Field(max_length=64)]


class _In(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class AreaIn(_In):
    code: str = Field(max_length=64, examples=["20242"])
    hazards: Annotated[dict[_Hazard, _Level], Field(min_length=1, max_length=HAZARDS_MOST)] | None = Field(
        None, description="hazard -> level from which to be told; left out: flood 2, rain 3, power 2",
        examples=[{"flood": 2, "rain": 3}],
    )  # fmt: skip


class ContactIn(_In):
    channel: str = Field(max_length=32, examples=["sms"])
    address: str = Field(min_length=1, max_length=ADDRESS_MOST, repr=False, examples=["0905 123 456"])
    fallback: bool = Field(default=False, description="told only where the others do not get through")


_Areas = Annotated[list[AreaIn], Field(min_length=1, max_length=AREAS_MOST)]
_Quiet = Annotated[str, Field(max_length=11, description="local time; empty: no quiet hours", examples=[QUIET])]
_Cap = Annotated[int, Field(ge=1, le=DAILY_CAP_MOST, description="messages a contact a day; danger, worsening and ends "
                            "do not count and always come")]  # fmt: skip
_Proxy = Annotated[str, Field(max_length=PROXY_MOST, description="whom else to tell, in each message",
                              examples=["nhà bà Sáu đầu ngõ"])]  # fmt: skip


class SignUpIn(_In):
    areas: _Areas
    contacts: Annotated[list[ContactIn], Field(min_length=1, max_length=CONTACTS_MOST)]
    lang: Lang = "vi"
    quiet: _Quiet = QUIET
    daily_cap: _Cap = DAILY_CAP
    proxy_for: _Proxy = Field("", repr=False)

    @property
    def choice(self) -> Choice:
        return Choice(_rows(self.areas), self.lang, self.quiet, self.daily_cap, self.proxy_for)


class ChangeIn(_In):
    """What is to be different; left out: it stays."""

    areas: _Areas | None = None
    lang: Lang | None = None
    quiet: _Quiet | None = None
    daily_cap: _Cap | None = None
    proxy_for: _Proxy | None = Field(None, repr=False)
    add_contacts: Annotated[list[ContactIn], Field(max_length=CONTACTS_MOST)] = Field(
        default_factory=list, description="each is to be confirmed, as at a sign-up"
    )
    end_contacts: Annotated[list[Annotated[int, Field(ge=1, le=2**63 - 1)]], Field(max_length=CONTACTS_MOST)] = Field(
        default_factory=list, description="ids of contacts that want no more"
    )

    def choice(self, was: Choice) -> Choice:
        return Choice(
            was.subscriptions if self.areas is None else _rows(self.areas),
            was.lang if self.lang is None else self.lang,
            was.quiet if self.quiet is None else self.quiet,
            was.daily_cap if self.daily_cap is None else self.daily_cap,
            was.proxy_for if self.proxy_for is None else self.proxy_for,
        )


class ConfirmIn(_In):
    """The token of the link, or the id of the answer to the sign-up and the code."""

    token: str = Field("", max_length=64, repr=False)
    id: str = Field("", max_length=64)
    code: str = Field("", max_length=16, repr=False, examples=["042137"])

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if bool(self.token) == bool(self.id and self.code):
            raise ValueError("either token, or id and code")
        return self


class TokenIn(_In):
    token: str = Field(max_length=64, repr=False)


class AskedOut(Shape):
    id: str = Field(description="with the code it confirms this contact", examples=["5f0c31d2a7b84e651f2e3d4c"])
    channel: str = Field(examples=["sms"])

    @classmethod
    def of(cls, asked: Asked) -> Self:
        return cls(id=asked.id, channel=asked.channel)


class SignedUp(Shape):
    """The same for every address: whether it is known is told to the address alone."""

    confirm: list[AskedOut]
    expires_at: str = Field(description="until when the codes can be used")
    terms: str = Field(description="what is agreed to by confirming: show it beside the field for the code")


class AreaChosen(Shape):
    code: str
    hazards: dict[str, int]


class ContactOut(Shape):
    id: int
    channel: str
    address: str = Field(repr=False, description="empty once it has ended")
    fallback: bool
    state: State
    created_at: str
    confirmed_at: str | None

    @classmethod
    def of(cls, one: Contact, zone: ZoneInfo) -> Self:
        return cls(
            id=one.id, channel=one.channel, address=one.address, fallback=one.fallback, state=one.state,
            created_at=local_time(one.created_at, zone), confirmed_at=_time(one.confirmed_at, zone),
        )  # fmt: skip


class SubscriptionOut(Shape):
    state: State
    lang: Lang
    areas: list[AreaChosen]
    quiet: str
    daily_cap: int
    proxy_for: str = Field(repr=False)
    contacts: list[ContactOut]
    created_at: str
    confirmed_at: str | None

    @classmethod
    def of(cls, one: Resident, zone: ZoneInfo) -> Self:
        return cls(**_fields(one, zone))


class Changed(SubscriptionOut):
    confirm: list[AskedOut] = Field(description="new contacts that are to be confirmed")

    @classmethod
    def made(cls, one: Resident, asked: Sequence[Asked], zone: ZoneInfo) -> Self:
        return cls(**_fields(one, zone), confirm=[AskedOut.of(row) for row in asked])


class ConfirmedOut(Shape):
    token: str | None = Field(description="shows and changes everything, given this once; null: it was given before",
                              repr=False)  # fmt: skip
    contact: ContactOut


class ConsentOut(Shape):
    at: str
    what: str
    text: str = Field(description="the words that were shown")
    lang: Lang
    contact: int | None

    @classmethod
    def of(cls, one: Consented, zone: ZoneInfo) -> Self:
        return cls(at=local_time(one.at, zone), what=one.what, text=one.text, lang=one.lang, contact=one.contact)


class Export(SubscriptionOut):
    consents: list[ConsentOut]

    @classmethod
    def made(cls, one: Resident, log: Sequence[Consented], zone: ZoneInfo) -> Self:
        return cls(**_fields(one, zone), consents=[ConsentOut.of(row, zone) for row in log])


class Ended(Shape):
    ended: bool = True


def _fields(one: Resident, zone: ZoneInfo) -> dict[str, Any]:
    choice = one.choice
    return {
        "state": one.state, "lang": choice.lang, "areas": _chosen(choice), "quiet": choice.quiet,
        "daily_cap": choice.daily_cap, "proxy_for": choice.proxy_for,
        "contacts": [ContactOut.of(row, zone) for row in one.contacts],
        "created_at": local_time(one.created_at, zone), "confirmed_at": _time(one.confirmed_at, zone),
    }  # fmt: skip


def _chosen(choice: Choice) -> list[AreaChosen]:
    rows = choice.subscriptions
    return [AreaChosen(code=code, hazards={one.hazard: one.floor for one in rows if one.area == code})
            for code in choice.areas]  # fmt: skip


def _rows(areas: Sequence[AreaIn]) -> tuple[Subscription, ...]:
    return tuple(
        Subscription(area.code, hazard, floor)
        for area in areas
        for hazard, floor in wanted_hazards(area.hazards).items()
    )


def _time(ms: int | None, zone: ZoneInfo) -> str | None:
    return None if ms is None else local_time(ms, zone)
