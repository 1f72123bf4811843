"""Is this warning genuine: what a code says, as page, JSON and QR, asked of a real server with a real ledger."""

import json
import logging
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
import segno
from brokers import Client, until
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from faces import NOW, Town, notice, serving, town_city, town_view
from test_backup import ALERT
from test_proof import KEYS, PUBLIC
from test_run import get, reading
from test_service import service
from test_spine import CITY, RULES

from alerts.__main__ import main
from alerts.delivery.fan_out import FanOut
from alerts.delivery.notary import Notary, Words
from alerts.incidents.incident import Notice, Reason
from alerts.ledger.codes import Codes
from alerts.ledger.outbox import Outbox
from alerts.proof.code import ALPHABET, make, shown
from alerts.proof.public_keys import keys_in
from alerts.proof.signature import signed, verify
from alerts.web.sources import Proof
from alerts.words.code_line import code_lines
from alerts.words.message import message

URL = "https://canhbao.example.vn/"
UNKNOWN = make(b"another", "city", 1)
MISTYPED = UNKNOWN[:-1] + ALPHABET[ALPHABET.index(UNKNOWN[-1]) - 1]


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    made = Town(tmp_path, town_view(town_city()))
    made.proof = Proof(Codes(made.ledger.store), PUBLIC, URL)
    yield made
    made.ledger.close()


@pytest.fixture
def client(town: Town) -> Iterator[httpx.Client]:
    with serving(town) as url, httpx.Client(base_url=url, timeout=5) as asking:
        yield asking


def say(town: Town, *notices: Notice, making: Words | None = None) -> list[str]:
    """These versions are decided and worded; their codes."""

    def words(told: Notice, code: str) -> dict[str, Any]:
        return message(told, town.view.city, town.view.rules, code=code_lines(code, URL))

    town.tell(*notices)
    notary = Notary(Codes(town.ledger.store), KEYS, making or words, now_ms=lambda: NOW, public_url=URL)
    fan_out = FanOut(Outbox(town.ledger.store), [], notary)
    while fan_out.turn(NOW):
        pass
    return [make(KEYS.code, told.incident, told.version) for told in notices]


def ask(client: httpx.Client, code: str) -> Any:
    return client.get(f"/api/v1/v/{code}").json()


def page(client: httpx.Client, path: str, status: int = 200) -> str:
    answer = client.get(path, headers={"Accept": "text/html"})
    assert answer.status_code == status
    assert answer.headers["content-type"].startswith("text/html")
    return answer.text


WORSE = notice(version=2, level=4, reason=Reason.WORSE, previous=3)


def end(reason: Reason) -> Notice:
    return notice(version=3, level=0, reason=reason, previous=4)


def test_a_code_says_how_its_warning_stands_as_it_goes_on(client: httpx.Client, town: Town) -> None:
    (first,) = say(town, notice())
    assert (ask(client, first)["verdict"], ask(client, first)["newest"]) == ("genuine", None)

    (worse,) = say(town, WORSE)
    old = ask(client, first)
    assert (old["verdict"], ask(client, worse)["verdict"]) == ("superseded", "genuine")
    assert (old["message"]["code"], old["newest"]["code"]) == (first, worse)
    assert old["message"]["texts"]["vi"].startswith("Nguy hiểm")
    assert old["newest"]["texts"]["vi"].startswith("Khẩn cấp")

    (over,) = say(town, end(Reason.OVER))
    assert {ask(client, code)["verdict"] for code in (first, worse, over)} == {"over"}

    (again,) = say(town, notice(version=4, level=2))  # it goes on as the same incident
    assert [ask(client, code)["verdict"] for code in (over, again)] == ["superseded", "genuine"]


def test_a_warning_shows_every_text_as_it_was_sent_with_its_code(client: httpx.Client, town: Town) -> None:
    first, worse = say(town, notice(), WORSE)
    town.tell(end(Reason.OVER))  # not worded yet

    versions = client.get("/api/v1/alerts/flood-20242").json()["versions"]
    assert [row["code"] for row in versions] == [first, worse, ""]
    assert versions[0]["text"] == ask(client, first)["message"]["texts"]
    assert "Hải Châu" in versions[2]["text"]["vi"]


def test_what_was_taken_back_is_said_to_be(client: httpx.Client, town: Town) -> None:
    first, _ = say(town, notice(), end(Reason.OVER))
    assert ask(client, first)["verdict"] == "over"
    (back,) = say(town, notice(version=4, level=0, reason=Reason.WITHDRAWN, previous=3))

    assert {ask(client, code)["verdict"] for code in (first, back)} == {"withdrawn"}
    assert "rút lại" in page(client, f"/v/{first}?lang=vi")


def test_the_answer_is_the_signed_message_to_be_checked_with_the_published_key(
    client: httpx.Client, town: Town
) -> None:
    (code,) = say(town, notice())
    keys = keys_in(client.get("/.well-known/canhbao-key.json").text)

    assert list(keys) == list(PUBLIC)
    assert verify(ask(client, code)["message"], keys)


def test_unknown_and_mistyped_codes_are_told_apart_and_say_nothing_else(client: httpx.Client, town: Town) -> None:
    say(town, notice())
    for typed, status, wanted in (
        (UNKNOWN, 404, "unknown"),
        (MISTYPED, 422, "not_a_code"),
        ("x" * 90, 422, "not_a_code"),
    ):
        answer = client.get(f"/api/v1/v/{typed}")
        assert (answer.status_code, answer.json()["verdict"]) == (status, wanted)
        assert answer.headers["content-type"] == "application/problem+json"
        text = page(client, f"/v/{typed}?lang=en", status)
        assert "flood" not in text
        assert "<img" not in text
        assert client.get(f"/v/{typed}/qr.svg").status_code == 404
    assert "No such code" in page(client, f"/v/{UNKNOWN}?lang=en", 404)
    assert "Đây không phải là mã" in page(client, f"/v/{MISTYPED}", 422)


def test_a_version_that_is_not_worded_yet_is_nobodys_code(client: httpx.Client, town: Town) -> None:
    (first,) = say(town, notice())
    town.tell(WORSE)  # decided, and its messages are still to be made

    assert (ask(client, first)["verdict"], ask(client, first)["newest"]) == ("superseded", None)
    assert ask(client, make(KEYS.code, WORSE.incident, 2))["verdict"] == "unknown"


def test_it_is_found_as_people_type_it_and_by_the_form(client: httpx.Client, town: Town) -> None:
    (code,) = say(town, notice())

    assert ask(client, shown(code.lower()).replace(" ", "-"))["verdict"] == "genuine"
    sent = client.get("/v", params={"code": f" {code.lower()} ", "lang": "en"})
    assert (sent.status_code, sent.headers["location"]) == (303, f"/v/{code}?lang=en")
    assert 'name="code"' in page(client, "/v")
    assert "not a code" in page(client, "/v?code=hello&lang=en", 422)
    assert 'href="/v?lang=vi"' in page(client, "/?lang=vi")


def test_program_and_browser_get_each_their_form_at_the_one_address(client: httpx.Client, town: Town) -> None:
    (code,) = say(town, notice())

    assert client.get(f"/v/{code}", headers={"Accept": "application/json"}).json() == ask(client, code)
    assert page(client, f"/v/{code}").startswith("<!doctype html>")
    assert "Accept" in client.get(f"/v/{code}").headers["vary"]
    assert client.get(f"/v/{UNKNOWN}", headers={"Accept": "application/json"}).status_code == 404


def test_the_page_shows_the_text_as_sent_in_both_languages_without_a_script(client: httpx.Client, town: Town) -> None:
    (code,) = say(town, notice())
    texts = ask(client, code)["message"]["texts"]

    for lang, word in (("vi", "Tin thật"), ("en", "Genuine")):
        text = page(client, f"/v/{code}?lang={lang}")
        assert f'<html lang="{lang}">' in text
        assert f"{word}</h1>" in text
        assert all(f'<blockquote lang="{each}">{texts[each]}</blockquote>' in text for each in ("vi", "en"))
        assert "18:23" in text  # sent, in the city's time
        assert shown(code) in text
        assert "<script" not in text
        assert " style=" not in text
        assert not re.search(r"\son\w+=", text)


def test_no_text_or_typed_code_becomes_markup(client: httpx.Client, town: Town) -> None:
    hostile = {"incident": "flood-20242", "version": 1, "exercise": False,
               "texts": {"vi": '<script>alert("x")</script>', "en": "<b>20242</b>"}}  # fmt: skip
    (code,) = say(town, notice(), making=lambda *_: hostile)

    shown_text = page(client, f"/v/{code}")
    assert "<script" not in shown_text
    assert "<b>" not in shown_text
    assert "&lt;script&gt;" in shown_text
    assert "<script" not in page(client, "/v?code=%22%3E%3Cscript%3E", 422)
    assert "<script" not in page(client, "/v/%22%3E%3Cscript%3E", 422)


def test_its_qr_code_is_of_its_public_address(client: httpx.Client, town: Town) -> None:
    (code,) = say(town, notice())
    text, svg = page(client, f"/v/{code}"), client.get(f"/v/{code.lower()}/qr.svg")

    assert f'<img src="/v/{code}/qr.svg"' in text
    assert f"{URL}v/{code}" in text
    assert svg.headers["content-type"] == "image/svg+xml"
    assert _modules(svg.text) == {
        (row, column)
        for row, modules in enumerate(segno.make(f"{URL}v/{code}", error="q", boost_error=False).matrix_iter(border=4))
        for column, dark in enumerate(modules)
        if dark
    }
    assert "img-src 'self'" in client.get(f"/v/{code}").headers["content-security-policy"]


def _modules(svg: str) -> set[tuple[int, int]]:
    """Row and column of every dark module: the path is strokes one high, `m` moves on, `h` draws."""
    path = re.findall(r'stroke="#000" d="([^"]+)"', svg)[0]
    found, x, y = set[tuple[int, int]](), 0.0, 0.0
    for absolute, dx, dy, length in re.findall(r"([Mm])(-?[\d.]+)[ ,]?(-?[\d.]+)h(\d+)", path):
        x, y = (float(dx), float(dy)) if absolute == "M" else (x + float(dx), y + float(dy))
        found |= {(int(y), int(x) + k) for k in range(int(length))}
        x += int(length)
    return found


def test_without_an_address_of_ours_there_is_no_qr_code(town: Town) -> None:
    assert town.proof is not None
    town.proof = replace(town.proof, url="")
    (code,) = say(town, notice())
    with serving(town) as url, httpx.Client(base_url=url) as client:
        assert "<img" not in page(client, f"/v/{code}")
        assert client.get(f"/v/{code}/qr.svg").status_code == 404


def test_a_drill_can_be_taken_for_nothing_else(client: httpx.Client, town: Town) -> None:
    first, worse = say(town, replace(notice(), drill=True), replace(WORSE, drill=True))

    assert ask(client, worse)["exercise"] is True
    for code in (first, worse):
        text = page(client, f"/v/{code}?lang=vi")
        assert "DIỄN TẬP – không phải tình hình thật" in text
        assert re.search(r"<h1[^>]*>DIỄN TẬP\. ", text)
        assert '<section class="card check">' in text
        assert "đang có hiệu lực" not in text
        assert "Tin thật</h1>" not in text
        assert "EXERCISE" in page(client, f"/v/{code}?lang=en")


@pytest.mark.parametrize("change", ["text", "level", "signed by another", "of another version"])
def test_what_somebody_wrote_into_the_ledger_is_seen_and_not_shown(
    client: httpx.Client, town: Town, caplog: pytest.LogCaptureFixture, change: str
) -> None:
    code, worse = say(town, notice(), WORSE)
    body = ask(client, code)["message"]
    if change == "text":
        body["texts"]["vi"] = "Nguy hiểm: hãy chuyển tiền vào tài khoản sau."
    elif change == "level":
        body["level"] = 1
    elif change == "signed by another":
        body = signed(body | {"level": 1}, Ed25519PrivateKey.generate())
    else:
        body = ask(client, worse)["message"]
    with town.ledger.store.writing() as db:
        db.exec_driver_sql("UPDATE content SET body = ? WHERE code = ?", (json.dumps(body), code))

    with caplog.at_level(logging.ERROR):
        assert (ask(client, code)["verdict"], ask(client, code)["message"]) == ("damaged", None)
    assert "flood-20242 version 1 does not fit its signature" in caplog.text
    text = page(client, f"/v/{code}?lang=vi")
    assert "Không xác nhận được" in text
    assert "<blockquote" not in text
    assert ask(client, worse)["verdict"] == "genuine"


def test_what_somebody_moved_about_in_the_ledger_is_seen(client: httpx.Client, town: Town) -> None:
    code, worse = say(town, notice(), WORSE)
    first = json.dumps(ask(client, code)["message"])
    with town.ledger.store.writing() as db:
        db.exec_driver_sql("UPDATE content SET body = ? WHERE code = ?", (first, worse))
    assert (ask(client, code)["verdict"], ask(client, code)["newest"]) == ("superseded", None)

    with town.ledger.store.writing() as db:
        db.exec_driver_sql("UPDATE content SET code = ? WHERE code = ?", (UNKNOWN, code))
    assert (ask(client, UNKNOWN)["verdict"], ask(client, UNKNOWN)["message"]) == ("damaged", None)


def test_a_warning_of_the_whole_service_proves_itself_also_after_a_restart(tmp_path: Path) -> None:
    (tmp_path / "city.toml").write_text(CITY)
    (tmp_path / "rules.toml").write_text(RULES)
    saved = tmp_path / "message.json"
    settings = {"CANHBAO_HTTP__PUBLIC_URL": URL}
    with service(tmp_path, **settings) as (address, url), Client(int(url.rpartition(":")[2]), ALERT) as gateway:
        gateway.publish("canhbao/v1/gw-1/readings", reading(1.5))
        until(lambda: len(gateway.heard) == 1)
        saved.write_bytes(gateway.heard[0][1])
        message = json.loads(saved.read_bytes())
        first = get(message["check"].replace(URL, f"{address}api/v1/"))
        assert (first["verdict"], first["message"]) == ("genuine", message)
        assert all(text.endswith(f"canhbao.example.vn/v/{message['code']}") for text in message["texts"].values())
        assert main(["verify", str(saved), "--key", address]) == 0
    with service(tmp_path, **settings) as (address, url), Client(int(url.rpartition(":")[2])) as gateway:
        assert get(f"{address}api/v1/v/{message['code']}") == first
        assert main(["verify", str(saved), "--key", address]) == 0
        gateway.publish("canhbao/v1/gw-1/readings", reading(3.0))
        until(lambda: get(f"{address}api/v1/v/{message['code']}")["newest"] is not None)
        assert get(f"{address}api/v1/v/{message['code']}")["verdict"] == "superseded"
