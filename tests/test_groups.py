"""Ward groups over HTTP: who may make them, what leaders hear of, what is left of them when they end."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from pathlib import Path

import httpx
import pytest
from faces import Town, serving, town_view
from group_house import API, PHONES, SEAL, Groups, groups_in
from test_operators import MACHINE, city

from alerts.people.group import GROUPS_MOST, LEADERS_MOST
from alerts.people.user import Role
from alerts.residents import schema
from alerts.residents.ground import Ground
from alerts.residents.groups import Groups as GroupKeeper
from alerts.web.app import create_app
from alerts.web.sources import Desks

LIST = "area,group,households,leader_channel,leader_address,lang\n"


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Groups]:
    with groups_in(tmp_path) as made:
        yield made


def targets(house: Groups) -> set[tuple[str, str, int, int]]:
    return {(row.area, row.hazard, row.contact, row.floor) for row in house.rows(schema.target)}


def test_a_leader_hears_of_every_hazard_of_his_area_from_warning_and_of_nothing_once_he_has_ended(
    house: Groups,
) -> None:
    first, second = house.group("north-1", "Tổ 1", PHONES[0]), house.group("south", "Tổ 2", PHONES[1])
    hazards = {"flood", "rain", "storm", "landslide", "reservoir", "evacuation", "school_closure"}
    contacts = {area: house.contact(phone) for area, phone in (("north-1", PHONES[0]), ("south", PHONES[1]))}
    assert targets(house) == {(area, hazard, contacts[area], 2) for area in contacts for hazard in hazards}
    assert house.ask("machine", "DELETE", f"{API}/groups/{first}").json() == {"leaders": 1}
    assert {row[0] for row in targets(house)} == {"south"}
    [leader] = house.ask("machine", "GET", f"{API}/groups").json()["groups"][0]["leaders"]
    assert house.ask("machine", "DELETE", f"{API}/groups/{second}/leaders/{leader['id']}").status_code == 200
    assert not targets(house)
    assert {(row.address, row.digest, row.state) for row in house.rows(schema.contact)} == {(b"", b"", "ended")}
    log = [(row.resident, row.what, row.text) for row in house.rows(schema.consent)]
    assert log == [
        (1, "appointed", "appointed by operator"), (2, "appointed", "appointed by operator"),
        (1, "ended", "the group was ended by operator"), (2, "ended", "ended by operator"),
    ]  # fmt: skip


def test_a_rule_for_a_new_hazard_reaches_the_leaders(house: Groups) -> None:
    house.group("north-1", "Tổ 1", PHONES[0])
    ended = house.group("south", "Tổ 2", PHONES[1])
    house.ask("machine", "DELETE", f"{API}/groups/{ended}")
    desk = GroupKeeper(Ground(**{
        name: getattr(house.ground, name) for name in ("store", "ledger", "seal", "kinds", "city", "now_ms")
    }, rules=lambda: ("flood", "power", "toilet")))  # fmt: skip
    assert desk.keep_aim() == 1
    heard = {row[1] for row in targets(house)}
    assert {"flood", "power"} <= heard
    assert not {"rain", "school", "toilet"} & heard
    assert desk.keep_aim() == 0


def test_the_same_again_changes_nothing_and_everything_else_is_audited(house: Groups) -> None:
    sent = {"area": "north-1", "name": " Tổ  12 ", "households": 85}
    first = house.ask("machine", "POST", f"{API}/groups", sent).json()
    assert first == {"id": 1, "area": "north-1", "name": "Tổ 12", "households": 85, "leaders": []}
    assert house.ask("machine", "POST", f"{API}/groups", sent).json() == first
    assert house.ask("machine", "POST", f"{API}/groups", sent | {"households": 3}).status_code == 409
    shown = house.appoint(1, "+84 900 000 001").json()["leaders"]
    assert shown == house.appoint(1, PHONES[0]).json()["leaders"]
    assert [contact["ends"] for leader in shown for contact in leader["contacts"]] == ["001"]
    patch = {"households": 90, "name": "Tổ 13"}
    changed = house.ask("machine", "PATCH", f"{API}/groups/1", patch).json()
    assert (changed["name"], changed["households"]) == ("Tổ 13", 90)
    house.ask("machine", "PATCH", f"{API}/groups/1", patch)
    house.ask("machine", "DELETE", f"{API}/groups/1")
    assert house.ask("machine", "DELETE", f"{API}/groups/1").status_code == 404
    assert house.audited == ["group_add", "leader_add", "group_change", "group_end"]
    again = house.ask("machine", "POST", f"{API}/groups", sent | {"name": "Tổ 13"}).json()
    assert again["id"] == 1, "what has ended begins again under its number"
    assert again["leaders"] == [], "without those who have ended"


def test_a_key_names_one_act(house: Groups) -> None:
    key = {"Idempotency-Key": "k1"}
    sent = {"area": "north-1", "name": "Tổ 1", "households": 1}
    assert house.ask("machine", "POST", f"{API}/groups", sent, headers=key).status_code == 200
    assert house.ask("machine", "POST", f"{API}/groups", sent, headers=key).status_code == 200
    other = house.ask("machine", "POST", f"{API}/groups", sent | {"name": "Tổ 2"}, headers=key)
    assert other.status_code == 409
    assert [row.name for row in house.rows(schema.group)] == ["Tổ 1"], "what is not audited is not done"


def test_nobody_leads_two_groups_and_no_answer_repeats_an_address(house: Groups) -> None:
    house.group("north-1", "Tổ 1", PHONES[0])
    second = house.group("north-1", "Tổ 2")
    taken = house.appoint(second, PHONES[0])
    assert (taken.status_code, taken.json()["detail"]) == (409, "this address leads another group")
    for contacts in (
        [{"channel": "sms", "address": "0900-secret"}], [{"channel": "fax", "address": PHONES[1]}],
        [{"channel": "sms", "address": PHONES[1]}, {"channel": "sms", "address": "+84 900 000 002"}],
        [{"channel": "sms", "address": PHONES[1], "fallback": True}], [],
    ):  # fmt: skip
        answer = house.ask("machine", "POST", f"{API}/groups/{second}/leaders", {"contacts": contacts})
        assert answer.status_code == 422, contacts
        assert "secret" not in answer.text
        assert "900" not in answer.text or "such as" in answer.text
    house.ask("machine", "DELETE", f"{API}/groups/1")
    assert house.appoint(second, PHONES[0]).status_code == 200, "free again once its leader has ended"
    for n in range(LEADERS_MOST):
        last = house.appoint(second, f"+849110000{n:02}")
    assert (last.status_code, last.json()["detail"]) == (409, f"the group has {LEADERS_MOST} leaders already")
    for name in ("", "<b>", "=1+1", "x" * 81, "a\u202eb"):
        sent = {"area": "north-1", "name": name, "households": 1}
        assert house.ask("machine", "POST", f"{API}/groups", sent).status_code == 422, name


def test_a_fallback_is_no_target_and_a_second_channel_is_one(house: Groups) -> None:
    group = house.group("north-1", "Tổ 1")
    contacts = [{"channel": "sms", "address": PHONES[0], "fallback": True}, {"channel": "zalo", "address": PHONES[0]}]
    house.ask("machine", "POST", f"{API}/groups/{group}/leaders", {"contacts": contacts})
    assert {row[2] for row in targets(house)} == {house.contact(PHONES[0], "zalo")}


# Who does what to which area, and who may: viewer, operator, approver, admin.
SCOPES = ((), ("north",), ("north-1",), ("south",))
WITHIN = {(), ("north",), ("north-1",)}  # of SCOPES, those that hold north-1


def test_every_role_tries_everything_in_and_out_of_its_scope(house: Groups) -> None:
    group = house.group("north-1", "Tổ 1", PHONES[0])
    tried = 0
    for (k, role), areas in product(enumerate(Role), SCOPES):
        for hazards in ((), ("flood",)):
            who = f"u{tried}"
            house.engage(who, role, areas, hazards)
            new = {"area": "north-1", "name": f"Tổ {who}", "households": 1}
            leader = {"contacts": [{"channel": "sms", "address": PHONES[0]}]}
            line = f"{LIST}north-1,Tổ 1,80,sms,{PHONES[0]},vi\n".encode()
            made = house.group("north-1", f"Bỏ {who}")
            may = k >= 1 and areas in WITHIN and not hazards
            for method, path, body in (
                ("POST", "groups", new), ("PATCH", f"groups/{group}", {"households": 80}),
                ("POST", f"groups/{group}/leaders", leader), ("DELETE", f"groups/{made}", None),
            ):  # fmt: skip
                answer = house.ask(who, method, f"{API}/{path}", body)
                assert answer.status_code == (200 if may else 403), (role, areas, hazards, path, answer.text)
                tried += 1
            answer = house.ask(who, "POST", f"{API}/groups/import", line)
            assert answer.status_code == (200 if may else 403 if k == 0 else 422), (role, areas, hazards, answer.text)
            seen = house.ask(who, "GET", f"{API}/groups?limit=500").json()["groups"]
            assert {one["area"] for one in seen} == ({"north-1"} if areas in WITHIN else set())
            ends = {contact["ends"] for one in seen for led in one["leaders"] for contact in led["contacts"]}
            assert ends == (set() if areas not in WITHIN else {""} if k == 0 else {"001"})
    assert tried == len(Role) * len(SCOPES) * 2 * 4


def test_pages_go_on_where_the_last_one_ended(house: Groups) -> None:
    for n in range(5):
        house.group("north-1" if n % 2 else "south", f"Tổ {n}")
    seen: list[str] = []
    cursor: int | None = 0
    while cursor is not None:
        page = house.ask("machine", "GET", f"{API}/groups?limit=2&cursor={cursor}").json()
        seen += [one["name"] for one in page["groups"]]
        cursor = page["next"]
    assert seen == [f"Tổ {n}" for n in range(5)]
    north = house.ask("machine", "GET", f"{API}/groups?area=north").json()
    assert [one["name"] for one in north["groups"]] == ["Tổ 1", "Tổ 3"]
    assert house.ask("machine", "GET", f"{API}/groups?area=nowhere").status_code == 422


def bring(house: Groups, text: str, who: str = "machine", query: str = "") -> tuple[int, dict[str, object]]:
    answer = house.ask(who, "POST", f"{API}/groups/import{query}", text.encode(), headers={"Content-Type": "text/csv"})
    return answer.status_code, answer.json()


def test_a_list_is_brought_whole_or_not_at_all_and_again_changes_nothing(house: Groups) -> None:
    two = f'north-1,"Tổ 1, khu A",80,sms,{PHONES[0]},vi\r\nnorth-1,"Tổ 1, khu A",80,zalo,{PHONES[1]},en'
    good = f"\ufeff{LIST}{two}\r\n\r\nsouth,Tổ 2,40,,,\r\n"
    counts = {"lines": 3, "groups_added": 2, "groups_changed": 0, "leaders_added": 2, "errors": [], "errors_more": 0}
    assert bring(house, good, query="?dry_run=true") == (200, counts | {"applied": False})
    assert not house.rows(schema.group) + house.rows(schema.contact) + house.rows(schema.target)
    assert house.audited == [], "a dry run is no act"
    assert bring(house, good) == (200, counts | {"applied": True})
    nothing = counts | {"groups_added": 0, "leaders_added": 0, "applied": True}
    assert bring(house, good) == (200, nothing)
    assert bring(house, good.replace(",80,", ",81,")) == (200, nothing | {"groups_changed": 1})
    assert house.audited == ["groups_import", "groups_import"]
    assert [(row.name, row.households) for row in house.rows(schema.group)] == [("Tổ 1, khu A", 81), ("Tổ 2", 40)]


def test_each_wrong_line_is_told_by_its_number_and_without_what_stood_there(house: Groups) -> None:
    house.engage("ward", Role.OPERATOR, ("north-1",))
    house.group("south", "Tổ 9", PHONES[4])
    lines = (
        "nowhere,Tổ 1,80,,,", "south,Tổ 1,80,,,", "north-1,<b>,80,,,", "north-1,Tổ 1,many,,,", "north-1,Tổ 1,80,sms,,",
        "north-1,Tổ 1,80,fax,09secret,vi", "north-1,Tổ 1,80,sms,09secret,vi", f"north-1,Tổ 1,80,sms,{PHONES[0]},fr",
        "north-1,Tổ 1,81,,,", "north-1,Tổ 1", f"north-1,Tổ 1,80,sms,{PHONES[4]},vi",
        f"north-1,Tổ 2,80,sms,{PHONES[1]},vi", f"north-1,Tổ 3,80,sms,{PHONES[1]},vi",
    )  # fmt: skip
    text = LIST + "\n".join(lines)
    status, answer = bring(house, text, "ward")
    errors = answer["errors"]
    assert status == 422
    assert isinstance(errors, list)
    assert {(one["line"], one["column"]) for one in errors} == {
        (2, "area"), (3, "area"), (4, "group"), (5, "households"), (6, "leader_address"), (7, "leader_channel"),
        (8, "leader_address"), (9, "lang"), (10, "households"), (11, ""), (12, "leader_address"),
        (14, "leader_address"),
    }  # fmt: skip
    assert "secret" not in str(answer)
    assert [row.name for row in house.rows(schema.group)] == ["Tổ 9"]
    assert bring(house, "a,b\n")[1]["errors"] == [{"line": 1, "column": "", "expected": "the header " + LIST.strip()}]
    assert bring(house, LIST + 'north-1,"Tổ')[0] == 422
    assert house.ask("machine", "POST", f"{API}/groups/import", b"\xff\xfe").status_code == 422
    assert house.ask("machine", "POST", f"{API}/groups/import", b"x" * 1_048_577).status_code == 413


def test_the_city_s_2500_groups_go_in_at_once(house: Groups) -> None:
    lines = "".join(f"north-1,Tổ {n:04},{n % 90},sms,+8490{n:07},vi\n" for n in range(2_500))
    status, answer = bring(house, LIST + lines)
    assert (status, answer["leaders_added"]) == (200, 2_500)
    assert len(house.rows(schema.target)) == 2_500 * 7
    assert GROUPS_MOST >= 2 * 2_500


def test_no_address_stands_in_any_file_and_none_can_be_found_without_the_key(house: Groups, tmp_path: Path) -> None:
    house.group("north-1", "Tổ 1", PHONES[0])
    held = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    for one in (PHONES[0], PHONES[0][1:], "900000001"):
        assert one.encode() not in held
    [row] = house.rows(schema.contact)
    assert SEAL.open(row.address, f"contact {row.id}") == PHONES[0]


def test_without_a_key_the_routes_say_what_is_missing(tmp_path: Path) -> None:
    town = Town(tmp_path, town_view(city()))
    app = create_app(town.sources(Desks(MACHINE, None)))  # type: ignore[arg-type]  # no letters here
    with serving(town, app) as url:
        asked = httpx.get(f"{url}{API}/groups", headers={"Authorization": f"Bearer {MACHINE}"})
        replied = httpx.post(f"{url}{API}/replies/sms", json={})
        answered = httpx.post(f"{url}{API}/groups/answer", json={"token": "1-a", "says": "told"})
    town.ledger.close()
    assert {one.status_code for one in (asked, replied, answered)} == {503}
    assert asked.json()["detail"] == "ward groups are not set up: residents.key_file"
    assert replied.json()["detail"] == "nothing is sent to residents: residents.key_file"
