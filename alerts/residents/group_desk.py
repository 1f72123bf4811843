"""All that the faces of the service ask of ward groups, in one place."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeAlias

from alerts.incidents.incident import Incident, Notice
from alerts.ledger.store import Store
from alerts.people.group import Group
from alerts.people.group_state import Says, State
from alerts.people.user import User
from alerts.residents.answers import AnswersByUsers, Given, answer_by_link
from alerts.residents.ground import Ground
from alerts.residents.group_import import GroupImport
from alerts.residents.group_overview import Standing, counted, overview
from alerts.residents.groups import Groups
from alerts.residents.replies import Outcome, Taken, take_reply
from alerts.residents.told import Asked
from alerts.staff import OutsideError
from alerts.words.group import ASKING
from ingest.city import City

TOTALS_AGE_MS: Final = 30_000  # a night of warnings in every ward takes a fifth of a second to count
_NONE_YET: Final[Mapping[State, int]] = {}
Alerts: TypeAlias = Sequence[tuple[Incident, Sequence[Notice]]]


class GroupDesk:
    """Called from worker threads."""

    def __init__(self, ground: Ground, post: Store) -> None:
        self._on, self._post = ground, post
        self.groups = Groups(ground)
        self.imports = GroupImport(ground, self.groups)
        self._by_users = AnswersByUsers(ground)
        self._counting_up, self._totals, self._totals_at = threading.Lock(), _NONE_YET, -TOTALS_AGE_MS
        self._counting, self._replies, self._links = threading.Lock(), Counter[Outcome](), Counter[bool]()

    def link(self, key: str, says: Says, note: str) -> Given | None:
        given = answer_by_link(self._on.store, self._post, self._on.seal, key, says, note, self._on.now_ms())
        with self._counting:
            self._links[given is not None] += 1
        return given

    def reply(self, channel: str, address: str, text: str, provider_id: str) -> Taken:
        on = self._on
        taken = take_reply(on.store, self._post, on.seal, channel, address, text, provider_id, on.now_ms())
        with self._counting:
            self._replies[taken.outcome] += 1
        return taken

    def overview(
        self, incident: Incident, notices: Sequence[Notice], by: User
    ) -> tuple[int, list[Standing]]:  # fmt: skip
        """The newest version that asks for an answer, and the groups within the scope of `by`.

        Raises OutsideError where it is none of his.
        """
        city, asked, on = self._on.city(), asked_version(notices), self._on
        check_hazard(by, incident)
        areas = [code for code in concerned(city, incident.area) if by.in_area(code, city)]
        if not areas:
            raise OutsideError(f"{incident.area}: outside the areas of {by.name} ({', '.join(by.areas)})")
        ends = self.groups.shown_to(by)
        return asked, overview(on.store, self._post, areas, incident.id, asked, notes=on.seal, ends=ends)

    def by_user(
        self, incident: Incident, notices: Sequence[Notice], group: int, says: Says, note: str, by: User, key: str
    ) -> Group:  # fmt: skip
        """What a user writes down. Raises NoGroupError, OutsideError, GroupError."""
        check_hazard(by, incident)
        areas, asked = concerned(self._on.city(), incident.area), Asked(incident.id, asked_version(notices))
        return self._by_users.write(group, areas, asked, says, note, by, key)

    def counters(self) -> dict[Outcome, int]:
        """Replies since the start."""
        with self._counting:
            return {outcome: self._replies[outcome] for outcome in Outcome}

    def links(self) -> tuple[int, int]:
        """Answers by link since the start: taken, refused."""
        with self._counting:
            return self._links[True], self._links[False]

    def totals(self, alerts: Callable[[], Alerts]) -> Mapping[State, int]:
        """Groups by state over these warnings, a group once for each of them; at most TOTALS_AGE_MS old."""
        now = self._on.now_ms()
        with self._counting_up:  # whoever asks meanwhile waits for the same count
            if not 0 <= now - self._totals_at < TOTALS_AGE_MS:
                self._totals, self._totals_at = self._totalled(alerts()), now
            return self._totals

    def _totalled(self, alerts: Alerts) -> Mapping[State, int]:
        on, total = self._on, Counter[State]()
        for incident, notices in alerts:
            areas, asked = concerned(on.city(), incident.area), asked_version(notices)
            standings = overview(on.store, self._post, areas, incident.id, asked, notes=on.seal, ends=None)
            total.update({state: count.groups for state, count in counted(standings).items()})
        return {state: total[state] for state in State}


def concerned(city: City, area: str) -> list[str]:
    """Those whose groups hear of a warning for `area`, as the post tells it: its parts, and what it is part of."""
    return list(dict.fromkeys((*city.lineage(area), *city.within(area))))


def asked_version(notices: Sequence[Notice]) -> int:
    """The newest that people were told and that asks for an answer; 0: none."""
    return max((one.version for one in notices if one.told and one.reason in ASKING), default=0)


def check_hazard(by: User, incident: Incident) -> None:
    """Raises OutsideError."""
    if not by.in_hazard(incident.hazard):
        raise OutsideError(f"{incident.hazard}: outside the hazards of {by.name} ({', '.join(by.hazards)})")
