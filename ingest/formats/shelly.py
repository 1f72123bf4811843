"""Shelly Gen2 and later: ID/events/rpc, JSON-RPC notifications of components, such as em:0 and its a_voltage.

NotifyStatus says what has changed and leaves out the rest, to be laid over what was known. What is laid over is news, a
measured value at the message's time; what is left out was not measured anew, and no reading is made of it. Events and
configurations are no readings; ID/online, the will, is another topic.
"""

from __future__ import annotations

from typing import Final

from ingest.formats.decoded import Decoded, Envelope
from ingest.formats.devices import add_readings, as_object, json_object, registered, time_of

_STATUS: Final = ("NotifyStatus", "NotifyFullStatus")


def decode(envelope: Envelope, payload: bytes) -> Decoded:
    """The notification in `payload`. Raises RefusedError for a whole message; one bad field is refused by itself."""
    device = registered(envelope, envelope.device)
    notification = json_object(payload)
    decoded = Decoded(envelope.sender)
    if notification.get("method") in _STATUS:
        status = as_object(notification.get("params"), "params")
        add_readings(decoded, envelope, device, status, time_of(status.get("ts"), "params.ts", envelope))
    return decoded
