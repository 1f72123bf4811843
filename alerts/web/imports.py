"""Readings out of files, brought by operators in columns: `canhbao import` makes them (CONTRACTS section 1)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from http import HTTPStatus
from typing import Annotated, Final, Self

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field, model_validator
from starlette.exceptions import HTTPException

from alerts.brought import ROWS_MOST, Brought, Row
from alerts.driving import BusyError, UnsureError
from alerts.importing import Imports
from alerts.people.user import Role
from alerts.web.operators import REFUSALS, Door, operator_route
from alerts.web.problems import shown_problems
from ingest.readings import Flag

AGAIN_S: Final = {"Retry-After": "2"}
_T_MOST: Final = 2**53  # what JSON can say exactly; what lies in the future is refused later, and told by its row
_PROBLEMS: Final = REFUSALS | shown_problems(HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.SERVICE_UNAVAILABLE)
_Text = Annotated[str, Field(max_length=100)]


class Series(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    sensor: _Text = Field(examples=["tower-hai-chau-1"])
    quantity: _Text = Field(examples=["water_level"])
    unit: _Text = Field("", description="empty: the quantity's", examples=["cm"])


class Columns(BaseModel):
    """Readings, columns of one length, in the order of time."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    series: list[Series] = Field(max_length=ROWS_MOST)
    i: list[Annotated[int, Field(ge=0, lt=ROWS_MOST)]] = Field(max_length=ROWS_MOST, description="which series")
    t: list[Annotated[int, Field(ge=-_T_MOST, le=_T_MOST)]] = Field(description="measured, ms since 1970 UTC")
    value: list[Annotated[float, Field(allow_inf_nan=False)] | None] = Field(description="null: missing")
    flag: list[Flag] = Field([], description="QARTOD, as it was graded: it can only make it worse; empty: not at all")

    @model_validator(mode="after")
    def _one_length(self) -> Self:
        if {len(self.t), len(self.value), len(self.flag or self.i)} != {len(self.i)}:
            raise ValueError("columns of different length")
        if max(self.i, default=-1) >= len(self.series):
            raise ValueError("i: there is no such series")
        return self

    @property
    def rows(self) -> Iterator[Row]:
        flags = self.flag or [Flag.NOT_EVALUATED] * len(self.i)
        for i, t, value, flag in zip(self.i, self.t, self.value, flags, strict=True):
            one = self.series[i]
            yield Row(one.sensor, t, one.quantity, math.nan if value is None else value, one.unit, flag)


class RefusedOut(BaseModel):
    row: int = Field(description="which of the readings, from 0")
    reason: str = Field(examples=["unknown_sensor"])
    detail: str


class BroughtOut(BaseModel):
    accepted: int = Field(description="new readings, now in the journal")
    duplicates: int = Field(description="known already")
    conflicts: int = Field(description="known with another value; the first stands")
    refused: list[RefusedOut]

    @classmethod
    def of(cls, brought: Brought) -> Self:
        refused = [RefusedOut(row=one.row, reason=one.reason, detail=one.detail) for one in brought.refused]
        return cls(
            accepted=brought.accepted, duplicates=brought.duplicates, conflicts=brought.conflicts, refused=refused
        )


def import_routes(door: Door, imports: Imports) -> APIRouter:
    router = APIRouter(prefix="/api/v1", tags=["operators"], route_class=operator_route(door, write=Role.ADMIN))

    @router.post("/import", summary="Readings out of files, as backfill", responses=_PROBLEMS)
    def bring(columns: Columns) -> BroughtOut:
        """It takes its time: what is measured now comes first. Brought again, what is known is passed over."""
        try:
            return BroughtOut.of(imports.bring(list(columns.rows)))
        except ValueError as error:
            raise HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, str(error)) from None
        except (BusyError, UnsureError) as error:
            raise HTTPException(HTTPStatus.SERVICE_UNAVAILABLE, str(error), AGAIN_S) from None

    return router
