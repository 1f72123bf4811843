"""A stand-in for InfluxDB 2: real HTTP, real line protocol and Flux, strict where the real one is.

Its answers are those of InfluxDB 2's own documents: 401, 404 (organization, bucket), 413, 400 (nothing of the request
is written, the first bad line is named), 422 (the rest is written, what was dropped is counted), and, when a test says
so, 429, 503, half-written requests and cut connections.
"""

from __future__ import annotations

import gzip
import json
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from flux import FluxError, annotated_csv, run
from line_protocol import LineError, Point, Value, parse

Bucket = dict[tuple[str, tuple[tuple[str, str], ...], str], dict[int, Value]]
_KINDS = {float: "float", int: "integer", str: "string", bool: "boolean"}


@dataclass(frozen=True, slots=True)
class Fault:
    """What a request meets. `status` 0: the connection is cut without an answer. `written`: share of it that counts."""

    status: int = 0
    retry_after: str = ""
    written: float = 0.0


class RefusedError(Exception):
    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code = status, code


class InfluxServer:
    """`weather` is asked before every request (path) for the fault it meets. `down`, `up`: nobody listens, then again.

    `keep_from`: ns; what is older lies beyond the bucket's retention. `requests`: (path, its body) of all that came.
    """

    def __init__(
        self, token: str, org: str = "city", bucket: str = "readings", *, most_bytes: int = 25_000_000
    ) -> None:
        self._token, self._org, self._most_bytes = token, org, most_bytes
        self.buckets: dict[str, Bucket] = {bucket: {}}
        self.keep_from: int | None = None
        self.weather: Callable[[str], Fault | None] = lambda _: None
        self.requests: list[tuple[str, str]] = []
        self._lock = threading.Lock()
        self._server: _Server | None = None
        self.port = 0

    def __enter__(self) -> Self:
        self.up()
        return self

    def __exit__(self, *_: object) -> None:
        self.down()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def up(self) -> None:
        self._server = _Server(("127.0.0.1", self.port), self)
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def down(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._thread.join()
            self._server.cut()
            self._server.server_close()
            self._server = None

    # -- what a request gets -------------------------------------------------------------------------------------------

    def answer(self, target: str, headers: Any, body: bytes) -> tuple[int, str, str, str] | None:
        """Status, content type, body, Retry-After; None: the connection is cut."""
        url = urlsplit(target)
        query = {key: values[0] for key, values in parse_qs(url.query).items()}
        with self._lock:
            fault = self.weather(url.path)
            try:
                if headers.get("Authorization") != f"Token {self._token}":
                    return 401, *_said("unauthorized", "unauthorized access"), ""
                if headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                self.requests.append((url.path, body.decode()))
                if fault is None:
                    return self._handle(url.path, query, body)
                lines = body.decode().splitlines() if fault.written else []
                if url.path == "/api/v2/write" and lines:
                    self._write(query, "\n".join(lines[: int(len(lines) * fault.written)]).encode())
                code = {401: "unauthorized", 404: "not found", 429: "too many requests"}.get(
                    fault.status, "unavailable"
                )
                return (fault.status, *_said(code, "not now"), fault.retry_after) if fault.status else None
            except RefusedError as refused:
                return refused.status, *_said(refused.code, str(refused)), ""

    def _handle(self, path: str, query: dict[str, str], body: bytes) -> tuple[int, str, str, str]:
        if query.get("org") != self._org:
            raise RefusedError(404, "not found", f'organization name "{query.get("org", "")}" not found')
        if path == "/api/v2/write":
            self._write(query, body)
            return 204, "", "", ""
        if path == "/api/v2/query":
            return 200, "text/csv; charset=utf-8", self._query(json.loads(body)), ""
        raise RefusedError(404, "not found", "path not found")

    def _write(self, query: dict[str, str], body: bytes) -> None:
        if len(body) > self._most_bytes:
            raise RefusedError(
                413, "request too large", f"cannot read data: request body exceeds {self._most_bytes} bytes"
            )
        bucket = self.buckets.get(query.get("bucket", ""))
        if bucket is None:
            raise RefusedError(404, "not found", f'bucket "{query.get("bucket", "")}" not found')
        try:
            lines = [line for line in body.decode().split("\n") if line.strip() and not line.startswith("#")]
            points = [parse(line, query.get("precision", "ns")) for line in lines]
        except (LineError, UnicodeDecodeError) as error:
            raise RefusedError(400, "invalid", str(error)) from None
        dropped, why = 0, ""
        for point in points:
            fault = self._stored(bucket, point)
            dropped, why = dropped + bool(fault), why or fault
        if dropped:
            said = f"failure writing points to database: partial write: {why} dropped={dropped}"
            raise RefusedError(422, "unprocessable entity", said)

    def _stored(self, bucket: Bucket, point: Point) -> str:
        """Why it was not; "" if it was."""
        if self.keep_from is not None and point.t < self.keep_from:
            return "points beyond retention policy"
        for name, value in point.fields.items():
            for (measurement, _, other), points in bucket.items():
                known = next(iter(points.values()))
                if (measurement, other) == (point.measurement, name) and type(known) is not type(value):
                    return (f'field type conflict: input field "{name}" on measurement "{measurement}" is type '
                            f"{_KINDS[type(value)]}, already exists as type {_KINDS[type(known)]}")  # fmt: skip
        for name, value in point.fields.items():
            bucket.setdefault((point.measurement, point.tags, name), {})[point.t] = value
        return ""

    def _query(self, asked: dict[str, Any]) -> str:
        if asked.get("type", "flux") != "flux":
            raise RefusedError(400, "invalid", "unknown query type")
        try:
            results = run(asked["query"], self.buckets)
        except FluxError as error:
            raise RefusedError(400, "invalid", str(error)) from None
        return annotated_csv(results, annotated=bool(asked["dialect"].get("annotations")))


def _said(code: str, message: str) -> tuple[str, str]:
    return "application/json", json.dumps({"code": code, "message": message})


class _Server(ThreadingHTTPServer):
    daemon_threads = False

    def __init__(self, address: tuple[str, int], influx: InfluxServer) -> None:
        self.influx, self._open = influx, set[socket.socket]()
        super().__init__(address, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def cut(self) -> None:
        for connection in list(self._open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        answer = self.server.influx.answer(self.path, self.headers, body)
        if answer is None:
            self.close_connection = True
            return
        status, kind, text, retry_after = answer
        self.send_response(status)
        if retry_after:
            self.send_header("Retry-After", retry_after)
        if status != 204:
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode() if status != 204 else b"")

    def log_message(self, *_: object) -> None:
        pass
