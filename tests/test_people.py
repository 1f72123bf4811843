"""Who may do what: every role tries every verb in and out of its scope, against a matrix written here by hand."""

from __future__ import annotations

from itertools import product

import pytest

from alerts.incidents import verbs
from alerts.incidents.incident import Hand
from alerts.people.rights import NEEDS, STEP_MOST, chain_of, may
from alerts.people.user import Role, User, is_user_name, wider
from ingest.city import parse_city

CITY = parse_city("""
[city]
name = "Đà Nẵng"
timezone = "Asia/Ho_Chi_Minh"
[[area]]
code = "north"
name = "Bắc"
[[area]]
code = "north-1"
name = "Bắc Một"
parent = "north"
[[area]]
code = "north-1-a"
name = "Bắc Một A"
parent = "north-1"
[[area]]
code = "south"
name = "Nam"
""")
HAND = Hand("storm", 3, 1, "lan")
# verb, and which of viewer, operator, approver, admin may do it
MATRIX = (
    (verbs.Acknowledge("i"), "-xxx"),
    (verbs.Assign("i", "lan"), "-xxx"),
    (verbs.Comment("i", "x"), "-xxx"),
    (verbs.Raise(HAND, "storm", ("north",)), "-xxx"),
    (verbs.Raise(Hand("evacuation", 4, 1, "lan"), "evacuation", ("north",)), "--xx"),
    (verbs.EndSilence("s"), "-xxx"),
    (verbs.Reschedule("s", 0, 1), "-xxx"),
    (verbs.Silence("s", 0, 1, "x", "lan", hazard="power", planned=True), "-xxx"),
    (verbs.Silence("s", 0, 1, "x", "lan", hazard="flood", planned=True), "--xx"),
    (verbs.Silence("s", 0, 1, "x", "lan", planned=True), "--xx"),
    (verbs.Silence("s", 0, 1, "x", "lan", hazard="power"), "--xx"),
    (verbs.Approve("i"), "--xx"),
    (verbs.Approve(event="e"), "--xx"),
    (verbs.Ease("i", 1), "--xx"),
    (verbs.Close("i"), "--xx"),
    (verbs.Close("i", withdraw=True), "--xx"),
    (verbs.OfficialLevel(3, "x", "1", 0, 1), "--xx"),
)
# areas and hazards of a user; hazard and area tried; whether it lies within
SCOPES = (
    ((), (), "flood", "north", True),
    ((), (), "", "", True),
    (("north",), (), "flood", "north", True),
    (("north",), (), "flood", "north-1", True),
    (("north",), (), "flood", "north-1-a", True),
    (("north",), (), "", "north-1-a", True),
    (("north",), (), "flood", "south", False),
    (("north",), (), "flood", "", False),
    (("north-1",), (), "flood", "north", False),
    (("north-1", "south"), (), "flood", "south", True),
    (("forgotten",), (), "flood", "north", False),
    (("forgotten",), (), "flood", "forgotten", True),
    (("north",), (), "flood", "forgotten", False),
    ((), ("power", "rain"), "rain", "south", True),
    ((), ("power",), "flood", "south", False),
    ((), ("power",), "", "south", False),
    (("south",), ("power",), "power", "south", True),
    (("south",), ("power",), "power", "north", False),
    (("south",), ("power",), "flood", "south", False),
)


def test_every_role_tries_every_verb_in_and_out_of_its_scope() -> None:
    tried = 0
    for (verb, row), (areas, hazards, hazard, area, within), (n, role) in product(MATRIX, SCOPES, enumerate(Role)):
        for active in (True, False):
            user = User("lan", role, areas, hazards, active=active)
            said = may(user, verb, hazard, area, CITY)
            allowed = row[n] == "x" and within and active
            assert (said == "") == allowed, (verb, user, hazard, area, said)
            tried += 1
    assert tried == len(MATRIX) * len(SCOPES) * 4 * 2


def test_no_verb_is_missing_in_the_table() -> None:
    assert set(NEEDS) == set(verbs.Verb.__args__) == {type(verb) for verb, _ in MATRIX}
    assert [role.value for role in Role] == ["viewer", "operator", "approver", "admin"]


def test_a_refusal_says_what_is_missing() -> None:
    lan = User("lan", Role.OPERATOR, ("north",), ("flood",))
    assert may(lan, verbs.Close("i"), "flood", "north", CITY) == "this needs the role approver; lan is operator"
    assert may(lan, verbs.Comment("i", "x"), "flood", "south", CITY) == "south: outside the areas of lan (north)"
    assert may(lan, verbs.Comment("i", "x"), "rain", "north", CITY) == "rain: outside the hazards of lan (flood)"


def test_those_in_scope_are_called_step_by_step_and_no_step_is_empty() -> None:
    users = [
        User("zoe", Role.ADMIN), User("an", Role.VIEWER), User("vy", Role.OPERATOR, ("north",)),
        User("bo", Role.OPERATOR, ("north-1-a",)), User("gone", Role.OPERATOR, active=False),
        User("nam", Role.OPERATOR, ("south",)), User("evn", Role.APPROVER, (), ("power",)), User("duc", Role.APPROVER),
    ]  # fmt: skip
    assert chain_of(users, CITY, "north-1-a", "flood") == (("bo", "vy"), ("duc",), ("zoe",))
    assert chain_of(users, CITY, "north", "power") == (("vy",), ("duc", "evn"), ("zoe",))
    assert chain_of(users[:2], CITY, "north", "flood") == (("zoe",),)
    assert chain_of((), CITY, "north", "flood") == ()
    assert chain_of(reversed(users), CITY, "north", "power") == chain_of(users, CITY, "north", "power")
    many = [User(f"u{n:03}", Role.OPERATOR) for n in range(3 * STEP_MOST)]
    assert chain_of(many, CITY, "north", "flood") == (tuple(f"u{n:03}" for n in range(STEP_MOST)),)


def test_a_scope_may_not_reach_beyond_that_of_who_gives_it() -> None:
    chief = User("chief", Role.ADMIN, ("north",), ("flood", "rain"))
    assert wider(User("a", Role.VIEWER, ("north-1",), ("flood",)), chief, CITY) == ""
    assert wider(User("a", Role.VIEWER, ("north-1",)), chief, CITY) == "all hazards"
    assert wider(User("a", Role.VIEWER, (), ("flood",)), chief, CITY) == "the whole city"
    assert wider(User("a", Role.VIEWER, ("north", "south"), ("flood",)), chief, CITY) == "area south"
    assert wider(User("a", Role.VIEWER, ("north",), ("flood", "power")), chief, CITY) == "hazard power"
    assert wider(User("a", Role.ADMIN), User("b", Role.ADMIN), CITY) == ""


@pytest.mark.parametrize(
    ("name", "right"),
    [("lan", True), ("tran.thi-lan_2", True), ("", False), ("Lan", False), ("-lan", False), ("lan\n", False),
     ("x" * 32, True), ("x" * 33, False), ("a/b", False), ("operator", False), ("canhbao", False)],
)  # fmt: skip
def test_names_can_stand_in_urls_and_lines(name: str, right: bool) -> None:
    assert is_user_name(name) is right


def test_an_area_knows_what_it_is_part_of_and_what_is_part_of_it() -> None:
    assert CITY.lineage("north-1-a") == ("north-1-a", "north-1", "north")
    assert CITY.lineage("nowhere") == ("nowhere",)
    assert CITY.within("north") == ("north", "north-1", "north-1-a")
    assert CITY.within("north-1-a") == ("north-1-a",)
    assert CITY.within("nowhere") == ("nowhere",)
