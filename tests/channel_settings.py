"""Channels as the settings make them: from a canhbao.toml and the environment, through the real reader."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from alerts import settings
from alerts.delivery.channels import KINDS
from alerts.delivery.channels.channel import Channel, Means
from alerts.delivery.parcel import Lane, Parcel
from alerts.given import Section
from alerts.words.names import Lang

NOW = 1_790_000_000_000


def section_of(folder: Path, name: str, keys: Mapping[str, str], secrets: Mapping[str, str] | None = None) -> Section:
    variables = {f"CANHBAO_{name}__{key}".upper(): text for key, text in {**keys, **(secrets or {})}.items()}
    return settings.load(None, {"CANHBAO_DATA__PATH": str(folder), **variables}).channels[name]


def made(folder: Path, name: str, section: Section, *, now_ms: Any = None) -> Channel:
    channel = KINDS[name].make(section, Means(folder, "https://canhbao.example.vn/", now_ms or (lambda: NOW)))
    assert channel is not None
    return channel


def parcel(channel: str, address: str, body: Mapping[str, Any], *, attempt: int = 1, lang: Lang = "vi") -> Parcel:
    return Parcel(
        id=7, attempt=attempt, channel=channel, recipient="contact 17", incident="flood.A.20260922T0000Z", version=2,
        seq=11, level=3, lang=lang, body=body, created_at=NOW, expires_at=NOW + 7_200_000, lane=Lane.URGENT,
        address=address,
    )  # fmt: skip
