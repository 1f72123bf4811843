"""GET /api/v1/alerts/{id}/why over a real server, a real ledger and a real history; and what the ledger keeps of it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from faces import AREAS, MINUTE, NOW, Town, notice, serving, town_city, town_view

from alerts.acting import Acted
from alerts.incidents.decision import Call, Decided, Decision
from alerts.incidents.incident import Confirmation, Reason, Withheld
from alerts.ledger.audit import Audit
from alerts.ledger.outbox import Address, Outbox
from alerts.ledger.people import By, People
from alerts.ledger.why import CALLS_MOST, DECISIONS_MOST, write
from alerts.people.user import Role, User
from alerts.staff import Staff
from alerts.web import evidence
from alerts.web.app import create_app
from alerts.web.sources import Desks, PeopleDesk
from ingest.entries import Position
from ingest.history.duckdb import DuckStore
from ingest.history.store import Named, Points, Reader, StoreError
from ingest.readings import Readings
from processing.rules import parse_rules

AREA = next(iter(AREAS))
TOWER, OTHER, RAIN = f"tower-{AREA}-1", "tower-20260-1", f"rain-{AREA}-0"
INCIDENT = f"flood-{AREA}"
PATH = f"/api/v1/alerts/{INCIDENT}/why"
TOKEN = "0" * 32
AT = NOW - 8 * MINUTE
DEPTHS = [(0, 0.05, 1), (1, 0.30, 1), (2, 9.99, 4), (3, 0.34, 3), (4, 0.40, 1), (5, 0.9, 1)]  # minutes from AT - 4


def rose(at: int = AT, value: float = 0.37, level: int = 3, sensor: str = TOWER, incident: str = INCIDENT) -> Decision:
    detail = {"value": value, "measured_at": at}
    return Decision(incident, at + 900, Decided.ROSE, "", sensor, "depth", level, detail)


def decide(town: Town, *decisions: Decision, calls: tuple[Call, ...] = (), entry: int | None = 7) -> None:
    with town.ledger.store.writing() as db:
        write(db, decisions, calls, entry)


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    """A flood with one version, and six minutes of the tower that it stands on."""
    made = Town(tmp_path, town_view(town_city()))
    store = DuckStore(tmp_path / "history.duckdb", made.view.city.timezone)
    t = [AT + (minute - 4) * MINUTE for minute, _, _ in DEPTHS]
    readings = Readings.of(sensor=[0] * 6, t=t, value=[v for _, v, _ in DEPTHS], flag=[f for _, _, f in DEPTHS])
    store.append(readings, {0: Named(TOWER, "street_depth", "m", AREA, "")}, Position(1))
    made.history = store
    cause = notice(AREA).cause
    assert cause is not None
    made.tell(replace(notice(AREA), cause=replace(cause, by=Confirmation.NEIGHBOUR, witness=OTHER)))
    yield made
    store.close()
    made.ledger.close()


@pytest.fixture
def client(town: Town) -> Iterator[httpx.Client]:
    with asking(town) as client:
        yield client


@contextmanager
def asking(town: Town) -> Iterator[httpx.Client]:
    app = create_app(replace(town.sources(), operators=Desks(TOKEN, None)))  # type: ignore[arg-type]  # no letters here
    headers = {"Authorization": f"Bearer {TOKEN}"}
    with serving(town, app) as url, httpx.Client(base_url=url, timeout=20, headers=headers) as client:
        yield client


def got(client: httpx.Client, **query: Any) -> Any:
    answer = client.get(PATH, params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


# -- the answer ----------------------------------------------------------------------------------------------------


def test_a_level_is_shown_with_the_readings_in_its_window_and_what_the_rule_asks(
    town: Town, client: httpx.Client
) -> None:
    decide(town, rose())

    (shown,) = got(client)["decisions"]

    assert (shown["what"], shown["entry"], shown["kept_back"]) == ("rose", 7, False)
    found = shown["evidence"]
    assert [(row["value"], row["flag"], row["counts"]) for row in found["readings"]] == [
        (9.99, 4, False), (0.34, 3, True), (0.4, 1, True),
    ], "the three minutes up to the evaluation: neither what lay before nor what came after"  # fmt: skip
    assert (found["statistic"], found["window_s"], found["value"], found["unit"]) == ("mean", 180.0, 0.37, "m")
    assert found["until"] == "2022-10-14T18:15:00.000+07:00"
    assert (found["complete"], found["note"], found["above"]) == (True, "", True)
    assert [(row["level"], row["threshold"], row["reached"]) for row in found["levels"]] == [
        (1, 0.1, True), (2, 0.2, True), (3, 0.3, True), (4, 1.2, False),
    ]  # fmt: skip
    assert found["levels"][2]["clear"] == pytest.approx(0.27)


def test_a_version_says_what_confirmed_it_from_how_far_and_what_became_of_its_messages(
    town: Town, client: httpx.Client
) -> None:
    published = Decision(INCIDENT, NOW, Decided.PUBLISHED, "first", TOWER, "depth", 3, {"version": 1})
    confirmed = Decision(INCIDENT, NOW, Decided.CONFIRMED, "neighbour", TOWER, "depth", 3, {"witness": OTHER})
    decide(town, rose(sensor=OTHER, level=2, value=0.21), rose(), confirmed, published, rose(sensor=OTHER, level=4))
    outbox = Outbox(town.ledger.store)
    pending = outbox.pending()
    assert pending is not None
    outbox.queue(pending, [Address("mqtt", "all"), Address("console", "all")], {"texts": {}}, NOW, complete=True)
    (mqtt,) = outbox.due("mqtt", NOW, 10)
    outbox.mark([mqtt.sent(NOW)])

    town.tell(notice(AREA, 4, version=2, reason=Reason.WORSE, previous=3))

    found = got(client)
    version, later = found["versions"]

    assert (version["version"], version["level"], version["told"], version["withheld"]) == (1, 3, True, "")
    assert version["confirmation"] == {
        "by": "neighbour", "witness": OTHER, "witness_level": 2, "distance_km": pytest.approx(1.112, abs=0.001),
    }  # fmt: skip
    assert found["decisions"][2]["confirmation"] == version["confirmation"]
    assert (later["confirmation"], later["deliveries"]) == (None, []), "confirmed by nothing, and not queued yet"
    assert version["deliveries"] == [
        {"channel": "console", "status": "queued", "count": 1}, {"channel": "mqtt", "status": "sent", "count": 1},
    ]  # fmt: skip
    assert len(version["evidence"]["readings"]) == 3


def test_what_was_not_sent_and_who_was_called_and_acted_is_told_in_a_sentence_of_either_language(
    town: Town, client: httpx.Client
) -> None:
    decide(
        town,
        Decision(INCIDENT, NOW, Decided.UNCONFIRMED, f"others_are_calm {OTHER}", TOWER, "depth", 3),
        Decision(INCIDENT, NOW, Decided.WITHHELD, Withheld.ONE_LEVEL.value, level=2, detail={"version": 4}),
        Decision(INCIDENT, NOW, Decided.ACTED, "approve", level=3, detail={"by": "lan", "why": "tôi thấy nước"}),
        calls=(Call(INCIDENT, 0, ("lan", "minh"), NOW, "approve", 3),),
        entry=None,
    )

    english, vietnamese = got(client, lang="en"), got(client)

    assert [(row["text"], row["kept_back"]) for row in english["decisions"]] == [
        (f"{TOWER} at Danger is not published yet: others that could confirm it do not: {OTHER}.", True),
        ("Residents were not sent version 4: they hear of easings by two levels or more.", True),
        ("lan approved Danger. “tôi thấy nước”", False),
    ]
    assert [row["text"] for row in vietnamese["decisions"]] == [
        f"{TOWER} ở mức Nguy hiểm chưa được công bố: các cảm biến khác có thể xác nhận nhưng không ghi nhận: {OTHER}.",
        "Không gửi bản 4 cho người dân: chỉ gửi khi giảm từ hai mức.",
        "lan đã duyệt mức Nguy hiểm. “tôi thấy nước”",
    ]
    assert {row["entry"] for row in english["decisions"]} == {None}
    assert english["calls"] == [{"number": 0, "at": "2022-10-14T18:23:00.000+07:00", "to": ["lan", "minh"],
                                 "asks": "approve", "level": 3}]  # fmt: skip


def test_an_end_that_nothing_measured_has_no_evidence(town: Town, client: httpx.Client) -> None:
    town.tell(notice(AREA, 0, version=2, reason=Reason.OVER, previous=3))
    detail = {"measured_at": AT}
    decide(town, Decision(INCIDENT, NOW, Decided.FELL, "not measured", TOWER, "depth", 0, detail))

    found = got(client, lang="en")

    assert found["versions"][1]["evidence"] is None
    assert found["decisions"][0]["evidence"] is None
    assert "nothing was measured" in found["decisions"][0]["text"]


def test_pages_follow_each_other(town: Town, client: httpx.Client) -> None:
    decide(town, *(Decision(INCIDENT, NOW + n, Decided.WAITS) for n in range(7)))

    numbers, after = [], -1
    while after is not None:
        page = got(client, limit=3, after=after)
        assert len(page["decisions"]) <= 3
        numbers += [row["number"] for row in page["decisions"]]
        after = page["next"]

    assert numbers == list(range(7))


def test_who_is_no_operator_learns_nothing_and_unknown_ids_are_not_there(client: httpx.Client) -> None:
    assert client.get(PATH, headers={"Authorization": "Bearer " + "1" * 32}).status_code == 401
    assert client.get("/api/v1/alerts/nothing/why").status_code == 404
    assert client.get(PATH, params={"lang": "fr"}).status_code == 422
    assert client.get(PATH, params={"limit": 10_000}).status_code == 422


def test_who_sees_another_area_or_hazard_only_is_refused(town: Town) -> None:
    people, by = People(town.ledger.store), By("operator", NOW)
    staff = Staff(people, lambda: town.view.city, lambda: NOW)
    desk = PeopleDesk(staff, Audit(town.ledger.store), lambda _: Acted(NOW))
    app = create_app(replace(town.sources(), operators=Desks(TOKEN, None, people=desk)))  # type: ignore[arg-type]
    tokens = {}
    for user in (
        User("here", Role.VIEWER, (AREA,), ("flood",)),
        User("elsewhere", Role.ADMIN, ("20260",)),
        User("of-rain", Role.APPROVER, (), ("rain",)),
    ):
        people.add(user, by)
        tokens[user.name] = people.issue(user.name, by)

    with serving(town, app) as url, httpx.Client(base_url=url, timeout=20) as client:
        answers = {name: client.get(PATH, headers={"Authorization": f"Bearer {token}"}).status_code
                   for name, token in tokens.items()}  # fmt: skip

    assert answers == {"here": 200, "elsewhere": 403, "of-rain": 403}


# -- what the history cannot say -----------------------------------------------------------------------------------


class Failing:
    """A history that fails at its n-th question; the others it hands on."""

    def __init__(self, reader: Reader, at: int) -> None:
        self._reader, self._at, self.asked = reader, at, 0

    def readings(self, *args: Any) -> Points:
        self.asked += 1
        if self.asked >= self._at:
            raise StoreError("it is away")
        return self._reader.readings(*args)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reader, name)


def test_a_history_that_fails_is_said_and_not_asked_again(town: Town) -> None:
    assert town.history is not None
    failing = Failing(town.history, 2)
    town.history = failing  # type: ignore[assignment]
    decide(town, *(rose(AT + n * MINUTE) for n in (1, 2, 3)))

    with asking(town) as client:
        found = got(client)

    assert len(found["versions"][0]["evidence"]["readings"]) == 3
    assert [(row["evidence"]["readings"], row["evidence"]["note"]) for row in found["decisions"]] == [
        (None, "the history does not answer: it is away")
    ] * 3
    assert failing.asked == 2


def test_without_a_history_all_but_the_readings_is_told(town: Town) -> None:
    town.history = None
    decide(town, rose())

    with asking(town) as client:
        found = got(client)["decisions"][0]["evidence"]

    assert (found["readings"], found["complete"], found["note"]) == (None, False, evidence.NOT_KEPT)
    assert found["value"] == 0.37


def test_what_the_history_has_not_got_to_is_no_whole_window(town: Town, client: httpx.Client) -> None:
    decide(town, rose(AT + 2 * MINUTE))

    found = got(client)["decisions"][0]["evidence"]

    assert [row["value"] for row in found["readings"]] == [0.4, 0.9]
    assert not found["complete"]
    assert "not in the history" in found["note"]


def test_rules_that_have_changed_or_gone_since_are_not_passed_off_as_those_that_judged(
    town: Town, client: httpx.Client
) -> None:
    decide(town, rose(value=0.31), rose(value=0.29), replace(rose(), rule="depth-of-old"))

    same, changed, gone = (row["evidence"] for row in got(client)["decisions"])

    assert same["note"] == ""
    assert "rules have changed since" in changed["note"]
    assert (gone["readings"], gone["levels"], gone["above"]) == (None, [], None)
    assert "unknown" in gone["note"]


def test_of_a_long_window_the_newest_are_shown_and_that_it_is_not_all(town: Town) -> None:
    long = parse_rules('[[rule]]\nname = "depth"\nhazard = "flood"\nquantity = "street_depth"\nstatistic = "max"\n'
                       'window = "24h"\nlevels = { danger = 0.3 }\n')  # fmt: skip
    assert isinstance(town.history, DuckStore)
    t = [AT - n * MINUTE for n in range(600, 4, -1)]
    named = {0: Named(TOWER, "street_depth", "m", AREA, "")}
    town.history.append(Readings.of(sensor=[0] * len(t), t=t, value=[0.01] * len(t)), named, Position(2))
    town.view = replace(town.view, rules=long)
    decide(town, rose())

    with asking(town) as client:
        found = got(client)["decisions"][0]["evidence"]

    assert len(found["readings"]) == evidence.READINGS_MOST
    assert found["readings"][-1]["value"] == 0.4
    assert found["window_s"] == 86_400
    assert not found["complete"]


def test_an_answer_asks_the_history_for_so_many_windows_and_says_so(
    town: Town, client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evidence, "WINDOWS_MOST", 2)
    decide(town, *(rose(AT - n * MINUTE) for n in range(3)))

    found = got(client)["decisions"]

    assert [row["evidence"]["note"] for row in found] == ["", "", evidence.TOO_MANY], "the first is the version's own"


def test_a_slow_history_holds_up_neither_the_loop_nor_the_ledger(town: Town) -> None:
    class Waiting(Failing):
        def readings(self, *args: Any) -> Points:
            begun.set()
            assert release.wait(20)
            return super().readings(*args)

    begun, release = threading.Event(), threading.Event()
    assert town.history is not None
    town.history = Waiting(town.history, 99)  # type: ignore[assignment]
    decide(town, rose())

    with asking(town) as client:
        answers: list[int] = []
        thread = threading.Thread(target=lambda: answers.append(client.get(PATH).status_code))
        thread.start()
        assert begun.wait(20)
        assert client.get("/healthz").status_code == 200
        release.set()
        thread.join(20)
        assert answers == [200]


# -- what is kept --------------------------------------------------------------------------------------------------


def test_decisions_come_back_as_they_were_and_numbered_by_incident(town: Town) -> None:
    first, other = rose(), rose(incident="flood-elsewhere")
    nobodys = replace(rose(), incident="")
    decide(town, first, other, nobodys)
    decide(town, replace(first, what=Decided.FELL), entry=9)

    record = town.ledger.why(INCIDENT)

    assert [(kept.number, kept.entry) for kept in record.decisions] == [(0, 7), (1, 9)]
    assert record.decisions[0].decision == first
    assert (record.made, record.dropped) == (2, 0)
    assert [kept.number for kept in town.ledger.why("flood-elsewhere").decisions] == [0]
    assert town.ledger.why("").decisions == ()


def test_with_the_transaction_everything_goes(town: Town) -> None:
    def crashed() -> None:
        with town.ledger.store.writing() as db:
            write(db, [rose()], [Call(INCIDENT, 0, ("lan",), NOW, "approve", 3)], 7)
            raise InterruptedError

    with pytest.raises(InterruptedError):
        crashed()

    record = town.ledger.why(INCIDENT)
    assert (record.decisions, record.calls, record.made) == ((), (), 0)


def test_a_call_that_stands_is_not_made_twice(town: Town) -> None:
    call = Call(INCIDENT, 0, ("lan",), NOW, "approve", 3)
    decide(town, calls=(call,))
    decide(town, calls=(call, replace(call, number=1)))

    assert town.ledger.why(INCIDENT).calls == (call, replace(call, number=1))


def test_of_very_many_calls_the_newest_are_shown(town: Town) -> None:
    calls = [Call(INCIDENT, n, ("lan",), NOW + n, "approve", 3) for n in range(CALLS_MOST + 5)]
    decide(town, calls=tuple(calls))

    assert list(town.ledger.why(INCIDENT).calls) == calls[5:]


def test_beyond_the_limit_the_oldest_go_but_never_what_was_published_confirmed_or_done(town: Town) -> None:
    kinds = (Decided.PUBLISHED, Decided.UNCONFIRMED, Decided.ROSE, Decided.CONFIRMED, Decided.ACTED,
             Decided.WITHHELD, Decided.UNATTENDED, Decided.WAITS, Decided.FELL, Decided.FELL)  # fmt: skip
    stay = {Decided.PUBLISHED, Decided.CONFIRMED, Decided.ACTED, Decided.WITHHELD, Decided.UNATTENDED}
    many = [Decision(INCIDENT, NOW + n, kinds[n % 10]) for n in range(3_000)]
    for begin in range(0, 3_000, 37):
        decide(town, *many[begin : begin + 37])

    record = town.ledger.why(INCIDENT)
    kept = [one.decision for one in record.decisions]

    assert len(kept) <= DECISIONS_MOST
    assert record.made == 3_000
    assert record.dropped == 3_000 - len(kept) >= 1_000
    assert sum(one.what in stay for one in kept) == 1_500, "each of them"
    soft = [one for one in kept if one.what not in stay]
    assert soft, "and the newest of the others"
    first_to_go = [one.at for one in many if one.what in (Decided.UNCONFIRMED, Decided.WAITS)]
    dropped_moves = [one.at for one in many if one.what in (Decided.ROSE, Decided.FELL) and one not in kept]
    assert not {one.at for one in kept} & set(first_to_go[:-30]), "what waited went before levels that moved"
    assert max(dropped_moves) < min(one.at for one in soft if one.what in (Decided.ROSE, Decided.FELL))


def test_where_nothing_may_go_all_of_it_stays_and_numbers_go_on(town: Town) -> None:
    acts = [Decision(INCIDENT, NOW + n, Decided.ACTED, "comment") for n in range(DECISIONS_MOST + 150)]
    decide(town, *acts, Decision(INCIDENT, NOW, Decided.WAITS))
    decide(town, *acts[:100])

    record = town.ledger.why(INCIDENT)

    assert record.made == DECISIONS_MOST + 251
    assert len(record.decisions) >= DECISIONS_MOST + 250
    assert len({kept.number for kept in record.decisions}) == len(record.decisions)
