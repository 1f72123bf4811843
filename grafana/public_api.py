"""The service's public warnings, read page by page."""

from __future__ import annotations

import json
from http.client import HTTPException
from typing import Any, Final
from urllib.error import URLError
from urllib.parse import quote, urlencode
from urllib.request import Request, urlopen

from grafana.words import Tree

TIMEOUT_S: Final = 10.0
PAGE: Final = 500  # warnings; the most that the service gives
PAGES_MAX: Final = 20
_BYTES_MAX: Final = 64_000_000  # of a page


class ServiceError(Exception):
    """The service is away, or what answers is not the service."""


def alerts(service_url: str, since: str) -> list[Tree]:
    """Warnings that changed at or after `since` (RFC 3339 with an offset), the newest first.

    Raises ServiceError; also where there are more than PAGE x PAGES_MAX.
    """
    found: list[Tree] = []
    cursor: str | None = None
    for _ in range(PAGES_MAX):
        query = {"since": since, "limit": str(PAGE)} | ({} if cursor is None else {"cursor": cursor})
        page = _page(f"{service_url}/api/v1/alerts?{urlencode(query, quote_via=quote)}")
        found += page["alerts"]
        cursor = page["next"]
        if cursor is None:
            return found
    raise ServiceError(f"more than {PAGE * PAGES_MAX} warnings since {since}: say a later --since")


def _page(url: str) -> Any:
    if not url.startswith(("http://", "https://")):
        raise ServiceError(f"{url}: the address of the service begins with http:// or https://")
    try:
        with urlopen(Request(url, headers={"Accept": "application/json"}), timeout=TIMEOUT_S) as answer:  # noqa: S310
            page = json.loads(answer.read(_BYTES_MAX))
    except (URLError, HTTPException, OSError, ValueError) as error:
        raise ServiceError(f"{url}: {error}") from None
    if not isinstance(page, dict) or not isinstance(page.get("alerts"), list) or "next" not in page:
        raise ServiceError(f"{url}: no list of warnings; is it the service that answers there?")
    return page
