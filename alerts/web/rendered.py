"""Answers made once and given many times: bytes with their ETag, kept while what they were made from is the same."""

from __future__ import annotations

import gzip
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

from fastapi import Request, Response
from pydantic import BaseModel

JSON: Final = "application/json"
FRESH: Final = "public, max-age=2"  # proxies may hold a crowd off for so long; a page woken by an event asks past them
_GZIP_FROM: Final = 1000  # bytes; below it the headers of compression cost more than they save
_GZIP_LEVEL: Final = 5


@dataclass(frozen=True, slots=True)
class Rendered:
    """A body in both encodings. The tag is the content's, so a restart or a new ledger repeats no old one."""

    body: bytes
    gzipped: bytes | None
    etag: str
    media_type: str

    @classmethod
    def of(cls, body: bytes, media_type: str = JSON) -> Rendered:
        packed = gzip.compress(body, _GZIP_LEVEL, mtime=0) if len(body) >= _GZIP_FROM else None
        return cls(body, packed, f'W/"{blake2b(body, digest_size=9).hexdigest()}"', media_type)

    def response(self, request: Request, cache_control: str, vary: str = "Accept-Encoding") -> Response:
        """200 with the body, or 304 where the caller has it already."""
        headers = {"ETag": self.etag, "Cache-Control": cache_control, "Vary": vary}
        if self._is_known(request.headers.get("if-none-match", "")):
            return Response(status_code=304, headers=headers)
        if self.gzipped is not None and "gzip" in request.headers.get("accept-encoding", ""):
            return Response(self.gzipped, headers={**headers, "Content-Encoding": "gzip"}, media_type=self.media_type)
        return Response(self.body, headers=headers, media_type=self.media_type)

    def _is_known(self, if_none_match: str) -> bool:
        tags = [tag.strip() for tag in if_none_match.split(",")]
        return "*" in tags or self.etag in tags or self.etag.removeprefix("W/") in tags


def as_json(shape: BaseModel) -> Rendered:
    return Rendered.of(shape.model_dump_json().encode())


class Shelf:
    """The newest answer for each key, valid while its mark is the same. Used by many threads.

    At `most` keys the one that was asked for longest ago is forgotten: it will be made again. One answer of a shelf is
    made at a time, so a crowd that asks for the same thing waits for one making of it.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: OrderedDict[Hashable, tuple[Hashable, Rendered]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable, mark: Hashable, make: Callable[[], Rendered]) -> Rendered:
        with self._lock:
            kept = self._kept.get(key)
            if kept is None or kept[0] != mark:
                kept = self._kept[key] = (mark, make())
            self._kept.move_to_end(key)
            if len(self._kept) > self._most:
                self._kept.popitem(last=False)
            return kept[1]
