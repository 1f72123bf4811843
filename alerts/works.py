"""The working parts, joined: from the broker's messages to the channels. The faces look at them and change nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Final

from alerts.delivery.channels import Channel
from alerts.delivery.delivery import Delivery
from alerts.incidents.incident import Notice
from alerts.ledger.ledger import Ledger
from alerts.ledger.outbox import Outbox
from alerts.spine import Clock, Spine, Stores, Texts
from alerts.view import View
from alerts.words.message import message
from ingest.inbox import Inbox
from ingest.mqtt import MqttPublisher, MqttSource
from ingest.tls import Identity

READINGS_TOPICS: Final = ("canhbao/v1/+/readings", "canhbao/v1/+/readings/+")


@dataclass(frozen=True, slots=True)
class Connections:
    """Where the broker is and who we are there."""

    url: str
    username: str
    password: str = field(repr=False)
    out_username: str
    out_password: str = field(repr=False)
    client_id: str
    ca_file: Path | None = None
    identity: Identity | None = None
    out_identity: Identity | None = None


class Works:
    """Inbox, source, spine, publisher, delivery. `wall_ms` is the wall's time also where readings bring their own.

    `channels` makes them, given the connection that warnings go out on; `told` is called at every new view. Raises what
    the spine raises where the stores do not fit together, and MqttError for a wrong address.
    """

    def __init__(
        self, stores: Stores, connections: Connections, texts: Texts, clock: Clock, *,
        channels: Callable[[MqttPublisher], Sequence[Channel]], random: Random, page_url: str,
        told: Callable[[], object],
    ) -> None:  # fmt: skip
        self.ledger: Ledger = stores.ledger
        self._page_url, self._told = page_url, told
        self.inbox = Inbox()
        self.source = MqttSource(
            connections.url, connections.username, connections.password, connections.client_id, READINGS_TOPICS,
            self.inbox, ca_file=connections.ca_file, identity=connections.identity,
        )  # fmt: skip
        self.publisher = MqttPublisher(
            connections.url, connections.out_username, connections.out_password, ca_file=connections.ca_file,
            identity=connections.out_identity,
        )  # fmt: skip
        self.spine = Spine(self.inbox.drain, self.source, stores, texts, clock, self._turned)
        self.delivery = Delivery(
            Outbox(stores.ledger.store), channels(self.publisher), self._compose, now_ms=clock.now_ms, random=random
        )

    def start(self, closing: ExitStack) -> None:
        """Decide what was left, then connect. Raises MqttError, JournalError, LedgerError."""
        self.spine.begin()
        self.publisher.on_session = self.delivery.session_lost
        closing.callback(self.publisher.stop)
        self.publisher.start()
        closing.callback(self.source.stop)
        self.source.start()

    @property
    def view(self) -> View:
        view = self.spine.view
        assert view is not None
        return view

    @property
    def counters(self) -> Mapping[str, float]:
        """Metric name -> since the start."""
        came, sent = self.source.counters, self.ledger.counts().messages
        return {
            **self.spine.counters,
            "canhbao_shed_total": came["shed"],
            "canhbao_lost_total": came["lost"],
            "canhbao_repeated_total": came["repeated"],
            "canhbao_retained_again_total": came["retained_again"],
            "canhbao_reconnects_total": came["reconnects"],
            "canhbao_sessions_lost_total": came["sessions_lost"],
            "canhbao_stale_acks_total": came["stale_acks"],
            "canhbao_topics_refused": len(self.source.refused_topics),
            "canhbao_inbox_messages": len(self.inbox),
            'canhbao_errors_total{loop="mqtt"}': came["failed"],
            'canhbao_errors_total{loop="delivery"}': self.delivery.failures,
            **{f'canhbao_messages_sent_total{{channel="{channel}"}}': count
               for (channel, status), count in sent.items() if status == "sent"},
        }  # fmt: skip

    def _turned(self, _view: View) -> None:
        self.delivery.wake()
        self._told()

    def _compose(self, notice: Notice) -> dict[str, Any]:
        view = self.view
        return message(notice, view.city, view.rules, page_url=self._page_url, exercise=view.clock == "data")
