"""The Things Stack v3: v3/APP@TENANT/devices/DEVICE/up, JSON, what its payload formatter decoded in `decoded_payload`.

Fields of the message that are zero, empty or false are left out (its documentation, "Data Formats"); `decoded_payload`
is a protobuf Struct, whose values are all written, zeros too. A device is registered by its DevEUI, in capitals or not,
or by its device id. The Things Stack publishes with quality of service 0: what is under way while we are away is gone.
"""

from __future__ import annotations

from ingest.formats.decoded import Decoded, Envelope, RefusedError
from ingest.formats.devices import add_readings, as_object, json_object, registered, time_of


def decode(envelope: Envelope, payload: bytes) -> Decoded:
    """The uplink in `payload`; its time is when the network server received it, since gateways' clocks are anybody's.

    Raises RefusedError for a whole message, `simulated` for what somebody sent by hand; one bad field is refused by
    itself.
    """
    message = json_object(payload)
    ids = message.get("end_device_ids")
    dev_eui = ids.get("dev_eui") if isinstance(ids, dict) else None
    device = registered(envelope, *([dev_eui] if isinstance(dev_eui, str) else []), envelope.device)
    if message.get("simulated"):
        raise RefusedError("simulated", "simulated: true")
    uplink = as_object(message.get("uplink_message"), "uplink_message")
    decoded = Decoded(envelope.sender, device=device)
    if uplink.get("decoded_payload") is not None:
        t = time_of(uplink.get("received_at", message.get("received_at")), "received_at", envelope)
        add_readings(decoded, envelope, as_object(uplink["decoded_payload"], "decoded_payload"), t)
    return decoded
