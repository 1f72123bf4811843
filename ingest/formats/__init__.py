"""One file a payload format, encode beside decode where we speak it ourselves, and the table of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, TypeAlias

from ingest.city import is_gateway_id
from ingest.formats import cbor, chirpstack, native, senml, shelly, status, tasmota, ttn
from ingest.formats.decoded import (
    PAYLOAD_BYTES_MAX,
    REASONS,
    Decoded,
    Envelope,
    Numbering,
    Refusal,
    RefusedError,
    shown,
)
from ingest.formats.devices import OBJECT_BYTES_MAX
from ingest.networks import NO_NETWORKS, READINGS, STATUS, WILL, Networks, is_owner, may_be_will, owner

__all__ = [
    "DECODERS",
    "OBJECT_BYTES_MAX",
    "PAYLOAD_BYTES_MAX",
    "REASONS",
    "Decoded",
    "Numbering",
    "Refusal",
    "RefusedError",
    "decode",
    "gateway_of",
    "is_backfill",
    "is_status",
    "largest",
    "may_be_presence",
    "presence",
    "said_by",
    "sender_of",
    "shown",
    "status",
]

PREFIX: Final = "canhbao/v1/"
TOPIC_MOST: Final = 1_000  # characters: a prefix has at most 519, an application and a device some 40 each

Decoder: TypeAlias = Callable[[Envelope, bytes], Decoded]


def _ours(decoder: Callable[[str, bytes], Decoded]) -> Decoder:
    """Our own messages say everything themselves but who sends them."""
    return lambda envelope, payload: decoder(envelope.sender, payload)


# What follows canhbao/v1/{gateway}/, or another network (and what but readings is said there) -> its decoder.
# A new format is one file and one line here.
DECODERS: Final[Mapping[str, Decoder]] = MappingProxyType({
    "readings": _ours(native.decode),
    "backfill": _ours(native.decode),
    "readings/cbor": _ours(cbor.decode),
    "backfill/cbor": _ours(cbor.decode),
    "readings/senml": senml.decode,
    "backfill/senml": senml.decode,
    "chirpstack": chirpstack.decode,
    "chirpstack status": chirpstack.decode_status,
    "ttn": ttn.decode,
    "tasmota": tasmota.decode,
    "shelly": shelly.decode,
})  # fmt: skip


def gateway_of(topic: str) -> str:
    """The gateway that a topic of ours names, "" where it names none."""
    if not topic.startswith(PREFIX):
        return ""
    gateway = topic.removeprefix(PREFIX).partition("/")[0]
    return gateway if is_gateway_id(gateway) else ""


def said_by(topic: str) -> str:
    """Who alone sends on a topic: "gateway gw-1"; or "topic …" of other networks, where each device has its own.

    "" where that is nobody's: without a gateway, not printable, or longer than any network's.
    """
    if topic.startswith(PREFIX):
        return f"gateway {gateway}" if (gateway := gateway_of(topic)) else ""
    return f"topic {topic}" if len(topic) <= TOPIC_MOST and topic.isprintable() else ""


def is_status(topic: str) -> bool:
    """Whether a gateway says on it that it is there."""
    return topic.startswith(PREFIX) and topic.split("/")[3:] == ["status"]


def may_be_presence(topic: str) -> bool:
    """Whether a retained message there is no old news: it may have changed, and back, since it was heard last."""
    return is_status(topic) or (not topic.startswith(PREFIX) and may_be_will(topic))


def presence(topic: str, payload: bytes, networks: Networks = NO_NETWORKS) -> tuple[str, bool] | None:
    """Who is there or, by the last will, is not: a gateway, or a device of another network as the city's fields have
    it, "" where nobody registered it. None where the topic is for something else. Raises RefusedError.
    """
    if is_status(topic):
        return gateway_of(topic), status.decode(payload)
    if topic.startswith(PREFIX) or (place := networks.find(topic)).kind != WILL:
        return None
    device = networks.registered(place.network, place.device)
    return (device, status.decode(payload, place.network)) if device else ("", False)


def is_backfill(topic: str) -> bool:
    """Whether a topic of ours is on the lane of old spools."""
    return topic.startswith(PREFIX) and topic.split("/")[3:4] == ["backfill"]


def sender_of(topic: str, networks: Networks) -> str:
    """Who owns a message, its refusals and their quota: a gateway, or a network; "" where the topic names neither."""
    network = "" if topic.startswith(PREFIX) else networks.find(topic).network
    return owner(network) if network else gateway_of(topic)


def largest(sender: str) -> int:
    """Bytes that a message of `sender` (as sender_of has it) may have."""
    return OBJECT_BYTES_MAX if is_owner(sender) else PAYLOAD_BYTES_MAX


def decode(
    topic: str, payload: bytes, *, retained: bool, networks: Networks = NO_NETWORKS, arrival: int = 0
) -> Decoded:
    """The message that came on `topic` at `arrival` (ms UTC). Raises RefusedError for a whole message.

    A retained reading is what somebody once said: it comes again with every subscription and is no news. What a
    network knows of a device is nothing where it is retained, or nobody registered the device: no letter is for it.
    """
    sender = sender_of(topic, networks)
    network, device, kind = networks.find(topic) if sender and not topic.startswith(PREFIX) else ("", "", "")
    name = network if kind in ("", READINGS) else f"{network} {kind}"
    decoder = DECODERS.get(name or topic.removeprefix(f"{PREFIX}{sender}/"))
    if not sender or decoder is None:
        raise RefusedError("wrong_shape", f"no readings are expected on {shown(topic)}")
    envelope = Envelope(sender, arrival, networks, network, device)
    if kind == STATUS and (retained or not networks.registered(network, device)):
        return Decoded(sender)
    if retained:
        raise RefusedError(
            "retained", "readings are sent without the retain flag", _number(decoder, envelope, payload)
        )  # fmt: skip
    return decoder(envelope, payload)


def _number(decoder: Decoder, envelope: Envelope, payload: bytes) -> Numbering | None:
    """What a message that is refused anyway is owed a receipt for."""
    try:
        return decoder(envelope, payload).numbering
    except RefusedError as error:
        return error.numbering
