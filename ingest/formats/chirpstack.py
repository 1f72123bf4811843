"""ChirpStack v4: application/APP/device/DEV_EUI/event/up, JSON, what the device profile's codec decoded in `object`.

Its JSON leaves out its own fields where they are zero, empty or false (fCnt, fPort, dr; its issue 43): none of them is
read here. `object` is a protobuf Struct, whose values are all written, zeros too. Without a codec there is no object,
and a registered device says nothing.

event/status is what the server asked the device itself (DevStatusAns): a sign of life, and perhaps its battery.
"""

from __future__ import annotations

from typing import Any, Final

from ingest.formats.decoded import Decoded, Envelope
from ingest.formats.devices import add_readings, as_object, json_object, registered, time_of

_STATUS: Final = ("batteryLevel", "externalPowerSource", "margin")


def decode(envelope: Envelope, payload: bytes) -> Decoded:
    """The uplink in `payload`; its time is that of the reception, by a gateway's clock or the server's.

    Raises RefusedError for a whole message; one bad field is refused by itself.
    """
    device = registered(envelope, envelope.device)
    event = json_object(payload)
    decoded = Decoded(envelope.sender, device=device)
    if event.get("object") is not None:
        t = time_of(event.get("time"), "time", envelope)
        add_readings(decoded, envelope, as_object(event["object"], "object"), t)
    return decoded


def decode_status(envelope: Envelope, payload: bytes) -> Decoded:
    """What the server knows of the device, as far as it is registered. Raises RefusedError for a whole message.

    On mains the level is 0 or left out, and no battery is empty; where it is unavailable it is a missing value.
    """
    decoded = Decoded(envelope.sender, device=registered(envelope, envelope.device))
    event = json_object(payload)
    said: dict[str, Any] = {key: event[key] for key in _STATUS if key in event}
    if event.get("batteryLevelUnavailable") is True:
        said["batteryLevel"] = None
    elif event.get("externalPowerSource") is True:
        said.pop("batteryLevel", None)
    if said.keys() & set(envelope.networks.fields[decoded.device]):
        add_readings(decoded, envelope, said, time_of(event.get("time"), "time", envelope))
    return decoded
