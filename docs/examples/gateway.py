"""A gateway that loses nothing: spool, numbers, receipts, holes, resending. Put your sensor into `measure`.

    python gateway.py 127.0.0.1 1883 gw-hai-chau-1 rain-hai-chau-1 spool.sqlite

Every 60 s (PERIOD_S, the next argument); with a COUNT after it, it ends when so many readings have their receipts.
"""

import json
import os
import secrets
import sqlite3
import sys
import time

import paho.mqtt.client as mqtt

WIRE_MOST, SENDS_MOST, RESEND_S, RESEND_MOST_S = 32, 5, 60, 3600
SPOOL_MOST = 100_000  # messages; beyond it the oldest go, and the collector tells operators that they are lost
TABLES = """
PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
CREATE TABLE IF NOT EXISTS numbering (id INTEGER PRIMARY KEY CHECK (id = 1), boot TEXT);
CREATE TABLE IF NOT EXISTS message (seq INTEGER PRIMARY KEY AUTOINCREMENT, readings TEXT);
CREATE TABLE IF NOT EXISTS parked (seq INTEGER PRIMARY KEY, readings TEXT);
"""


class Gateway:
    """`keep` readings, and call `step` all the time: it sends what is due and hears what comes. One thread."""

    def __init__(self, host: str, port: int, id_: str, spool: str) -> None:
        self.db = sqlite3.connect(spool, isolation_level=None)
        self.db.executescript(TABLES)
        self.db.execute("INSERT OR IGNORE INTO numbering VALUES (1, ?)", (secrets.token_hex(8),))
        (self.boot,) = self.db.execute("SELECT boot FROM numbering").fetchone()  # lives as long as the numbers do
        self.topic, self.ready = f"canhbao/v1/{id_}/", False
        self.wire: dict[int, tuple[float, int]] = {}  # seq: when it goes again, how often it went
        self.client = client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, id_)
        if "GATEWAY_PASSWORD" in os.environ:  # and over a network also client.tls_set(), port 8883
            client.username_pw_set(id_, os.environ["GATEWAY_PASSWORD"])
        client.will_set(self.topic + "status", "offline", 1, retain=True)
        client.max_queued_messages_set(2 * WIRE_MOST)
        client.on_connect = lambda *_: client.subscribe(self.topic + "receipt", 1)
        client.on_subscribe = lambda *_: self._listening()
        client.on_message = lambda _client, _data, message: self._told(json.loads(message.payload))
        client.connect_async(host, port, keepalive=30)

    def keep(self, *readings: dict[str, object]) -> int:
        """Number them as one message (at most 16,000 bytes); on disk when it returns."""
        seq = self.db.execute("INSERT INTO message (readings) VALUES (?)", (json.dumps(readings),)).lastrowid or 0
        self.db.execute("DELETE FROM message WHERE seq <= ?", (seq - SPOOL_MOST,))
        return seq

    def step(self) -> None:
        if self.client.loop(0.05) != mqtt.MQTT_ERR_SUCCESS:
            self.ready = False
            time.sleep(1)
            try:
                self.client.reconnect()
            except OSError:
                return
        if self.ready:
            free = WIRE_MOST - len(self.wire)
            new = "SELECT seq FROM message WHERE seq > ? ORDER BY seq LIMIT ?"
            self.wire |= {seq: (0.0, 0) for (seq,) in self.db.execute(new, (max(self.wire, default=0), free))}
            for seq in [seq for seq, (due, _) in self.wire.items() if due <= time.monotonic()]:
                self._send_again(seq)

    def unreceipted(self) -> int:
        return int(self.db.execute("SELECT count(*) FROM message").fetchone()[0])

    def _listening(self) -> None:
        self.client.publish(self.topic + "status", "online", 1, retain=True)
        self.wire = {seq: (0.0, max(0, sends - 1)) for seq, (_, sends) in self.wire.items()}  # may be lost: again
        self.ready = True

    def _told(self, receipt: dict[str, object]) -> None:
        through, missing = receipt.get("seq"), receipt.get("missing")
        if receipt.get("boot") == self.boot and isinstance(through, int):  # only now may anything be forgotten
            self.db.execute("DELETE FROM message WHERE seq <= ?", (through,))
            self.wire = {seq: flight for seq, flight in self.wire.items() if seq > through}
        elif receipt.get("boot") == self.boot and isinstance(missing, list):
            for seq in missing:  # what is not on the wire yet comes anyhow; what is gone is sent empty
                if seq in self.wire or not self._held(seq):
                    self._send(seq)

    def _send_again(self, seq: int) -> None:
        sends = self.wire[seq][1]
        if sends == SENDS_MOST:  # something is wrong with it: aside for a person, and its number goes empty
            self.db.execute("INSERT OR IGNORE INTO parked SELECT * FROM message WHERE seq = ?", (seq,))
            self.db.execute("UPDATE message SET readings = '[]' WHERE seq = ?", (seq,))
        self.wire[seq] = (time.monotonic() + min(RESEND_S << min(sends, 9), RESEND_MOST_S), sends + 1)
        self._send(seq)

    def _send(self, seq: int) -> None:
        (first,) = self.db.execute("SELECT min(seq) FROM message").fetchone()
        message = {"boot": self.boot, "seq": seq, "first": min(first or seq, seq), "readings": self._held(seq) or []}
        self.client.publish(self.topic + "readings", json.dumps(message), 1)

    def _held(self, seq: int) -> list[dict[str, object]] | None:
        row = self.db.execute("SELECT readings FROM message WHERE seq = ?", (seq,)).fetchone()
        return json.loads(row[0]) if row else None


def measure(sensor: str) -> dict[str, object]:
    """Your sensor: the moment of measuring in ms since 1970 (UTC), and the value, None where it has none."""
    return {"sensor": sensor, "t": time.time_ns() // 1_000_000, "v": 0.2}


def main(host: str, port: str, id_: str, sensor: str, spool: str, period_s: str = "60", count: str = "0") -> None:
    gateway, kept, due = Gateway(host, int(port), id_, spool), 0, 0.0
    while not int(count) or kept < int(count) or gateway.unreceipted():
        if time.monotonic() >= due and (not int(count) or kept < int(count)):
            due, kept = time.monotonic() + float(period_s), kept + 1
            reading = measure(sensor)
            print(gateway.keep(reading), json.dumps(reading), flush=True)
        gateway.step()


if __name__ == "__main__":
    main(*sys.argv[1:])
