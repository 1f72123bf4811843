"""What the web server stands on: the socket it listens on, where that is, and a uvicorn that leaves us the signals."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI

_WAITING_MOST = 2048  # connections that nobody has taken yet; the system refuses what is beyond


class ListenError(Exception):
    """The address cannot be listened on; one line that says why."""


class Server(uvicorn.Server):
    """Leaves the signals to us: what is in flight is finished in our order."""

    def __init__(self, app: FastAPI, end_s: float) -> None:
        super().__init__(
            uvicorn.Config(app, log_config=None, access_log=False, lifespan="on", timeout_graceful_shutdown=int(end_s))
        )

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def listen(host: str, port: int) -> socket.socket:
    """A listening socket, bound before anything else is started. Raises ListenError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With its protocol named, so that asyncio turns Nagle's wait off.
    sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
        sock.listen(_WAITING_MOST)
    except OSError as error:
        sock.close()
        taken = "; is another program using the port?" if error.errno == errno.EADDRINUSE else ""
        raise ListenError(f"http.listen {host}:{port}: {error.strerror}{taken}") from None
    return sock


def urls(host: str, port: int) -> tuple[str, str]:
    """Where the page is for whoever sits here; and for links in warnings, "" where that means every interface."""
    everywhere = host in ("0.0.0.0", "::")
    name = "localhost" if everywhere else f"[{host}]" if ":" in host else host
    url = f"http://{name}:{port}/"
    return url, "" if everywhere else url
