"""Shelly Gen2 and later: ID/events/rpc, JSON-RPC notifications of components, such as em:0 and its a_voltage.

NotifyStatus says what has changed and leaves out the rest, "to overlay the changes … over a known status" (its
documentation, "Notifications"): what it leaves out stands, and ingest.overlay makes a reading of it at the time of the
update. NotifyFullStatus leaves out nothing. Events and configurations are no readings; ID/online is the will.
"""

from __future__ import annotations

from typing import Final

from ingest.formats.decoded import Decoded, Envelope
from ingest.formats.devices import add_readings, as_object, json_object, left_out, registered, time_of

_UPDATE: Final = "NotifyStatus"
_STATUS: Final = (_UPDATE, "NotifyFullStatus")


def decode(envelope: Envelope, payload: bytes) -> Decoded:
    """The notification in `payload`. Raises RefusedError for a whole message; one bad field is refused by itself."""
    device = registered(envelope, envelope.device)
    notification = json_object(payload)
    method = notification.get("method")
    if method not in _STATUS:
        return Decoded(envelope.sender, device=device)
    status = as_object(notification.get("params"), "params")
    t = time_of(status.get("ts"), "params.ts", envelope)
    rest = left_out(envelope, device, status) if method == _UPDATE else ()
    decoded = Decoded(envelope.sender, device=device, update_t=t, left_out=rest)
    add_readings(decoded, envelope, status, t)
    return decoded
