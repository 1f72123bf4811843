"""People who do verbs over HTTP while the service dies under them: each asks until there is an answer that is final.

A process with a thread a person. What is asked stands in a file before it is sent, so that whatever the service did
because of it is known; what was answered stands in another one. The key of a verb stays the same until its answer.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from random import Random
from typing import Any, Final

import httpx
from chaos.gateways import Log, lines
from chaos.mortal import die_with_parent
from chaos.town import DRY

PEOPLE: Final[Mapping[str, str]] = {
    "an": "viewer", "binh": "operator", "chi": "operator", "dung": "approver", "giang": "approver", "hoa": "admin",
}  # fmt: skip
ANSWER_S: Final = 3.0  # without an answer for so long: the same is asked again
AGAIN_S: Final = (0.02, 0.15)
UNDER_WAY: Final = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)  # and every 5xx: not final
VERBS: Final[Mapping[str, int]] = {
    "raise": 18, "approve": 30, "ack": 8, "comment": 14, "assign": 4, "ease": 10, "close": 8, "drill": 8,
    "silence": 5, "unsilence": 5, "outage": 6, "move": 3, "official": 3,
}  # fmt: skip
OPERATORS_MOST: Final = ("raise", "ack", "comment", "assign", "drill", "unsilence", "outage", "move")
PRESUMES: Final = 0.1  # how often somebody tries what his role may not allow
IDLE_S: Final = 1.0  # a viewer may do nothing
EVACUATION: Final = "evacuation"
BY_HAND: Final[Mapping[str, tuple[tuple[int, ...], dict[str, str]]]] = {
    "storm": ((2, 3, 4), {"name": "Noru", "where": "ven biển"}),
    "landslide": ((2, 3, 4), {"where": "chân núi Sơn Trà"}),
    EVACUATION: ((3, 4), {"where": "bãi sông", "shelter": "trường Trần Phú"}),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Office:
    """`url` of the API; `tokens` by name; `areas`: codes. They ask until the file `stop` is there."""

    folder: str
    url: str
    tokens: dict[str, str]
    areas: tuple[str, ...]
    seed: int
    stop: str
    think_s: tuple[float, float] = (0.02, 0.3)

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Office:
        told = json.loads(text)
        return cls(**told | {name: tuple(told[name]) for name in ("areas", "think_s")})


@dataclass(frozen=True, slots=True)
class Asked:
    """A verb as it was sent, and the answer that was final; 0: there is none yet."""

    by: str
    key: str
    method: str
    path: str
    body: Any
    status: int = 0
    answer: Mapping[str, Any] = field(default_factory=dict)

    @property
    def done(self) -> bool:
        return 200 <= self.status < 300


def spoken(folder: Path) -> list[Asked]:
    """Everything that was asked, in order, with its answer."""
    answers = {key: (status, answer) for key, status, answer in lines(folder / "answered.jsonl")}
    return [Asked(*line, *answers.get(line[1], ())) for line in lines(folder / "asked.jsonl")]


class Person:
    """One of them, in a thread."""

    def __init__(self, office: Office, name: str) -> None:
        self._office, self.name, self._random = office, name, Random(f"{office.seed} {name}")
        self._client = httpx.Client(timeout=ANSWER_S, headers={"Authorization": f"Bearer {office.tokens[name]}"})
        folder = Path(office.folder)
        self._asked, self._answered = Log(folder / "asked.jsonl"), Log(folder / "answered.jsonl")
        self._silences: list[str] = []
        self._count = 0
        self.ended = False

    def work(self) -> None:
        try:
            while not Path(self._office.stop).exists():
                time.sleep(self._random.uniform(*self._office.think_s) + IDLE_S * (PEOPLE[self.name] == "viewer"))
                self._do(self._choice())
            self.ended = True
        finally:
            self._client.close()

    def _choice(self) -> str:
        presumes = self._random.random() < PRESUMES
        mine = OPERATORS_MOST if PEOPLE[self.name] == "operator" and not presumes else tuple(VERBS)
        (verb,) = self._random.choices(mine, [VERBS[name] for name in mine])
        return verb

    def _do(self, verb: str) -> None:
        match verb:
            case "raise":
                self._raise(drill=False)
            case "drill":
                self._raise(drill=True)
            case "silence" | "outage":
                area = self._random.choice(self._office.areas)
                body = {"reason": "mast lies", "until": _in_s(60), "areas": [area], "why": self._why()}
                if verb == "outage" and self._random.random() < 0.7:  # else it begins now, and nobody hears of it
                    body |= {"begins": _in_s(self._random.choice((3, 40, 3_610))), "until": _in_s(3_700)}
                more = {"hazard": self._random.choice(("flood", "rain"))} if verb == "silence" else {}
                made = self._ask("POST", "/silences" if more else "/planned-outages", body | more)
                self._silences += [f"/{'silences' if more else 'planned-outages'}/{made['id']}"] if "id" in made else []
            case "move":
                outages = [path for path in self._silences if path.startswith("/planned-outages")]
                if outages:
                    until = {"until": _in_s(self._random.choice((3_650, 3_800))), "why": self._why()}
                    self._ask("PATCH", self._random.choice(outages), until)
            case "unsilence":
                if self._silences:
                    self._ask("DELETE", self._silences.pop(0), None)
            case "official":
                body = {"level": self._random.randint(0, 5), "issuer": "Đài KTTV", "bulletin": self._why(),
                        "valid_from": _in_s(0), "valid_until": _in_s(600)}  # fmt: skip
                self._ask("POST", "/official-level", body)
            case _:
                self._on_one(verb)

    def _raise(self, *, drill: bool) -> None:
        """Nearly the same texts again and again: who gives what stands already changes nothing."""
        random = self._random
        template = random.choice(list(BY_HAND))
        levels, fields = BY_HAND[template]
        more = {"where": f"{fields['where']} {random.randint(1, 2)}"}
        areas = random.sample(random.choice((self._office.areas, DRY)), random.choice((1, 1, 2)))
        self._ask("POST", "/alerts", {
            "template": template, "level": random.choice(levels), "areas": areas, "fields": fields | more,
            "until": _in_s(random.choice((4, 12, 60))), "drill": drill, "why": self._why(),
        })  # fmt: skip

    def _on_one(self, verb: str) -> None:
        found = self._open()
        if verb == "approve":
            found = [one for one in found if one["awaiting"]]
        if verb == "ease":
            found = [one for one in found if one["level"] > 1]
        if not found:
            return
        one = self._random.choice(found)
        more = {
            "comment": {"text": self._why()}, "assign": {"to": self._random.choice(("", "binh", "dung"))},
            "ease": {"level": max(1, one["level"] - 1)}, "close": {"withdraw": self._random.random() < 0.3},
            "approve": {"level": 4 if self._random.random() < 0.8 else 3},
        }.get(verb, {})  # fmt: skip
        self._ask("POST", f"/alerts/{one['id']}/{verb}", {"why": self._why(), **more})

    def _why(self) -> str:
        return f"{self.name} {self._count}"

    def _open(self) -> Sequence[Any]:
        query = {"unpublished": True, "active": True, "drill": self._random.random() < 0.2, "limit": 100}
        try:
            answer = self._client.get(f"{self._office.url}/alerts", params=query)
            return list(answer.json()["alerts"]) if answer.status_code == HTTPStatus.OK else []
        except (httpx.HTTPError, ValueError):
            return []

    def _ask(self, method: str, path: str, body: Any) -> dict[str, Any]:
        """Until there is an answer that is final."""
        self._count += 1
        key = f"{self.name}-{self._count}"
        self._asked.write([self.name, key, method, path, body])
        while True:
            try:
                answer = self._client.request(
                    method, self._office.url + path, json=body, headers={"Idempotency-Key": key}
                )
                told = answer.json()
            except (httpx.HTTPError, ValueError):
                time.sleep(self._random.uniform(*AGAIN_S))
                continue
            if answer.status_code < HTTPStatus.INTERNAL_SERVER_ERROR and answer.status_code not in UNDER_WAY:
                self._answered.write([key, answer.status_code, told])
                return told if answer.is_success else {}
            time.sleep(self._random.uniform(*AGAIN_S))


def _in_s(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()


def work(office: Office) -> None:
    """Leaves the file `ended` when the last of them has its answer."""
    folder = Path(office.folder)
    people = [Person(office, name) for name in office.tokens]
    threads = [threading.Thread(target=person.work) for person in people]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        time.sleep(0.1)
    assert all(person.ended for person in people)
    (folder / "ended").touch()
    sys.stdin.read()  # until it is ended


if __name__ == "__main__":
    die_with_parent()
    work(Office.from_json(sys.argv[1]))
