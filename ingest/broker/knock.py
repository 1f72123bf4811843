"""Does a broker let a user in? Asked in MQTT's own words, as a port may be open long before."""

from __future__ import annotations

import socket


def lets_in(address: tuple[str, int], username: str, password: str) -> bool:
    """False as well where nobody answers within a second."""
    fields = ("ready", username, password)
    body = b"\x00\x04MQTT\x04\xc2\x00\x0a" + b"".join(len(f).to_bytes(2) + f.encode() for f in fields)
    try:
        with socket.create_connection(address, timeout=1.0) as client:
            client.sendall(b"\x10" + len(body).to_bytes(1) + body)
            accepted = client.recv(4) == b"\x20\x02\x00\x00"
            client.sendall(b"\xe0\x00")
    except OSError:
        return False
    return accepted
