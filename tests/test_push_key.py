"""The key that browsers subscribe with, where web push is set up and nowhere else; backups keep it."""

from __future__ import annotations

import asyncio
from base64 import urlsafe_b64decode
from dataclasses import replace
from pathlib import Path

import httpx
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from faces import Town, town_city, town_view

from alerts.delivery.vapid_key import VAPID_FILE, public_text, vapid_key
from alerts.web.app import create_app


def asked(folder: Path, key: str) -> httpx.Response:
    town = Town(folder, town_view(town_city()))

    async def ask() -> httpx.Response:
        app = create_app(replace(town.sources(), push_key=key))
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://canhbao.example.vn"
        ) as client:
            return await client.get("/api/v1/push-key")

    try:
        return asyncio.run(ask())
    finally:
        town.ledger.close()


def test_browsers_get_the_public_key_and_may_keep_it(tmp_path: Path) -> None:
    key = public_text(vapid_key(tmp_path))
    answer = asked(tmp_path, key)

    assert answer.json() == {"key": key}
    assert answer.headers["Cache-Control"] == "public, max-age=3600"
    EllipticCurvePublicKey.from_encoded_point(SECP256R1(), urlsafe_b64decode(key + "="))  # as a browser reads it
    assert b"PRIVATE" not in answer.content


def test_without_web_push_there_is_no_key(tmp_path: Path) -> None:
    assert asked(tmp_path, "").status_code == httpx.codes.NOT_FOUND
    assert not (tmp_path / VAPID_FILE).exists()
