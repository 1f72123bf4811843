"""The shapes of GET /api/v1/alerts/{id}/why: what is asked, and what is answered."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from alerts.incidents.decision import Decided
from alerts.web.evidence import EvidenceOut
from alerts.web.schemas import Shape
from alerts.words.names import Lang


class WhyQuery(BaseModel):
    """Which decisions, and in which language; versions and calls are shown with every page."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    lang: Lang = Field("vi", description="of `text`")
    after: int = Field(-1, ge=-1, description="`next` of the page before")
    limit: int = Field(50, ge=1, le=200)


class ConfirmationOut(Shape):
    """`distance_km`, `witness_level`: of a sensor that bears witness, as far as they are known."""

    by: str = Field(examples=["neighbour"])
    witness: str = Field(description="the sensor, hazard or person; or, in words, why nobody confirmed")
    distance_km: float | None
    witness_level: int | None = Field(description="the highest that it stood at then, as this incident's decisions say")


class DeliveryOut(Shape):
    channel: str
    status: str
    count: int = Field(description="messages")


class VersionOut(Shape):
    version: int
    reason: str
    level: int
    previous_level: int
    measured_at: str
    published_at: str
    by: str = Field(description="the person whose act made it; empty: it followed from what was measured")
    told: bool
    withheld: str = Field(description="why residents were not sent it")
    confirmation: ConfirmationOut | None
    evidence: EvidenceOut | None = Field(description="null: nothing that was measured drove it")
    deliveries: list[DeliveryOut]


class DecisionOut(Shape):
    number: int
    at: str
    what: Decided
    kept_back: bool
    text: str
    because: str
    sensor: str
    rule: str
    level: int
    detail: dict[str, Any]
    entry: int | None = Field(description="position in the journal of what called for it; null: a person's act did")
    confirmation: ConfirmationOut | None
    evidence: EvidenceOut | None


class CallOut(Shape):
    number: int
    at: str
    to: list[str]
    asks: str
    level: int


class WhyOut(Shape):
    id: str
    hazard: str
    area: str
    drill: bool
    level: int
    version: int
    awaiting: bool
    versions: list[VersionOut]
    decisions: list[DecisionOut]
    dropped: int = Field(description="decisions of this incident that are no longer kept")
    next: int | None = Field(description="`after` of the next page; null: there is none")
    calls: list[CallOut]
