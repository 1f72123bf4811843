"""Residents' subscriptions (CONTRACTS section 5): sign-up, confirmation, own data, end.

Bodies are JSON and say so, which no form of another site can; tokens come in a header, never in a URL. A sign-up is
answered alike for every address, whether it is known, pending, ended or new.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from http import HTTPStatus
from typing import Annotated, Any, Final, TypeVar

from fastapi import APIRouter, Depends, Request, Response
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from alerts.people.resident import Choice, Resident, Wanted, checked_choice, checked_contacts
from alerts.residents.book import CODE_MINUTES, Book
from alerts.residents.limits import WAIT_S
from alerts.view import View
from alerts.web.payloads import local_time, simulated
from alerts.web.problems import shown_problems
from alerts.web.sources import ResidentsDesk, Sources
from alerts.web.subscription_shapes import (
    AskedOut,
    Changed,
    ChangeIn,
    ConfirmedOut,
    ConfirmIn,
    ContactIn,
    ContactOut,
    Ended,
    Export,
    SignedUp,
    SignUpIn,
    SubscriptionOut,
    TokenIn,
)
from alerts.words.names import HAND_HAZARDS, HAZARDS
from alerts.words.sign_up import terms

BODY_BYTES_MAX: Final = 16_384  # five web push subscriptions and twenty hazards in ten areas
NOT_SET_UP: Final = "subscriptions are not set up: residents.key_file"
EXERCISE: Final = "this is an exercise: nobody can subscribe"
_WITH_BODY: Final = ("POST", "PATCH")
_STRANGER: Final = "Authorization: Bearer and the token that the confirmation gave"
_TOO_OFTEN: Final = "too many changes of this subscription; try again in a minute"
_UNCONFIRMED: Final = "this code is wrong, too old, or was tried too often; sign up again to get another"
_PROBLEMS: Final = shown_problems(
    HTTPStatus.UNAUTHORIZED, HTTPStatus.LENGTH_REQUIRED, HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE, HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.SERVICE_UNAVAILABLE,
)  # fmt: skip
T = TypeVar("T")


def subscription_routes(sources: Sources) -> APIRouter:
    """Handlers run in worker threads: every call is a transaction on disk."""
    router = APIRouter(prefix="/api/v1/subscriptions", tags=["residents"], route_class=_guarded(sources))
    calls = _Calls(sources)
    table: tuple[tuple[str, str, Callable[..., Any], HTTPStatus, str], ...] = (
        ("POST", "", calls.sign_up, HTTPStatus.ACCEPTED, "Ask to be warned: a code goes to each address"),
        ("POST", "/confirm", calls.confirm, HTTPStatus.OK, "It is mine: by code, or by the token of the link"),
        ("GET", "", calls.shown, HTTPStatus.OK, "What is kept about me"),
        ("GET", "/export", calls.export, HTTPStatus.OK, "The same to take away, with what was agreed to and when"),
        ("PATCH", "", calls.change, HTTPStatus.OK, "Change my choice, add or end contacts"),
        ("POST", "/end", calls.end, HTTPStatus.OK, "No more messages, at once"),
        ("DELETE", "", calls.delete, HTTPStatus.NO_CONTENT, "Delete everything that is kept about me"),
    )
    for method, path, handler, status, summary in table:
        router.add_api_route(
            path, handler, methods=[method], status_code=status, summary=summary, responses=_PROBLEMS
        )  # fmt: skip
    return router


async def _bearer(request: Request) -> str:
    """A header that no browser sends by itself, so that no page of another site can act for a resident."""
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if kind.lower() == "bearer" else ""


_Token = Annotated[str, Depends(_bearer)]


class _Calls:
    """One method a route."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources

    def sign_up(self, request: Request, sent: SignUpIn) -> SignedUp:
        view, wanted = self._sources.view(), self._wanted(sent.contacts)
        choice = _able(lambda: _checked(sent.choice, view))
        _able(lambda: checked_contacts(wanted))
        self._admit(request)
        now = self._sources.now_ms()
        asked = self._book.sign_up(choice, wanted, view.city, now)
        return SignedUp(
            confirm=[AskedOut.of(one) for one in asked],
            expires_at=local_time(now + CODE_MINUTES * 60_000, view.city.timezone),
            terms=terms(choice, [one.channel for one in wanted], view.city, choice.lang),
        )

    def confirm(self, sent: ConfirmIn) -> ConfirmedOut:
        view, now = self._sources.view(), self._sources.now_ms()
        done = self._book.confirm(token=sent.token, id_=sent.id, code=sent.code, now_ms=now, city=view.city)
        if done is None:
            raise HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, _UNCONFIRMED)
        return ConfirmedOut(token=done.token or None, contact=ContactOut.of(done.contact, view.city.timezone))

    def shown(self, token: _Token) -> SubscriptionOut:
        found = _whose(self._book.shown(token, self._sources.now_ms()))
        return SubscriptionOut.of(found, self._sources.view().city.timezone)

    def export(self, token: _Token, response: Response) -> Export:
        self._changing(token)
        found, log = _whose(self._book.export(token, self._sources.now_ms()))
        response.headers["Content-Disposition"] = 'attachment; filename="canhbao-subscription.json"'
        return Export.made(found, log, self._sources.view().city.timezone)

    def change(self, request: Request, token: _Token, sent: ChangeIn) -> Changed:
        view, now = self._sources.view(), self._sources.now_ms()
        self._changing(token)  # else anybody could use up a network's sign-ups, or learn what is checked
        wanted = self._wanted(sent.add_contacts)
        if wanted:
            self._admit(request)

        def edit(was: Resident) -> Choice:
            return _checked(sent.choice(was.choice), view, was.choice)

        found, asked = _whose(
            _able(lambda: self._book.change(token, edit, wanted, sent.end_contacts, view.city, now))
        )  # fmt: skip
        return Changed.made(found, asked, view.city.timezone)

    def end(self, sent: TokenIn) -> Ended:
        _whose(self._book.end(sent.token, self._sources.now_ms()) or None)
        return Ended()

    def delete(self, token: _Token) -> None:
        _whose(self._book.delete(token, self._sources.now_ms()) or None)

    @property
    def _book(self) -> Book:
        return desk(self._sources).book

    def _wanted(self, contacts: Sequence[ContactIn]) -> list[Wanted]:
        """Addresses as their channels keep them. Raises HTTPException, repeating nothing of them."""
        reach, found = desk(self._sources).reach, []
        for n, one in enumerate(contacts):
            if one.channel not in reach:
                expected = "one of " + ", ".join(sorted(reach)) if reach else "no channel to residents is set up"
                raise HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, f"contacts.{n}.channel: {expected}")
            try:
                reached = reach[one.channel](one.address)
            except ValueError as error:
                raise HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, f"contacts.{n}.address: {error}") from None
            via = f"{one.channel}:{reached.provider}" if reached.provider else one.channel
            found.append(Wanted(one.channel, via, reached.address, one.fallback))
        return found

    def _changing(self, token: str) -> None:
        """Raises HTTPException."""
        found = _whose(self._book.shown(token, self._sources.now_ms()))
        if not self._book.limits.change_of(found.id):
            raise HTTPException(HTTPStatus.TOO_MANY_REQUESTS, _TOO_OFTEN, {"Retry-After": str(WAIT_S)})

    def _admit(self, request: Request) -> None:
        """Raises HTTPException."""
        client = request.client.host if request.client is not None else ""
        if why := self._book.limits.refused(client):
            raise HTTPException(HTTPStatus.TOO_MANY_REQUESTS, why, {"Retry-After": str(WAIT_S)})


def desk(sources: Sources) -> ResidentsDesk:
    """Raises HTTPException where nobody can subscribe."""
    if simulated(sources.view()):
        raise HTTPException(HTTPStatus.SERVICE_UNAVAILABLE, EXERCISE)
    if sources.residents is None:
        raise HTTPException(HTTPStatus.SERVICE_UNAVAILABLE, NOT_SET_UP)
    return sources.residents


def _guarded(sources: Sources) -> type[APIRoute]:
    class ResidentRoute(APIRoute):
        """Refuses before it reads what was sent; keeps no answer in any cache."""

        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            handle = super().get_route_handler()

            async def guarded(request: Request) -> Response:
                desk(sources)
                if request.method in _WITH_BODY:
                    _check_body(request)
                response = await handle(request)
                response.headers["Cache-Control"] = "no-store"
                return response

            return guarded

    return ResidentRoute


def _check_body(request: Request) -> None:
    """Raises HTTPException."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise HTTPException(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "Content-Type: application/json")
    check_length(request, BODY_BYTES_MAX)


def check_length(request: Request, most: int) -> None:
    """Raises HTTPException."""
    length = request.headers.get("content-length", "")
    if "transfer-encoding" in request.headers or not length.isdecimal() or len(length) > 9:
        raise HTTPException(HTTPStatus.LENGTH_REQUIRED, "the body's Content-Length is required")
    if int(length) > most:
        raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"at most {most} bytes")


def _checked(choice: Choice, view: View, was: Choice | None = None) -> Choice:
    """What somebody has (`was`) he may keep, though city and rules have changed. Raises ValueError."""
    kept = () if was is None else was.subscriptions
    areas = {*view.city.areas, *(one.area for one in kept)}
    judged = {rule.hazard for rule in view.rules.rules}
    hazards = {*HAZARDS["vi"], *HAND_HAZARDS["vi"], *judged, *(one.hazard for one in kept)}
    return checked_choice(choice, areas, hazards)


def _able(do: Callable[[], T]) -> T:
    try:
        return do()
    except ValueError as error:
        raise HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, str(error)) from None


def _whose(found: T | None) -> T:
    if found is None:
        raise HTTPException(HTTPStatus.UNAUTHORIZED, _STRANGER, {"WWW-Authenticate": "Bearer"})
    return found
