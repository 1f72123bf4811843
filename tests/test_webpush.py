"""Web push to a push service that is strict, and to browsers that open what they get."""

from __future__ import annotations

import asyncio
import json
import string
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from carriers.farewell import closed
from carriers.webpush_service import Browser, PushService, Scripted
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key

from alerts.delivery.channels import KINDS
from alerts.delivery.channels.channel import ChannelError, Means
from alerts.delivery.channels.webpush import KIND, SERVICES, WebPush, reach
from alerts.delivery.parcel import Lane, Parcel
from alerts.delivery.vapid_key import VAPID_FILE, public_text, vapid_key
from alerts.delivery.webpush_crypto import CURVE, Vapid
from alerts.given import Given, Section
from ingest.city import ConfigError
from ingest.data_folder import FolderError

OURS = Vapid(generate_private_key(CURVE), "mailto:1022@danang.gov.vn")
HEAD = "Nguy hiểm: ngập lụt ở Hải Châu."
BODY: dict[str, Any] = {
    "incident": "flood.20242.1", "version": 2, "reason": "worse", "hazard": "flood", "area": "20242", "level": 3,
    "exercise": False, "at": "2022-10-14T15:03:00.000+07:00", "url": "https://canhbao.example.vn/",
    "texts": {"vi": f"{HEAD} Tránh xa.", "en": "Danger: flooding in Hai Chau. Keep away."},
    "long": {"vi": f"{HEAD}\n\nNước sâu 0,6 m.\n\nTránh xa.", "en": "Danger: flooding.\n\n0.6 m deep.\n\nKeep away."},
    "code": "ABCD2345", "check": "https://canhbao.example.vn/v/ABCD2345", "sent": "2022-10-14T15:03:01+07:00",
}  # fmt: skip
BASE64URL = string.ascii_uppercase + string.ascii_lowercase + string.digits + "-_"
GOOD = "https://fcm.googleapis.com/fcm/send/abc:def"


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def parcel(address: str, **changed: Any) -> Parcel:
    made: dict[str, Any] = {
        "id": 1, "attempt": 1, "channel": "webpush", "recipient": "contact 17", "incident": "flood.20242.1",
        "version": 2, "seq": 9, "level": 3, "lang": "vi", "body": BODY, "created_at": now_ms(),
        "expires_at": now_ms() + 7_200_000, "lane": Lane.URGENT, "address": address,
    }  # fmt: skip
    return Parcel(**made | changed)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PushService]:
    with PushService(tmp_path_factory.mktemp("push")) as running:
        yield running


@pytest.fixture
def browser(service: PushService) -> Browser:
    service.script.clear()
    return service.browser(OURS.public)


def send(service: PushService, *parcels: Parcel, vapid: Vapid = OURS) -> list[str | ChannelError]:
    """What came of each, one after the other, by one channel."""

    async def run() -> list[str | ChannelError]:
        channel, said = WebPush(vapid, now_ms, tls=service.tls), list[str | ChannelError]()
        for one in parcels:
            try:
                said.append(await channel.send(one))
            except ChannelError as error:
                said.append(error)
        await closed(channel)
        return said

    return asyncio.run(run())


def refused(service: PushService, one: Parcel, **how: Any) -> ChannelError:
    (said,) = send(service, one, **how)
    assert isinstance(said, ChannelError)
    assert "/push/" not in str(said)
    return said


def test_a_browser_opens_what_it_gets_with_its_vietnamese_whole(service: PushService, browser: Browser) -> None:
    (number,) = send(service, parcel(browser.subscription))

    (got,) = browser.got
    assert (got["title"], got["text"]) == (HEAD, "Nước sâu 0,6 m.\n\nTránh xa.")
    assert (got["level"], got["lang"], got["code"], got["url"]) == (3, "vi", "ABCD2345", BODY["url"])
    assert (got["silent"], got["renotify"], got["exercise"]) == (False, True, False)
    (headers,) = browser.headers
    assert (headers["Urgency"], headers["TTL"]) == ("high", "7199") or headers["TTL"] == "7200"
    assert headers["Topic"] == got["tag"]
    assert isinstance(number, str)
    assert len(number) == 24
    assert browser.unread == 0


def test_no_two_messages_share_key_or_salt(service: PushService, browser: Browser) -> None:
    send(service, *[parcel(browser.subscription)] * 3)

    assert len({body[:16] for body in browser.bodies}) == 3
    assert len({body[21:86] for body in browser.bodies}) == 3


def test_it_is_told_in_the_language_that_was_chosen(service: PushService, browser: Browser) -> None:
    send(service, parcel(browser.subscription, lang="en"))

    assert browser.got[0]["title"] == "Danger: flooding."


@pytest.mark.parametrize(
    ("changed", "urgency"),
    [
        ({"lane": Lane.URGENT}, "high"),
        ({"lane": Lane.WARNING}, "high"),
        ({"lane": Lane.NEWS}, "normal"),
        ({"lane": Lane.LATER}, "low"),
        ({"lane": Lane.NEWS, "silent": True}, "low"),
    ],
)
def test_how_urgent_it_is(service: PushService, browser: Browser, changed: dict[str, Any], urgency: str) -> None:
    send(service, parcel(browser.subscription, **changed))

    assert browser.headers[0]["Urgency"] == urgency
    assert browser.got[0]["silent"] == changed.get("silent", False)


def test_nothing_waits_longer_than_it_holds(service: PushService, browser: Browser) -> None:
    send(
        service,
        parcel(browser.subscription, expires_at=now_ms() - 1),
        parcel(browser.subscription, expires_at=now_ms() + 90 * 86_400_000),
    )

    assert [headers["TTL"] for headers in browser.headers] == ["0", str(28 * 86_400)]


def test_a_browser_that_was_off_hears_the_newest_of_an_incident_and_a_drill_beside_it(
    service: PushService, browser: Browser
) -> None:
    browser.on = False
    drill = {**BODY, "exercise": True}
    send(
        service,
        parcel(browser.subscription, version=2),
        parcel(browser.subscription, version=3, body={**BODY, "version": 3}),
        parcel(browser.subscription, body=drill),
        parcel(browser.subscription, incident="rain.20242.1", body={**BODY, "incident": "rain.20242.1"}),
    )
    service.switch_on(browser)

    assert [(got["incident"], got["version"], got["exercise"]) for got in browser.got] == [
        ("flood.20242.1", 3, False), ("flood.20242.1", 2, True), ("rain.20242.1", 2, False),
    ]  # fmt: skip


def test_errands_replace_nothing(service: PushService, browser: Browser) -> None:
    browser.on = False
    body = {"kind": "code", "subject": {"vi": "Mã xác nhận", "en": "Code"}, "texts": {"vi": "Mã: 123456", "en": "1"}}
    for number in (1, 2):
        send(service, parcel(browser.subscription, seq=-number, version=number, body=body))
    service.switch_on(browser)

    assert [(got["kind"], got["title"], got["text"]) for got in browser.got] == [
        ("code", "Mã xác nhận", "Mã: 123456")
    ] * 2


@pytest.mark.parametrize(
    ("long", "short", "said"),
    [("ngập " * 300, "ngắn", "ngập " * 300), ("ngập " * 3_000, "ngắn", "ngắn"), ('"ngập"\n' * 900, "ngập " * 900, "…")],
)
def test_what_is_too_long_is_said_in_fewer_words(
    service: PushService, browser: Browser, long: str, short: str, said: str
) -> None:
    body = {**BODY, "long": {"vi": f"{HEAD}\n\n{long}"}, "texts": {"vi": short}}
    send(service, parcel(browser.subscription, body=body))

    (got,) = browser.got
    assert got["title"] == HEAD
    if said == "…":
        assert got["text"].endswith("ngập …")
        assert 3_200 < len(json.dumps(got, ensure_ascii=False).encode()) <= 4_096  # as much as fits
    else:
        assert got["text"] == said


@pytest.mark.parametrize("status", [404, 410])
def test_an_address_that_is_gone(service: PushService, browser: Browser, status: int) -> None:
    if status == 410:
        browser.gone = True
        assert refused(service, parcel(browser.subscription)).gone
    else:
        nobodys = browser.subscription.replace("/push/", "/push/x")
        assert refused(service, parcel(nobodys)).gone


@pytest.mark.parametrize("status", [301, 307, 400, 401, 403, 413, 429, 500, 502, 503])
def test_no_other_answer_removes_anybody(service: PushService, browser: Browser, status: int) -> None:
    service.script.append(Scripted(status, {"Location": "https://127.0.0.1:1/"} if status < 400 else {}))

    said = refused(service, parcel(browser.subscription))
    assert not said.gone
    assert said.permanent == (status in (301, 307, 413))
    assert said.everybody == (status in (429, 503))
    assert not service.script


def test_no_log_names_an_address(service: PushService, browser: Browser, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    service.script += [Scripted(status) for status in (400, 410, 429, 500)] + [Scripted(then="drop")]
    said = send(service, *[parcel(browser.subscription)] * 6)

    secrets = [browser.endpoint.rpartition("/")[2], *json.loads(browser.subscription)["keys"].values()]
    assert not any(secret in caplog.text + repr(said) + repr(parcel(browser.subscription)) for secret in secrets)


def test_a_redirect_is_not_followed(service: PushService, browser: Browser) -> None:
    other = service.browser(OURS.public)
    service.script.append(Scripted(307, {"Location": other.endpoint}))

    refused(service, parcel(browser.subscription))
    assert not other.got


@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [
        ({"Retry-After": "120"}, 120.0),
        ({"Retry-After": "Fri, 14 Oct 2022 08:05:00 GMT", "Date": "Fri, 14 Oct 2022 08:03:00 GMT"}, 120.0),
        ({"Retry-After": "Fri, 14 Oct 2022 08:00:00 GMT", "Date": "Fri, 14 Oct 2022 08:03:00 GMT"}, 0.0),
        ({"Retry-After": "9" * 400}, 86_400.0),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "-1"}, None),
        ({}, None),
    ],
)
def test_the_service_says_when(
    service: PushService, browser: Browser, headers: dict[str, str], wait_s: float | None
) -> None:
    service.script.append(Scripted(429, headers))

    assert refused(service, parcel(browser.subscription)).retry_after_s == wait_s


def test_one_subscription_with_a_strange_key_holds_up_nobody_and_a_wrong_key_of_ours_everybody(
    service: PushService, browser: Browser
) -> None:
    strange = service.browser(Vapid(generate_private_key(CURVE), "mailto:x@example.vn").public)
    many = [parcel(strange.subscription, recipient="contact 1")] * 30
    theirs = [parcel(strange.subscription, recipient=f"contact {k}") for k in range(38)]
    fine = parcel(browser.subscription)

    said = send(service, *many, *theirs[:19], fine, *theirs[19:])
    assert not any(one.everybody for one in said if isinstance(one, ChannelError))

    ours = [parcel(browser.subscription, recipient=f"contact {k}") for k in range(20)]
    wrong = send(service, *ours, vapid=Vapid(generate_private_key(CURVE), "mailto:x@example.vn"))
    assert [one.everybody for one in wrong if isinstance(one, ChannelError)] == [False] * 19 + [True]
    assert not any(one.permanent for one in wrong if isinstance(one, ChannelError))


def test_where_nobody_listens_nothing_can_have_arrived(service: PushService, browser: Browser) -> None:
    nowhere = browser.subscription.replace(service.url, "https://127.0.0.1:1")

    assert not refused(service, parcel(nowhere)).maybe


def test_an_answer_that_is_lost_may_be_a_message_that_arrived(service: PushService, browser: Browser) -> None:
    service.script.append(Scripted(then="drop"))

    assert refused(service, parcel(browser.subscription)).maybe
    assert len(browser.got) == 1


def test_a_service_that_hangs_is_given_up(
    service: PushService, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("alerts.delivery.channels.webpush._ANSWER_S", 0.2)
    service.script.append(Scripted(then="hang"))

    assert refused(service, parcel(browser.subscription)).maybe


def test_a_service_whose_certificate_is_not_believed_hears_nothing(service: PushService, browser: Browser) -> None:
    async def run() -> None:
        channel = WebPush(OURS, now_ms)
        with pytest.raises(ChannelError):
            await channel.send(parcel(browser.subscription))
        await closed(channel)

    before = service.asked
    asyncio.run(run())
    assert service.asked == before


# ---- addresses


def subscription(endpoint: str = GOOD, **keys: str) -> str:
    browser = Browser(endpoint, "")
    made = json.loads(browser.subscription)
    made["keys"] |= keys
    return json.dumps(made)


@pytest.mark.parametrize(
    ("endpoint", "service"),
    [
        (GOOD, "fcm.googleapis.com"),
        ("https://updates.push.services.mozilla.com/wpush/v2/gAAA-_", "push.services.mozilla.com"),
        ("https://wns2-pn1p.notify.windows.com/w/?token=BQYAAA%2bx%3d", "notify.windows.com"),
        ("https://web.push.apple.com/QGx", "push.apple.com"),
    ],
)
def test_who_carries_it(endpoint: str, service: str) -> None:
    found = reach(subscription(endpoint))

    assert found.provider == service
    assert service in SERVICES
    assert json.loads(found.address)["endpoint"] == endpoint
    assert reach(found.address) == found
    assert "expirationTime" not in found.address


def test_one_subscription_is_one_address_however_it_is_written() -> None:
    plain = json.loads(subscription())["keys"]

    def kept(endpoint: str = GOOD, **keys: str) -> str:
        return reach(json.dumps({"endpoint": endpoint, "keys": plain | keys})).address

    for endpoint in (GOOD.replace("fcm.", "FCM."), GOOD.replace(".com/", ".com:443/"), f"{GOOD}?"):
        assert kept(endpoint) == kept()
    last = BASE64URL.index(plain["auth"][-1])  # of its six bits four are left over
    assert kept(auth=plain["auth"][:-1] + BASE64URL[last ^ 1]) == kept()
    assert kept(auth=plain["auth"] + "==", p256dh=plain["p256dh"].translate(str.maketrans("-_", "+/"))) == kept()


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://fcm.googleapis.com/fcm/send/abc",
        "https://fcm.googleapis.com.evil.example/x",
        "https://evilfcm.googleapis.com/x",
        "https://127.0.0.1/x",
        "https://[::1]/x",
        "https://user:secret@fcm.googleapis.com/x",
        "https://fcm.googleapis.com:8443/x",
        "https://fcm.googleapis.com:x/x",
        "https://fcm.googleapis.com\\@evil.example/x",
        "https://evil.example#fcm.googleapis.com",
        "https://evil.example/fcm.googleapis.com",
        "https://fcm.googleapis.com/a b",
        "https://fcm.googleapis.com/a\r\nX: y",
        "https://fcm.googleapis.com/đ",
        "https://fcm.googleapis.com/" + "a" * 2048,
        "",
    ],
)
def test_no_other_host_is_ever_called(endpoint: str) -> None:
    with pytest.raises(ValueError, match=r"an? .*(address|subscription)") as said:
        reach(subscription(endpoint))
    assert "evil" not in str(said.value)


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", "null", '{"endpoint": 1}', subscription(p256dh="BAAA"), subscription(auth="AAAA"),
             subscription(p256dh="B" + "A" * 86)]
)  # fmt: skip
def test_what_is_no_subscription_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="as browsers write it"):
        reach(text)


# ---- settings and key


def section(contact: str) -> Section:
    return Section({"contact": Given(contact, "webpush.contact", Path())}, {})


def test_without_a_contact_there_is_no_web_push(tmp_path: Path) -> None:
    assert KINDS["webpush"] is KIND
    assert KIND.make(section(""), Means(tmp_path, "", now_ms)) is None
    assert not (tmp_path / VAPID_FILE).exists()
    assert KIND.make(section("mailto:1022@danang.gov.vn"), Means(tmp_path, "", now_ms)) is not None
    with pytest.raises(ConfigError, match="mailto: or https:"):
        KIND.make(section("1022@danang.gov.vn"), Means(tmp_path, "", now_ms))


def test_the_key_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    first = public_text(vapid_key(tmp_path))

    assert public_text(vapid_key(tmp_path)) == first
    assert (tmp_path / VAPID_FILE).stat().st_mode & 0o777 == 0o600
    (tmp_path / VAPID_FILE).write_text("nothing")
    with pytest.raises(FolderError, match="put it back from a backup"):
        vapid_key(tmp_path)
