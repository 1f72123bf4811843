"""The account's messages and ZNS, against a strict Zalo: what goes out, what is refused, what its codes mean."""

import asyncio
import json
import logging
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from carriers.zalo import APP_ID, FIRST_REFRESH, OA_SECRET, SECRET, Zalo, event, zalo
from channel_settings import NOW, made, parcel, section_of
from zns_stage import said, templates_file

from alerts.delivery.channels import KINDS
from alerts.delivery.channels.channel import ChannelError
from alerts.delivery.hooks import Receipt, Reply, StrangerError
from alerts.delivery.parcel import Parcel
from alerts.delivery.tending import measured, tend
from alerts.delivery.zalo_account import hook
from alerts.delivery.zalo_token import ZaloToken
from alerts.given import Secret
from alerts.incidents.incident import Planned, Reason
from alerts.words.zns import zns_texts
from ingest.city import ConfigError

USER, PHONE = "2512523625412515", "84912345678"
ADDRESSES = {"zalo": USER, "zns": f"+{PHONE}"}


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[Zalo]:
    with zalo() as running:
        running.followers, running.phones = {USER: True}, {PHONE}
        asyncio.run(_authorize(tmp_path, running))
        yield running


async def _authorize(folder: Path, fake: Zalo) -> None:
    token = ZaloToken(folder, APP_ID, Secret(SECRET), fake.url, lambda: NOW)
    await token.authorize(FIRST_REFRESH)
    await token.close()


def keys(fake: Zalo, **more: str) -> dict[str, str]:
    return {"app_id": APP_ID, "url": fake.url, "oauth_url": fake.url, **more}


def parcel_to(name: str, body: Mapping[str, Any], **more: Any) -> Parcel:
    return replace(parcel(name, ADDRESSES[name], body), **more)


def send(folder: Path, fake: Zalo, name: str, *parcels: Parcel, **more: str) -> list[str | ChannelError]:
    """What came of each, all at once."""

    async def one(channel: Any, it: Parcel) -> str | ChannelError:
        try:
            return str(await channel.send(it))
        except ChannelError as error:
            return error

    async def all_of_them() -> list[str | ChannelError]:
        section = section_of(folder, name, keys(fake, **more), {"secret": SECRET, "webhook_secret": OA_SECRET})
        channel = made(folder, name, section)
        found = await asyncio.gather(*(one(channel, it) for it in parcels))
        await channel.close()
        return found

    return asyncio.run(all_of_them())


def failed(found: list[str | ChannelError]) -> ChannelError:
    (error,) = found
    assert isinstance(error, ChannelError)
    return error


# ---- the account


def test_a_follower_gets_the_long_text_with_its_paragraphs(tmp_path: Path, fake: Zalo) -> None:
    body = said()

    (number,) = send(tmp_path, fake, "zalo", parcel_to("zalo", body))

    assert isinstance(number, str)
    assert len(number) == 20
    assert fake.sent == [{"recipient": {"user_id": USER}, "message": {"text": body["long"]["vi"]}}]
    assert "\n\n" in fake.sent[0]["message"]["text"]


def test_an_errand_goes_out_by_its_texts(tmp_path: Path, fake: Zalo) -> None:
    errand = {"kind": "code", "texts": {"vi": "Mã của bạn: 123", "en": "Your code: 123"}}

    send(tmp_path, fake, "zalo", parcel_to("zalo", errand, seq=-4, lang="en"))

    assert fake.sent[0]["message"]["text"] == "Your code: 123"


def test_who_was_long_not_in_touch_is_told_by_a_template(tmp_path: Path, fake: Zalo) -> None:
    """Before a flood that is nearly everybody."""
    fake.followers = {USER: False}
    file = templates_file(tmp_path, fake)

    (number,) = send(tmp_path, fake, "zalo", parcel_to("zalo", said()), templates_file=str(file))

    assert isinstance(number, str)
    (sent,) = fake.sent
    assert (sent["user_id"], sent["template_data"]["ma_tin"]) == (USER, "4KDMQ2X")


@pytest.mark.parametrize("followers", [{USER: False}, {}])
def test_who_cannot_be_told_is_given_up_at_once(tmp_path: Path, fake: Zalo, followers: dict[str, bool]) -> None:
    """Not in touch and no template; not following: then nothing ever."""
    fake.followers = followers

    error = failed(send(tmp_path, fake, "zalo", parcel_to("zalo", said())))

    assert error.permanent
    assert error.gone == (not followers)
    assert USER not in str(error)


def test_more_than_it_takes_in_a_second_waits_for_all(tmp_path: Path, fake: Zalo) -> None:
    fake.per_s = 3

    found = send(tmp_path, fake, "zalo", *(parcel_to("zalo", said()) for _ in range(5)))

    refused = [one for one in found if isinstance(one, ChannelError)]
    assert len(refused) == 2
    assert all(error.everybody and not error.permanent for error in refused)


# ---- ZNS


def test_zns_carries_number_words_and_key(tmp_path: Path, fake: Zalo) -> None:
    body = said()
    file = templates_file(tmp_path, fake)
    it = parcel_to("zns", body)

    first, again = send(tmp_path, fake, "zns", it, replace(it, attempt=2), templates_file=str(file))

    assert first == again  # the same message: its key is the tracking id
    (sent,) = fake.sent
    assert sent["phone"] == PHONE
    assert sent["tracking_id"] == it.key
    assert sent["template_data"] == {
        "khu_vuc": body["area_name"]["vi"], "tieu_de": body["headline"]["vi"], "thoi_gian": "21:13 21/09/2026",
        "ma_tin": "4KDMQ2X", "dia_chi": "https://canhbao.example.vn/v/4KDMQ2X",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("level", "reason", "name"),
    [
        (3, Reason.FIRST, "canhbao flood 3 first"),
        (3, Reason.WORSE, "canhbao flood 3 worse"),
        (1, Reason.EASED, "canhbao flood 1 eased"),
        (0, Reason.OVER, "canhbao flood over"),
    ],
)
def test_what_has_no_template_is_given_up_and_says_so(
    tmp_path: Path, fake: Zalo, level: int, reason: Reason, name: str
) -> None:
    """Never by the template of another level or state: that would be a wrong warning."""
    file = templates_file(tmp_path, fake, but=name)

    error = failed(send(tmp_path, fake, "zns", parcel_to("zns", said(level, reason)), templates_file=str(file)))

    assert error.permanent
    wanted = f"flood {f'level {level} ' if level else ''}{reason.value}"
    assert str(error) == f"zns: no approved template for {wanted}"
    assert fake.sent == []


def test_a_planned_outage_has_words_of_its_own(tmp_path: Path, fake: Zalo) -> None:
    """By the template of a power failure it would say that power is out."""
    planned = Planned(NOW, NOW + 4 * 3_600_000, "sửa lưới điện")
    file = templates_file(tmp_path, fake)
    numbers = {text.name: str(number) for number, text in enumerate(zns_texts(), 300_000)}

    send(tmp_path, fake, "zns", parcel_to("zns", said(1, Reason.PLANNED, "power", planned=planned)),
         templates_file=str(file))  # fmt: skip

    (sent,) = fake.sent
    assert sent["template_id"] == numbers["canhbao planned 1"]
    words = sent["template_data"]
    assert (words["thoi_gian"], words["den_luc"]) == ("21:13 21/09/2026", "01:13 22/09/2026")


def test_no_exercise_goes_out_by_an_approved_text(tmp_path: Path, fake: Zalo) -> None:
    file = templates_file(tmp_path, fake)

    error = failed(send(tmp_path, fake, "zns", parcel_to("zns", said(drill=True)), templates_file=str(file)))

    assert error.permanent
    assert "exercise" in str(error)
    assert fake.seen == []


def test_names_are_cut_where_the_template_is_short_and_codes_never(tmp_path: Path, fake: Zalo) -> None:
    file = templates_file(tmp_path, fake)
    file.write_text(file.read_text("utf-8").replace('"headline", most = 200', '"headline", most = 20'), "utf-8")
    for params in fake.templates.values():
        params["tieu_de"] = 20
    body = said()

    send(tmp_path, fake, "zns", parcel_to("zns", body), templates_file=str(file))
    long = parcel_to("zns", {**body, "code": "4" * 31})
    error = failed(send(tmp_path, fake, "zns", long, templates_file=str(file)))

    cut = fake.sent[0]["template_data"]["tieu_de"]
    assert len(cut) <= 20
    assert cut.endswith("…")
    assert error.permanent
    assert len(fake.sent) == 1


def test_a_template_that_zalo_does_not_know_as_we_do_is_refused_there(tmp_path: Path, fake: Zalo) -> None:
    file = templates_file(tmp_path, fake)
    for params in fake.templates.values():
        params["ten"] = 30

    error = failed(send(tmp_path, fake, "zns", parcel_to("zns", said()), templates_file=str(file)))

    assert error.permanent
    assert "-1122" in str(error)


def test_the_days_number_used_up_is_not_asked_again_for_each(tmp_path: Path, fake: Zalo) -> None:
    file = templates_file(tmp_path, fake)
    fake.refused = [-144]

    async def three() -> list[ChannelError]:
        section = section_of(tmp_path, "zns", keys(fake, templates_file=str(file)), {"secret": SECRET})
        channel = made(tmp_path, "zns", section)
        found = []
        for _ in range(3):
            with pytest.raises(ChannelError) as error:
                await channel.send(parcel_to("zns", said()))
            found.append(error.value)
        await channel.close()
        return found

    found = asyncio.run(three())

    assert all(error.permanent for error in found)  # another channel takes them over, today
    assert len(fake.seen) == 1


# ---- both


@pytest.mark.parametrize(
    ("name", "code", "permanent", "gone", "everybody"),
    [
        ("zalo", -217, True, True, False),
        ("zalo", -32, False, False, True),
        ("zalo", -200, False, False, False),
        ("zalo", -4711, False, False, False),
        ("zns", -118, True, True, False),
        ("zns", -114, True, False, False),
        ("zns", -100, False, False, False),
        ("zns", -133, True, False, False),
    ],
)
def test_a_code_inside_200_is_no_success(
    tmp_path: Path, fake: Zalo, name: str, code: int, permanent: bool, gone: bool, everybody: bool
) -> None:
    file = templates_file(tmp_path, fake)
    fake.refused = [code]

    error = failed(send(tmp_path, fake, name, parcel_to(name, said()), templates_file=str(file)))

    assert (error.permanent, error.gone, error.everybody) == (permanent, gone, everybody)
    assert str(code) in str(error)
    assert ADDRESSES[name] not in str(error)  # Zalo's own text repeats what it got
    assert fake.sent == []


@pytest.mark.parametrize(("name", "code"), [("zalo", -216), ("zalo", -220), ("zns", -124)])
def test_a_token_that_is_not_taken_is_renewed_once(
    tmp_path: Path, fake: Zalo, name: str, code: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    file = templates_file(tmp_path, fake)
    fake.refused = [code]

    (number,) = send(tmp_path, fake, name, parcel_to(name, said()), templates_file=str(file))

    assert isinstance(number, str)
    assert fake.seen == ["access-1", "access-2"]
    assert fake.asked == [FIRST_REFRESH, "refresh-1"]
    assert not any(secret in caplog.text for secret in ("access-", "refresh-", SECRET, PHONE, USER))


def test_a_new_token_that_is_not_taken_either_stops_everybody(tmp_path: Path, fake: Zalo) -> None:
    fake.refused = [-216, -216]

    error = failed(send(tmp_path, fake, "zalo", parcel_to("zalo", said())))

    assert error.everybody
    assert not error.permanent
    assert fake.rotations == 2


def test_codes_may_be_set_up_otherwise(tmp_path: Path, fake: Zalo) -> None:
    fake.refused = [-217]

    error = failed(send(tmp_path, fake, "zalo", parcel_to("zalo", said()), codes_again="-217"))

    assert not error.permanent


@pytest.mark.parametrize(
    ("name", "key", "text"),
    [
        ("zalo", "app_id", "my app"),
        ("zalo", "url", "http://openapi.zalo.me"),
        ("zalo", "oauth_url", "ftp://x"),
        ("zns", "templates_file", ""),
        ("zns", "templates_file", "/nowhere/zns.toml"),
        ("zns", "per_s", "many"),
    ],
)
def test_settings_that_do_not_fit_are_refused(tmp_path: Path, fake: Zalo, name: str, key: str, text: str) -> None:
    more = {"templates_file": str(templates_file(tmp_path)), key: text}

    with pytest.raises(ConfigError):
        made(tmp_path, name, section_of(tmp_path, name, keys(fake, **more), {"secret": SECRET}))


def test_without_the_apps_secret_there_is_no_channel(tmp_path: Path, fake: Zalo) -> None:
    with pytest.raises(ConfigError, match="secret"):
        made(tmp_path, "zalo", section_of(tmp_path, "zalo", keys(fake)))


@pytest.mark.parametrize("name", ["zalo", "zns"])
def test_no_app_no_channel(tmp_path: Path, name: str) -> None:
    assert KINDS[name].make(section_of(tmp_path, name, {}), None) is None  # type: ignore[arg-type]


def test_addresses() -> None:
    assert KINDS["zns"].reach("0912 345 678").address == f"+{PHONE}"
    assert KINDS["zalo"].reach(f" {USER} ").address == USER
    for text in ("", "An", "12", "1" * 40, "٢٥١٢٥٢٣٦٢"):
        with pytest.raises(ValueError, match="digits"):
            KINDS["zalo"].reach(text)


def test_a_token_is_renewed_in_weeks_in_which_nothing_is_sent(tmp_path: Path, fake: Zalo) -> None:
    """And one that nobody may renew any more is a warning in the log, and a number on a dashboard."""
    now = [NOW + 24 * 3_600_000]

    async def hours() -> dict[str, float]:
        section = section_of(tmp_path, "zalo", keys(fake), {"secret": SECRET})
        channel = made(tmp_path, "zalo", section, now_ms=lambda: now[0])
        stop = asyncio.Event()
        fake.rotated.clear()
        tending = asyncio.create_task(tend([channel, object()], stop, 0.01))
        assert await asyncio.to_thread(fake.rotated.wait, 10)
        stop.set()
        await tending
        found = measured([channel, object()])
        await channel.close()
        return found

    assert asyncio.run(hours()) == {
        "canhbao_zalo_access_token_seconds": 25 * 3600.0, "canhbao_zalo_refresh_token_seconds": 90 * 86_400.0,
        "canhbao_zalo_token_refused": 0.0,
    }  # fmt: skip


# ---- what Zalo brings


def zalo_hook(folder: Path, secret: str = OA_SECRET) -> Any:
    return hook(section_of(folder, "zalo", {"app_id": APP_ID}, {"webhook_secret": secret}), answers=True)


def test_an_answer_and_a_receipt_are_read(tmp_path: Path) -> None:
    it = zalo_hook(tmp_path)

    answered = event("user_send_text", sender={"id": USER}, message={"text": "1 đã báo", "msg_id": "m-1"})
    received = event("user_received_message", sender={"id": "1"}, recipient={"id": PHONE},
                     message={"msg_id": "a4d0243feee163bd3af2", "tracking_id": "k", "delivery_time": "1"})  # fmt: skip
    assert it.read(*answered) == Reply(USER, "1 đã báo", "m-1")
    assert it.read(*received) == Receipt("a4d0243feee163bd3af2", received=True)
    assert it.read(*event("follow", follower={"id": USER})) is None
    assert it.read(*event("user_send_text", sender={"id": "x"}, message={"text": 4})) is None
    assert it.read(*event("user_send_text", sender=[], message="a")) is None


def test_a_forged_event_is_refused(tmp_path: Path) -> None:
    headers, body = event("user_send_text", sender={"id": USER}, message={"text": "1", "msg_id": "m-1"})
    same = json.dumps(json.loads(body), ensure_ascii=False, separators=(",", ":")).encode()  # other bytes
    forged = [({}, body), ({"x-zevent-signature": "mac="}, body), (headers, body.replace(b'"1"', b'"2"')),
              (headers, same), (headers, b""), (headers, b"[1]"), (headers, body + b" " * 70_000)]  # fmt: skip

    for given, raw in forged:
        with pytest.raises(StrangerError):
            zalo_hook(tmp_path).read(given, raw)
    unknown = section_of(tmp_path, "zalo", {"app_id": APP_ID})
    assert hook(unknown, answers=True) is None  # nobody has set up the secret: there is no such door
