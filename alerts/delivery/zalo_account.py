"""What the two ways over Zalo have in common: the keys of their sections, and the account made of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from alerts.delivery.fate import KEYS, Fate, Fates
from alerts.delivery.provider import provider_url
from alerts.delivery.zalo_api import ZaloApi
from alerts.delivery.zalo_hook import ZaloHook
from alerts.delivery.zalo_token import OAUTH_URL, ZaloToken
from alerts.delivery.zns_templates import NONE, Templates, read_templates
from alerts.given import Secret, Section
from ingest.city import ConfigError

if TYPE_CHECKING:
    from alerts.delivery.channels.channel import Means  # the channels are built of this

SECRETS: Final = ("secret", "webhook_secret")
TIMEOUT_S: Final = 20.0
_APP_ID: Final = re.compile(r"[0-9]{5,32}")


def keys(url: str) -> dict[str, str]:
    """`url`: where messages go, unless the section says otherwise."""
    return {
        "app_id": "",
        "url": url,
        "oauth_url": OAUTH_URL,
        "templates_file": "",
        "per_s": "20",
        "at_once": "8",
        **KEYS,
    }


def app_id(section: Section) -> str:
    """Raises ConfigError."""
    given = section["app_id"]
    if not _APP_ID.fullmatch(given.text):
        raise given.wrong("the number of the app, as developers.zalo.me shows it: digits alone")
    return given.text


def secret(section: Section) -> Secret:
    """The app's. Raises ConfigError."""
    found = section.secrets["secret"]
    if found is None:
        raise ConfigError(
            section["app_id"].name, "no secret", "the app's secret beside it, as …__SECRET or secret_file"
        )
    return found


def token(section: Section, means: Means) -> ZaloToken:
    """Raises ConfigError."""
    return ZaloToken(means.data, app_id(section), secret(section), provider_url(section["oauth_url"]), means.now_ms)


def api(name: str, codes: Mapping[str, tuple[Fate, str]], section: Section, means: Means, at_once: int) -> ZaloApi:
    """Raises ConfigError."""
    fates = Fates(name, codes, section)
    return ZaloApi(name, token(section, means), fates, means.now_ms, timeout_s=TIMEOUT_S, at_once=at_once)


def hook(section: Section, *, answers: bool) -> ZaloHook | None:
    """None: not set up, or no secret by which its events are known. Raises ConfigError."""
    given = section.secrets["webhook_secret"]
    return ZaloHook(app_id(section), given, answers=answers) if section["app_id"].text and given is not None else None


def templates(section: Section) -> Templates:
    """None of them where no file is named. Raises ConfigError."""
    return read_templates(section["templates_file"].path()) if section["templates_file"].text else NONE
