"""CAP over HTTP: feeds that others can read, documents that never change, and CAP that operators bring."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import feedparser
import httpx
import pytest
from cap_scenes import AT, HOUR, VOICE, Scene
from cap_stage import MINUTE, Stage
from faces import Town, serving
from oasis_examples import EARTHQUAKE, EXAMPLES, THUNDERSTORM

from alerts.incidents.incident import Hand, Reason
from alerts.web.app import create_app
from alerts.web.operators import BODY_BYTES_MAX
from alerts.web.sources import Cap, Desks
from alerts.words.cap_in import BYTES_MOST, received

TOKEN = "0123456789abcdef" * 2
FEED, DRILLS, PATH = "/api/v1/cap/feed.atom", "/api/v1/cap/drill.atom", "/api/v1/cap"
XML = {"Content-Type": "application/cap+xml"}


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    made = Stage(tmp_path)
    yield made
    made.close()


@pytest.fixture
def client(stage: Stage, tmp_path: Path) -> Iterator[httpx.Client]:
    town = Town(tmp_path / "town", stage.view)
    desks = Desks(TOKEN, None)  # type: ignore[arg-type]  # no letters here
    cap = Cap(stage.store, lambda: replace(VOICE, web="http://canhbao.example:8000/"))
    sources = replace(town.sources(desks), cap=cap, now_ms=lambda: stage.now)
    with serving(town, create_app(sources)) as url, httpx.Client(base_url=url, timeout=5) as asking:
        yield asking
    town.ledger.close()


def entries(client: httpx.Client, path: str = FEED) -> list[feedparser.FeedParserDict]:
    answer = client.get(path)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/atom+xml"
    feed = feedparser.parse(answer.content)
    assert not feed.bozo, feed.bozo_exception
    assert feed.version == "atom10"
    assert feed.feed.title
    assert feed.feed.id.startswith("urn:uuid:")
    assert feed.feed.updated_parsed is not None
    return list(feed.entries)


def test_a_feed_of_nothing_is_a_feed(client: httpx.Client) -> None:
    assert entries(client) == entries(client, DRILLS) == []


def test_each_warning_in_force_is_one_entry_that_leads_to_its_document(stage: Stage, client: httpx.Client) -> None:
    stage.version(Reason.FIRST, 3)
    stage.version(Reason.FIRST, 2, hazard="rain")
    stage.turn()
    stage.now += MINUTE
    stage.version(Reason.WORSE, 4)
    stage.turn()
    flood, rain = entries(client)
    assert (flood.title, rain.title) == (
        "Khẩn cấp: ngập lụt quanh Cầu Cẩm Lệ (Cẩm Lệ) nặng hơn (trước đó: Nguy hiểm)",
        "Đề phòng: mưa lớn quanh UBND Cẩm Lệ (Cẩm Lệ)",
    )
    assert [tag.term for tag in flood.tags] == ["Met"]
    assert "Emergency: flooding around Cầu Cẩm Lệ (Cam Le)" in flood.summary
    assert flood.updated == "2025-10-27T11:01:00+07:00"
    assert flood.id != rain.id
    (link,) = flood.links
    assert (link.type, link.rel) == ("application/cap+xml", "alternate")
    assert link.href == "http://canhbao.example:8000/api/v1/cap/flood.20260.20251027T0400Z.2.0.xml"
    answer = client.get(link.href.removeprefix("http://canhbao.example:8000"))
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/cap+xml")
    assert answer.content == stage.broker.documents[-1]
    assert received(answer.content).identifier == "flood.20260.20251027T0400Z.2.0"


def test_what_ended_stays_for_its_hour_and_what_expired_is_gone(stage: Stage, client: httpx.Client) -> None:
    stage.version(Reason.FIRST, 3)
    stage.turn()
    stage.version(Reason.OVER, 0)
    stage.turn()
    stage.now += HOUR - 3000
    assert [entry.title for entry in entries(client)] == ["Hết cảnh báo ngập lụt tại Cẩm Lệ"]
    stage.now += 3000
    assert entries(client) == []
    assert client.get(f"{PATH}/flood.20260.20251027T0400Z.1.0.xml").status_code == 200


def test_drills_have_a_feed_of_their_own(stage: Stage, client: httpx.Client) -> None:
    stage.version(Reason.FIRST, 3, drill=True)
    stage.turn()
    assert entries(client) == []
    (drill,) = entries(client, DRILLS)
    assert drill.title.startswith("DIỄN TẬP. ")


def test_a_feed_that_has_not_changed_is_not_sent_again(stage: Stage, client: httpx.Client) -> None:
    stage.version(Reason.FIRST, 3)
    stage.turn()
    first = client.get(FEED)
    known = {"If-None-Match": first.headers["etag"]}
    stage.now += 10 * MINUTE
    assert (client.get(FEED, headers=known).status_code, client.get(FEED, headers=known).content) == (304, b"")
    stage.version(Reason.WORSE, 4)
    stage.turn()
    stage.now += 2000
    again = client.get(FEED, headers=known)
    assert (again.status_code, again.headers["etag"] != first.headers["etag"]) == (200, True)


def test_a_document_is_for_ever_and_one_that_there_is_not_is_not(stage: Stage, client: httpx.Client) -> None:
    stage.version(Reason.FIRST, 3)
    stage.turn()
    path = f"{PATH}/flood.20260.20251027T0400Z.1.0.xml"
    answer = client.get(path)
    assert "immutable" in answer.headers["cache-control"]
    assert client.get(path, headers={"If-None-Match": answer.headers["etag"]}).status_code == 304
    for wrong in ("flood", "..", "%00", "x" * 3000, "flood.20260.20251027T0400Z.1.9"):
        answer = client.get(f"{PATH}/{wrong}.xml")
        assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")


def test_the_warning_of_a_person_with_strange_words_is_still_xml(stage: Stage, client: httpx.Client) -> None:
    words = 'a < b & c > "d" \' ]]> \u202e\x07 &lt; <script>'
    stage.version(Reason.FIRST, 3, hazard="landslide", hand=Hand("landslide", 3, AT + HOUR, "an", (("where", words),)))
    stage.turn()
    (entry,) = entries(client)
    document = client.get(entry.links[0].href.removeprefix("http://canhbao.example:8000"))
    assert "a b & c" in received(document.content).infos[0].headline
    assert not any(part in document.content for part in (b"script>", b"\x07", b"&amp;lt;"))


# -- from elsewhere ------------------------------------------------------------------------------------------------


def bring(client: httpx.Client, document: bytes | str, token: str = TOKEN) -> httpx.Response:
    body = document.encode() if isinstance(document, str) else document
    return client.post(PATH, content=body, headers=XML | {"Authorization": f"Bearer {token}"})


def listed(client: httpx.Client) -> httpx.Response:
    return client.get(PATH, headers={"Authorization": f"Bearer {TOKEN}"})


def test_what_operators_bring_is_shown_to_operators(stage: Stage, client: httpx.Client) -> None:
    assert [bring(client, EXAMPLES[name]).status_code for name in EXAMPLES] == [201] * 4
    assert bring(client, EARTHQUAKE).status_code == 200  # it is here already
    documents = listed(client).json()["documents"]
    assert [document["identifier"] for document in documents] == [
        "KAR0-0306112239-SW", "TRI13970876.2", "KSTO1055887203", "43b080713727"
    ]  # fmt: skip
    storm = documents[2]
    assert (storm["at"], storm["by"], storm["signed"]) == ("2025-10-27T11:00:00+07:00", "operator", False)
    assert storm["infos"][0]["headline"] == "SEVERE THUNDERSTORM WARNING"
    assert storm["infos"][0]["areas"][0]["geocodes"][0] == ["SAME", "006109"]
    assert stage.broker.came == []  # nothing follows from it by itself
    assert entries(client) == []


def test_our_own_documents_can_be_brought_to_another_city(client: httpx.Client) -> None:
    answer = bring(client, Scene().xml())
    assert (answer.status_code, answer.json()["sender"]) == (201, "canhbao@da-nang")


@pytest.mark.parametrize(
    ("document", "status", "wanted"),
    [
        ("", 422, "not well-formed"),
        ('<!DOCTYPE a [<!ENTITY x "y">]>' + THUNDERSTORM, 422, "with a DTD"),
        (THUNDERSTORM.replace("cap:1.2", "cap:1.1"), 422, "not an alert of CAP 1.2"),
        (THUNDERSTORM.replace("HAIL", "H" * BYTES_MOST), 413, "65536"),
        (THUNDERSTORM.replace("HAIL", "H" * BODY_BYTES_MAX), 413, "bytes"),
        (b"\xff" * 100, 422, "not UTF-8"),
    ],
    ids=["nothing", "a DTD", "CAP 1.1", "large", "very large", "no UTF-8"],
)
def test_what_is_refused_is_refused_with_a_reason_and_not_kept(
    client: httpx.Client, document: bytes | str, status: int, wanted: str
) -> None:
    answer = bring(client, document)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert wanted in answer.json()["detail"]
    assert listed(client).json() == {"documents": []}


def test_strangers_neither_bring_nor_read(client: httpx.Client) -> None:
    assert bring(client, THUNDERSTORM, "f" * 32).status_code == 401
    assert client.get(PATH).status_code == 401
    assert listed(client).json() == {"documents": []}


def test_the_routes_stand_in_the_open_api(client: httpx.Client) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    assert {FEED, DRILLS, PATH, f"{PATH}/{{id}}.xml"} <= set(paths)
    assert list(paths[FEED]["get"]["responses"]["200"]["content"]) == ["application/atom+xml"]
    assert list(paths[PATH]["post"]["requestBody"]["content"]) == ["application/cap+xml"]
