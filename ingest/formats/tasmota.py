"""Tasmota: tele/NAME/SENSOR, JSON with the sensors' values under their names, such as ENERGY.Voltage.

Its `Time` has no zone unless the device is told to (SetOption52): it is then the city's, and the device has to be set
to that zone. In the hour that clocks show twice it is the time nearer to the arrival. LWT, its will, says whether it is
there; STATE is not read.
"""

from __future__ import annotations

from ingest.formats.decoded import Decoded, Envelope
from ingest.formats.devices import add_readings, json_object, registered, time_of


def decode(envelope: Envelope, payload: bytes) -> Decoded:
    """The sensors' telegram in `payload`. Raises RefusedError for a whole message; one bad field by itself."""
    device = registered(envelope, envelope.device)
    telegram = json_object(payload)
    t = time_of(telegram.get("Time"), "Time", envelope)
    units = {"Temperature": "°F"} if telegram.get("TempUnit") == "F" else {}
    decoded = Decoded(envelope.sender, device=device)
    add_readings(decoded, envelope, telegram, t, units=units)
    return decoded
