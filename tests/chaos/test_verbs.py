"""The checks of what people did: each says what is wrong where something is, and nothing where all is well."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import pytest
from chaos.operators import Asked
from chaos.verbs import act_of, acts_by_position, audited, violations

from alerts.acting import Acted
from alerts.incidents.decision import Outcome
from alerts.incidents.incident import Hand, Notice, Reason
from alerts.incidents.life_cycle import Incidents
from alerts.incidents.verbs import Act, Approve, Close, EndSilence, Raise, Silence, Verb
from alerts.ledger.ledger import Ledger
from ingest.city import Area, City
from ingest.entries import Position
from processing.rules import Rules
from processing.transitions import StepResult

CITY: Final = City("Town", ZoneInfo("UTC"), {"a": Area("a", "Ward A")}, {}, {})
RULES: Final = Rules()
NOON: Final = 1_665_723_600_000
STORM: Final = "storm.a.20221014T0500Z"


class Office:
    """A ledger, and incidents that people act on; what they asked for stands in `spoken`."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger, self.incidents, self.spoken = ledger, Incidents(), list[Asked]()
        self.now = NOON

    def do(self, by: str, verb: Verb, **wrong: Any) -> None:
        """The next moment. `wrong`: fields of the answer or the outcome as a mistaken service would have them."""
        self.now += 1_000
        act = Act(verb, by, self.now, f"{by}-{self.now}.abc", "so")
        done = self.incidents.act(act, CITY, RULES)
        assert not done.refused
        outcome = replace(done.outcome, **{k: v for k, v in wrong.items() if k == "notices"})
        versions = tuple((notice.incident, notice.version) for notice in done.outcome.notices)
        answer = Acted(act.at, done.incidents, wrong.get("versions", versions))
        self.ledger.record_act(Position(7), act, answer, self.incidents.changed, outcome, self.incidents.silences)
        told = {"incidents": list(done.incidents), "versions": [{"incident": i, "version": v} for i, v in versions]}
        self.spoken.append(Asked(by, f"{by}-{self.now}", "POST", "/alerts", None, 200, told))

    def wait(self, ms: int) -> None:
        self.now += ms
        outcome = self.incidents.step(StepResult(), self.now, CITY, RULES)
        self.ledger.record(Position(self.now - NOON), self.now, incidents=self.incidents.changed, outcome=outcome)

    def found(self) -> list[str]:
        return list(violations(self.spoken, self.ledger))


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    ledger = Ledger.open(tmp_path / "ledger.sqlite")
    yield Office(ledger)
    ledger.close()


def given(template: str = "storm", level: int = 3, by: str = "dung", minutes: int = 5, *, alone: bool = True) -> Raise:
    return Raise(Hand(template, level, NOON + minutes * 60_000, by), template, ("a",), approver=alone)


def test_what_was_done_as_it_was_told_is_no_violation(office: Office) -> None:
    office.do("dung", given())
    office.do("binh", given(level=2, by="binh", alone=False))
    office.do("giang", Approve(STORM))
    office.do("hoa", Close(STORM))
    office.do("dung", given(level=4, minutes=2))
    office.wait(3 * 60_000)
    office.do("dung", given("evacuation", by="dung", minutes=60))
    office.do("giang", Approve("evacuation.a.20221014T0503Z"))
    office.do("hoa", Silence("s-1", office.now, office.now + 60_000, "mast lies", "hoa", hazard="flood"))
    office.do("hoa", EndSilence("s-1"))

    assert office.found() == []
    assert [n.reason.value for _, n in office.ledger.notices()] == ["first", "eased", "over", "first", "over", "first"]
    assert [one.verb for one in acts_by_position(audited(office.ledger))[7]] == [
        act_of(row).verb for row in audited(office.ledger)
    ]


def test_an_answer_without_its_row_and_a_row_without_its_question_are_said(office: Office) -> None:
    office.do("dung", given())
    (asked,) = office.spoken

    def said(*spoken: Asked) -> list[str]:
        office.spoken = list(spoken)
        return [sentence.partition(":")[0] for sentence in office.found()]

    assert said() == ["in the audit, and nobody asked for it"]
    assert said(asked, replace(asked, key="other")) == ["answered with success, and 0 times in the audit"]
    assert said(replace(asked, status=409)) == ["refused, and in the audit"]
    assert said(replace(asked, status=0)) == ["never answered"]
    assert said(replace(asked, answer={"incidents": [], "versions": []})) == ["answered otherwise than the audit says"]


def test_a_version_that_no_act_calls_for_and_one_that_is_missing_are_said(office: Office) -> None:
    office.do("dung", given(), notices=[])
    assert [STORM in sentence for sentence in office.found()] == [True, True]

    one = Notice(STORM, 1, Reason.FIRST, "storm", "a", 3, 0, 1, 1, None)
    office.ledger.record(Position(8), office.now, outcome=Outcome([one]))
    assert any("nothing calls for" in sentence or "there is" in sentence for sentence in office.found())


def test_an_evacuation_that_one_person_let_out_is_said(office: Office) -> None:
    office.do("dung", given("evacuation", minutes=60))
    office.do("giang", Approve("evacuation.a.20221014T0500Z"))
    assert office.found() == []
    with office.ledger.store.writing() as db:
        db.exec_driver_sql("""UPDATE notice SET notice = replace(notice, '"by":"giang"', '"by":"dung"')""")
    assert any("evacuation by one person" in sentence for sentence in office.found())


def test_a_silence_that_nobody_asked_for_is_said(office: Office) -> None:
    office.do("hoa", Silence("s-1", office.now, office.now + 60_000, "mast lies", "hoa", hazard="flood"))
    with office.ledger.store.writing() as db:
        db.exec_driver_sql("UPDATE silence SET id = 's-2'")
    assert [sentence.partition(":")[0] for sentence in office.found()] == ["silences, ledger and audit"]
