"""Mail to a server that takes nothing but what the RFCs allow."""

from __future__ import annotations

import asyncio
import smtplib
import time
from collections.abc import Iterator
from dataclasses import replace
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import SMTP as RULES
from pathlib import Path
from typing import Any

import pytest
from carriers.farewell import closed
from carriers.smtp_sink import SmtpSink, Taken, fault
from hypothesis import given
from hypothesis import strategies as st

from alerts.delivery.channels import KINDS
from alerts.delivery.channels.channel import ChannelError, Means
from alerts.delivery.channels.mail import KIND, Mail, Server, reach
from alerts.delivery.letter import Sender, letter
from alerts.delivery.parcel import Lane, Parcel
from alerts.given import Given, Secret, Section
from ingest.city import ConfigError

OURS = Sender("Cảnh báo Đà Nẵng", "canhbao@danang.example.vn", "1022@danang.example.vn")
HEAD = "Nguy hiểm: ngập lụt ở Hải Châu."
END = "https://canhbao.example.vn/end/" + "k" * 43
BODY: dict[str, Any] = {
    "incident": "flood.20242.1", "version": 2, "reason": "worse", "hazard": "flood", "area": "20242", "level": 3,
    "exercise": False, "url": "https://canhbao.example.vn/", "end_url": END,
    "texts": {"vi": f"{HEAD} Tránh xa.", "en": "Danger: flooding in Hai Chau. Keep away."},
    "long": {"vi": f"{HEAD}\n\nNước sâu 0,6 m.\n\n.Tránh xa.\n.\nHết.", "en": "Danger.\n\n0.6 m deep.\n\nKeep away."},
}  # fmt: skip
TO = "an@example.vn"


def parcel(**changed: Any) -> Parcel:
    made: dict[str, Any] = {
        "id": 1, "attempt": 1, "channel": "mail", "recipient": "contact 17", "incident": "flood.20242.1",
        "version": 2, "seq": 9, "level": 3, "lang": "vi", "body": BODY, "created_at": 1_665_734_580_000,
        "expires_at": 1_665_741_780_000, "lane": Lane.URGENT, "address": TO,
    }  # fmt: skip
    return Parcel(**made | changed)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmtpSink]:
    with SmtpSink(tmp_path_factory.mktemp("mail")) as sink:
        yield sink


@pytest.fixture
def sink(running: SmtpSink) -> SmtpSink:
    running.taken.clear()
    running.connections = 0
    assert not any(running.script.values())
    return running


def server(sink: SmtpSink, **how: Any) -> Server:
    return Server("127.0.0.1", sink.port, how.pop("tls", "none"), context=sink.context, **how)


def send(where: Server, *parcels: Parcel, sender: Sender = OURS) -> list[str | ChannelError]:
    """What came of each, one after the other, by one channel."""

    async def run() -> list[str | ChannelError]:
        channel, said = Mail(where, sender), list[str | ChannelError]()
        for one in parcels:
            try:
                said.append(await channel.send(one))
            except ChannelError as error:
                said.append(error)
        await closed(channel)
        return said

    return asyncio.run(run())


def refused(sink: SmtpSink, **changed: Any) -> ChannelError:
    (said,) = send(server(sink), parcel(**changed))
    assert isinstance(said, ChannelError)
    assert TO not in str(said)
    return said


def taken(sink: SmtpSink, **changed: Any) -> Taken:
    assert send(server(sink), parcel(**changed)) == [""]
    (one,) = sink.taken
    return one


def test_a_mail_arrives_with_its_vietnamese_whole(sink: SmtpSink) -> None:
    got = taken(sink)

    assert (got.sender, got.recipient) == (OURS.address, TO)
    mail = got.mail
    assert mail["Subject"] == HEAD
    assert mail["From"].addresses[0].display_name == "Cảnh báo Đà Nẵng"
    assert mail["From"].addresses[0].addr_spec == OURS.address
    assert [address.addr_spec for address in mail["To"].addresses] == [TO]
    assert mail["Reply-To"].addresses[0].addr_spec == "1022@danang.example.vn"
    assert mail["Content-Language"] == "vi"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Importance"] == "high"
    assert mail["Date"].datetime.timestamp() == 1_665_734_580
    lines = mail.get_content().splitlines()
    assert lines == [
        HEAD,
        "",
        "Nước sâu 0,6 m.",
        "",
        ".Tránh xa.",
        ".",
        "Hết.",
        "",
        "-- ",
        f"Ngừng nhận thư này: {END}",
    ]


def test_it_ends_by_one_click(sink: SmtpSink) -> None:
    mail = taken(sink).mail

    assert mail["List-Unsubscribe"] == f"<{END}>"
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"


def test_an_errand_has_its_own_subject_and_stands_alone(sink: SmtpSink) -> None:
    body = {"kind": "code", "subject": {"vi": "Mã xác nhận", "en": "Your code"}, "texts": {"vi": "Mã", "en": "1234"}}
    mail = taken(sink, seq=-1, lang="en", lane=Lane.WARNING, body=body).mail

    assert (mail["Subject"], mail.get_content().replace("\r\n", "\n")) == ("Your code", "Your code\n\n1234\n")
    assert mail["Content-Language"] == "en"
    assert not {"In-Reply-To", "References", "List-Unsubscribe", "List-Unsubscribe-Post", "Importance"} & set(mail)


def test_every_try_is_the_same_mail_and_versions_are_one_thread() -> None:
    once, again, worse = letter(parcel(), OURS), letter(parcel(attempt=7), OURS), letter(parcel(version=3), OURS)
    drill = letter(parcel(body=BODY | {"exercise": True}), OURS)

    assert once == again
    assert header(once, "Message-ID") != header(worse, "Message-ID")
    assert header(once, "References") == header(once, "In-Reply-To") == header(worse, "References")
    assert header(drill, "References") != header(once, "References")


def header(raw: bytes, name: str) -> bytes:
    (value,) = (line for line in raw.split(b"\r\n") if line.startswith(name.encode() + b":"))
    return value.partition(b":")[2]


def test_nobody_gets_what_was_made_for_another(sink: SmtpSink) -> None:
    for_all = {"vi": f"{HEAD}\n\nNước.", "en": "Danger.\n\nWater."}
    parcels = [
        parcel(address=f"{n}@example.vn", lang=lang, recipient=f"contact {n}",
               body=BODY | {"long": for_all, "end_url": f"https://x.example.vn/{n}"})
        for n in range(4) for lang in ("vi", "en")
    ]  # fmt: skip
    parcels.append(parcel(body=BODY | {"long": {"vi": f"{HEAD}\n\nChỗ khác."}}))
    send(server(sink), *parcels)

    for one, got in zip(parcels, sink.taken, strict=True):
        assert (got.recipient, got.mail["To"]) == (one.address, one.address)
        assert got.mail["List-Unsubscribe"] == f"<{one.body['end_url']}>"
        said = got.mail.get_content()
        assert one.body["long"][one.lang].partition("\n\n")[2] in said
        assert str(one.body["end_url"]) in said


@given(st.text(max_size=300), st.text(max_size=2_000).filter(lambda text: text.strip()))
def test_whatever_is_said_makes_a_mail_that_can_be_sent(title: str, text: str) -> None:
    raw = letter(parcel(body=BODY | {"long": {"vi": f"{title}\n\n{text}"}}), OURS)
    assert not fault(raw, BytesParser(EmailMessage, policy=RULES).parsebytes(raw))


@pytest.mark.parametrize("name", ["address", "end_url"])
def test_no_header_can_be_put_in(name: str) -> None:
    bad = "x@example.vn\r\nBcc: victim@example.vn"
    one = parcel(address=bad) if name == "address" else parcel(body=BODY | {"end_url": bad})
    with pytest.raises(ValueError, match="more than one line"):
        letter(one, OURS)


# ---- what the server answers


@pytest.mark.parametrize(
    "answer", ["550 5.1.1 <{address}> no such user", "550 5.1.2 x", "551 5.1.6 x", "550 5.2.1 disabled"]
)
def test_a_mailbox_that_is_gone(sink: SmtpSink, answer: str) -> None:
    sink.script["RCPT"].append(answer)

    assert refused(sink).gone


@pytest.mark.parametrize(
    ("command", "answer", "permanent", "everybody"),
    [
        ("RCPT", "550 <{address}> no", True, False),
        ("RCPT", "552 5.2.2 full", True, False),
        ("RCPT", "550 5.1.10 null MX", True, False),
        ("RCPT", "450 4.2.1 later", False, False),
        ("RCPT", "451 4.7.1 greylisted", False, False),
        ("RCPT", "452 4.5.3 x", False, False),
        ("RCPT", "421 4.3.2 closing", False, True),
        ("DATA", "554 5.7.1 spam", True, False),
        ("DATA", "451 4.3.0 x", False, False),
        ("MAIL", "550 5.7.1 we do not know you", False, True),
        ("MAIL", "452 4.3.1 no room", False, True),
        ("MAIL", "421 4.3.2 closing", False, True),
    ],
)
def test_what_the_server_refuses(sink: SmtpSink, command: str, answer: str, permanent: bool, everybody: bool) -> None:
    sink.script[command].append(answer)

    said = refused(sink)
    assert (said.permanent, said.everybody, said.gone, said.maybe) == (permanent, everybody, False, False)


def test_after_a_refusal_the_connection_is_used_again_and_says_nothing_of_the_one_before(sink: SmtpSink) -> None:
    sink.script["RCPT"] += ["550 5.1.1 x", "", "451 4.2.0 x"]
    sink.script["DATA"] += ["554 5.7.1 x"]
    said = send(server(sink), *(parcel(address=f"{n}@example.vn") for n in range(4)))

    assert [isinstance(one, ChannelError) for one in said] == [True, True, True, False]
    assert [one.recipient for one in sink.taken] == ["3@example.vn"]
    assert sink.connections == 1


def test_a_connection_is_used_again_and_made_anew_where_the_server_hung_up(sink: SmtpSink) -> None:
    async def run() -> None:
        channel = Mail(server(sink), OURS)
        await channel.send(parcel())
        await channel.send(parcel())
        assert sink.connections == 1
        await asyncio.to_thread(sink.hang_up)
        await channel.send(parcel())
        assert sink.connections == 2
        sink.script["MAIL"].append("421 4.4.2 idle for too long")
        await channel.send(parcel())
        assert sink.connections == 3
        await closed(channel)

    asyncio.run(run())
    assert len(sink.taken) == 4


def test_many_at_a_time_are_as_many_connections(sink: SmtpSink) -> None:
    async def run() -> None:
        channel = Mail(server(sink), OURS, connections=4)
        for _ in range(3):
            await asyncio.gather(*(channel.send(parcel(address=f"{n}@example.vn")) for n in range(channel.at_once)))
        await closed(channel)

    asyncio.run(run())
    assert sink.connections == 4
    assert len(sink.taken) == 12


def test_an_answer_that_is_lost_may_be_a_mail_that_arrived(sink: SmtpSink) -> None:
    sink.script["DATA"].append("drop")
    said = refused(sink)
    assert said.maybe
    assert len(sink.taken) == 1

    sink.script["RCPT"].append("drop")
    assert not refused(sink).maybe


def test_a_server_that_hangs_is_given_up_and_its_answer_is_nobody_elses(
    sink: SmtpSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("alerts.delivery.channels.mail._ANSWERS_S", 0.2)
    sink.script["DATA"].append("hang")
    assert refused(sink).maybe

    async def run() -> None:
        channel = Mail(server(sink), OURS)
        sink.script["RCPT"].append("hang")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):  # as the sender gives up
                await channel.send(parcel())
        await channel.send(parcel())
        await closed(channel)

    asyncio.run(run())
    assert sink.connections == 3


def test_no_log_of_ours_names_an_address(sink: SmtpSink, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    sink.script["RCPT"] += ["550 5.1.1 <{address}> unknown", "450 <{address}> later", "drop"]
    said = send(server(sink), *[parcel()] * 4)

    ours = [record.getMessage() for record in caplog.records if record.name != "mail.log"]  # that is the sink's
    assert not any(TO in text for text in (*ours, repr(said), repr(parcel())))


def test_where_no_server_is_everybody_waits() -> None:
    (said,) = send(Server("127.0.0.1", 1, "none"), parcel())

    assert isinstance(said, ChannelError)
    assert said.everybody
    assert not said.maybe


@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS", "ignore:Session.login_data is deprecated")
@pytest.mark.parametrize("tls", ["starttls", "tls"])
def test_over_tls_with_a_password(tmp_path: Path, tls: str) -> None:
    with SmtpSink(tmp_path, users={"city": "secret"}, tls=tls) as sink:
        good = server(sink, tls=tls, username="city", password=Secret("secret"))
        assert send(good, parcel()) == [""]
        for wrong in (replace(good, password=Secret("guessed")), replace(good, context=None)):
            (said,) = send(wrong, parcel())
            assert isinstance(said, ChannelError)
            assert (said.everybody, said.permanent) == (True, False)
        assert len(sink.taken) == 1


def test_starttls_is_not_done_without(sink: SmtpSink) -> None:
    """Whoever sits between could take the offer out of the server's answer."""
    (said,) = send(server(sink, tls="starttls"), parcel())

    assert isinstance(said, ChannelError)
    assert not sink.taken


# ---- the sink itself


def test_the_sink_refuses_what_servers_refuse(sink: SmtpSink) -> None:
    good = letter(parcel(), OURS)
    bad = {
        "twice": good.replace(b"Date:", b"Subject: x\r\nDate:"), "too long": good + b"x" * 999 + b"\r\n",
        "not ASCII": good + "ngập\r\n".encode(), "header missing": good.replace(b"Date:", b"X-Date:"),
    }  # fmt: skip
    with smtplib.SMTP("127.0.0.1", sink.port, local_hostname="x.example.vn") as client:
        for what, raw in bad.items():
            with pytest.raises(smtplib.SMTPDataError, match=what):
                client.sendmail(OURS.address, TO, raw)
        client.sendmail(OURS.address, TO, good)


# ---- addresses and settings


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        (" An.Nguyen+mua@Example.VN ", "an.nguyen+mua@example.vn"),
        ("an@đànẵng.vn", "an@xn--nng-7ka9861bijb.vn"),
        ("o'neil@a.b-c.example", "o'neil@a.b-c.example"),
    ],
)
def test_an_address_is_kept_in_one_form(typed: str, kept: str) -> None:
    found = reach(typed)

    assert found.provider == ""
    assert found.address.rpartition("@")[0] == kept.rpartition("@")[0]
    assert found.address.isascii()
    assert reach(found.address) == found


@pytest.mark.parametrize(
    "typed",
    [
        "", "an", "an@", "@example.vn", "an@localhost", "an@example.vn, binh@example.vn", "an@example.vn;b@example.vn",
        "an@example.vn\r\nBcc: b@example.vn", "an@exam\nple.vn", "An <an@example.vn>", '"a b"@example.vn',
        "a..b@example.vn", ".a@example.vn", "a.@example.vn", "a@b@example.vn", "an@[127.0.0.1]", "an@127.0.0.1",
        "an@-a.vn", "ân@example.vn",
        "a" * 65 + "@example.vn", "a@" + "b." * 126 + "vn", "an@example..vn", "an@example.vn>", "an@example.vn\0",
    ],
)  # fmt: skip
def test_what_is_not_one_address_is_refused(typed: str) -> None:
    with pytest.raises(ValueError, match=r"one mail address, such as ten@example\.vn"):
        reach(typed)


def section(password: str = "", **keys: str) -> Section:
    defaults = {"host": "mail.example.vn", "sender": "Đà Nẵng <canhbao@example.vn>"}
    given = {key: Given(text, f"mail.{key}", Path()) for key, text in {**KIND.keys, **defaults, **keys}.items()}
    return Section(given, {"password": Secret(password) if password else None})


MEANS = Means(Path(), "", lambda: time.time_ns() // 1_000_000)


def test_without_a_host_there_is_no_mail() -> None:
    assert KINDS["mail"] is KIND
    assert KIND.make(section(host=""), MEANS) is None
    made = KIND.make(section(connections="3", per_s="14", per_day="50000"), MEANS)
    assert made is not None
    assert (made.at_once, made.quota.per_s, made.quota.per_day) == (3, 14.0, 50_000)


@pytest.mark.parametrize(
    ("keys", "named"),
    [
        ({"sender": ""}, "mail.sender"),
        ({"sender": "nobody"}, "mail.sender"),
        ({"reply_to": "nobody"}, "mail.reply_to"),
        ({"tls": "ssl"}, "mail.tls"),
        ({"port": "0"}, "mail.port"),
        ({"connections": "0"}, "mail.connections"),
        ({"username": "city"}, "mail.username"),
        ({"password": "x"}, "mail.username"),
        ({"password": "x", "username": "city", "tls": "none"}, "mail.tls"),
        ({"per_s": "0"}, "mail.per_s"),
        ({"per_day": "0"}, "mail.per_day"),
    ],
)
def test_what_is_set_up_wrongly_is_named(keys: dict[str, str], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        KIND.make(section(**keys), MEANS)
