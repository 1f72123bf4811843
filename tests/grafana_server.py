"""A strict stand-in for Grafana's HTTP API: what we use of it, refusing what Grafana refuses (its API documentation and
pkg/services/dashboards). Every request is recorded.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

TOKEN = "glsa_0123456789abcdefghijklmnopqrstuv_01234567"  # the shape of a real one; of nobody
Answer = tuple[int, Any]


@dataclass
class GrafanaServer:
    """`before` is called once, before the next write is handled. `empty`: writes are answered by 204 and nothing."""

    url: str = ""
    dashboards: dict[str, dict[str, Any]] = field(default_factory=dict)
    versions: list[tuple[str, int]] = field(default_factory=list)
    folders: dict[str, dict[str, Any]] = field(default_factory=dict)
    sources: dict[str, dict[str, Any]] = field(default_factory=dict)
    annotations: dict[int, dict[str, Any]] = field(default_factory=dict)
    requests: list[tuple[str, str]] = field(default_factory=list)
    answers: dict[str, tuple[int, str, str]] = field(default_factory=dict)  # path -> status, content type, body
    before: Callable[[], None] | None = None
    empty: bool = False
    ids: int = 0

    @property
    def writes(self) -> list[tuple[str, str]]:
        return [(method, path) for method, path in self.requests if method != "GET"]

    def handle(self, method: str, path: str, query: dict[str, list[str]], body: Any) -> Answer:
        if method != "GET" and self.before is not None:
            first, self.before = self.before, None
            first()
        kind, _, name = path.removeprefix("/api/").partition("/")
        handler = {"dashboards": self._dashboards, "folders": self._folders, "datasources": self._sources}.get(kind)
        if kind == "annotations":
            return self._annotations(method, name, query, body)
        return (404, {"message": "Not found"}) if handler is None else handler(method, name, body)

    def _next(self) -> int:
        self.ids += 1
        return self.ids

    def _dashboards(self, method: str, name: str, body: Any) -> Answer:
        if method == "GET" and name.startswith("uid/"):
            found = self.dashboards.get(name.removeprefix("uid/"))
            return (200, found) if found else (404, {"message": "Dashboard not found"})
        if (method, name) != ("POST", "db"):
            return 404, {"message": "Not found"}
        tree, folder = body["dashboard"], body.get("folderUid", "")
        there = self.dashboards.get(tree["uid"])
        refused = self._refused(tree, folder, overwrite=body.get("overwrite", False))
        if refused is not None:
            return refused
        version = there["dashboard"]["version"] + 1 if there else 1
        id_ = there["dashboard"]["id"] if there else self._next()
        kept = json.loads(json.dumps(tree)) | {"id": id_, "version": version}
        self.dashboards[tree["uid"]] = {"dashboard": kept, "meta": {"folderUid": folder, "provisioned": False}}
        self.versions.append((tree["uid"], version))
        return 200, {"id": id_, "uid": tree["uid"], "status": "success", "version": version}

    def _refused(self, tree: Any, folder: str, *, overwrite: bool) -> Answer | None:
        there = self.dashboards.get(tree["uid"], {"meta": {"provisioned": False}, "dashboard": {}})
        known = there["dashboard"].get("id")
        newest = there["dashboard"].get("version", tree.get("version"))
        beside = [
            row for uid, row in self.dashboards.items() if uid != tree["uid"] and row["meta"]["folderUid"] == folder
        ]
        reasons = {
            (400, "Dashboard title cannot be empty", "empty-name"): not tree.get("title"),
            (400, "uid too long, max 40 characters", ""): len(tree["uid"]) > 40,
            (400, "folder not found", ""): folder not in {"", *self.folders},
            (400, "Cannot save provisioned dashboard", ""): there["meta"]["provisioned"],
            (412, "The dashboard has been changed by someone else", "version-mismatch"):
                tree.get("version", 0) != newest and not overwrite and "version" in there["dashboard"],
            (404, "Dashboard not found", ""): tree.get("id", known) != known,
            (412, "A dashboard with the same name in the folder already exists", "name-exists"):
                tree.get("title") in [row["dashboard"]["title"] for row in beside],
        }  # fmt: skip
        found = [(status, {"message": why, "status": word}) for (status, why, word), holds in reasons.items() if holds]
        return found[0] if found else None

    def _folders(self, method: str, name: str, body: Any) -> Answer:
        if method == "GET":
            return (200, self.folders[name]) if name in self.folders else (404, {"message": "folder not found"})
        if method == "POST" and body["uid"] in self.folders:
            return 412, {"message": "the folder has been changed by someone else", "status": "version-mismatch"}
        if method == "PUT" and body["version"] != self.folders[name]["version"]:
            return 412, {"message": "the folder has been changed by someone else", "status": "version-mismatch"}
        uid, version = (body["uid"], 1) if method == "POST" else (name, body["version"] + 1)
        self.folders[uid] = {"uid": uid, "title": body["title"], "version": version}
        return 200, self.folders[uid]

    def _sources(self, method: str, name: str, body: Any) -> Answer:
        uid = name.removeprefix("uid/")
        if method == "GET":
            return (200, self.sources[uid]) if uid in self.sources else (404, {"message": "Data source not found"})
        if method == "POST" and body["uid"] in self.sources:
            return 409, {"message": "data source with the same name already exists"}
        there = self.sources.get(uid, {"version": 0, "secureJsonFields": {}, "id": self._next()})
        if method == "PUT" and body.get("version") != there["version"]:
            return 409, {"message": "Datasource has already been updated by someone else. Please reload and try again"}
        secrets = {**there["secureJsonFields"], **dict.fromkeys(body.pop("secureJsonData", {}), True)}
        kept = {**there, **body, "version": there["version"] + 1, "secureJsonFields": secrets, "readOnly": False}
        self.sources[body["uid"]] = kept
        return 200, {"datasource": kept, "message": "Datasource added"}

    def _annotations(self, method: str, name: str, query: dict[str, list[str]], body: Any) -> Answer:
        if method == "GET":
            start, end, limit = (int(query[key][0]) for key in ("from", "to", "limit"))
            found = [row for row in self.annotations.values() if set(query["tags"]) <= set(row["tags"])
                     and row["time"] <= end and row["timeEnd"] >= start]  # fmt: skip
            return 200, sorted(found, key=lambda row: -int(row["time"]))[:limit]
        id_ = self._next() if method == "POST" else int(name)
        if method != "POST" and id_ not in self.annotations:
            return 404, {"message": "Could not find annotation to update"}
        if method == "DELETE":
            del self.annotations[id_]
            return 200, {"message": "Annotation deleted"}
        if not body.get("text"):
            return 400, {"message": "Failed to save annotation", "error": "text field should not be empty"}
        assert isinstance(body["time"], int)
        assert isinstance(body["timeEnd"], int)
        self.annotations[id_] = {**body, "id": id_}
        return 200, {"id": id_, "message": "Annotation added"}


@contextmanager
def grafana_server() -> Iterator[GrafanaServer]:
    """Served below the path /ops/, as behind a city's proxy."""
    state = GrafanaServer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            parts = urlsplit(self.path)
            path = unquote(parts.path).removeprefix("/ops")
            length = int(self.headers.get("Content-Length") or 0)
            raw = self.rfile.read(length)
            state.requests.append((self.command, path))
            if path in state.answers:
                status, content, text = state.answers[path]
                self._answer(status, text.encode(), content)
            elif self.headers.get("Authorization") != f"Bearer {TOKEN}":
                self._answer(401, b'{"message":"Invalid API key"}')
            else:
                body = json.loads(raw) if raw and raw != b"null" else None
                status, answer = state.handle(self.command, path, parse_qs(parts.query), body)
                if state.empty and self.command != "GET" and status == 200:
                    self._answer(204, b"")
                else:
                    self._answer(status, json.dumps(answer).encode())

        do_GET = do_POST = do_PUT = do_DELETE = _serve  # noqa: N815  # http.server's names

        def _answer(self, status: int, body: bytes, content: str = "application/json") -> None:
            self.send_response(status)
            if status in (301, 302):
                self.send_header("Location", body.decode())
                body = b""
            self.send_header("Content-Type", content)
            if status != 204:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    state.url = f"http://127.0.0.1:{server.server_address[1]}/ops"
    try:
        yield state
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
