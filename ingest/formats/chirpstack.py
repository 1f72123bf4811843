"""ChirpStack v4: application/APP/device/DEV_EUI/event/up, JSON, what the device profile's codec decoded in `object`.

Its JSON leaves out its own fields where they are zero, empty or false (fCnt, fPort, dr; its issue 43): none of them is
read here. `object` is a protobuf Struct, whose values are all written, zeros too. Without a codec there is no object,
and a registered device says nothing.
"""

from __future__ import annotations

from ingest.formats.decoded import Decoded, Envelope
from ingest.formats.devices import add_readings, as_object, json_object, registered, time_of


def decode(envelope: Envelope, payload: bytes) -> Decoded:
    """The uplink in `payload`; its time is that of the reception, by a gateway's clock or the server's.

    Raises RefusedError for a whole message; one bad field is refused by itself.
    """
    device = registered(envelope, envelope.device)
    event = json_object(payload)
    decoded = Decoded(envelope.sender)
    if event.get("object") is not None:
        t = time_of(event.get("time"), "time", envelope)
        add_readings(decoded, envelope, device, as_object(event["object"], "object"), t)
    return decoded
