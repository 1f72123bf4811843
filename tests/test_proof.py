"""A warning that proves itself: its code, its signature, the keys behind them, and what makes them once."""

import json
import logging
import stat
import subprocess
from base64 import b64decode
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from faces import NOW, RULES, notice, town_city
from hypothesis import given
from hypothesis import strategies as st

from alerts import backup
from alerts.delivery.fan_out import FanOut
from alerts.delivery.notary import Notary
from alerts.delivery.vapid_key import public_text, vapid_key
from alerts.incidents.decision import Outcome
from alerts.incidents.incident import ENDS, Notice, Planned, Reason
from alerts.ledger.codes import Codes
from alerts.ledger.ledger import Ledger
from alerts.ledger.outbox import Outbox
from alerts.ledger.store import LedgerError
from alerts.proof import code as short_code
from alerts.proof.code import ALPHABET, make, read, shown
from alerts.proof.keys import CODE_FILE, SIGNING_FILE, Keys, open_keys
from alerts.proof.public_keys import document, keys_in
from alerts.proof.signature import NotSignedError, WrongSignatureError, canonical, key_id, signed, verify
from alerts.proof.verdict import Verdict, verdict
from alerts.web.check_model import check
from alerts.words.actions import what_to_do
from alerts.words.code_line import code_lines
from alerts.words.message import bare_message, message
from alerts.words.sentences import TEXT_MOST
from ingest.data_folder import FolderError
from ingest.entries import Position
from processing.rules import parse_rules

KEYS = Keys(bytes(range(16)), Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
PUBLIC = {key_id(KEYS.signing.public_key()): KEYS.signing.public_key()}
BODY = {
    "incident": "flood-20242", "version": 2, "code": "ABCD2345", "reason": "worse", "hazard": "flood", "area": "20242",
    "level": 3, "exercise": False, "texts": {"vi": 'Nguy hiểm: ngập lụt. "Mã"\n', "en": "Danger / flooding."},
    "at": "2022-10-14T18:15:00.000+07:00", "sent": "2022-10-14T11:15:01.000Z", "url": "", "check": "",
}  # fmt: skip

codes = st.builds(make, st.binary(min_size=16, max_size=16), st.text(max_size=30), st.integers(0, 10**6))


# ---- the code --------------------------------------------------------------------------------------------------------


@given(codes, st.data())
def test_one_mistyped_character_makes_it_no_code(code: str, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, 7))
    wrong = data.draw(st.sampled_from([c for c in ALPHABET if c != code[place]]))

    assert read(code[:place] + wrong + code[place + 1 :]) is None


@given(codes, st.integers(0, 6))
def test_two_characters_that_changed_places_make_it_no_code(code: str, place: int) -> None:
    swapped = code[:place] + code[place + 1] + code[place] + code[place + 2 :]

    assert read(swapped) == (code if swapped == code else None)


@given(codes, st.integers(0, 7), st.sampled_from(ALPHABET))
def test_a_character_too_many_or_too_few_makes_it_no_code(code: str, place: int, extra: str) -> None:
    assert read(code[:place] + code[place + 1 :]) is None
    assert read(code[:place] + extra + code[place:]) is None


@given(codes)
def test_a_code_is_understood_as_people_write_it(code: str) -> None:
    for typed in (code.lower(), shown(code), f" {code[:4]}-{code[4:]}. ", f"{code[:4]}\u2013{code[4:]}\u200b",
                  code.replace("0", "o").replace("1", "l"), code.replace("0", "O").replace("1", "I")):  # fmt: skip
        assert read(typed) == code


@given(st.text(max_size=60))
def test_whatever_is_typed_is_a_code_of_ours_or_none(typed: str) -> None:
    code = read(typed)

    assert code is None or (len(code) == 8 and set(code) <= set(ALPHABET) and read(code) == code)


def test_codes_look_alike_for_nobody_and_are_others_under_another_secret() -> None:
    ours = [make(b"1" * 16, "flood-1", version) for version in range(2000)]
    theirs = [make(b"2" * 16, "flood-1", version) for version in range(2000)]

    assert not set("ILOU") & set("".join(ours))
    assert len(set(ours)) == 2000
    assert not set(ours) & set(theirs)
    for place in range(7):  # every character takes every value: nothing of the incident shows through
        assert {code[place] for code in ours} == set(ALPHABET)


# ---- the signature ---------------------------------------------------------------------------------------------------


def test_a_message_is_signed_by_its_key_and_by_no_other() -> None:
    made = signed(BODY, KEYS.signing)
    other = Ed25519PrivateKey.generate().public_key()

    assert verify(made, PUBLIC) == key_id(KEYS.signing.public_key())
    assert verify(json.loads(json.dumps(made)), keys_in(json.dumps(document(KEYS.signing.public_key()))))
    with pytest.raises(WrongSignatureError, match="not one of those given"):
        verify(made, {key_id(other): other})
    with pytest.raises(WrongSignatureError, match="was changed"):
        verify(made, {key_id(KEYS.signing.public_key()): other})  # another key under the same name


@pytest.mark.parametrize("field", [*BODY, "texts.vi", "new"])
def test_no_field_can_be_changed_added_or_left_out(field: str) -> None:
    made = signed(BODY, KEYS.signing)
    changed: dict[str, Any] = json.loads(json.dumps(made))
    if field == "texts.vi":
        changed["texts"]["vi"] += " "
    else:
        changed[field] = {str: str(changed.get(field)) + "x", int: 1 + int(changed.get("level", 0))}.get(
            type(changed.get(field)), "x"
        )
    with pytest.raises(WrongSignatureError, match="was changed"):
        verify(changed, PUBLIC)
    if field in BODY:
        with pytest.raises(WrongSignatureError):
            verify({name: value for name, value in made.items() if name != field}, PUBLIC)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"level": 3.0}, "float"),
        ({"signature": None}, "bears no signature"),
        ({"signature": "x"}, "has not the form"),
        ({"signature": {"alg": "none", "key": "", "value": ""}}, "signed by 'none'"),
        ({"signature": {"alg": "Ed25519", "key": next(iter(PUBLIC)), "value": "?"}}, "base64"),
        ({"texts": {"vi": "\ud800"}}, "surrogate"),
    ],
)
def test_what_is_no_signed_message_is_said_to_be_none(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(NotSignedError, match=said):
        verify({**signed(BODY, KEYS.signing), **wrong}, PUBLIC)


def test_nothing_nested_without_end_is_walked_through() -> None:
    deep: dict[str, Any] = {}
    for _ in range(5000):
        deep = {"x": deep}
    with pytest.raises(NotSignedError, match="too deep"):
        canonical(deep)


@pytest.mark.server("jq", "openssl")
def test_what_jq_and_openssl_make_of_it_is_the_same(tmp_path: Path) -> None:
    """As docs/how-to/check-a-warning.md tells others to do it, by Debian's programs."""
    for file, content in {"message.json": json.dumps(signed(BODY, KEYS.signing)),
                          "key.json": json.dumps(document(KEYS.signing.public_key()))}.items():  # fmt: skip
        (tmp_path / file).write_text(content, "utf-8")
    commands = _documented_commands()

    def check() -> str:
        return subprocess.run(["sh", "-c", commands], cwd=tmp_path, capture_output=True, text=True, check=False).stdout

    assert "Signature Verified Successfully" in check()
    changed = (tmp_path / "message.json").read_text("utf-8").replace('"level": 3', '"level": 1')
    (tmp_path / "message.json").write_text(changed, "utf-8")
    assert "Signature Verification Failure" in check()


def _documented_commands() -> str:
    text = (Path(__file__).parents[1] / "docs/how-to/check-a-warning.md").read_text("utf-8")
    block = next(block for block in text.split("```") if "openssl pkeyutl" in block)
    return "\n".join(line.removeprefix("$ ") for line in block.splitlines() if line.startswith("$ "))


# ---- the keys --------------------------------------------------------------------------------------------------------


def test_keys_are_made_once_and_for_their_owner_alone(tmp_path: Path) -> None:
    first, again = open_keys(tmp_path), open_keys(tmp_path)

    assert first.code == again.code
    assert signed(BODY, first.signing) == signed(BODY, again.signing)
    assert open_keys_elsewhere(tmp_path).code != first.code
    assert {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in (CODE_FILE, SIGNING_FILE)} == {0o600}
    assert "Secret" not in repr(first)
    assert first.code.hex() not in repr(first)


def open_keys_elsewhere(folder: Path) -> Keys:
    (folder / "elsewhere").mkdir()
    return open_keys(folder / "elsewhere")


@pytest.mark.parametrize("name", [CODE_FILE, SIGNING_FILE])
def test_a_key_that_is_none_is_refused_and_never_replaced(tmp_path: Path, name: str) -> None:
    open_keys(tmp_path)
    (tmp_path / name).write_text("", "ascii")

    with pytest.raises(FolderError, match=f"{name}.*put it back from a backup"):
        open_keys(tmp_path)
    assert (tmp_path / name).read_text("ascii") == ""


def test_a_backup_and_what_is_restored_from_it_hold_the_keys(tmp_path: Path) -> None:
    data, kept, new = tmp_path / "data", tmp_path / "kept", tmp_path / "new"
    Ledger.open(data / "ledger.sqlite").close()
    (data / "journal").mkdir()
    keys, push = open_keys(data), public_text(vapid_key(data))
    backup.take(data, kept, NOW)
    backup.restore(kept, new)

    assert (open_keys(new).code, signed(BODY, open_keys(new).signing)) == (keys.code, signed(BODY, keys.signing))
    assert public_text(vapid_key(new)) == push  # or every browser's subscription would be lost
    for folder in (kept, new):
        assert {stat.S_IMODE((folder / name).stat().st_mode) for name in (CODE_FILE, SIGNING_FILE)} == {0o600}


def test_public_keys_are_read_from_what_we_publish_and_from_pem() -> None:
    public = KEYS.signing.public_key()
    published = document(public)

    assert list(keys_in(json.dumps(published))) == list(keys_in(published["keys"][0]["pem"])) == [key_id(public)]
    for nothing in ("", "{}", '{"keys": []}', '{"keys": [{"crv": "Ed25519", "x": "AA"}]}', "-----BEGIN X-----"):
        with pytest.raises(ValueError, match=r"\w"):
            keys_in(nothing)


def test_the_id_of_a_key_is_that_of_the_standard() -> None:
    """The example of RFC 8037, appendices A.2 and A.3."""
    x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
    assert list(keys_in(json.dumps({"keys": [{"crv": "Ed25519", "x": x}]}))) == [
        "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
    ]


# ---- what a version says, made once ----------------------------------------------------------------------------------


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = Ledger.open(tmp_path / "ledger.sqlite")
    yield opened
    opened.close()


def words(told: Notice, code: str) -> dict[str, Any]:
    return message(told, town_city(), parse_rules(RULES), code=code_lines(code, "https://canhbao.vn/"))


def notary(ledger: Ledger, make_words: Any = words, *, keys: Keys = KEYS, now: int = NOW) -> Notary:
    return Notary(Codes(ledger.store), keys, make_words, now_ms=lambda: now, public_url="https://canhbao.vn/")


def decide(ledger: Ledger, *notices: Notice) -> None:
    ledger.record(Position(ledger.position() + 1), NOW, outcome=Outcome(list(notices)))


def say(ledger: Ledger, seal: Notary) -> None:
    fan_out = FanOut(Outbox(ledger.store), [], seal)
    while fan_out.turn(NOW):
        pass


def kept(ledger: Ledger, seq: int = 1) -> dict[str, Any]:
    body = Outbox(ledger.store).content(seq)
    assert body is not None
    return body


def test_what_is_kept_of_a_version_bears_code_address_time_and_signature(ledger: Ledger) -> None:
    told = notice()
    decide(ledger, told)
    say(ledger, notary(ledger))

    body = kept(ledger)
    assert body["code"] == make(KEYS.code, told.incident, 1)
    assert body["check"] == f"https://canhbao.vn/v/{body['code']}"
    assert all(text.endswith(f": canhbao.vn/v/{body['code']}") for text in body["texts"].values())
    assert body["sent"] == "2022-10-14T11:23:00.000Z"
    assert len(b64decode(body["signature"]["value"])) == 64
    verify(body, PUBLIC)
    found = Codes(ledger.store).find(body["code"])
    assert found is not None
    assert (found.said.notice, found.said.body) == (told, body)


def test_a_restart_keeps_codes_texts_and_signatures(ledger: Ledger, tmp_path: Path) -> None:
    decide(ledger, notice())
    say(ledger, notary(ledger, keys=open_keys(tmp_path)))
    before = kept(ledger)
    ledger.close()

    with_what_was = Ledger.open(tmp_path / "ledger.sqlite")
    decide(with_what_was, notice(version=2, reason=Reason.WORSE, level=4, previous=3))
    say(with_what_was, notary(with_what_was, keys=open_keys(tmp_path), now=NOW + 60_000))
    assert kept(with_what_was, 1) == before
    assert kept(with_what_was, 2)["signature"]["key"] == before["signature"]["key"]
    with_what_was.close()


def test_no_two_versions_share_a_code(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    few = [make(b"", "x", n) for n in range(3)]
    monkeypatch.setattr(short_code, "make", lambda _secret, _incident, _version, attempt=0: few[min(attempt, 2)])
    for area in ("20242", "20260", "20275"):
        decide(ledger, notice(area))
        say(ledger, notary(ledger))

    assert [kept(ledger, seq)["code"] for seq in (1, 2, 3)] == few
    decide(ledger, notice("20300"))
    with pytest.raises(LedgerError, match="no code is free"):
        say(ledger, notary(ledger))
    with pytest.raises(LedgerError, match="UNIQUE"):  # nor does the ledger take one twice
        FanOut(Outbox(ledger.store), [], lambda _: {"code": few[0]}).turn(NOW)


@pytest.mark.parametrize("fault", ["raises", "cannot be signed"])
def test_a_text_that_cannot_be_made_holds_up_no_warning_and_proves_itself_too(
    ledger: Ledger, caplog: pytest.LogCaptureFixture, fault: str
) -> None:
    def broken(told: Notice, code: str) -> dict[str, Any]:
        if fault == "raises":
            raise KeyError(code)
        return {**words(told, code), "level": 2.5}

    decide(ledger, notice())
    with caplog.at_level(logging.CRITICAL):
        say(ledger, notary(ledger, broken))

    body = kept(ledger)
    assert body["texts"]["vi"] == f"Nguy hiểm: ngập lụt, 20242. Kiểm tra: canhbao.vn/v/{body['code']}"
    verify(body, PUBLIC)


@pytest.mark.parametrize(
    ("public_url", "address"),
    [
        ("", "{}"),
        ("https://canhbao.vn/", "canhbao.vn/v/{}"),
        ("http://10.0.0.5:8000/", "http://10.0.0.5:8000/v/{}"),
    ],
)
def test_every_text_ends_with_its_code_and_still_says_what_to_do(public_url: str, address: str) -> None:
    told, page_url = notice(level=4), "https://canhbao.vn/" + "x" * 250
    made = message(told, town_city(), parse_rules(RULES), page_url=page_url, code=code_lines("ABCD2345", public_url))
    bare = bare_message(told, code=code_lines("ABCD2345", public_url))

    for lang, start in (("vi", "Kiểm tra" if public_url else "Mã"), ("en", "Check" if public_url else "Code")):
        assert made["texts"][lang].endswith(f" {start}: {address.format('ABCD2345')}")
        assert what_to_do("flood", 4, "vi" if lang == "vi" else "en") in made["texts"][lang]
        assert len(made["texts"][lang]) <= TEXT_MOST
        assert bare["texts"][lang].endswith(f" {start}: {address.format('ABCD2345')}")


def test_a_drill_says_so_first_whatever_makes_its_text() -> None:
    told = replace(notice(), drill=True)

    for made in (message(told, town_city(), parse_rules(RULES)), bare_message(told)):
        assert made["exercise"] is True
        assert made["texts"]["vi"].startswith("DIỄN TẬP")
        assert made["texts"]["en"].startswith("EXERCISE")


# ---- the verdict -----------------------------------------------------------------------------------------------------


def test_a_version_is_genuine_while_it_is_the_newest_of_what_is_in_force() -> None:
    first, worse = notice(), notice(version=2, reason=Reason.WORSE, level=4, previous=3)

    assert verdict(first, first, closed=False) is Verdict.GENUINE
    assert verdict(first, worse, closed=False) is Verdict.SUPERSEDED
    assert verdict(worse, worse, closed=False) is Verdict.GENUINE
    assert verdict(worse, worse, closed=True) is Verdict.OVER
    for reason in ENDS:
        end = notice(version=3, reason=reason, level=0, previous=4)
        wanted = Verdict.WITHDRAWN if reason is Reason.WITHDRAWN else Verdict.OVER
        assert {verdict(said, end, closed=True) for said in (first, worse, end)} == {wanted}
    again = notice(version=4, reason=Reason.FIRST, level=2)
    assert verdict(notice(version=3, reason=Reason.OVER, level=0), again, closed=False) is Verdict.SUPERSEDED


def test_what_is_planned_is_over_at_its_announced_end_though_no_incident_of_it_closes(ledger: Ledger) -> None:
    planned = Planned(NOW + 3_600_000, NOW + 7_200_000, "PC: feeder 471")
    told = replace(notice(level=1), incident="outage-1.20242", reason=Reason.PLANNED, planned=planned, cause=None)
    decide(ledger, told)
    say(ledger, notary(ledger))
    code = kept(ledger)["code"]
    coded = Codes(ledger.store).find(code)
    assert coded is not None

    assert check(code, coded, PUBLIC, planned.until - 1).verdict is Verdict.GENUINE
    assert check(code, coded, PUBLIC, planned.until).verdict is Verdict.OVER
