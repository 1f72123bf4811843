"""Grafana's HTTP API: the package grafana-api, its raw passthrough, and what it leaves to the caller.

It takes every answer for JSON, so an empty one (204) and a page of a proxy end in the same error; a redirected POST
becomes a GET; a token that is no header makes an error that quotes it. Each is dealt with here.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final
from urllib.parse import urlsplit

from grafana_api.grafana_api import GrafanaException
from grafana_api.grafana_face import GrafanaFace

TIMEOUT_S: Final = 10.0
_TOKEN: Final = re.compile(r"[!-~]{1,4096}\Z")  # what can stand in a header
_MISSING, _CONFLICTS = 404, (409, 412)
_ADVICE: Final = {401: "; is the token right?", 403: "; the token needs the role Editor, for data sources Admin"}


class GrafanaError(Exception):
    """Grafana is away, or refuses. The message is for people and never holds the token."""


class ConflictError(GrafanaError):
    """What we changed has changed meanwhile, or exists already."""


class Grafana:
    """One Grafana. `url` as people type it, with a path where it is served below one."""

    def __init__(self, url: str, token: str, timeout_s: float = TIMEOUT_S) -> None:
        if _TOKEN.match(token) is None:
            raise GrafanaError("the token of Grafana is empty or has characters that no token has")
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError:  # brackets that do not close, or a port that is none
            parts, host, port = urlsplit(""), None, None
        if parts.scheme not in ("http", "https") or not host or parts.username:
            raise GrafanaError("the address of Grafana is none such as http://127.0.0.1:3000")
        path = parts.path.strip("/")
        face = GrafanaFace(
            auth=token, host=host, port=port, protocol=parts.scheme, timeout=timeout_s,
            url_path_prefix=path and path + "/",
        )  # fmt: skip
        self._api = face.api
        self._api.s.max_redirects = 0

    def get(self, path: str) -> Any:
        """None where it does not exist."""
        return self._ask("GET", path, missing=True)

    def post(self, path: str, body: object) -> Any:
        return self._ask("POST", path, body)

    def put(self, path: str, body: object) -> Any:
        return self._ask("PUT", path, body)

    def delete(self, path: str) -> None:
        self._ask("DELETE", path, missing=True)

    def _ask(self, method: str, path: str, body: object = None, *, missing: bool = False) -> Any:
        """The answer, None where it is empty. Raises GrafanaError, ConflictError."""
        what = f"Grafana, {method} {path}"
        try:
            return getattr(self._api, method)(path, json=body)
        except GrafanaException as error:
            if missing and error.status_code == _MISSING:
                return None
            kind = ConflictError if error.status_code in _CONFLICTS else GrafanaError
            advice = _ADVICE.get(error.status_code, "")
            raise kind(f"{what}: {error.status_code} {_said(error.response)}{advice}") from None
        except json.JSONDecodeError as error:  # of requests: an OSError as well, so it stands before that
            if error.doc == "":
                return None
            raise GrafanaError(f"{what}: the answer is no JSON; is it Grafana that answers there?") from None
        except TypeError:  # grafana-api looks for a message in whatever came with the error
            raise GrafanaError(f"{what}: refused without a reason; is it Grafana that answers there?") from None
        except OSError as error:
            raise GrafanaError(f"{what}: {error}") from None


def _said(response: object) -> str:
    return str(response.get("message", "")) if isinstance(response, dict) else str(response)[:200]
