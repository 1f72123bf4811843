"""A gateway that loses nothing: spool, numbers, receipts, holes, resending. Your sensor goes at the end.

python gateway.py 127.0.0.1 1883 gw-hai-chau-1 rain-hai-chau-1 spool.sqlite [PERIOD_S, default 60]
"""

import contextlib
import json
import os
import sqlite3
import sys
import time

import paho.mqtt.client as mqtt

WIRE_MOST, SENDS_MOST, RESEND_S, RESEND_MOST_S = 32, 5, 60, 3600
SPOOL_MOST = 100_000  # messages; beyond it the oldest go, and the collector tells operators that they are lost
TABLES = """PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
CREATE TABLE IF NOT EXISTS numbering AS SELECT lower(hex(randomblob(8))) AS boot;
CREATE TABLE IF NOT EXISTS message (seq INTEGER PRIMARY KEY AUTOINCREMENT, readings TEXT);
CREATE TABLE IF NOT EXISTS parked (seq INTEGER PRIMARY KEY, readings TEXT);"""


class Gateway:
    """`keep` readings, and call `step` all the time: it sends what is due and hears what comes. One thread."""

    def __init__(self, host: str, port: int, id_: str, spool: str) -> None:
        self.db = sqlite3.connect(spool, isolation_level=None)
        self.db.executescript(TABLES)
        (self.boot,) = self.db.execute("SELECT boot FROM numbering").fetchone()  # lives as long as the numbers do
        self.topic, self.ready = f"canhbao/v1/{id_}/", False
        self.wire: dict[int, tuple[float, int]] = {}  # seq: when it goes again, how often it went
        self.client = client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, id_)
        if "GATEWAY_PASSWORD" in os.environ:  # and over a network also client.tls_set(), port 8883
            client.username_pw_set(id_, os.environ["GATEWAY_PASSWORD"])
        client.will_set(self.topic + "status", "offline", 1, retain=True)
        client.max_queued_messages_set(2 * WIRE_MOST)
        client.on_connect = lambda *_: client.subscribe(self.topic + "receipt", 1)
        client.on_subscribe = lambda *_: self.listening()
        client.on_message = lambda _client, _data, message: self.told(json.loads(message.payload))
        client.connect_async(host, port, keepalive=30)

    def keep(self, *readings: dict[str, object]) -> int:
        """Number them as one message (at most 16,000 bytes); on disk when it returns."""
        seq = self.db.execute("INSERT INTO message (readings) VALUES (?)", (json.dumps(readings),)).lastrowid or 0
        self.db.execute("DELETE FROM message WHERE seq <= ?", (seq - SPOOL_MOST,))
        return seq

    def step(self) -> None:
        if self.client.loop(0.05) != mqtt.MQTT_ERR_SUCCESS:  # not connected
            self.ready = False
            time.sleep(1)
            with contextlib.suppress(OSError):
                self.client.reconnect()
        oldest = self.db.execute("SELECT seq FROM message ORDER BY seq LIMIT ?", (WIRE_MOST,)).fetchall()
        self.wire = {seq: self.wire.get(seq, (0.0, 0)) for (seq,) in oldest}
        for seq in [seq for seq, (due, _) in self.wire.items() if self.ready and due <= time.monotonic()]:
            sends = self.wire[seq][1]
            if sends == SENDS_MOST:  # something is wrong with it: aside for a person, and its number goes empty
                self.db.execute("INSERT OR IGNORE INTO parked SELECT * FROM message WHERE seq = ?", (seq,))
                self.db.execute("UPDATE message SET readings = '[]' WHERE seq = ?", (seq,))
            self.wire[seq] = (time.monotonic() + min(RESEND_S << min(sends, 9), RESEND_MOST_S), sends + 1)
            self.send(seq)

    def send(self, seq: int) -> None:
        rows = "SELECT (SELECT min(seq) FROM message), (SELECT readings FROM message WHERE seq = ?)"
        first, readings = self.db.execute(rows, (seq,)).fetchone()
        numbers = {"boot": self.boot, "seq": seq, "first": min(first or seq, seq)}
        message = {**numbers, "readings": json.loads(readings or "[]")}  # what is gone goes empty
        self.client.publish(self.topic + "readings", json.dumps(message), 1)

    def listening(self) -> None:
        self.client.publish(self.topic + "status", "online", 1, retain=True)
        self.wire = {seq: (0.0, max(0, sends - 1)) for seq, (_, sends) in self.wire.items()}  # may be lost: again
        self.ready = True

    def told(self, receipt: dict) -> None:
        if receipt["boot"] == self.boot:  # only now, since it is on the collector's disk, may anything be forgotten
            self.db.execute("DELETE FROM message WHERE seq <= ?", (receipt.get("seq", 0),))
            for seq in receipt.get("missing", []):
                self.send(seq)


if __name__ == "__main__":
    host, port, id_, sensor, spool, *period_s = sys.argv[1:]
    gateway, due = Gateway(host, int(port), id_, spool), 0.0
    while True:
        if time.monotonic() >= due:
            # Measure: the moment in ms since 1970 (UTC), and the value, None where the sensor has none.
            reading = {"sensor": sensor, "t": time.time_ns() // 1_000_000, "v": 0.2}
            due = time.monotonic() + float(*period_s or (60,))
            print(gateway.keep(reading), json.dumps(reading), flush=True)
        gateway.step()
