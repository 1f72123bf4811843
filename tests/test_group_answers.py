"""Leaders answer, by link and by reply; operators see who was told, who answered what, and who is silent."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import msgspec
import pytest
from faces import MINUTE, NOW
from group_house import API, KINDS, PHONES, SEAL, SECRET, Groups, groups_in
from post_stage import Provider, first, later, stage

from alerts.delivery.parcel import Status
from alerts.incidents.incident import Reason
from alerts.people.group import NewGroup, NewLeader, Way
from alerts.people.group_state import Says, State
from alerts.people.resident import Choice, Subscription, Wanted
from alerts.people.user import Role, User
from alerts.residents import schema
from alerts.residents.answer_keys import answer_key
from alerts.residents.book import Book
from alerts.residents.endings import ANSWERS_KEPT_MS, sweep
from alerts.residents.ground import Ground
from alerts.residents.group_desk import TOTALS_AGE_MS, GroupDesk
from alerts.residents.group_overview import overview
from alerts.residents.limits import SignUpLimits
from alerts.residents.replies import BACK_EACH_MS, REPEATS_MS, REPLIES_LIVE_MS
from alerts.residents.store import open_residents
from alerts.web.group_answers import ANSWERS_BURST, WRONG_BURST

FLOOD, RAIN, SOUTH, DRILL = "flood.north-1.1", "rain.north-1.1", "flood.south.1", "flood.north.1"


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Groups]:
    with groups_in(tmp_path) as made:
        yield made


def link(house: Groups, phone: str, incident: str = FLOOD) -> str:
    return answer_key(SEAL, house.contact(phone), incident)


def by_link(house: Groups, token: str, says: str = "told", note: str = "") -> int:
    return house.client.post(f"{API}/groups/answer", json={"token": token, "says": says, "note": note}).status_code


def errands(house: Groups) -> list[str]:
    """What is to be said back, in the order in which it was decided."""
    opened = [msgspec.json.decode(SEAL.open(row.body, f"errand {row.id}")) for row in house.rows(schema.errand)]
    return [one["kind"] for one in opened]


def test_a_reply_and_a_link_are_seen_by_operators_with_times_and_versions(house: Groups) -> None:
    one, two, three, four = (house.group("north-1", f"Tổ {n}", PHONES[n], households=10 * n + 10) for n in range(4))
    house.tell(FLOOD, to=PHONES[:3])
    assert house.says(PHONES[0], "1. Đã báo").status_code == 204
    assert by_link(house, link(house, PHONES[1]), "needs_help", "cụ Hai, số 12") == 200
    answer = house.ask("machine", "GET", f"{API}/alerts/{FLOOD}/groups").json()
    assert [(group["id"], group["state"]) for group in answer["groups"]] == [
        (two, "needs_help"), (four, "not_reached"), (three, "no_answer"), (one, "told"),
    ]  # fmt: skip
    assert answer["asked_version"] == 1
    counted = {state: (count["groups"], count["households"]) for state, count in answer["counts"].items()}
    assert counted["needs_help"] == (1, 20)
    assert counted["no_answer"] == (1, 30)
    assert counted["told_before"] == (0, 0)
    [said] = answer["groups"][0]["answers"]
    assert said == {"at": "2022-10-14T18:23:00.000+07:00", "says": "needs_help", "version": 1,
                    "by": f"contact {house.contact(PHONES[1])}", "note": "cụ Hai, số 12"}  # fmt: skip
    [sent] = answer["groups"][0]["sent"]
    assert (sent["status"], sent["ends"], sent["sent_at"]) == ("sent", "002", "2022-10-14T18:23:00.000+07:00")
    only = house.ask("machine", "GET", f"{API}/alerts/{FLOOD}/groups?state=no_answer").json()["groups"]
    assert [group["id"] for group in only] == [three]


def test_whoever_answered_before_it_grew_worse_is_asked_again(house: Groups) -> None:
    told, calls = house.group("north-1", "Tổ 1", PHONES[0]), house.group("north-1", "Tổ 2", PHONES[1])
    house.tell(FLOOD, to=PHONES[:2])
    house.says(PHONES[0], "1")
    house.says(PHONES[1], "2")
    house.tell(FLOOD, 2, Reason.WORSE, to=PHONES[:2], level=4)
    assert (house.state(FLOOD, told), house.state(FLOOD, calls)) == ("told_before", "needs_help")
    house.says(PHONES[0], "1")
    assert house.state(FLOOD, told) == "told"
    house.tell(FLOOD, 3, Reason.OVER, to=PHONES[:2], level=0)
    assert house.state(FLOOD, told) == "told", "an end asks nothing"
    assert [row.version for row in house.rows(schema.answer)] == [1, 1, 2]


def test_two_leaders_speak_for_themselves_and_an_operator_for_both(house: Groups) -> None:
    group = house.group("north-1", "Tổ 1", PHONES[0], PHONES[1])
    house.tell(FLOOD, to=PHONES[:2])
    house.says(PHONES[0], "2 nha ba Tu")
    house.says(PHONES[1], "1")
    assert house.state(FLOOD, group) == "needs_help"
    path = f"{API}/alerts/{FLOOD}/groups/{group}/answer"
    house.engage("ward", Role.OPERATOR, ("north-1",), ("flood",))
    assert house.ask("ward", "POST", path, {"says": "told", "note": "gọi lại: xong"}).status_code == 200
    assert house.state(FLOOD, group) == "told"
    house.ask("ward", "POST", path, {"says": "told", "note": "gọi lại: xong"})
    assert [row.by for row in house.rows(schema.answer)][2:] == ["ward"]
    assert house.audited.count("group_answer") == 1


def test_what_cannot_be_read_is_kept_for_a_person_and_both_is_asked_again_once(house: Groups) -> None:
    group = house.group("north-1", "Tổ 1", PHONES[0])
    house.tell(FLOOD, to=PHONES[:1])
    for text in ("1 2", "1 hay 2"):
        house.says(PHONES[0], text)
    assert errands(house) == ["answer_again"]
    house.town.now_ms += BACK_EACH_MS
    house.says(PHONES[0], "2 1")
    assert errands(house) == ["answer_again"] * 2
    house.says(PHONES[0], "nước lên <b>nhanh</b>\u202e quá")
    [shown] = house.ask("machine", "GET", f"{API}/alerts/{FLOOD}/groups").json()["groups"]
    assert shown["state"] == "unclear"
    assert shown["answers"][0]["note"] == "nước lên b nhanh /b quá"
    house.says(PHONES[0], "1")
    assert house.state(FLOOD, group) == "told"
    assert len(errands(house)) == 2


def test_a_reply_comes_once_whatever_its_provider_repeats(house: Groups) -> None:
    group = house.group("north-1", "Tổ 1", PHONES[0])
    house.tell(FLOOD, to=PHONES[:1])
    house.says(PHONES[0], "2", id_="m-1")
    house.says(PHONES[0], "1", id_="m-2")
    house.says(PHONES[0], "2", id_="m-1")
    assert house.state(FLOOD, group) == "told", "an old message that came again is no new one"
    house.says(PHONES[0], "1")
    house.says(PHONES[0], "1")
    assert [row.says for row in house.rows(schema.answer)] == ["needs_help", "told"], "nor is the same word again"
    house.town.now_ms += REPEATS_MS + 1
    house.says(PHONES[0], "1", id_="m-3")
    assert len(house.rows(schema.reply)) == 1, "numbers are kept for as long as they may come again"


def test_strangers_learn_nothing_and_leave_nothing(house: Groups) -> None:
    house.group("north-1", "Tổ 1", PHONES[0])
    house.tell(FLOOD, to=PHONES[:1])
    known, unknown = house.says(PHONES[0], "1", id_="a"), house.says(PHONES[3], "1", id_="b")
    assert (known.status_code, known.content) == (unknown.status_code, unknown.content) == (204, b"")
    assert set(known.headers) == set(unknown.headers)
    assert len(house.rows(schema.answer)) == len(house.rows(schema.reply)) == 1
    assert 'canhbao_group_replies_total{outcome="stranger"} 1' in house.client.get("/metrics").text


def test_only_the_provider_brings_replies(house: Groups) -> None:
    house.group("north-1", "Tổ 1", PHONES[0])
    house.tell(FLOOD, to=PHONES[:1])
    for secret in ("", SECRET[:-1], SECRET + "x"):
        assert house.says(PHONES[0], "1", secret=secret).status_code == 403
    assert house.client.post(f"{API}/replies/sms", json={"from": PHONES[0], "text": "1"}).status_code == 403
    good = {"X-Canhbao-Secret": SECRET}
    one = {"from": PHONES[0], "text": "1"}
    for body in ({"from": PHONES[0]}, one | {"from": "0900"}, {}):
        answer = house.client.post(f"{API}/replies/sms", json=body, headers=good)
        assert answer.status_code == 422
        assert PHONES[0] not in answer.text
    assert house.client.post(f"{API}/replies/fax", json={}, headers=good).status_code == 404
    assert house.client.post(f"{API}/replies/sms", content=b"x" * 16_385, headers=good).status_code == 413
    assert not house.rows(schema.answer)
    codes = [house.says(PHONES[0], "1", secret="wrong").status_code for _ in range(int(WRONG_BURST))]
    assert codes[-1] == 429
    assert house.says(PHONES[0], "1").status_code == 204, "the right one is let in all the same"


def test_an_answer_is_to_what_was_told_last_and_to_all_that_was_told_together(house: Groups) -> None:
    group = house.group("north-1", "Tổ 1", PHONES[0])
    house.tell(RAIN, to=PHONES[:1])
    house.tell(FLOOD, to=PHONES[:1])
    house.says(PHONES[0], "1")
    assert (house.state(FLOOD, group), house.state(RAIN, group)) == ("told", "no_answer")
    other = house.group("north-1", "Tổ 2", PHONES[1])
    [head] = house.tell("flood.north-1.2", to=PHONES[1:2])
    house.tell("rain.north-1.2", to=PHONES[1:2], status=Status.MERGED, leader=head)
    assert house.state("rain.north-1.2", other) == "no_answer", "it went out with the other"
    house.says(PHONES[1], "2")
    assert {house.state(f"{hazard}.north-1.2", other) for hazard in ("flood", "rain")} == {"needs_help"}


@pytest.mark.parametrize(
    ("status", "maybe", "counts"),
    [(Status.SENT, False, True), (Status.SENDING, False, True), (Status.DEAD, True, True), (Status.DEAD, False, False),
     (Status.QUEUED, False, False), (Status.CAPPED, False, False), (Status.SUPERSEDED, False, False)],
)  # fmt: skip
def test_only_what_can_have_arrived_is_answered(house: Groups, status: Status, maybe: bool, counts: bool) -> None:
    house.group("north-1", "Tổ 1", PHONES[0])
    house.tell(FLOOD, to=PHONES[:1], status=status, maybe=maybe)
    assert house.says(PHONES[0], "2").status_code == 204
    assert len(house.rows(schema.answer)) == counts
    assert errands(house) == ([] if counts else ["nothing_asked"]), "silence would be taken for help on its way"
    assert by_link(house, link(house, PHONES[0])) == (200 if counts else 404)


def test_answers_are_taken_for_a_while(house: Groups) -> None:
    house.group("north-1", "Tổ 1", PHONES[0])
    house.tell(FLOOD, to=PHONES[:1])
    token = link(house, PHONES[0])
    house.town.now_ms = NOW + REPLIES_LIVE_MS + 1
    house.says(PHONES[0], "1")
    assert not house.rows(schema.answer)
    assert by_link(house, token) == 200
    house.town.now_ms = NOW + 73 * 60 * MINUTE
    assert by_link(house, token, "needs_help") == 404


def test_a_link_opens_one_warning_for_one_contact_and_is_answered_alike_whatever_is_wrong(house: Groups) -> None:
    one = house.group("north-1", "Tổ 1", PHONES[0])
    two = house.group("north-1", "Tổ 2", PHONES[1])
    house.tell(FLOOD, to=PHONES[:2])
    house.tell(RAIN, to=PHONES[:2])
    assert by_link(house, link(house, PHONES[0], RAIN)) == 200
    assert (house.state(RAIN, one), house.state(FLOOD, one), house.state(RAIN, two)) == (
        "told",
        "no_answer",
        "no_answer",
    )
    number, _, code = link(house, PHONES[0]).partition("-")
    other, _, others = link(house, PHONES[1]).partition("-")
    wrong = (f"{number}-{others}", f"{other}-{code}", f"{number}-{'a' * 16}", f"99-{code}", "", "x",
             answer_key(SEAL, house.contact(PHONES[0]), SOUTH), f"{number}-{code}\n")  # fmt: skip
    answers = {house.client.post(f"{API}/groups/answer", json={"token": token, "says": "told"}).text for token in wrong}
    assert len(answers) == 1
    assert house.state(FLOOD, one) == "no_answer"
    for body in ({"token": "x", "says": "maybe"}, {"token": "x" * 41, "says": "told"}, {"says": "told"}):
        assert house.client.post(f"{API}/groups/answer", json=body).status_code == 422


def test_many_wrong_links_have_to_wait_and_one_link_says_little(house: Groups) -> None:
    house.group("north-1", "Tổ 1", PHONES[0])
    house.tell(FLOOD, to=PHONES[:1])
    codes = [by_link(house, f"{n}-{'a' * 16}") for n in range(1, int(WRONG_BURST) + 5)]
    assert (codes[0], codes[-1]) == (404, 429)
    token = link(house, PHONES[0])
    codes = [by_link(house, token, "told" if n % 2 else "needs_help") for n in range(int(ANSWERS_BURST) + 2)]
    assert (codes[0], codes[-1]) == (200, 429), "a right one is let in, but not for ever"


def test_who_has_ended_answers_nothing_more(house: Groups) -> None:
    group = house.group("north-1", "Tổ 1", PHONES[0])
    house.tell(FLOOD, to=PHONES[:1])
    token = link(house, PHONES[0])
    assert house.says(PHONES[0], "Từ chối").status_code == 204
    assert not house.rows(schema.target)
    assert by_link(house, token) == 404
    house.says(PHONES[0], "2")
    assert not house.rows(schema.answer)
    assert [row.text for row in house.rows(schema.consent)][1:] == ["ended by his reply"]
    [shown] = house.ask("machine", "GET", f"{API}/groups").json()["groups"]
    assert (shown["id"], shown["leaders"]) == (group, [])


def test_a_subscriber_ends_by_the_same_words_and_by_no_others(house: Groups) -> None:
    book = Book(house.residents, SEAL, SignUpLimits(lambda: 0.0), "")
    choice = Choice((Subscription("north-1", "flood", 2),))
    wanted = [Wanted("sms", "sms", PHONES[0]), Wanted("sms", "sms", PHONES[1])]
    for asked in book.sign_up(choice, wanted, house.town.view.city, NOW):
        with house.residents.writing() as db:
            book._confirmed(db, 1, asked.contact, NOW, house.town.view.city)
    house.appoint(house.group("north-1", "Tổ 1"), PHONES[1])

    house.says(PHONES[0], "2 cứu với")
    assert {row.contact for row in house.rows(schema.target)} == {1, 2, 3}
    for phone in PHONES[:2]:  # the second one leads a group as well, and wants nothing more of either
        assert house.says(phone, "TC").status_code == 204
    assert not house.rows(schema.target)
    assert {row.state for row in house.rows(schema.contact)} == {"ended"}
    assert not any(row.address or row.digest for row in house.rows(schema.contact))
    assert [row.what for row in house.rows(schema.consent)].count("ended") == 3
    book.sweep(NOW)
    assert not house.residents.path.with_name("residents.sqlite-wal").stat().st_size, "old pages hold addresses"


def test_notes_go_after_as_long_as_the_journal(house: Groups) -> None:
    house.group("north-1", "Tổ 1", PHONES[0])
    house.tell(FLOOD, to=PHONES[:1])
    house.says(PHONES[0], "2 cụ Hai số 12")
    for late, left in ((0, 1), (1, 0)):
        with house.residents.writing() as db:
            sweep(db, NOW + ANSWERS_KEPT_MS - 1 + late)
        assert len(house.rows(schema.answer)) == left


def test_who_only_looks_on_reads_no_notes(house: Groups) -> None:
    house.group("north-1", "Tổ 1", PHONES[0])
    house.tell(FLOOD, to=PHONES[:1])
    house.says(PHONES[0], "2 cụ Hai số 12")
    for role in (Role.VIEWER, Role.OPERATOR):
        house.engage(role.value, role)
        for path in (f"{API}/alerts/{FLOOD}/groups", f"/ioc/alerts/{FLOOD}/groups"):
            text = house.ask(role.value, "GET", path).text
            assert "needs_help" in text or "Cần giúp" in text
            assert ("cụ Hai" in text) == (role is Role.OPERATOR), (role, path)


def test_scope_of_the_overview_the_sheet_and_the_written_answer(house: Groups) -> None:
    inside, outside = house.group("north-1", "Tổ 1", PHONES[0]), house.group("north-2", "Tổ 2", PHONES[1])
    house.tell(DRILL, to=PHONES[:2])
    both = {inside, outside}
    for who, role, areas, hazards, sees in (
        ("all", Role.VIEWER, (), (), both), ("north", Role.OPERATOR, ("north",), ("flood",), both),
        ("ward", Role.OPERATOR, ("north-1",), (), {inside}), ("south", Role.ADMIN, ("south",), (), None),
        ("power", Role.ADMIN, (), ("power",), None),
    ):  # fmt: skip
        house.engage(who, role, areas, hazards)
        answer = house.ask(who, "GET", f"{API}/alerts/{DRILL}/groups")
        sheet = house.ask(who, "GET", f"/ioc/alerts/{DRILL}/groups")
        assert answer.status_code == sheet.status_code == (403 if sees is None else 200), who
        if sees is not None:
            assert {one["id"] for one in answer.json()["groups"]} == sees
            assert ("Tổ 2" in sheet.text) == (outside in sees)
            assert ("…001" in sheet.text) == (role is not Role.VIEWER)
        for group in (inside, outside):
            given = house.ask(who, "POST", f"{API}/alerts/{DRILL}/groups/{group}/answer", {"says": "told"})
            may = sees is not None and group in sees and role is not Role.VIEWER
            assert given.status_code == (200 if may else 403), (who, group)
    assert house.ask("machine", "GET", f"{API}/alerts/nothing/groups").status_code == 404
    assert house.client.get(f"/ioc/alerts/{DRILL}/groups").status_code == 401
    house.tell(SOUTH)
    path = f"{API}/alerts/{SOUTH}/groups/{inside}/answer"
    assert house.ask("machine", "POST", path, {"says": "told"}).status_code == 404, "the warning does not concern it"


def test_the_sheet_has_who_needs_help_on_top_and_no_script(house: Groups) -> None:
    house.group("north-1", "Tổ A", PHONES[0], households=12)
    house.group("north-2", "Tổ B", PHONES[1], households=34)
    house.tell(DRILL, to=PHONES[:2])
    house.says(PHONES[1], "2 <script>alert()</script>")
    text = house.ask("machine", "GET", f"/ioc/alerts/{DRILL}/groups").text
    assert text.index("Tổ B") < text.index("Tổ A")
    assert "<script" not in text
    for part in (
        "Cần giúp",
        "Needs help",
        "18:23 14/10",
        "☐",
        "Khu north-1",
        "Chưa trả lời",
        "2 script alert() /script",
    ):
        assert part in text, part


def test_what_the_post_sends_to_a_leader_is_answered_by_its_link_and_by_reply(tmp_path: Path) -> None:
    """The whole way but for the provider: appointed, told, asked, answered, asked again, told worse, seen."""
    sms, zalo = Provider("sms"), Provider("zalo")
    with stage(tmp_path, sms, zalo) as on, closing(open_residents(tmp_path)) as residents:
        by = User("operator", Role.ADMIN)
        ground = Ground(residents, on.ledger.store, on.seal, KINDS, lambda: on.city, lambda: ("flood",), lambda: on.now)
        desk = GroupDesk(ground, on.store)
        group = desk.groups.add(NewGroup("A", "Tổ 1", 80), by).id
        desk.groups.add_leader(group, NewLeader("vi", (Way("sms", PHONES[0]),)), by)

        def state(version: int) -> State:
            [one] = overview(residents, on.store, ["A"], "flood.A", version, notes=on.seal, ends=None)
            return one.state

        warning = first(level=3)
        assert state(1) is State.NOT_REACHED
        on.decide(warning)
        on.play()
        [parcel] = sms.got
        assert parcel.address == PHONES[0]
        assert state(1) is State.NO_ANSWER
        token = parcel.body["texts"]["vi"].rpartition("#")[2]
        given = desk.link(token, Says.NEEDS_HELP, "")
        assert given is not None
        assert (given.name, given.incidents, state(1)) == ("Tổ 1", ("flood.A",), State.NEEDS_HELP)
        assert desk.reply("sms", PHONES[0], "1 2", "m-1").says is Says.UNCLEAR
        on.play()
        assert "Chỉ nhắn một số" in sms.got[1].body["texts"]["vi"]
        on.now += MINUTE
        on.decide(later(warning, Reason.WORSE, 4, on.now))
        on.play()
        assert sms.got[2].body["texts"]["vi"].endswith(token), "one link a warning, whatever its version"
        assert desk.reply("sms", PHONES[0], "1", "m-2").says is Says.TOLD
        assert state(2) is State.TOLD


def test_the_page_of_a_link_is_the_same_for_everybody(house: Groups) -> None:
    vi, en = house.client.get("/g"), house.client.get("/g?lang=en")
    assert "Đã báo các hộ" in vi.text
    assert "Households told" in en.text
    assert vi.headers["cache-control"] == "no-store"
    assert house.client.get("/static/group.js").status_code == 200


def test_neither_address_nor_note_stands_in_a_log_a_metric_or_a_file(
    house: Groups, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:  # fmt: skip
    caplog.set_level(logging.DEBUG)
    house.group("north-1", "Tổ 1", PHONES[0])
    house.tell(FLOOD, to=PHONES[:1])
    house.says(PHONES[0], "2 ba Tu so 12", id_="id-of-900000001")
    by_link(house, link(house, PHONES[0]), "needs_help", "ba Tu so 12")
    house.town.now_ms += TOTALS_AGE_MS  # they may have been counted before
    metrics = house.client.get("/metrics").text
    assert 'canhbao_group_alerts{state="needs_help"} 1' in metrics
    assert 'canhbao_group_links_total{outcome="answered"} 1' in metrics
    held = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    audit = house.ask("machine", "GET", f"{API}/audit").text
    for secret in ("900000001", "ba Tu", link(house, PHONES[0])):
        assert secret not in caplog.text + metrics + audit
        assert secret.encode() not in held
    assert "needs help" in caplog.text
