"""The operators' part of the API: who is let in, what is shown, and that an answer means it is on disk."""

from __future__ import annotations

import asyncio
import base64
import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from faces import Town, serving, town_city, town_view
from fastapi import FastAPI
from test_dead_letters import NEW, Office, payload
from test_spine import CITY, MINUTE, NOON

from alerts.web.app import create_app
from alerts.web.operators import BODY_BYTES_MAX, known_token, operators_token
from alerts.web.sources import Desks
from ingest.data_folder import FolderError, announce, announced

PATH = "/api/v1/dead-letters"


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    made = Office(tmp_path)
    yield made
    made.end()


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    made = Town(tmp_path / "town", town_view(town_city()))
    yield made
    made.ledger.close()


@pytest.fixture
def app(office: Office, town: Town, tmp_path: Path) -> Iterator[FastAPI]:
    """Five letters (the newest is 5), and a spine that turns: `new` was unknown and no longer is."""
    spine = office.open()
    office.refuse(spine, *(payload(("new", NOON + n, 0.1 * n)) for n in range(3)))
    office.refuse(spine, "Hồ Thạc Gián\u202e".encode(), b"\xff\x00")
    office.city = CITY + NEW
    office.now += MINUTE
    spine = office.open()
    desks = Desks(operators_token(tmp_path), office.letters)
    with office.turning(spine):
        yield create_app(replace(town.sources(), operators=desks))


@pytest.fixture
def client(app: FastAPI, town: Town, tmp_path: Path) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {known_token(tmp_path)}"}
    with serving(town, app) as url, httpx.Client(base_url=url, timeout=5, headers=headers) as asking:
        yield asking


def ask(app: FastAPI, caller: str, server: str = "127.0.0.1", **headers: str) -> httpx.Response:
    """Who asks from `caller`, as the server would see it."""

    async def get() -> httpx.Response:
        transport = httpx.ASGITransport(app, client=(caller, 5))
        async with httpx.AsyncClient(transport=transport, base_url=f"http://{server}") as asking:
            return await asking.get(PATH, headers=headers)

    return asyncio.run(get())


def test_only_who_holds_the_token_is_let_in_and_nothing_else_is_told(client: httpx.Client, tmp_path: Path) -> None:
    token = known_token(tmp_path)
    for given in ("", "Bearer", "Bearer x", f"Bearer {token}0", f"Basic {token}", token, "Bearer é"):
        for method, path in (
            ("GET", PATH),
            ("GET", f"{PATH}/1"),
            ("POST", f"{PATH}/1/drive"),
            ("POST", f"{PATH}/drive"),
        ):
            answer = client.request(method, path, headers={b"Authorization": given.encode()})
            assert answer.status_code == 401, given
            assert answer.headers["www-authenticate"] == "Bearer"
            assert answer.headers["content-type"] == "application/problem+json"
            assert token not in answer.text
    assert client.get(PATH, headers={"Authorization": f"bearer {token}"}).status_code == 200
    in_url = client.get(f"{PATH}?token={token}", headers={"Authorization": ""})
    assert in_url.status_code == 401
    assert token not in in_url.text


def test_only_from_this_machine(app: FastAPI, tmp_path: Path) -> None:
    bearer = {"Authorization": f"Bearer {known_token(tmp_path)}"}
    assert ask(app, "127.0.0.1", **bearer).status_code == 200
    assert ask(app, "::1", **bearer).status_code == 200
    assert ask(app, "192.0.2.7", "192.0.2.7", **bearer).status_code == 200, "the service listens there alone"
    for stranger in ("192.0.2.8", "2001:db8::1", "10.0.0.1", "testclient"):
        refused = ask(app, stranger, "192.0.2.7", **bearer)
        assert refused.status_code == 401
        assert refused.text == ask(app, stranger, "192.0.2.7", Authorization="Bearer no").text, "as any wrong token"


def test_the_token_is_128_bits_for_its_owner_alone_and_stays(tmp_path: Path) -> None:
    token = operators_token(tmp_path)
    assert len(bytes.fromhex(token)) == 16
    assert (tmp_path / "operator_token").stat().st_mode & 0o777 == 0o600
    assert operators_token(tmp_path) == known_token(tmp_path) == token
    for spoilt in ("", "\n", token[:-1]):
        (tmp_path / "operator_token").write_text(spoilt)
        with pytest.raises(FolderError, match="delete the file"):
            operators_token(tmp_path)
    assert token not in repr(Desks(token, None))  # type: ignore[arg-type]


def test_a_stranger_sends_no_body_that_anybody_reads(client: httpx.Client) -> None:
    endless = client.post(f"{PATH}/drive", content=(b"x" for _ in range(3)))
    assert endless.status_code == 411
    large = client.post(f"{PATH}/1/drive", content=b"x" * (BODY_BYTES_MAX + 1))
    assert large.status_code == 413
    unknown = client.post(
        f"{PATH}/1/drive", content=b"x" * (BODY_BYTES_MAX + 1), headers={"Authorization": "Bearer no"}
    )
    assert unknown.status_code == 401


def test_letters_are_listed_newest_first_page_by_page(client: httpx.Client) -> None:
    first = client.get(PATH, params={"limit": 2}).json()
    assert [row["id"] for row in first["letters"]] == [5, 4]
    rest = client.get(PATH, params={"limit": 3, "cursor": first["next"]}).json()
    assert ([row["id"] for row in rest["letters"]], rest["next"]) == ([3, 2, 1], None)
    assert rest["letters"][0] == {
        "id": 3, "arrival": "2022-10-14T12:00:00.000+07:00", "gateway": "gw-1", "topic": "canhbao/v1/gw-1/readings",
        "reason": "unknown_sensor", "detail": "reading 0: 'new'", "size": 63, "cut": False, "state": "open",
        "drivings": [],
    }  # fmt: skip

    def ids(**wanted: Any) -> list[int]:
        return [row["id"] for row in client.get(PATH, params=wanted).json()["letters"]]

    assert ids(reason="not_utf8") == [5]
    assert ids(gateway="gw-1") == [5, 4, 3, 2, 1]
    assert ids(gateway="") == ids(gateway="gw-2") == []
    assert ids(since="2022-10-14T12:00:00+07:00") == [5, 4, 3, 2, 1]
    assert ids(since="2022-10-14T12:00:00.001+07:00") == []
    assert client.get(PATH).headers["cache-control"] == "no-store"


def test_a_letter_is_shown_with_its_payload_as_text_where_it_is_one(client: httpx.Client) -> None:
    text, raw = client.get(f"{PATH}/4").json(), client.get(f"{PATH}/5").json()
    assert text["payload"] == "Hồ Thạc Gián\u202e"
    assert (raw["payload"], base64.b64decode(raw["payload_base64"])) == (None, b"\xff\x00")
    assert client.get(f"{PATH}/6").json()["detail"] == "no dead letter 6"


@pytest.mark.parametrize(
    ("path", "name"),
    [("?limit=0", "limit"), ("?limit=501", "limit"), ("?cursor=x", "cursor"), ("?cursor=0", "cursor"),
     (f"?cursor={2**63}", "cursor"), ("?since=2022-10-14T12:00:00", "since"), ("?colour=red", "colour"), ("/x", "id"),
     ("/0", "id"), (f"/{2**63}", "id")],
)  # fmt: skip
def test_a_wrong_question_is_told_what_is_wrong(client: httpx.Client, path: str, name: str) -> None:
    answer = client.get(f"{PATH}{path}")
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["name"] == name


def test_a_letter_is_driven_and_the_answer_means_that_it_is_on_disk(client: httpx.Client, office: Office) -> None:
    answer = client.post(f"{PATH}/3/drive", json={})
    assert answer.status_code == 200
    assert office.readings() == [(2, NOON + 2, 0.2)]
    assert answer.json() == {
        "at": "2022-10-14T12:01:00.000+07:00", "by": "operator", "corrected": False, "accepted": 1, "duplicates": 0,
        "conflicts": 0, "refused": {}, "position": answer.json()["position"],
    }  # fmt: skip
    shown = client.get(f"{PATH}/3").json()
    assert (shown["state"], shown["drivings"]) == ("settled", [answer.json()])


def test_a_letter_is_driven_corrected(client: httpx.Client, office: Office) -> None:
    right = payload(("river", NOON, 0.5))
    assert client.post(f"{PATH}/4/drive", json={"payload": right.decode()}).json()["accepted"] == 1
    again = {"payload_base64": base64.b64encode(right).decode(), "topic": "canhbao/v1/gw-2/readings"}
    assert client.post(f"{PATH}/5/drive", json=again).json()["refused"] == {"wrong_gateway": 1}
    assert len(office.readings()) == 1
    for wrong in ({**again, "payload": "x"}, {"payload": "x" * 65_537}, {"payload_base64": "?"}, {"readings": []},
                  {"topic": ""}, [], "x"):  # fmt: skip
        assert client.post(f"{PATH}/5/drive", json=wrong).status_code == 422, wrong


def test_a_payload_as_large_as_any_network_sends_fits_a_body_and_a_larger_one_changes_nothing(
    client: httpx.Client,
) -> None:
    def sent(size: int) -> dict[str, str]:
        return {"payload_base64": base64.b64encode(b"\xff" * size).decode(), "topic": "t" * 512}

    for size in (65_537, 100_000):
        assert client.post(f"{PATH}/5/drive", json=sent(size)).status_code in (413, 422)
    assert client.get(f"{PATH}/5").json()["drivings"] == []
    for body in (sent(65_536), {"payload": '"' * 60_000}):
        answer = client.post(f"{PATH}/5/drive", json=body)
        assert (answer.status_code, sum(answer.json()["refused"].values())) == (200, 1)


def test_letters_are_driven_by_filter_within_bounds_and_again_without_harm(
    client: httpx.Client, office: Office
) -> None:
    first = client.post(f"{PATH}/drive", json={"reason": "unknown_sensor", "limit": 2}).json()
    assert first == {"driven": 2, "skipped": 0, "cut": 0, "accepted": 2, "duplicates": 0, "conflicts": 0,
                     "refused": {}, "next": 2}  # fmt: skip
    rest = client.post(f"{PATH}/drive", json={"reason": "unknown_sensor", "cursor": 2}).json()
    assert (rest["accepted"], rest["next"]) == (1, None)
    everything = client.post(f"{PATH}/drive", json={}).json()
    assert (everything["driven"], everything["skipped"]) == (2, 3)
    assert everything["refused"] == {"not_json": 1, "not_utf8": 1}
    assert [t for _, t, _ in office.readings()] == [NOON, NOON + 1, NOON + 2], "in the order they came"
    assert client.post(f"{PATH}/drive", json={"limit": 65}).status_code == 422


def test_no_token_reaches_a_log(
    client: httpx.Client, office: Office, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    client.get(PATH, headers={"Authorization": f"Bearer {known_token(tmp_path)}x"})
    office.letters._journal = None  # type: ignore[assignment]  # an error that nobody foresaw
    assert client.get(PATH).status_code == 500
    assert caplog.records
    assert known_token(tmp_path) not in caplog.text


def test_without_operators_nothing_of_theirs_is_served(town: Town) -> None:
    with serving(town) as url:
        assert httpx.get(f"{url}{PATH}").status_code == 404


def test_an_address_is_believed_while_its_service_runs(tmp_path: Path) -> None:
    assert announced(tmp_path) is None
    assert announced(tmp_path / "nowhere") is None
    with announce(tmp_path, "http://127.0.0.1:65535/"):
        assert announced(tmp_path) == "http://127.0.0.1:65535/"
    assert announced(tmp_path) is None
    assert (tmp_path / "address").read_text(), "what a killed service leaves"
    with announce(tmp_path, "http://a/"):
        assert announced(tmp_path) == "http://a/"
