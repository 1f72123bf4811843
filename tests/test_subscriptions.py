"""Residents sign up, confirm, see, change, take away, end and delete: over real sockets, in a real file."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from faces import serving, town_city, town_view
from subscribing import API, AREAS, NAME, Residents, bearer, bytes_of

from alerts.ledger.store import LedgerError
from alerts.residents import keys
from alerts.residents.end_keys import end_key
from alerts.residents.limits import CHANGE_BURST
from alerts.residents.seal import Seal, SealError
from alerts.web.app import create_app

MINUTE = 60_000
ONE_CLICK = {"List-Unsubscribe": "One-Click"}


@pytest.fixture
def residents(tmp_path: Path) -> Iterator[Residents]:
    made = Residents(tmp_path)
    yield made
    made.close()


@pytest.fixture
def client(residents: Residents) -> Iterator[httpx.Client]:
    with serving(residents.town, residents.app()) as url, httpx.Client(base_url=url, timeout=10) as asking:
        yield asking


def targets(residents: Residents) -> list[tuple[Any, ...]]:
    return residents.rows("SELECT area, hazard, contact, floor, via FROM target ORDER BY 1, 2, 3")


# ---- sign-up and confirmation


def test_who_says_nothing_else_hears_of_floods_from_two_rain_from_three_and_power_from_two(
    residents: Residents, client: httpx.Client
) -> None:
    token = residents.subscribed(client)
    mine = client.get(API, headers=bearer(token)).json()

    assert mine["areas"] == [{"code": "20242", "hazards": {"flood": 2, "power": 2, "rain": 3}}]
    assert (mine["state"], mine["lang"], mine["quiet"], mine["daily_cap"]) == ("active", "vi", "22:00-07:00", 8)
    assert mine["contacts"][0] | {"created_at": "", "confirmed_at": ""} == {
        "id": 1, "channel": "mail", "address": "lan@example.vn", "fallback": False, "state": "active", "created_at": "",
        "confirmed_at": "",
    }  # fmt: skip
    assert targets(residents) == [
        ("20242", "flood", 1, 2, "mail:example.vn"), ("20242", "power", 1, 2, "mail:example.vn"),
        ("20242", "rain", 1, 3, "mail:example.vn"),
    ]  # fmt: skip


def test_nobody_is_told_anything_before_he_has_confirmed(residents: Residents, client: httpx.Client) -> None:
    asked = residents.sign_up(client, ("sms", "0905 123 456"), lang="en")
    (errand,) = residents.errands()

    assert targets(residents) == []
    assert (errand["kind"], errand["row"].lane) == ("confirm", 1)
    assert errand["row"].expires_at - errand["row"].created_at == 30 * MINUTE
    assert re.fullmatch(r"\d{6}", errand["code"])
    assert errand["code"] in errand["texts"]["vi"]
    assert "#confirm=" in errand["url"]
    assert "#" not in errand["texts"]["en"]  # a link would make the short message two
    answer = client.post(f"{API}/confirm", json={"id": asked["confirm"][0]["id"], "code": errand["code"]})
    assert answer.status_code == 200
    assert len(targets(residents)) == 3


def test_a_mail_is_confirmed_by_the_token_of_its_link_and_once_only(residents: Residents, client: httpx.Client) -> None:
    asked = residents.sign_up(client, ("mail", "lan@example.vn"))
    (errand,) = residents.errands()
    token = errand["url"].partition("#confirm=")[2]

    assert errand["url"] in errand["texts"]["vi"]
    assert client.post(f"{API}/confirm", json={"token": token}).status_code == 200
    assert client.post(f"{API}/confirm", json={"token": token}).status_code == 422
    by_code = {"id": asked["confirm"][0]["id"], "code": errand["code"]}
    assert client.post(f"{API}/confirm", json=by_code).status_code == 422


def test_a_code_is_good_for_half_an_hour(residents: Residents, client: httpx.Client) -> None:
    asked = residents.sign_up(client, ("sms", "0905123456"))
    sent = {"id": asked["confirm"][0]["id"], "code": residents.errands()[0]["code"]}
    link = {"token": residents.errands()[0]["url"].partition("#confirm=")[2]}

    residents.town.now_ms += 30 * MINUTE
    assert client.post(f"{API}/confirm", json=sent).status_code == 422
    assert client.post(f"{API}/confirm", json=link).status_code == 422
    residents.town.now_ms -= 1
    assert client.post(f"{API}/confirm", json=sent).status_code == 200


def test_after_five_wrong_codes_the_right_one_is_wrong_as_well(residents: Residents, client: httpx.Client) -> None:
    asked = residents.sign_up(client, ("sms", "0905123456"))
    id_, code = asked["confirm"][0]["id"], residents.errands()[0]["code"]
    wrong = "111111" if code != "111111" else "222222"

    said = {client.post(f"{API}/confirm", json={"id": id_, "code": wrong}).text for _ in range(keys.CODE_TRIES)}
    assert client.post(f"{API}/confirm", json={"id": id_, "code": code}).text in said
    assert len(said) == 1
    assert targets(residents) == []


def test_of_a_code_nothing_is_kept_that_trying_all_of_them_would_open(
    residents: Residents, client: httpx.Client
) -> None:
    asked = residents.sign_up(client, ("sms", "0905123456"))
    id_, code = asked["confirm"][0]["id"], residents.errands()[0]["code"]

    ((kept,),) = residents.rows("SELECT hash FROM key WHERE use = 'code'")
    assert kept == residents.seal.digest("code of a contact", f"{id_}\n{code}").hex()
    assert kept != Seal(bytes(32)).digest("code of a contact", f"{id_}\n{code}").hex()


def test_each_of_several_contacts_is_confirmed_by_itself_and_only_the_first_gives_the_token(
    residents: Residents, client: httpx.Client
) -> None:
    asked = residents.sign_up(client, ("mail", "lan@example.vn"), ("sms", "0905123456"))["confirm"]
    by_mail, by_phone = residents.errands()

    first = client.post(f"{API}/confirm", json={"id": asked[0]["id"], "code": by_mail["code"]}).json()
    assert [row[2] for row in targets(residents)] == [1, 1, 1]
    second = client.post(f"{API}/confirm", json={"id": asked[1]["id"], "code": by_phone["code"]}).json()
    assert second["token"] is None
    assert {row[2] for row in targets(residents)} == {1, 2}
    assert len(client.get(API, headers=bearer(first["token"])).json()["contacts"]) == 2


def test_a_code_of_one_contact_confirms_no_other(residents: Residents, client: httpx.Client) -> None:
    asked = residents.sign_up(client, ("mail", "lan@example.vn"), ("sms", "0905123456"))["confirm"]
    by_mail, _ = residents.errands()

    assert client.post(f"{API}/confirm", json={"id": asked[1]["id"], "code": by_mail["code"]}).status_code == 422


# ---- equal answers


def shape(answer: httpx.Response) -> tuple[Any, ...]:
    """The whole of an answer, random ids blotted out by their length."""
    headers = {name: value for name, value in answer.headers.items() if name != "date"}
    return answer.status_code, headers, re.sub(r"[0-9a-f]{24}", "<24 digits>", answer.text)


def state_of(residents: Residents, client: httpx.Client, address: str, state: str) -> None:
    if state in ("active", "ended", "deleted", "gone"):
        token = residents.subscribed(client, "mail", address)
        if state == "ended":
            client.post(f"{API}/end", json={"token": token})
        if state == "deleted":
            client.delete(API, headers=bearer(token))
    if state == "pending":
        residents.sign_up(client, ("mail", address))
    residents.seconds += 10_800


@pytest.mark.parametrize("state", ["active", "pending", "ended", "deleted"])
def test_a_sign_up_is_answered_alike_whether_the_address_is_known_or_not(
    residents: Residents, client: httpx.Client, state: str
) -> None:
    state_of(residents, client, "known@example.vn", state)
    sent = [{"areas": AREAS, "contacts": [{"channel": "mail", "address": address}]}
            for address in ("known@example.vn", "newer@example.vn")]  # fmt: skip

    known, new = (client.post(API, json=body) for body in sent)
    assert shape(known) == shape(new)
    tries = [client.post(f"{API}/confirm", json={"id": answer.json()["confirm"][0]["id"], "code": "000000"})
             for answer in (known, new) for _ in range(6)]  # fmt: skip
    assert len({str(shape(answer)) for answer in tries}) == 1

    rows = "SELECT use, length(hash) > 0, tries, expires_at IS NULL FROM key WHERE contact = {} ORDER BY 1"
    counts = [residents.rows(f"SELECT count(*) FROM {table}")[0][0] for table in ("resident", "contact", "consent")]
    assert counts[0] >= 2, rows


def test_who_is_subscribed_already_is_told_so_and_how_to_change_it(residents: Residents, client: httpx.Client) -> None:
    first = residents.subscribed(client, "mail", "lan@example.vn")
    residents.seconds += 3_600
    asked = residents.sign_up(client, ("mail", "LAN@example.vn"), areas=[{"code": "20260"}])
    errand = residents.errands()[-1]

    assert (errand["kind"], errand["contact"]) == ("already", 1)
    assert "code" not in errand
    assert not re.search(r"\b\d{6}\b", str(errand["texts"]))
    link = errand["url"].partition("#manage=")[2]
    assert client.get(API, headers=bearer(link)).json() == client.get(API, headers=bearer(first)).json()
    ((kept,),) = residents.rows(f"SELECT hash FROM key WHERE id = '{asked['confirm'][0]['id']}'")
    assert kept == ""  # no code opens it
    residents.town.now_ms += 30 * MINUTE
    assert client.get(API, headers=bearer(link)).status_code == 401
    assert client.get(API, headers=bearer(first)).status_code == 200


def test_of_two_sign_ups_that_one_address_confirms_the_newer_holds(residents: Residents, client: httpx.Client) -> None:
    asked = [
        residents.sign_up(client, ("mail", "lan@example.vn"), areas=[{"code": code}]) for code in ("20242", "20260")
    ]
    codes = [errand["code"] for errand in residents.errands()]
    for one, code in zip(asked, codes, strict=True):
        assert client.post(f"{API}/confirm", json={"id": one["confirm"][0]["id"], "code": code}).status_code == 200

    assert {row[0] for row in targets(residents)} == {"20260"}


@pytest.mark.parametrize("column", ["leads = 7", "staff = 'tran.lan'"])
def test_whom_others_have_entered_no_sign_up_opens_ends_or_forgets(
    residents: Residents, client: httpx.Client, column: str
) -> None:
    residents.subscribed(client, "sms", "0905123456")
    with residents.store.writing() as db:
        db.exec_driver_sql(f"UPDATE resident SET {column}")

    token = residents.subscribed(client, "sms", "0905123456")  # a code comes, as to a new address
    client.post(f"{API}/end", json={"token": token})
    residents.book.sweep(residents.town.now_ms + 365 * 24 * 60 * MINUTE)
    assert residents.rows("SELECT id, state, length(address) > 0 FROM contact") == [(1, "active", 1)]
    assert {row[2] for row in targets(residents)} == {1}


# ---- limits


def test_one_address_is_sent_three_codes_and_then_one_an_hour_and_no_answer_tells(
    residents: Residents, client: httpx.Client
) -> None:
    answers = {str(shape(client.post(API, json={"areas": AREAS, "contacts": [
        {"channel": "sms", "address": "0905123456"}]}))) for _ in range(6)}  # fmt: skip
    assert len(answers) == 1
    assert len(residents.errands()) == 3
    residents.seconds += 3_600
    for _ in range(2):
        residents.sign_up(client, ("sms", "0905123456"))
    assert len(residents.errands()) == 4


def test_one_network_is_told_to_wait_after_a_hundred_sign_ups(residents: Residents, client: httpx.Client) -> None:
    limits = residents.book.limits
    assert [limits.refused("127.0.0.9") for _ in range(100)] == [""] * 100
    answer = client.post(API, json={"areas": AREAS, "contacts": [{"channel": "mail", "address": "a@example.vn"}]})

    assert (answer.status_code, answer.headers["retry-after"]) == (429, "60")
    assert residents.rows("SELECT count(*) FROM resident") == [(0,)]
    assert limits.refused("127.0.1.9") == ""
    assert limits.refused("2001:db8:0:1200::1") == ""


def test_what_cannot_be_is_refused_without_repeating_the_address(residents: Residents, client: httpx.Client) -> None:
    one = [{"channel": "mail", "address": "a@b"}]
    wrong: tuple[tuple[dict[str, Any], int], ...] = (
        ({}, 422),
        ({"areas": [], "contacts": one}, 422),
        ({"areas": [{"code": "99999"}], "contacts": one}, 422),
        ({"areas": [{"code": "20242", "hazards": {"flood": 5}}], "contacts": one}, 422),
        ({"areas": [{"code": "20242", "hazards": {"moon": 2}}], "contacts": one}, 422),
        ({"areas": AREAS * 2, "contacts": one}, 422),
        ({"areas": [{"code": "20242"}] * 11, "contacts": one}, 422),
        ({"areas": AREAS, "contacts": []}, 422),
        ({"areas": AREAS, "contacts": [{"channel": "pigeon", "address": "Ngô-Thị-Đào"}]}, 422),
        ({"areas": AREAS, "contacts": [{"channel": "mail", "address": "Ngô-Thị-Đào"}]}, 422),
        ({"areas": AREAS, "contacts": [{"channel": "mail", "address": "Ngô-Thị-Đào" * 200}]}, 422),
        ({"areas": AREAS, "contacts": one * 2}, 422),
        ({"areas": AREAS, "contacts": [{**one[0], "fallback": True}]}, 422),
        ({"areas": AREAS, "contacts": [{"channel": "mail", "address": f"{n}@b"} for n in range(6)]}, 422),
        ({"areas": AREAS, "contacts": one, "quiet": "22-7"}, 422),
        ({"areas": AREAS, "contacts": one, "daily_cap": 0}, 422),
        ({"areas": AREAS, "contacts": one, "proxy_for": "bà\nNgô"}, 422),
        ({"areas": AREAS, "contacts": one, "lang": "fr"}, 422),
        ({"areas": AREAS, "contacts": one, "Ngô": "fr"}, 422),
        ({"areas": AREAS, "contacts": one, "proxy_for": "x" * 17_000}, 413),
    )
    for sent, status in wrong:
        answer = client.post(API, json=sent)
        assert answer.status_code == status, (sent, answer.text)
        assert answer.headers["content-type"] == "application/problem+json"
        assert "Ngô" not in answer.text or "Ngô" in sent
    assert residents.rows("SELECT count(*) FROM resident") == [(0,)]


def test_what_a_form_of_another_site_can_send_is_refused(residents: Residents, client: httpx.Client) -> None:
    body = b'{"areas":[{"code":"20242"}],"contacts":[{"channel":"mail","address":"a@example.vn"}]}'
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""):
        headers = {"Content-Type": kind} if kind else {}
        assert client.post(API, content=body, headers=headers).status_code == 415
    chunked = client.post(API, content=iter([body]), headers={"Content-Type": "application/json"})
    assert chunked.status_code == 411
    assert "access-control-allow-origin" not in client.options(API, headers={"Origin": "https://evil.example"}).headers
    assert residents.rows("SELECT count(*) FROM resident") == [(0,)]


# ---- own data


def test_a_change_holds_at_once_and_what_is_left_out_stays(residents: Residents, client: httpx.Client) -> None:
    token = residents.subscribed(client, proxy_for=NAME)
    change = {"areas": [{"code": "20260", "hazards": {"storm": 1}}], "quiet": "", "daily_cap": 3}

    changed = client.patch(API, json=change, headers=bearer(token)).json()
    assert targets(residents) == [("20260", "storm", 1, 1, "mail:example.vn")]
    assert (changed["quiet"], changed["daily_cap"], changed["lang"], changed["proxy_for"]) == ("", 3, "vi", NAME)
    assert client.get(API, headers=bearer(token)).json() == {k: v for k, v in changed.items() if k != "confirm"}
    log = client.get(f"{API}/export", headers=bearer(token)).json()["consents"]
    assert [one["what"] for one in log] == ["asked", "confirmed", "changed", "exported"]
    assert "bão tại Cẩm Lệ" in log[2]["text"]
    assert NAME not in str(log)


def test_a_new_contact_hears_nothing_until_it_is_confirmed_and_the_last_one_stays(
    residents: Residents, client: httpx.Client
) -> None:
    token = residents.subscribed(client)
    add = {"add_contacts": [{"channel": "sms", "address": "0905 123 456", "fallback": True}]}
    asked = client.patch(API, json=add, headers=bearer(token)).json()["confirm"]
    assert {row[2] for row in targets(residents)} == {1}
    assert client.patch(API, json={"end_contacts": [1]}, headers=bearer(token)).status_code == 422

    sent = {"id": asked[0]["id"], "code": residents.errands()[-1]["code"]}
    assert client.post(f"{API}/confirm", json=sent).status_code == 200
    assert {row[2] for row in targets(residents)} == {1}  # the other is a fallback
    left = client.patch(API, json={"end_contacts": [1]}, headers=bearer(token))
    assert left.status_code == 200
    assert {row[2] for row in targets(residents)} == {2}  # and now there is no other
    assert client.patch(API, json={"end_contacts": [1]}, headers=bearer(token)).status_code == 422


def test_everything_can_be_taken_away_as_a_file(residents: Residents, client: httpx.Client) -> None:
    token = residents.subscribed(client, lang="en", proxy_for=NAME)
    answer = client.get(f"{API}/export", headers=bearer(token))

    assert answer.headers["content-disposition"] == 'attachment; filename="canhbao-subscription.json"'
    assert answer.headers["cache-control"] == "no-store"
    mine = answer.json()
    assert (mine["contacts"][0]["address"], mine["proxy_for"]) == ("lan@example.vn", NAME)
    assert mine["consents"][1]["text"].startswith(
        "I agree to be sent warnings of Đà Nẵng about flooding, power trouble"
    )


def test_one_subscription_is_changed_and_taken_away_so_often_and_ended_always(
    residents: Residents, client: httpx.Client
) -> None:
    token = residents.subscribed(client)
    before = residents.rows("SELECT count(*) FROM consent")[0][0]
    for n in range(CHANGE_BURST + 5):
        last = client.patch(API, headers=bearer(token), json={"lang": ("vi", "en")[n % 2]})
        taken = client.get(f"{API}/export", headers=bearer(token))
    assert (last.status_code, taken.status_code, last.headers["Retry-After"]) == (429, 429, "60")
    assert residents.rows("SELECT count(*) FROM consent")[0][0] - before <= CHANGE_BURST
    assert client.get(API, headers=bearer(token)).status_code == 200
    residents.seconds += 60
    assert client.get(f"{API}/export", headers=bearer(token)).status_code == 200
    assert client.delete(API, headers=bearer(token)).status_code == 204


@pytest.mark.parametrize("text", ["http://x", "vào evil.vn nhận tiền", "bấm Zalo.me/1", "x@evil.com.vn"])
def test_no_link_of_a_stranger_stands_in_a_message_of_the_city(client: httpx.Client, text: str) -> None:
    sent = {"areas": AREAS, "contacts": [{"channel": "mail", "address": "lan@example.vn"}]}
    answer = client.post(API, json=sent | {"proxy_for": text})
    assert (answer.status_code, text in answer.text) == (422, False)
    assert client.post(API, json=sent | {"proxy_for": "bà Sáu, 12/3 P. Hải Châu, 0905 123 456."}).status_code == 202


def test_no_other_token_opens_anything(residents: Residents, client: httpx.Client) -> None:
    residents.subscribed(client)
    for token in ("", "x", "cbr_0123456789ab_" + "A" * 22, "cbr_0123456789ab_", "é"):
        headers = {"Authorization": f"Bearer {token}".strip().encode()}
        said = [client.get(API, headers=headers), client.get(f"{API}/export", headers=headers),
                client.delete(API, headers=headers), client.patch(API, json={}, headers=headers),
                client.post(f"{API}/end", json={"token": token})]  # fmt: skip
        assert {answer.status_code for answer in said} == {401}
    assert len(targets(residents)) == 3


def test_a_token_opens_only_its_own(residents: Residents, client: httpx.Client) -> None:
    lan, nam = residents.subscribed(client, "mail", "lan@example.vn"), residents.subscribed(client, "mail", "nam@x.vn")
    id_, secret = lan.split("_")[1], nam.split("_", 2)[2]

    assert client.get(API, headers=bearer(f"cbr_{id_}_{secret}")).status_code == 401
    assert client.patch(API, json={"end_contacts": [1]}, headers=bearer(nam)).status_code == 422
    confirm = residents.errands()[0]["url"].partition("#confirm=")[2]
    assert client.get(API, headers=bearer(confirm)).status_code == 401


# ---- the end


def test_an_end_holds_at_once_and_leaves_no_address(residents: Residents, client: httpx.Client) -> None:
    token = residents.subscribed(client, proxy_for=NAME)
    assert client.post(f"{API}/end", json={"token": token}).json() == {"ended": True}

    assert targets(residents) == []
    assert residents.rows("SELECT state, length(address), length(digest) FROM contact") == [("ended", 0, 0)]
    assert residents.rows("SELECT state, proxy_for FROM resident") == [("ended", None)]
    assert residents.errands() == []
    mine = client.get(API, headers=bearer(token)).json()
    assert (mine["state"], mine["areas"], mine["contacts"][0]["address"]) == ("ended", [], "")
    assert client.patch(API, json={"daily_cap": 3}, headers=bearer(token)).status_code == 422
    assert client.post(f"{API}/end", json={"token": token}).status_code == 200


def test_one_click_ends_one_contact_and_opening_the_link_ends_none(residents: Residents, client: httpx.Client) -> None:
    token = residents.subscribed(client)
    asked = client.patch(
        API, json={"add_contacts": [{"channel": "sms", "address": "0905123456"}]}, headers=bearer(token)
    )
    sent = {"id": asked.json()["confirm"][0]["id"], "code": residents.errands()[-1]["code"]}
    client.post(f"{API}/confirm", json=sent)
    path = f"{API}/end/{end_key(residents.seal, 1)}"

    page = client.get(path)
    assert (page.status_code, page.headers["cache-control"]) == (200, "no-store")
    assert "Dừng nhận cảnh báo" in page.text
    assert "Send no more warnings" in page.text
    assert client.post(path, data={}, headers={"Content-Length": "0"}).status_code == 400
    assert {row[2] for row in targets(residents)} == {1, 2}
    assert client.post(path, data=ONE_CLICK).status_code == 200  # as a mail program does it
    assert {row[2] for row in targets(residents)} == {2}
    assert client.post(path, files={"List-Unsubscribe": (None, "One-Click")}).status_code == 200  # or so
    assert {row[2] for row in targets(residents)} == {2}
    assert client.get(API, headers=bearer(token)).json()["state"] == "active"


def test_a_key_that_is_none_ends_nothing_and_its_page_tells_nothing(residents: Residents, client: httpx.Client) -> None:
    residents.subscribed(client)
    wrong, right = end_key(Seal(bytes(32)), 1), end_key(residents.seal, 1)

    pages = [client.get(f"{API}/end/{key}").text.replace(key, "") for key in (wrong, right)]
    assert pages[0] == pages[1]
    assert client.post(f"{API}/end/{wrong}", data=ONE_CLICK).status_code == 404
    assert len(targets(residents)) == 3
    assert "<script" not in client.get(f"{API}/end/%3Cscript%3E").text


def test_deleted_is_deleted_and_what_was_agreed_to_names_nobody(residents: Residents, client: httpx.Client) -> None:
    token = residents.subscribed(client, proxy_for=NAME)
    assert client.delete(API, headers=bearer(token)).status_code == 204

    assert client.get(API, headers=bearer(token)).status_code == 401
    for table in ("resident", "contact", "subscription", "target", "errand", "key"):
        assert residents.rows(f"SELECT count(*) FROM {table}") == [(0,)], table
    log = residents.rows("SELECT what, text FROM consent ORDER BY id")
    assert [what for what, _ in log] == ["asked", "confirmed", "deleted"]
    assert not re.search("lan@|example|Sáu", str(log))


# ---- what is kept, and for how long


def test_addresses_lie_nowhere_in_the_clear_and_after_deletion_not_even_sealed(
    residents: Residents, client: httpx.Client, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    plain = ("thị-sáu.đặng@example.vn", "0905123456", "905123456", "Trần Thị Sáu")
    token = residents.subscribed(client, "mail", "Thị-Sáu.Đặng@example.vn", proxy_for=NAME)
    added = client.patch(
        API, json={"add_contacts": [{"channel": "sms", "address": "0905123456"}]}, headers=bearer(token)
    )
    client.post(f"{API}/confirm", json={"id": added.json()["confirm"][0]["id"], "code": "123456"})
    client.get(f"{API}/export", headers=bearer(token))
    sealed = [row[0] for row in residents.rows("SELECT address FROM contact UNION SELECT proxy_for FROM resident")]

    def lies(text: str) -> bool:
        kept = bytes_of(residents.folder)
        return any(text.encode(encoding) in kept for encoding in ("utf-8", "utf-16-le"))

    secrets = [token, *(errand.get("code", "x" * 9) for errand in residents.errands())]
    assert len(sealed) == 3
    assert all(blob in bytes_of(residents.folder) for blob in sealed)
    assert not [text for text in (*plain, *secrets) if lies(text)]
    client.post(f"{API}/end/{end_key(residents.seal, 1)}", data=ONE_CLICK)
    client.delete(API, headers=bearer(token))
    residents.book.sweep(residents.town.now_ms)
    assert not [blob for blob in sealed if blob in bytes_of(residents.folder)]
    ours = [record for record in caplog.records if not record.name.startswith("http")]  # the test's own client
    said = "".join(f"{record.getMessage()} {record.args} {record.exc_text}" for record in ours)
    assert not [text for text in (*plain, *secrets, end_key(residents.seal, 1)) if text in said]


def test_what_nobody_confirmed_is_forgotten_after_two_days(residents: Residents, client: httpx.Client) -> None:
    residents.sign_up(client, ("mail", "lan@example.vn"), ("sms", "0905123456"), proxy_for=NAME)
    residents.town.now_ms += 48 * 60 * MINUTE - 1
    residents.book.sweep(residents.town.now_ms)
    assert residents.rows("SELECT count(*) FROM contact") == [(2,)]
    assert residents.errands() == []  # those were good for half an hour
    residents.book.sweep(residents.town.now_ms + 1)

    for table in ("resident", "contact", "subscription", "errand", "key", "consent"):
        assert residents.rows(f"SELECT count(*) FROM {table}") == [(0,)], table


def test_what_has_ended_is_forgotten_after_thirty_days(residents: Residents, client: httpx.Client) -> None:
    token = residents.subscribed(client)
    client.post(f"{API}/end", json={"token": token})
    residents.book.sweep(residents.town.now_ms + 30 * 24 * 60 * MINUTE - 1)
    assert client.get(API, headers=bearer(token)).status_code == 200
    residents.book.sweep(residents.town.now_ms + 30 * 24 * 60 * MINUTE)
    assert client.get(API, headers=bearer(token)).status_code == 401
    assert [what for (what,) in residents.rows("SELECT what FROM consent")] == [
        "asked",
        "confirmed",
        "ended",
        "deleted",
    ]


def test_another_key_is_refused_at_the_start(residents: Residents, client: httpx.Client) -> None:
    residents.subscribed(client)
    with pytest.raises(SealError, match="contact 1: not sealed with this key"):
        type(residents.book)(residents.store, Seal(bytes(32)), residents.book.limits, "")


def test_a_fault_of_ours_logs_no_key(
    residents: Residents, client: httpx.Client, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> bool:
        raise RuntimeError("broken")

    def refused(*_: Any) -> bool:
        raise LedgerError("residents.sqlite: disk I/O error")

    path = f"{API}/end/{end_key(residents.seal, 1)}"
    for end, status in ((refused, 503), (broken, 500)):  # after a 500 the server hangs up
        monkeypatch.setattr(residents.book, "end_by_key", end)
        assert client.post(path, data=ONE_CLICK).status_code == status
    said = [record for record in caplog.records if not record.name.startswith("http")]
    assert any("/end/{key} failed" in record.getMessage() for record in said)
    assert any("disk I/O error" in record.getMessage() for record in said)
    assert not [record for record in said if end_key(residents.seal, 1) in f"{record.getMessage()} {record.exc_text}"]


# ---- where nobody can subscribe


def test_without_a_key_every_route_says_what_is_missing(residents: Residents) -> None:
    sources = replace(residents.sources(), residents=None)
    with serving(residents.town, create_app(sources)) as url, httpx.Client(base_url=url) as client:
        answers = [client.post(API, json={}), client.get(API), client.delete(API), client.get(f"{API}/end/1-x"),
                   client.post(f"{API}/end/1-x", data=ONE_CLICK)]  # fmt: skip
    assert {answer.status_code for answer in answers} == {503}
    assert {answer.json()["detail"] for answer in answers} == {"subscriptions are not set up: residents.key_file"}


def test_in_an_exercise_nobody_can_subscribe(residents: Residents) -> None:
    residents.town.view = town_view(town_city(), clock="data")
    with serving(residents.town, residents.app()) as url, httpx.Client(base_url=url) as client:
        answer = client.post(API, json={"areas": AREAS, "contacts": [{"channel": "mail", "address": "a@example.vn"}]})
    assert (answer.status_code, answer.json()["detail"]) == (503, "this is an exercise: nobody can subscribe")


@pytest.mark.parametrize("lang", ["vi", "en"])
def test_the_page_of_the_links_is_whole_and_names_only_files_that_are_there(client: httpx.Client, lang: str) -> None:
    page = client.get(f"/subscribe?lang={lang}")
    assert page.status_code == 200
    assert f'<html lang="{lang}">' in page.text
    for path in re.findall(r'(?:src|href)="(/static/[^"]+)"', page.text):
        assert client.get(path).status_code == 200
    used = set(re.findall(r'say\("(\w+)"\)|\? "(\w+)" : "(\w+)"', (client.get("/static/subscribe.js").text)))
    words = set(re.findall(r'data-word="(\w+)"', page.text))
    assert {word for row in used for word in row if word} <= words | {"ended"}
