"""The working parts, joined: from the broker's messages to the channels. The faces look at them and change nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from alerts.acting import Acted
from alerts.brought import Bring, Brought
from alerts.delivery.cap import CapDesk, CapMeans
from alerts.delivery.channels.channel import DeskChannel
from alerts.delivery.delivery import Delivery
from alerts.delivery.hold import Gate
from alerts.delivery.notary import Notary
from alerts.driving import Desk, Drive, Driven
from alerts.incidents.incident import Notice
from alerts.incidents.verbs import Act
from alerts.ledger.cap import CapStore
from alerts.ledger.codes import Codes
from alerts.ledger.ledger import Ledger
from alerts.ledger.marks import Marks
from alerts.ledger.outbox import Outbox
from alerts.ledger.people import People
from alerts.letters import Letters
from alerts.people.rights import chain_of
from alerts.proof.keys import Keys
from alerts.spine import Spine, Texts
from alerts.view import View
from alerts.watch.metrics import labelled
from alerts.way import Clock, Stores
from alerts.words.code_line import code_lines
from alerts.words.message import message
from ingest.city import parse_city
from ingest.inbox import Inbox
from ingest.lanes import Lanes
from ingest.mqtt.publisher import MqttPublisher
from ingest.mqtt.source import BACKFILL_TOPICS, COLLECTOR_TOPICS, MqttSource
from ingest.networks import topic_filters
from ingest.rate_limit import away_before_start_s
from ingest.tls import Identity


@dataclass(frozen=True, slots=True)
class Login:
    """Who we are on one connection. `client_id` "": the broker gives it the user's name. `identity`: a certificate."""

    username: str
    password: str = field(default="", repr=False)
    client_id: str = ""
    identity: Identity | None = None


@dataclass(frozen=True, slots=True)
class Connections:
    """Where the broker is, and who we are there: for what is measured now, for old spools, for what goes out.

    `networks` that are read besides, by the prefix of their topics.
    """

    url: str
    live: Login
    backfill: Login
    out: Login
    ca_file: Path | None = None
    networks: Mapping[str, str] = field(default_factory=dict)


class Works:
    """Inbox, source, desk, spine, publisher, delivery. `wall_ms`: the wall's time also where readings bring their own.

    `channels` makes them, given the connection that warnings go out on; `told` is called at every new view. Raises what
    the spine raises where the stores do not fit together, and MqttError for a wrong address.
    """

    def __init__(
        self, stores: Stores, connections: Connections, texts: Texts, clock: Clock, *,
        channels: Callable[[MqttPublisher], Sequence[DeskChannel]], random: Random, keys: Keys, page_url: str = "",
        public_url: str = "", told: Callable[[], object], gate: Gate | None = None, cap: CapMeans | None = None,
    ) -> None:  # fmt: skip
        self.ledger: Ledger = stores.ledger
        self._page_url, self._public_url, self._told = page_url, public_url, told
        foreign = topic_filters(connections.networks)
        # Arrivals in the data's own time say nothing of ours.
        alive_ms = stores.journal.last_arrival if clock.arrival == "wall" else 0
        away_s = away_before_start_s(alive_ms, clock.now_ms())
        self.source = _source(connections, connections.live, (*COLLECTOR_TOPICS, *foreign), away_s)
        self.backfill = _source(connections, connections.backfill, BACKFILL_TOPICS, away_s)
        out = connections.out
        self.publisher = MqttPublisher(
            connections.url, out.username, out.password, out.client_id, ca_file=connections.ca_file,
            identity=out.identity,
        )  # fmt: skip
        self.desk = Desk[Drive, Driven](self.wake)
        self.imports = Desk[Bring, Brought](self.wake)
        self.acts = Desk[Act, Acted](self.wake)
        self.people, self._city_text = People(stores.ledger.store), texts.city_toml
        self.letters = Letters(stores.journal, Marks(stores.ledger.store), self.desk)
        lanes = Lanes(self.source, self.backfill, clock.seconds)
        self.spine = Spine(
            lanes.drain,
            lanes,
            stores,
            texts,
            clock,
            self._turned,
            asked=self.desk.take,
            brought=self.imports.take,
            acts=self.acts.take,
            prefixes=connections.networks,
            chain_of=self._chain,
        )
        notary = Notary(
            Codes(stores.ledger.store), keys, self._compose, now_ms=clock.now_ms, public_url=public_url,
            exercise=clock.arrival == "data",
        )  # fmt: skip
        self.delivery = Delivery(
            Outbox(stores.ledger.store), channels(self.publisher), notary, now_ms=clock.now_ms, random=random,
            gate=gate,
        )  # fmt: skip
        now_ms = clock.now_ms if clock.arrival == "wall" else self._arrival_ms
        self.cap = CapDesk(
            CapStore(stores.ledger.store), self.ledger, self.publisher, lambda: self.view,
            cap or CapMeans(page_url=page_url), now_ms=now_ms, shut=lambda: gate is not None and gate.shut,
        )  # fmt: skip

    def start(self, closing: ExitStack) -> None:
        """Decide what was left, then connect. Raises MqttError, JournalError, LedgerError."""
        self.spine.begin()
        self.publisher.on_session = self._session_lost
        closing.callback(self.publisher.stop)
        self.publisher.start()
        for source in (self.source, self.backfill):
            closing.callback(source.stop)
            source.start()

    def wake(self) -> None:
        """The spine's wait for messages ends."""
        self.source.inbox.wake()

    @property
    def view(self) -> View:
        view = self.spine.view
        assert view is not None
        return view

    @property
    def counters(self) -> Mapping[str, float]:
        """Metric name -> since the start."""
        came, old = self.source.counters, self.backfill.counters
        waiting = Counter[str]()
        for (channel, status), count in self.ledger.counts().messages.items():
            waiting[channel] += count * (status in ("queued", "failed"))
        return {
            **self.spine.counters,
            **self.spine.turns.samples(),
            **self.spine.commits.samples(),
            **self.spine.decisions.samples(),
            "canhbao_backfill_messages_total": old["received"],
            "canhbao_backfill_waiting": len(self.backfill.inbox),
            **_limited(self.source, self.backfill),
            "canhbao_shed_total": came["shed"],
            "canhbao_lost_total": came["lost"],
            "canhbao_repeated_total": came["repeated"],
            "canhbao_retained_again_total": came["retained_again"],
            "canhbao_reconnects_total": came["reconnects"],
            "canhbao_sessions_lost_total": came["sessions_lost"],
            "canhbao_stale_acks_total": came["stale_acks"],
            "canhbao_topics_refused": len(self.source.refused_topics),
            "canhbao_inbox_messages": len(self.source.inbox),
            'canhbao_errors_total{loop="mqtt"}': came["failed"] + old["failed"],
            'canhbao_errors_total{loop="delivery"}': self.delivery.failures,
            **self.delivery.counters,
            **self.cap.counters,
            **{f'canhbao_messages_waiting{{channel="{channel}"}}': waiting[channel] for channel in self.delivery.names},
        }  # fmt: skip

    def _chain(self, hazard: str, area: str) -> tuple[tuple[str, ...], ...]:
        """Who is called. Asked by the spine, also while it catches up and shows nothing yet."""
        view = self.spine.view
        city = parse_city(self._city_text) if view is None else view.city
        return chain_of(self.people.users, city, area, hazard)

    def _turned(self, _view: View) -> None:
        self.delivery.wake()
        self.cap.wake()
        self._told()

    def _session_lost(self) -> None:
        self.delivery.session_lost()
        self.cap.session_lost()

    def _arrival_ms(self) -> int:
        return self.view.arrival

    def _compose(self, notice: Notice, code: str) -> dict[str, Any]:
        view = self.view
        return message(
            notice, view.city, view.rules, page_url=self._page_url, exercise=view.clock == "data",
            code=code_lines(code, self._public_url),
        )  # fmt: skip


def _source(connections: Connections, login: Login, topics: tuple[str, ...], away_s: float) -> MqttSource:
    return MqttSource(connections.url, login.username, login.password, login.client_id or login.username, topics,
                      Inbox(), away_s=away_s, ca_file=connections.ca_file, identity=login.identity)  # fmt: skip


def _limited(*sources: MqttSource) -> dict[str, float]:
    """By gateway, and by topic where it is another network's."""
    counts = Counter[str]()
    for source in sources:
        for sender, count in source.limited.items():
            kind, _, name = (sender or "gateway unknown").partition(" ")
            counts[labelled("canhbao_rate_limited_total", **{kind: name})] += count
    return dict(counts)
