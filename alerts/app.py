"""Where all parts are joined: one process, three threads (paho, the spine, asyncio) and bounded queues between."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from random import Random
from typing import Any, Final, cast

from alerts.acts import Acts
from alerts.delivery.cap import CapMeans
from alerts.delivery.channels import KINDS
from alerts.delivery.channels.channel import DeskChannel, Means
from alerts.delivery.hold import FILE, Gate, read_hold
from alerts.folds import RecoveryError
from alerts.given import NO_SECTION, Secret
from alerts.importing import Imports
from alerts.ledger.audit import Audit
from alerts.ledger.cap import CapStore
from alerts.ledger.codes import Codes
from alerts.ledger.deliveries import DESK, Deliveries, SideName
from alerts.ledger.ledger import Ledger
from alerts.ledger.outbox import Outbox
from alerts.ledger.store import LedgerError
from alerts.post.deliveries import POST
from alerts.proof.keys import open_keys
from alerts.proof.signature import key_id
from alerts.residents.seal import SealError
from alerts.residents.sweeping import sweep_until
from alerts.residents_side import ResidentsSide
from alerts.settings import Settings, read_text
from alerts.snapshots import Snapshots
from alerts.spine import Texts
from alerts.staff import Staff
from alerts.view import View
from alerts.watch.parts import parts
from alerts.way import Clock, StoppedError, Stores
from alerts.web.app import create_app
from alerts.web.operators import operators_token
from alerts.web.server import ListenError, Server, listen, urls
from alerts.web.sources import Cap, Desks, Part, PeopleDesk, Proof, Providers, ResidentsDesk, Sources, Standing
from alerts.words.cap_place import Ring, outlines
from alerts.words.names import Lang
from alerts.works import Connections, Login, Works
from ingest.broker.nats import BrokerError, NatsBroker
from ingest.city import parse_city
from ingest.data_folder import FolderError, announce, kept_random, lock_folder
from ingest.history.process import HistoryProcess
from ingest.history.store import DAY_MS
from ingest.history.stores import EMBEDDED
from ingest.journal import Journal, JournalError
from ingest.mqtt.connection import MqttError
from ingest.mqtt.publisher import MqttPublisher
from ingest.networks import topic_filters
from processing.rules import parse_rules
from processing.warm import warm_up

log = logging.getLogger(__name__)

THREADS: Final = 32  # for reads of the ledger and of pages: those of pages alone must not fill them
END_S: Final = 10.0  # for the last turn and the last messages; what is not sent then is sent after the next start


class ServiceError(Exception):
    """The service cannot run; one line that says why."""


class Service:
    """The whole service of one data folder: `start`, `run` until it is asked to end, `close`."""

    def __init__(self, settings: Settings, *, lang: Lang = "vi") -> None:
        self._settings, self._lang = settings, lang
        self._stopping = threading.Event()
        self._failure = ""
        self._bundled: NatsBroker | None = None
        self._side: ResidentsSide | None = None
        self._closing = ExitStack()
        self.page_url = ""
        self.mqtt_url = ""

    def start(self) -> None:
        """Everything that can fail at a start, in the order in which a user can mend it. Raises ServiceError."""
        settings = self._settings
        with _as_service_error(), ExitStack() as closing:
            texts = _texts(settings)
            self._socket = closing.enter_context(listen(settings.http_host, settings.http_port))
            self.page_url, local_url = urls(*self._socket.getsockname()[:2])
            self._link_url = settings.public_url or local_url
            closing.enter_context(lock_folder(settings.data_path))
            warm_up()  # before MQTT connects: no reading waits for a compiler
            stores = self._open_stores(closing)
            self._keys = open_keys(settings.data_path)
            connections = self._broker(closing)
            self.mqtt_url = connections.url
            self._changed = asyncio.Event()
            self._loop: asyncio.AbstractEventLoop | None = None
            self._city = parse_city(texts.city_toml)  # until there is a view
            self._gate = Gate(settings.data_path, Outbox(stores.ledger.store), self._give_up)
            self._works = Works(
                stores, connections, texts, Clock(settings.clock, _wall_ms, time.monotonic, self._stopping.wait),
                channels=self._channels, random=Random(), page_url=self._link_url, public_url=settings.public_url,
                keys=self._keys, told=self._told, gate=self._gate, cap=self._cap(texts),
            )  # fmt: skip
            self._works.start(closing)
            self._history = _history(settings, lambda: self._works.view)
            closing.callback(self._history.stop)
            self._history.start()
            # Where time is the data's nothing is real, and nobody subscribes to it.
            if settings.residents_key is not None and settings.clock == "wall":
                self._side = ResidentsSide(
                    settings, closing, stores.ledger, lambda: self._works.view, link_url=self._link_url,
                    city_toml=texts.city_toml, held=lambda: self._gate.shut, now_ms=_wall_ms,
                )  # fmt: skip
            self._token = operators_token(settings.data_path)
            closing.enter_context(announce(settings.data_path, self.page_url))
            self._closing = closing.pop_all()

    def run(self, *, until_s: float | None = None, ending: Callable[[], object] = lambda: None) -> None:
        """Serve until SIGINT or SIGTERM, until `until_s` seconds are over, or until a part fails: then ServiceError.

        `ending` is called, in a thread, before anything is stopped.
        """
        asyncio.run(self._serve(until_s, ending))
        if self._failure:
            raise ServiceError(self._failure)

    def close(self) -> None:
        """Let go of broker, stores and folder; the ledger can be read up to here."""
        self._closing.close()

    def stop(self) -> None:
        """Ask it to end. From any thread."""
        self._stopping.set()
        self._works.wake()
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._changed.set)

    @property
    def counters(self) -> Mapping[str, float]:
        """Metric name -> since the start."""
        counters, bundled = {**self._works.counters, **self._history.counters}, self._bundled
        if self._side is not None:
            counters |= self._side.post.counters
        if bundled is None:
            return counters
        return {
            **counters,
            "canhbao_broker_restarts_total": bundled.restarts,
            "canhbao_broker_errors_total": bundled.errors,
        }

    @property
    def held(self) -> str:
        """Why nothing is sent, in one line; "" where delivery is free."""
        return self._gate.says()

    @property
    def ledger(self) -> Ledger:
        return self._works.ledger

    # -- threads ---------------------------------------------------------------------------------------------------

    async def _serve(self, until_s: float | None, ending: Callable[[], object]) -> None:
        self._loop = loop = asyncio.get_running_loop()
        ended, quiet = asyncio.Event(), asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, ended.set)
        if until_s is not None:
            loop.call_later(until_s, ended.set)
        app = create_app(
            Sources(
                view=lambda: self._works.view,
                ledger=self.ledger,
                changed=self._changed,
                health=self._parts,
                now_ms=self._service_ms,
                counters=lambda: self.counters,
                operators=Desks(
                    self._token,
                    self._works.letters,
                    self._imports(),
                    self._people(),
                    None if self._side is None else self._side.groups,
                    self._deliveries(),
                ),
                history=self._history.client,
                standing=self._standing,
                proof=self._proof(),
                cap=Cap(CapStore(self.ledger.store), lambda: self._works.cap.voice),
                **self._towards_residents(),
            )
        )
        server = Server(app, END_S)
        loop.set_default_executor(ThreadPoolExecutor(THREADS, "io"))
        spine = _on_a_thread(loop, self._turn_for_ever, "spine")
        serving = asyncio.create_task(server.serve(sockets=[self._socket]))
        delivering = asyncio.create_task(self._works.delivery.run(quiet))
        alerting = asyncio.create_task(self._works.cap.run(quiet))
        ending_with = {delivering, alerting}
        if self._side is not None:  # no part of what must not end: warnings do not wait for it
            ending_with.add(asyncio.create_task(sweep_until(quiet, self._side.book, _wall_ms)))
        parts = {"the spine": spine, "the web server": serving, "delivery": delivering, "CAP": alerting}
        for name, part in parts.items():
            part.add_done_callback(partial(self._part_ended, name, ended))
        await ended.wait()
        ended.set()
        await asyncio.to_thread(ending)
        self.stop()
        await spine
        quiet.set()
        await asyncio.wait(ending_with)
        await self._deliver_the_rest()
        await self._works.delivery.close()
        await app.state.fan_out.stop()
        server.should_exit = True
        await asyncio.wait({serving})

    def _part_ended(self, name: str, ended: asyncio.Event, part: asyncio.Future[None]) -> None:
        """A part that ends before it was asked to takes the service with it: half of it running would look whole."""
        if not ended.is_set():
            self._failure = self._failure or f"{name} ended by itself; the log says why"
            if not part.cancelled() and (error := part.exception()) is not None:
                log.error("%s failed", name, exc_info=error)
        ended.set()

    def _turn_for_ever(self) -> None:
        """The spine's thread: the one loop that owns the way of a reading."""
        try:
            while not self._stopping.is_set():
                self._works.spine.turn()
            self._works.spine.end()
        except StoppedError as error:
            log.error("ended while a write was refused: %s", error)  # noqa: TRY400  # no fault of the code
        except Exception:
            # Going on with a state that nobody knows could tell wrong things; a restart recovers it from the journal.
            self._failure = "the spine failed; the log says why; a restart recovers from the journal"
            log.exception("spine")
        finally:
            self._works.desk.close()
            self._works.imports.close()
            self._works.acts.close()

    async def _deliver_the_rest(self) -> None:
        """What the last turns called for, as far as it goes out soon; the rest goes out after the next start."""
        try:
            async with asyncio.timeout(END_S):
                while await self._works.delivery.turn() or await asyncio.to_thread(self._works.cap.turn):
                    pass
        except (TimeoutError, LedgerError, MqttError) as error:
            log.warning("some warnings are left for the next start: %s", error or "no time")

    # -- what the parts see of each other --------------------------------------------------------------------------

    def _told(self) -> None:
        self._city = self._works.view.city
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._changed.set)
        if self._side is not None:
            self._side.post.wake()

    def _give_up(self, until: int) -> int:
        return 0 if self._side is None else self._side.give_up(until)

    def _channels(self, publisher: MqttPublisher) -> list[DeskChannel]:
        settings = self._settings
        means = Means(
            settings.data_path, settings.public_url, _wall_ms, self._lang, sys.stdout, publisher, lambda: self._city
        )  # fmt: skip
        real = settings.clock == "wall"
        kinds = [kind for kind in KINDS.values() if kind.serves == "desk" and (real or kind.rehearses)]
        made = [one for kind in kinds for one in kind.made(settings.channels.get(kind.name, NO_SECTION), means)]
        return [cast(DeskChannel, channel) for channel in made]

    def _proof(self) -> Proof:
        public = self._keys.signing.public_key()
        return Proof(Codes(self.ledger.store), {key_id(public): public}, self._link_url)

    def _cap(self, texts: Texts) -> CapMeans:
        """Raises ConfigError where the file of outlines is none."""
        cap, folder = self._settings.cap, self._settings.city_file.parent
        name, rings = parse_city(texts.city_toml).areas_geojson, dict[str, tuple[Ring, ...]]()
        if name:
            rings = outlines(read_text(folder / name), str(folder / name))
        return CapMeans(cap.sender, cap.sender_name, cap.contact, self._link_url, rings)

    def _imports(self) -> Imports:
        works, settings = self._works, self._settings
        kept_ms = settings.history_keep.raw_days * DAY_MS if settings.history_url == EMBEDDED else None
        return Imports(
            works.imports, self._history.client, lambda: works.view.city, time.monotonic, self._stopping.wait,
            lambda: 0 if kept_ms is None else self._service_ms() - kept_ms,
        )  # fmt: skip

    def _people(self) -> PeopleDesk:
        works = self._works
        staff = Staff(works.people, lambda: works.view.city, self._service_ms)
        contacts = None if self._side is None else self._side.staff_contacts(staff)
        return PeopleDesk(staff, Audit(works.ledger.store), Acts(works.acts).act, contacts)

    def _towards_residents(self) -> dict[str, Any]:
        """What the faces have of it, nothing where nobody can subscribe here."""
        side = self._side
        if side is None:
            return {}
        return {
            "residents": ResidentsDesk(side.book, {name: kind.reach for name, kind in side.kinds.items()}),
            "providers": Providers(side.hooks, side.receipt, side.groups.reply),
            "push_key": side.push_key,
        }

    def _deliveries(self) -> dict[SideName, Deliveries]:
        ledger = self.ledger.store
        sides: dict[SideName, Deliveries] = {"desk": Deliveries(DESK, ledger, ledger)}
        if self._side is not None:
            sides["post"] = Deliveries(POST, self._side.post_store, ledger)
        return sides

    def _standing(self) -> Standing:
        return Standing(tuple(self.ledger.silences()), self.ledger.official_level(self._service_ms()))

    def _service_ms(self) -> int:
        return _wall_ms() if self._settings.clock == "wall" else self._works.view.arrival

    def _parts(self) -> dict[str, Part]:
        wall = self._settings.clock == "wall"
        post = None if self._side is None else self._side.post
        return parts(self._works, self._history, post, self._bundled, wall=wall, held=self.held)

    # -- parts -----------------------------------------------------------------------------------------------------

    def _open_stores(self, closing: ExitStack) -> Stores:
        folder = self._settings.data_path
        if (hold := read_hold(folder)) is not None and hold.restoring:
            raise ServiceError(f"{folder}: a restore did not come to its end here ({FILE}); empty it and restore again")
        journal = Journal.open(folder / "journal")
        closing.callback(journal.close)
        was = journal.configuration
        if was is not None and was.clock != self._settings.clock:
            raise ServiceError(
                f"{folder}: this journal was begun with the clock {was.clock!r}, not {self._settings.clock!r}"
            )
        ledger = Ledger.open(folder / "ledger.sqlite")
        closing.callback(ledger.close)
        return Stores(journal, ledger, Snapshots(folder / "snapshots"))

    def _broker(self, closing: ExitStack) -> Connections:
        mqtt, networks, folder = self._settings.mqtt, self._settings.networks, self._settings.data_path
        live_id = mqtt.client_id or kept_random(folder / "client_id", "collector-")
        backfill_id = kept_random(folder / "backfill_client_id", "collector-backfill-")
        if mqtt.embedded_port is None:
            return Connections(
                mqtt.url,
                Login(mqtt.username, _text(mqtt.password), live_id, mqtt.identity),
                Login(mqtt.backfill_username, _text(mqtt.backfill_password), backfill_id, mqtt.backfill_identity),
                Login(mqtt.out_username, _text(mqtt.out_password), "", mqtt.out_identity),
                mqtt.ca_file,
                networks,
            )
        self._bundled = broker = NatsBroker.start(folder, mqtt.embedded_port, topic_filters(networks))
        closing.callback(broker.stop)
        live, backfill, out = broker.collector, broker.collector_backfill, broker.collector_out
        return Connections(
            broker.url,
            Login(live.username, live.password, live_id),
            Login(backfill.username, backfill.password, backfill_id),
            Login(out.username, out.password),
            networks=networks,
        )


def _history(settings: Settings, view: Callable[[], View]) -> HistoryProcess:
    keep = settings.history_keep
    arguments = [
        "--data", str(settings.data_path), "--url", settings.history_url, "--zone", view().city.timezone.key,
        "--keep-raw-days", str(keep.raw_days), "--keep-minutes-days", str(keep.minutes_days),
    ]  # fmt: skip
    token = {} if settings.history_token is None else {"CANHBAO_HISTORY__TOKEN": settings.history_token.reveal()}
    return HistoryProcess(arguments, {**os.environ, **token}, lambda: view().position)


def _text(secret: Secret | None) -> str:
    return secret.reveal() if secret else ""


def _wall_ms() -> int:
    return time.time_ns() // 1_000_000


def _texts(settings: Settings) -> Texts:
    """Registry and rules, checked. Raises ConfigError naming the file."""
    city, rules = read_text(settings.city_file), read_text(settings.rules_file)
    parse_city(city, str(settings.city_file))
    parse_rules(rules, str(settings.rules_file))
    return Texts(city, rules)


def _on_a_thread(loop: asyncio.AbstractEventLoop, work: Callable[[], None], name: str) -> asyncio.Future[None]:
    """`work`, which raises nothing, on a thread of its own; done when it is."""
    done: asyncio.Future[None] = loop.create_future()

    def run() -> None:
        work()
        loop.call_soon_threadsafe(done.set_result, None)

    threading.Thread(target=run, name=name).start()
    return done


@contextmanager
def _as_service_error() -> Iterator[None]:
    try:
        yield
    except (ListenError, FolderError, BrokerError, MqttError, JournalError, LedgerError, RecoveryError) as error:
        raise ServiceError(str(error)) from error
    except SealError as error:
        raise ServiceError(f"residents.key_file: another key than that of residents.sqlite ({error})") from error
    except OSError as error:
        raise ServiceError(f"{error.filename}: {error.strerror}" if error.filename else str(error)) from error
