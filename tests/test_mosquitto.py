"""The configuration that cities run, against Debian's own Mosquitto: who may what, what is kept, what is refused."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import product
from pathlib import Path

import pytest
from brokers import CityMosquitto, Client, until
from paho.mqtt import client as paho
from paho.mqtt import publish
from paho.mqtt.enums import CallbackAPIVersion

from ingest.broker.knock import lets_in
from ingest.broker.mosquitto import MosquittoFolder
from ingest.broker.mosquitto_conf import LOOPBACK, NETWORK, PROBE_USER, access, configuration
from ingest.broker.reload import Reload, broker_pid, reload
from ingest.data_folder import FolderLockedError
from ingest.inbox import Inbox
from ingest.mqtt.source import COLLECTOR_TOPICS, MqttSource

needs_mosquitto = pytest.mark.server("mosquitto")
Make = Callable[..., CityMosquitto]
READINGS = "canhbao/v1/gw-1/readings"
COLLECTORS_ID = "collector-5eed"  # that it gives itself; the broker goes by its user name

OWN = [f"canhbao/v1/gw-1/{kind}" for kind in ("readings", "readings/cbor", "backfill", "backfill/cbor", "status")]
OTHERS = [topic.replace("gw-1", "gw-2") for topic in OWN]
TO_GATEWAYS = [f"canhbao/v1/{gateway}/{kind}" for gateway in ("gw-1", "gw-2") for kind in ("receipt", "command")]
TOLD = ["canhbao/v1/alerts/20242/flood", "canhbao/v1/cap/20242", "canhbao/v1/speak/20242",
        "canhbao/v1/drill/alerts/20242/flood", "canhbao/v1/drill/cap/20242"]  # fmt: skip
NOBODYS = ["canhbao/v1/gw-1/readings/a/b", "canhbao/v1/gw-1/other", "canhbao/v1/gw-1", "canhbao/v1/alerts/20242",
           "canhbao/v1/alerts/20242/flood/x", "canhbao/v1/cap", "canhbao/v1/speak/20242/x", "canhbao/v2/gw-1/readings",
           "gw-1/readings", "readings"]  # fmt: skip
# A user of ours may not pass for a gateway of the same name.
SELVES = [f"canhbao/v1/{user}/{kind}" for user in ("collector", "collector-out", "collector-listener",
          "collector-networks", PROBE_USER) for kind in ("readings", "status", "receipt")]  # fmt: skip
FILTERS = ["application/+/device/+/event/up", "tele/+/SENSOR", "+/events/rpc"]
FOREIGN = ["application/1/device/2/event/up", "tele/mains/SENSOR", "shelly-1/events/rpc"]
NOT_READ = ["application/1/device/2/event/status", "tele/mains/LWT", "v3/a@b/devices/c/up", "shelly-1/online"]
TOPICS = [*OWN, *OTHERS, *TO_GATEWAYS, *TOLD, *NOBODYS, *SELVES, *FOREIGN, *NOT_READ]
MAY_WRITE = {
    "gw-1": OWN,
    "collector": [
        *TO_GATEWAYS,
        *(topic for topic in SELVES if topic.endswith("receipt") and "collector/" not in topic),
    ],
    "collector-backfill": [*TO_GATEWAYS, *(topic for topic in SELVES if topic.endswith("receipt"))],
    "collector-out": TOLD,
    "collector-listener": [],
    "collector-networks": FOREIGN,
    PROBE_USER: [],
}
MAY_READ = {
    "gw-1": ["canhbao/v1/gw-1/receipt", "canhbao/v1/gw-1/command"],
    "collector": [topic for topic in (*OWN, *OTHERS, *SELVES, *FOREIGN)
                  if "backfill" not in topic and "receipt" not in topic and "collector/" not in topic],
    "collector-backfill": [topic for topic in (*OWN, *OTHERS) if "backfill" in topic],
    "collector-out": TOLD,
    "collector-listener": TOLD,
    "collector-networks": [],
    PROBE_USER: [],
}  # fmt: skip


@pytest.fixture
def make(tmp_path: Path, free_port: Callable[[], int], program: Callable[[str], str]) -> Iterator[Make]:
    """A started broker of the generated configuration, with gw-1 and gw-2."""
    with ExitStack() as closing:

        def begin(mend: Callable[[str], str] = str) -> CityMosquitto:
            broker = CityMosquitto(program("mosquitto"), tmp_path / "mosquitto", free_port(), ["gw-1", "gw-2"], mend,
                                   foreign=FILTERS)  # fmt: skip
            closing.callback(broker.stop)
            broker.start()
            return broker

        yield begin


def client(broker: CityMosquitto, user: str, *topics: str) -> Client:
    return Client(broker.port, *topics, username=user, password=broker.password_of(user))


def tell(broker: CityMosquitto, user: str, topic: str, payload: bytes) -> None:
    """One message at QoS 1 over a connection of its own: a refused one costs the connection, after its PUBACK."""
    login = {"username": user, "password": broker.password_of(user)}
    publish.single(topic, payload, 1, port=broker.port, hostname="127.0.0.1", client_id=user, auth=login)


def collector(broker: CityMosquitto, inbox: Inbox) -> MqttSource:
    source = MqttSource(broker.url, "collector", broker.password, COLLECTORS_ID, COLLECTOR_TOPICS, inbox)
    source.start()
    return source


def session_of_the_collector(broker: CityMosquitto) -> None:
    collector(broker, Inbox()).stop()


def drained(broker: CityMosquitto, count: int, wait_s: float = 20.0) -> list[bytes]:
    """What the collector is given, everything acknowledged, until there are `count` or nothing comes for a while."""
    inbox = Inbox()
    source = collector(broker, inbox)
    payloads = list[bytes]()
    deadline = time.monotonic() + wait_s
    while len(payloads) < count and time.monotonic() < deadline:
        messages = inbox.drain(0.5)
        payloads += [message.payload for message in messages]
        source.acknowledge(messages)
    payloads += [message.payload for message in inbox.drain(0.2)]  # more than asked for would be a defect
    source.stop()
    return payloads


# --- who may what ----------------------------------------------------------------------------------------------------


@pytest.fixture
def witnessed(make: Make) -> Iterator[tuple[CityMosquitto, Client]]:
    """A broker, and somebody who may read and write everything there."""
    broker = make()
    acl = broker.folder.folder / "acl"
    acl.write_text(f"{acl.read_text()}\nuser Witness\ntopic readwrite #\n")
    broker._passwords |= {"Witness": broker.folder.set_password("Witness"), PROBE_USER: broker.folder.probe}
    assert reload(broker.folder) == Reload.SEEN
    with client(broker, "Witness", "#") as witness:
        yield broker, witness


@needs_mosquitto
@pytest.mark.parametrize("user", MAY_WRITE)
def test_a_user_writes_what_is_his_and_nothing_else(witnessed: tuple[CityMosquitto, Client], user: str) -> None:
    broker, witness = witnessed

    for topic in TOPICS:
        tell(broker, user, topic, b"w")
    witness.publish("last", b"")  # what came before it has been delivered

    until(lambda: witness.heard[-1:] and witness.heard[-1][0] == "last")
    assert sorted(topic for topic, _, _ in witness.heard[:-1]) == sorted(MAY_WRITE[user])


@needs_mosquitto
def test_a_user_hears_what_is_his_and_nothing_else(witnessed: tuple[CityMosquitto, Client]) -> None:
    broker, witness = witnessed
    with ExitStack() as closing:
        ears = {user: closing.enter_context(client(broker, user, "#", "+/+/+/+", "$SYS/#")) for user in MAY_READ}
        for topic in TOPICS:
            witness.publish(topic, b"r")

        for user, allowed in MAY_READ.items():
            until(lambda user=user, allowed=allowed: len(set(ears[user].heard)) >= len(allowed), user)
        time.sleep(0.2)
        heard = {user: sorted({topic for topic, _, _ in ear.heard}) for user, ear in ears.items()}
    assert heard == {user: sorted(allowed) for user, allowed in MAY_READ.items()}


@needs_mosquitto
def test_a_shared_subscription_takes_nothing_from_the_collector(make: Make) -> None:
    broker = make()
    inbox = Inbox()
    source = collector(broker, inbox)
    with client(broker, "gw-2", "$share/x/canhbao/v1/+/readings", "$share/collector/#") as thief:
        for n in range(10):
            tell(broker, "gw-1", READINGS, b"%d" % n)
        assert [message.payload for message in inbox.drain(5)][:1] == [b"0"]
        until(lambda: source.counters["received"] == 10)
        assert thief.heard == []
    source.stop()


@needs_mosquitto
@pytest.mark.parametrize(
    ("user", "password"), [("gw-1", "wrong"), ("gw-1", ""), ("gw-3", "any"), ("", ""), ("Gw-1", None), ("gw-2", None)]
)
def test_nobody_enters_without_the_password_of_that_user(make: Make, user: str, password: str | None) -> None:
    broker = make()
    password = broker.password_of("gw-1") if password is None else password
    with Client(broker.port, username=user, password=password) as nobody:
        assert nobody.reason == "Not authorized"


@needs_mosquitto
def test_nobody_enters_without_a_name_also_where_the_client_id_is_free(make: Make) -> None:
    broker = make(lambda conf: conf.replace("use_username_as_clientid true\n", ""))
    with Client(broker.port) as nobody:
        assert nobody.reason == "Not authorized"


@needs_mosquitto
@pytest.mark.parametrize("reloaded", [False, True])
def test_the_collectors_client_id_is_of_no_use_to_a_gateway(make: Make, *, reloaded: bool) -> None:
    broker = make()
    if reloaded:
        assert reload(broker.folder) in (Reload.SEEN, Reload.UNSEEN)
    session_of_the_collector(broker)
    tell(broker, "gw-2", "canhbao/v1/gw-2/readings", b"kept")

    for id_, clean in product(("collector", COLLECTORS_ID), (True, False)):
        thief = paho.Client(CallbackAPIVersion.VERSION2, id_, clean_session=clean)
        thief.username_pw_set("gw-1", broker.password_of("gw-1"))
        heard: list[bytes] = []
        thief.on_message = lambda _c, _u, m, heard=heard: heard.append(m.payload)
        thief.connect("127.0.0.1", broker.port)
        thief.loop_start()
        until(thief.is_connected)
        time.sleep(0.1)
        thief.disconnect()
        thief.loop_stop()
        assert heard == []
    assert drained(broker, 1) == [b"kept"]


# --- passwords -------------------------------------------------------------------------------------------------------


@needs_mosquitto
def test_no_password_of_a_gateway_is_on_disk_or_in_the_log_and_ours_are_readable_by_their_owner_alone(
    make: Make,
) -> None:
    broker = make()
    with client(broker, "gw-1"), client(broker, "collector-out"):
        pass
    with Client(broker.port, username="gw-1", password="guessed-by-somebody"):
        pass
    broker.stop()
    files = [file for file in broker.folder.folder.rglob("*") if file.is_file()]

    secrets = [broker.password_of(user) for user in ("gw-1", "gw-2")] + ["guessed-by-somebody"]
    ours = [broker.password_of(user) for user in ("collector", "collector-backfill", "collector-out")]
    assert len(set(secrets + ours)) == 6
    for file in files:
        content = file.read_text(errors="replace")
        kept = [secret for secret in ours if secret in content]
        assert kept == ([content] if file.suffix == ".password" and content in ours else [])
        assert not any(secret in content for secret in secrets)
    written = ("passwords", "acl", "mosquitto.conf", "collector.password", "state/mosquitto.db")
    assert {stat.S_IMODE((broker.folder.folder / name).stat().st_mode) for name in written} == {0o600}
    assert stat.S_IMODE((broker.folder.folder / "state").stat().st_mode) == 0o700


@needs_mosquitto
def test_mosquittos_own_program_and_ours_understand_each_others_passwords(make: Make) -> None:
    broker = make()
    folder = broker.folder.folder
    tool = Path("/usr/bin/mosquitto_passwd")
    if not tool.exists():
        pytest.skip("mosquitto_passwd is not installed: apt-get install mosquitto")
    subprocess.run([tool, "-b", folder / "passwords", "gw-9", "from the tool"], check=True, capture_output=True)
    with broker.folder.changing():
        broker.folder.remove("gw-2")
    assert broker.folder.gateways == ["gw-1", "gw-9"]
    reload(broker.folder)

    assert lets_in(("127.0.0.1", broker.port), "gw-9", "from the tool")
    assert lets_in(("127.0.0.1", broker.port), "gw-1", broker.password_of("gw-1"))
    assert not lets_in(("127.0.0.1", broker.port), "gw-2", broker.password_of("gw-2"))


def test_made_twice_it_is_the_same_and_what_a_person_changed_stays(tmp_path: Path) -> None:
    folder = MosquittoFolder(tmp_path / "deep" / "mosquitto")
    with folder.changing():
        folder.set_password("gw-1")
    conf = tmp_path / "deep" / "mosquitto" / "mosquitto.conf"
    conf.write_text(conf.read_text() + "set_tcp_nodelay true\n")
    before = {file: file.read_bytes() for file in folder.folder.rglob("*") if file.is_file() and file.name != "lock"}
    with folder.changing(NETWORK):
        pass
    assert {file: file.read_bytes() for file in before} == before
    assert folder.users == [
        "collector",
        "collector-backfill",
        "collector-out",
        "collector-networks",
        "collector-listener",
        PROBE_USER,
        "gw-1",
    ]


def test_the_network_is_let_in_over_tls_alone_and_every_listener_ties_the_client_id(tmp_path: Path) -> None:
    here = ["listener 1883 127.0.0.1", "use_username_as_clientid true"]
    served = ["use_username_as_clientid true", "certfile tls/server.crt", "keyfile tls/server.key"]
    network = ["listener 8883 0.0.0.0", *served]
    certified = ["listener 8884 0.0.0.0", *served, "cafile ca/ca.crt", "crlfile ca/crl.pem",
                 "require_certificate true", "use_identity_as_username true"]  # fmt: skip
    for name, there, expected in (
        ("without", (), here),
        ("with", ("tls/server.crt",), here + network),
        ("both", ("tls/server.crt", "ca/ca.crt"), here + network + certified),
    ):
        for file in there:
            (tmp_path / name / file).parent.mkdir(parents=True)
            (tmp_path / name / file).touch()
        folder = MosquittoFolder(tmp_path / name)
        with folder.changing():
            text = (tmp_path / name / "mosquitto.conf").read_text()
            assert folder.takes_certificates == (name == "both")
        lines = [line for line in text[text.index("\nlistener ") :].splitlines() if line]
        assert [line for line in lines if not line.startswith("#")] == expected
        marked = [line.lstrip("#") for line in lines]
        assert [line for line in marked if not line.startswith(" ")] == here + network + certified


def test_rights_are_ours_alone_and_a_lost_password_is_made_anew(tmp_path: Path) -> None:
    folder = MosquittoFolder(tmp_path / "mosquitto")
    with folder.changing():
        lost = folder.password_file("collector").read_text()
    (folder.folder / "acl").write_text("topic readwrite #\n")
    folder.password_file("collector").unlink()
    hashed = (folder.folder / "passwords").read_text()

    with folder.changing():
        assert folder.password_file("collector").read_text() != lost
    assert (folder.folder / "acl").read_text() == access()
    assert (folder.folder / "passwords").read_text().splitlines()[1:4] == hashed.splitlines()[1:4]
    assert (folder.folder / "passwords").read_text().splitlines()[0] != hashed.splitlines()[0]


def test_two_at_once_are_locked_out(tmp_path: Path) -> None:
    folder = MosquittoFolder(tmp_path / "mosquitto")
    with (
        folder.changing(),
        pytest.raises(FolderLockedError, match="in use by process"),
        MosquittoFolder(folder.folder).changing(),
    ):
        pass


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_what_root_writes_belongs_to_the_owner_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    os.chown(tmp_path / "data", 65534, 65534)
    folder = MosquittoFolder(tmp_path / "data" / "mosquitto")
    with folder.changing():
        folder.set_password("gw-1")

    assert {path.stat().st_uid for path in (folder.folder, *folder.folder.rglob("*"))} == {65534}
    assert "user nobody\n" in (folder.folder / "mosquitto.conf").read_text()


# --- a running broker is told ----------------------------------------------------------------------------------------


@needs_mosquitto
def test_a_revoked_gateway_is_put_out_and_the_others_stay(make: Make) -> None:
    broker = make()
    inbox = Inbox()
    source = collector(broker, inbox)
    with client(broker, "gw-1") as gone, client(broker, "gw-2") as stays:
        with broker.folder.changing():
            broker.folder.remove("gw-1")
            assert reload(broker.folder) == Reload.SEEN
        until(lambda: gone.reason == "Not authorized", "it is still let in")
        stays.publish("canhbao/v1/gw-2/readings", b"x")
        assert [message.payload for message in inbox.drain(5)] == [b"x"]
        assert stays.reason == "Success"
        assert stays.client.is_connected()
    assert source.counters["reconnects"] == 0
    source.stop()


@needs_mosquitto
def test_a_new_password_ends_the_old_one_and_its_connection(make: Make) -> None:
    broker = make()
    with client(broker, "gw-1") as old:
        with broker.folder.changing():
            password = broker.folder.set_password("gw-1")
            assert reload(broker.folder) == Reload.SEEN
        until(lambda: old.reason == "Not authorized")
    assert lets_in(("127.0.0.1", broker.port), "gw-1", password)


@needs_mosquitto
def test_a_broker_that_cannot_take_it_is_not_believed(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingest.broker.reload._SEEN_S", 0.5)
    broker = make()
    os.kill(broker.pid, signal.SIGSTOP)
    try:
        with broker.folder.changing():
            broker.folder.set_password("gw-1")
            assert reload(broker.folder) == Reload.UNSEEN
    finally:
        os.kill(broker.pid, signal.SIGCONT)


@needs_mosquitto
def test_only_a_mosquitto_of_this_very_folder_is_told(make: Make, tmp_path: Path) -> None:
    broker = make()
    assert broker_pid(broker.folder.folder) == broker.pid
    other = MosquittoFolder(tmp_path / "other")
    with other.changing():
        other.set_password("gw-1")
    for pid in (str(os.getpid()), "0", "-1", "", "x", "4194304", str(broker.pid)):
        (other.folder / "state" / "mosquitto.pid").write_text(pid)
        assert broker_pid(other.folder) is None
    assert reload(other) == Reload.NOT_HERE
    assert "Reloading" not in broker.log


# --- limits and what is kept -----------------------------------------------------------------------------------------


@needs_mosquitto
def test_five_thousand_messages_wait_for_the_collector_and_survive_a_restart(make: Make) -> None:
    broker = make()
    session_of_the_collector(broker)
    with client(broker, "gw-1") as gateway:
        gateway.publish(READINGS, *[b"%d" % n for n in range(5_000)])
    broker.terminate()
    broker.start()

    assert drained(broker, 5_000) == [b"%d" % n for n in range(5_000)]


@needs_mosquitto
def test_a_killed_broker_has_what_it_saved_and_no_more(make: Make) -> None:
    broker = make()
    session_of_the_collector(broker)
    tell(broker, "gw-1", READINGS, b"saved")
    saved = broker.folder.folder / "state" / "mosquitto.db"
    os.kill(broker.pid, signal.SIGUSR1)  # what it does by itself every autosave_interval
    until(lambda: saved.exists() and b"saved" in saved.read_bytes())
    tell(broker, "gw-1", READINGS, b"acknowledged and lost")
    broker.kill()
    broker.start()

    assert drained(broker, 2, wait_s=2) == [b"saved"]


@needs_mosquitto
def test_it_saves_by_itself(make: Make) -> None:
    broker = make(lambda conf: conf.replace("autosave_interval 60", "autosave_interval 1"))
    session_of_the_collector(broker)
    tell(broker, "gw-1", READINGS, b"kept")
    saved = broker.folder.folder / "state" / "mosquitto.db"
    until(lambda: saved.exists() and b"kept" in saved.read_bytes())
    broker.kill()
    broker.start()
    assert drained(broker, 1) == [b"kept"]


@needs_mosquitto
def test_at_the_byte_budget_the_newest_are_dropped_and_the_log_says_so(make: Make) -> None:
    broker = make(lambda conf: conf.replace("max_queued_bytes 1073741824", "max_queued_bytes 10000"))
    session_of_the_collector(broker)
    with client(broker, "gw-1") as gateway:
        gateway.publish(READINGS, *[b"%05d" % n + bytes(95) for n in range(500)])  # every one is acknowledged
    assert "Outgoing messages are being dropped for client collector." in broker.log

    assert [payload[:5] for payload in drained(broker, 500, wait_s=2)] == [b"%05d" % n for n in range(100)]
    tell(broker, "gw-1", READINGS, b"there is room again")
    assert drained(broker, 1) == [b"there is room again"]


def test_the_byte_budget_fits_into_what_mosquitto_2_0_reads_of_it() -> None:
    """It takes the number into 32 bits: 4294968296 is a budget of 1000 bytes there."""
    line = next(line for line in configuration((LOOPBACK,), "").splitlines() if line.startswith("max_queued_bytes"))
    assert 2**29 <= int(line.split()[1]) < 2**31


@needs_mosquitto
@pytest.mark.parametrize("size", [50 * 1024**2, 65_537])
def test_a_packet_that_is_too_large_costs_its_sender_alone(make: Make, size: int) -> None:
    broker = make()
    inbox = Inbox()
    source = collector(broker, inbox)
    with client(broker, "gw-2") as other:
        _send_raw(broker, "gw-1", bytes(size))
        until(lambda: "Client gw-1 disconnected due to oversize packet." in broker.log)
        other.publish("canhbao/v1/gw-2/readings", b"fine")
        assert [message.payload for message in inbox.drain(5)] == [b"fine"]
    assert source.counters["reconnects"] == 0
    source.stop()


@needs_mosquitto
def test_the_largest_payload_of_the_contract_passes(make: Make) -> None:
    broker = make()
    session_of_the_collector(broker)
    tell(broker, "gw-1", READINGS, bytes(16_000))
    tell(broker, "gw-1", READINGS, bytes(20_000))  # refused by us, with a reason: the broker must let it come

    assert [len(payload) for payload in drained(broker, 2)] == [16_000, 20_000]


def _send_raw(broker: CityMosquitto, user: str, payload: bytes) -> None:
    """One PUBLISH, cut off by the broker somewhere inside it."""

    def text(words: str) -> bytes:
        return len(words).to_bytes(2) + words.encode()

    def packet(kind: int, body: bytes) -> bytes:
        length, left = b"", len(body)
        while left > 127:
            length, left = length + bytes([left % 128 + 128]), left // 128
        return bytes([kind]) + length + bytes([left]) + body

    login = b"\x00\x04MQTT\x04\xc2\x00\x00" + text("any") + text(user) + text(broker.password_of(user))
    with socket.create_connection(("127.0.0.1", broker.port), timeout=10) as sock:
        sock.sendall(packet(0x10, login))
        assert sock.recv(4) == b"\x20\x02\x00\x00"
        try:
            sock.sendall(packet(0x32, text(READINGS) + b"\x00\x01" + payload))
            assert sock.recv(4) == b""
        except ConnectionError:
            pass
