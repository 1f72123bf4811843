"""Short messages through a gateway: what goes out, what its answers mean, what nobody gets to see."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from carriers.sms_gateway import BUSY, KEY, NO_MONEY, SECRET, SENDER, WRONG_NUMBER, SmsGateway, sms_gateway
from channel_settings import made, parcel, section_of

from alerts.delivery.channels import KINDS
from alerts.delivery.channels.channel import ChannelError
from alerts.delivery.channels.sms import SmsChannel, SmsHook
from alerts.delivery.hooks import Receipt, Reply, StrangerError
from ingest.city import ConfigError

NUMBER = "+84912345678"
TEXT = 'Nguy hiểm: ngập "sâu" quanh {to}, {key} & 50% ở\nHải Châu'
PLAIN = 'Nguy hiem: ngap "sau" quanh {to}, {key} & 50% o Hai Chau'
BODY: dict[str, Any] = {"texts": {"vi": TEXT, "en": "Danger"}, "sms": {"vi": {"text": PLAIN, "segments": 1}}}
FIELDS = {"ApiKey": "{token}", "SecretKey": "{secret}", "Phone": "{to}", "Content": "{text}", "Brandname": "{sender}",
          "SmsType": "2", "IsUnicode": "{unicode}", "RequestId": "{key}"}  # fmt: skip
FORM = "&".join(f"{name}={place}" for name, place in FIELDS.items())
SECRETS = {"token": KEY, "secret": SECRET, "hook_secret": "hook-1"}


@pytest.fixture
def gateway() -> Iterator[SmsGateway]:
    with sms_gateway() as running:
        yield running


def keys(gateway: SmsGateway, **more: str) -> dict[str, str]:
    return {
        "url": gateway.url, "body": json.dumps(FIELDS), "sender": SENDER, "code_at": "/CodeResult", "accepted": "100",
        "id_at": "/SMSID", "codes_taken": "124", "codes_gone": "99", "codes_permanent": "108", "codes_shut": "103",
        "codes_wait": "101 5", **more,
    }  # fmt: skip


def send(folder: Path, gateway: SmsGateway, *bodies: dict[str, Any], **more: str) -> list[str | ChannelError]:
    """What came of each, one after the other, on one channel."""

    async def all_of_them() -> list[str | ChannelError]:
        channel = made(folder, "sms", section_of(folder, "sms", keys(gateway, **more), SECRETS))
        found: list[str | ChannelError] = []
        for attempt, body in enumerate(bodies, 1):
            try:
                found.append(await channel.send(parcel("sms", NUMBER, body, attempt=attempt)))
            except ChannelError as error:
                found.append(error)
        await channel.close()
        return found

    return asyncio.run(all_of_them())


@pytest.mark.parametrize(("content", "body"), [("json", json.dumps(FIELDS)), ("form", FORM), ("query", FORM)])
def test_the_text_arrives_as_it_is_in_every_kind_of_body(
    gateway: SmsGateway, tmp_path: Path, content: str, body: str
) -> None:
    assert send(tmp_path, gateway, BODY, content=content, body=body) == ["id-1"]

    (got,) = gateway.taken.values()
    assert (got["Content"], got["Phone"], got["IsUnicode"]) == (PLAIN, "84912345678", "0")


@pytest.mark.parametrize(("number", "seen"), [("+84", "+84912345678"), ("84", "84912345678"), ("0", "0912345678")])
def test_numbers_begin_as_the_gateway_wants_them(gateway: SmsGateway, tmp_path: Path, number: str, seen: str) -> None:
    send(tmp_path, gateway, BODY, number=number)

    assert gateway.calls[0]["Phone"] == seen


def test_with_accents_and_without_each_segment_is_counted(gateway: SmsGateway, tmp_path: Path) -> None:
    async def one(accents: str) -> float:
        channel = made(tmp_path, "sms", section_of(tmp_path, "sms", keys(gateway, accents=accents), SECRETS))
        assert isinstance(channel, SmsChannel)
        long = {"texts": {"vi": "ngập " * 20, "en": ""}}  # 100 characters, an errand's: without a form for SMS
        await channel.send(parcel("sms", NUMBER, long))
        await channel.close()
        return channel.measured()["canhbao_sms_segments_total"]

    assert asyncio.run(one("yes")) == 2
    gateway.taken.clear()
    assert asyncio.run(one("no")) == 1
    assert [call["Content"] for call in gateway.calls] == ["ngập " * 20, "ngap " * 20]
    assert [call["IsUnicode"] for call in gateway.calls] == ["1", "0"]


def test_what_was_taken_before_is_taken(gateway: SmsGateway, tmp_path: Path) -> None:
    """The answer was lost; the same key again, the gateway knows it, and nobody gets it twice."""
    gateway.lose_answers = 1

    lost, again = send(tmp_path, gateway, BODY, BODY)

    assert isinstance(lost, ChannelError)
    assert lost.maybe
    assert not lost.permanent
    assert again == ""
    assert len(gateway.taken) == 1
    assert len(gateway.calls) == 2


@pytest.mark.parametrize(
    ("code", "permanent", "gone", "everybody"),
    [
        (WRONG_NUMBER, True, False, False),
        ("99", True, True, False),
        (BUSY, False, False, True),
        ("101", False, False, True),
        ("777", False, False, False),
    ],
)
def test_a_code_inside_200_is_no_success(
    gateway: SmsGateway,
    tmp_path: Path,
    code: str,
    permanent: bool,
    gone: bool,
    everybody: bool,
) -> None:
    gateway.answers = [code]

    (error,) = send(tmp_path, gateway, BODY)

    assert isinstance(error, ChannelError)
    assert (error.permanent, error.gone, error.everybody) == (permanent, gone, everybody)
    assert code in str(error)
    assert "912345678" not in str(error)  # the gateway's own text has it


def test_an_account_without_money_is_not_asked_for_every_message(gateway: SmsGateway, tmp_path: Path) -> None:
    gateway.answers = [NO_MONEY]

    found = send(tmp_path, gateway, BODY, BODY, BODY)

    assert [isinstance(one, ChannelError) and one.permanent for one in found] == [True] * 3  # another channel, at once
    assert len(gateway.calls) == 1


@pytest.mark.parametrize(
    ("status", "headers", "permanent", "everybody", "maybe", "after_s"),
    [
        (429, {"Retry-After": "17"}, False, True, False, 17.0),
        (503, {}, False, True, False, None),
        (401, {}, False, True, False, None),
        (302, {"Location": "http://127.0.0.1:1/"}, False, True, False, None),
        (502, {}, False, False, True, None),
        (400, {}, True, False, False, None),
        (200, {}, False, False, True, None),  # a page and not an answer: it may have been taken
    ],
)
def test_statuses(
    gateway: SmsGateway, tmp_path: Path, status: int, headers: dict[str, str], permanent: bool, everybody: bool,
    maybe: bool, after_s: float | None,
) -> None:  # fmt: skip
    gateway.statuses = [(status, headers)]

    (error,) = send(tmp_path, gateway, BODY)

    assert isinstance(error, ChannelError)
    assert (error.permanent, error.everybody, error.maybe) == (permanent, everybody, maybe)
    assert error.retry_after_s == after_s
    assert gateway.calls == []  # no redirect was followed


def test_a_gateway_that_is_down_has_nothing(tmp_path: Path) -> None:
    with sms_gateway() as gateway:
        pass

    (error,) = send(tmp_path, gateway, BODY)

    assert isinstance(error, ChannelError)
    assert (error.everybody, error.maybe) == (True, False)


@pytest.mark.parametrize(
    "text", ["0912345678", "0912 345 678", "+84 912.345.678", "84912345678", "0084912345678", " (0912) 345-678 "]
)
def test_numbers_as_people_write_them(text: str) -> None:
    assert KINDS["sms"].reach(text).address == NUMBER


@pytest.mark.parametrize(
    "text",
    ["", "912345678", "02363822222", "0112345678", "+1 202 555 0123", "+8491234567", "+849123456789", "0912a45678",
     "٠٩١٢٣٤٥٦٧٨", "0912345678 0912345679", "0" * 100_000],
)  # fmt: skip
def test_what_is_no_mobile_number_here_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(ValueError, match="0912 345 678") as refused:
        KINDS["sms"].reach(text)

    assert not text or text not in str(refused.value)


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("url", "http://sms.example.vn/send"),
        ("url", "https://user:secret-1@sms.example.vn/"),
        ("body", "{"),
        ("body", '{"Phone": "{to}"}'),
        ("body", '{"Phone": "{to}", "Content": "{text}", "x": "{number}"}'),
        ("headers", "X-Text: {text}"),
        ("headers", "Host: a"),
        ("headers", "nonsense"),
        ("code_at", "CodeResult"),
        ("accepted", ""),
        ("content", "xml"),
        ("per_s", "0"),
        ("receipt_id_at", "id"),
        ("codes_gone", "a" * 40),
    ],
)
def test_settings_that_do_not_fit_are_refused_by_name(gateway: SmsGateway, tmp_path: Path, key: str, text: str) -> None:
    with pytest.raises(ConfigError, match=f"CANHBAO_SMS__{key.upper()}|sms.{key}") as error:
        made(tmp_path, "sms", section_of(tmp_path, "sms", {**keys(gateway), key: text}, SECRETS))

    assert "secret-1" not in str(error.value)


def test_no_gateway_no_channel(tmp_path: Path) -> None:
    kind = KINDS["sms"]
    assert kind.make(section_of(tmp_path, "sms", {}), None) is None  # type: ignore[arg-type]


GENUINE = {"x-canhbao-secret": "hook-1"}
HOOKS = {"receipt_id_at": "/SMSID", "receipt_status_at": "/SendStatus", "receipt_received": "5",
         "receipt_failed": "4 6", "reply_from_at": "/from", "reply_text_at": "/message",
         "reply_id_at": "/moid"}  # fmt: skip


@pytest.mark.parametrize(
    ("payload", "found"),
    [
        ({"SMSID": "id-1", "SendStatus": "5"}, Receipt("id-1", received=True)),
        ({"SMSID": 17, "SendStatus": 5}, Receipt("17", received=True)),
        ({"SMSID": "id-1", "SendStatus": "6"}, Receipt("id-1", received=False, error="")),
        ({"SMSID": "id-1", "SendStatus": "1"}, None),
        ({"from": "0912345678", "message": "1 đã báo", "moid": "m-1"}, Reply(NUMBER, "1 đã báo", "m-1")),
        ({"from": "0912345678", "message": "x" * 5000}, Reply(NUMBER, "x" * 1000, "")),
    ],
)
def test_what_the_gateway_brings_back(tmp_path: Path, payload: dict[str, Any], found: object) -> None:
    read = SmsHook(section_of(tmp_path, "sms", HOOKS, SECRETS)).read(GENUINE, json.dumps(payload).encode())

    if isinstance(read, Receipt) and not read.received:
        assert read.error
        read = Receipt(read.id, received=False)
    assert read == found


@pytest.mark.parametrize("raw", [b"", b"[]", b"[" * 60_000, b'{"SMSID": ', b'{"from": "113", "message": "1"}', b"\xff",
                                 b'"' + b"a" * 70_000 + b'"'])  # fmt: skip
def test_what_has_no_shape_that_we_know_is_refused(tmp_path: Path, raw: bytes) -> None:
    with pytest.raises(ValueError, match=r"JSON|neither|beyond|Vietnamese"):
        SmsHook(section_of(tmp_path, "sms", HOOKS, SECRETS)).read(GENUINE, raw)


@pytest.mark.parametrize(("secret", "given"), [("hook-1", "hook-2"), ("hook-1", ""), ("", ""), ("", "hook-1")])
def test_a_call_of_a_stranger_is_refused(tmp_path: Path, secret: str, given: str) -> None:
    """Also where nobody has set up a secret: then nobody is known."""
    hook = SmsHook(section_of(tmp_path, "sms", HOOKS, {"hook_secret": secret} if secret else {}))

    with pytest.raises(StrangerError):
        hook.read({"x-canhbao-secret": given}, b'{"SMSID": "1", "SendStatus": "5"}')
