"""A receiver of canhbao's webhooks: checks, keeps, answers. No library is needed; copy it and change `heard`.

Usage: webhook_receiver.py PORT SECRET_FILE EVENTS_FILE   (behind a server that speaks TLS for it)
"""

import hmac
import json
import sys
import time
from email.message import Message
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock

PORT, SECRET, EVENTS = int(sys.argv[1]), Path(sys.argv[2]).read_text().strip().encode(), Path(sys.argv[3])
OLDEST_S, BODY_MOST = 300, 262_144
newest: dict[str, int] = {}  # incident -> the newest version heard; a real one keeps it in a database
one_at_a_time = Lock()


def genuine(headers: Message, body: bytes) -> bool:
    """Whether we sent exactly this, within the last five minutes."""
    timestamp = headers.get("Canhbao-Timestamp", "")
    if not timestamp.isdecimal() or abs(time.time() - int(timestamp)) > OLDEST_S:
        return False
    expected = "v1=" + hmac.new(SECRET, timestamp.encode() + b"." + body, sha256).hexdigest()
    given = headers.get("Canhbao-Signature", "").split(", ")  # two while the secret is being changed
    return any(hmac.compare_digest(expected.encode(), one.encode()) for one in given)


def heard(event: dict) -> None:
    """Once for each version, never an older one after a newer. The same event may come again: it is left out."""
    alert = event["alert"]
    with one_at_a_time:
        if alert["version"] > newest.get(alert["incident"], 0):
            with EVENTS.open("a") as file:
                file.write(json.dumps(event) + "\n")  # written down before the answer: then it is ours
            newest[alert["incident"]] = alert["version"]


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        body = self.rfile.read(length) if 0 < length <= BODY_MOST else b""
        right = genuine(self.headers, body)
        if right:
            heard(json.loads(body))
        self.send_response(204 if right else 401)
        self.end_headers()


server = ThreadingHTTPServer(("127.0.0.1", PORT), Receiver)
print(f"listening on port {server.server_port}", flush=True)
server.serve_forever()
