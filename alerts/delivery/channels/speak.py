"""Text to be read out by loudspeakers, on MQTT and never retained: danger at any hour, its end by day."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

from alerts.delivery.channels.channel import ChannelError, Kind, Means, Publisher, Quota
from alerts.delivery.parcel import Parcel
from alerts.given import Section
from alerts.incidents.incident import DANGER, EMERGENCY, ENDS, Notice, Reason
from alerts.people.quiet import quiet_until
from alerts.words.names import Lang

TOPIC: Final = "canhbao/v1/speak/{area}"
DRILL_TOPIC: Final = "canhbao/v1/drill/speak/{area}"
LIFE_MS: Final = 30 * 60_000  # what is said later than that is no longer so, and nobody can ask a loudspeaker
NIGHT: Final = "22:00-06:00"  # an end wakes nobody
LANGS: Final[Sequence[Lang]] = ("vi", "en")  # in this order


class Speak:
    name: Final = "speak"
    carries_state: Final = False
    at_once: Final = 1  # loudspeakers say one thing after the other
    timeout_s: Final = 30.0
    quota: Final = Quota()

    def __init__(self, publisher: Publisher, now_ms: Callable[[], int], zone: Callable[[], ZoneInfo]) -> None:
        self._publisher, self._now_ms, self._zone = publisher, now_ms, zone
        # A thread of its own: a broker that hangs holds up no other channel.
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="speak")

    def recipients(self, notice: Notice) -> Sequence[str]:
        """Danger and above when it begins, grows or is worded anew by a person; the end of such."""
        if not notice.told or not (self._ends(notice) or self._begins(notice)):
            return ()
        return ((DRILL_TOPIC if notice.drill else TOPIC).format(area=notice.area),)

    def _begins(self, notice: Notice) -> bool:
        worded = notice.reason is Reason.UPDATED and notice.hand is not None
        return notice.level >= DANGER and (worded or notice.reason in (Reason.FIRST, Reason.WORSE))

    def _ends(self, notice: Notice) -> bool:
        by_day = quiet_until(NIGHT, notice.arrival, self._zone()) is None
        return notice.reason in ENDS and notice.peak >= DANGER and by_day

    async def send(self, parcel: Parcel) -> str:
        if self._now_ms() >= parcel.created_at + LIFE_MS:
            raise ChannelError(f"not read out: older than {LIFE_MS // 60_000} min", permanent=True)
        await asyncio.get_running_loop().run_in_executor(self._thread, self._publish, parcel)
        return ""

    def _publish(self, parcel: Parcel) -> None:
        try:
            self._publisher.publish(parcel.recipient, payload(parcel), retain=False)
        except Exception as error:  # the publisher's errors are its own, and none of them means never
            raise ChannelError(f"{type(error).__name__}: {error}") from error

    async def close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)


def payload(parcel: Parcel) -> bytes:
    """JSON of docs/reference/mosquitto.md. `id` is the same when it comes again: it is read out once."""
    body = parcel.body
    spoken = body.get("spoken", body["texts"])  # where only the little could be said
    first, *others = LANGS
    expires = datetime.fromtimestamp((parcel.created_at + LIFE_MS) // 1000, UTC)
    return msgspec.json.encode({
        "id": parcel.key, "text": spoken[first], "lang": first,
        "also": [{"text": spoken[lang], "lang": lang} for lang in others],
        "incident": parcel.incident, "version": parcel.version, "level": parcel.level,
        "repeat": _times(parcel), "expires": expires.isoformat(), "exercise": body["exercise"],
    })  # fmt: skip


def _times(parcel: Parcel) -> int:
    """How often it is to be read out."""
    return 3 if parcel.level >= EMERGENCY else 2 if parcel.level >= DANGER else 1


def _make(_: Section, means: Means) -> Speak | None:
    if means.publisher is None:
        return None
    city = means.city
    return Speak(means.publisher, means.now_ms, lambda: ZoneInfo("UTC") if city is None else city().timezone)


KIND: Final = Kind(Speak.name, "desk", _make)
