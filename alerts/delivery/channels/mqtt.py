"""The newest state of every area and hazard on MQTT, retained: JSON while a warning is open, empty when it is over."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import msgspec

from alerts.delivery.channels.channel import ChannelError, Kind, Means, Publisher, Quota
from alerts.delivery.parcel import Parcel
from alerts.given import Section
from alerts.incidents.incident import ENDS, Notice

TOPIC: Final = "canhbao/v1/alerts/{area}/{hazard}"
DRILL_TOPIC: Final = "canhbao/v1/drill/alerts/{area}/{hazard}"  # whoever reads the other one never hears of a drill


class Mqtt:
    name: Final = "mqtt"
    carries_state: Final = True
    at_once: Final = 1  # an older state must never overtake a newer one
    timeout_s: Final = 30.0
    quota: Final = Quota()

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher
        # A thread of its own: a broker that hangs holds up neither other channels nor a newer state before an older.
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="mqtt-out")

    def recipients(self, notice: Notice) -> Sequence[str]:
        if notice.planned is not None:
            return ()  # nothing has happened there: the topic is the warning's
        return ((DRILL_TOPIC if notice.drill else TOPIC).format(area=notice.area, hazard=notice.hazard),)

    async def send(self, parcel: Parcel) -> str:
        payload = b"" if parcel.body["reason"] in ENDS else msgspec.json.encode(parcel.body)
        await asyncio.get_running_loop().run_in_executor(self._thread, self._publish, parcel.recipient, payload)
        return ""

    def _publish(self, topic: str, payload: bytes) -> None:
        try:
            self._publisher.publish(topic, payload, retain=True)
        except Exception as error:  # the publisher's errors are its own, and none of them means never
            raise ChannelError(f"{type(error).__name__}: {error}") from error

    async def close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)


def _make(_: Section, means: Means) -> Mqtt | None:
    return None if means.publisher is None else Mqtt(means.publisher)


KIND: Final = Kind(Mqtt.name, "desk", _make, rehearses=True)
