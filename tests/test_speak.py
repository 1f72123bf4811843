"""Loudspeakers: what is read out, at which hour, how often, and never what is no longer so."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from brokers import Client, Mosquitto, until

from alerts.delivery.channels.channel import ChannelError
from alerts.delivery.channels.speak import LIFE_MS, Speak
from alerts.delivery.parcel import Parcel
from alerts.incidents.incident import Hand, Notice, Reason, Withheld
from alerts.words.message import bare_message, message
from ingest.city import parse_city
from ingest.mqtt.publisher import MqttPublisher
from processing.rules import parse_rules

ZONE = ZoneInfo("Asia/Ho_Chi_Minh")
CITY = '[city]\nname = "Đà Nẵng"\ntimezone = "Asia/Ho_Chi_Minh"\n[[area]]\ncode = "A"\nname = "Hải Châu"\n'
NOON = 1_665_723_600_000  # 2022-10-14 12:00 in Da Nang
HOUR = 3_600_000
DANGER = Notice("flood.A.1", 1, Reason.FIRST, "flood", "A", 3, 0, NOON, NOON, None, peak=3)
OVER = Notice("flood.A.1", 2, Reason.OVER, "flood", "A", 0, 1, NOON, NOON, None, peak=3)


class Speakers:
    """A broker as one bridge to loudspeakers sees it."""

    def __init__(self) -> None:
        self.said: list[tuple[str, dict[str, Any]]] = []
        self.down = False

    def publish(self, topic: str, payload: bytes, *, retain: bool) -> None:
        assert not retain
        if self.down:
            raise TimeoutError("no PUBACK")
        self.said.append((topic, json.loads(payload)))


def parcel(notice: Notice) -> Parcel:
    (to,) = speak(Speakers()).recipients(notice)
    words = message(notice, parse_city(CITY), parse_rules(""))
    return Parcel(1, 1, "speak", to, notice.incident, notice.version, 1, notice.level, "vi", words, NOON, NOON + HOUR)


def speak(speakers: Any, now: int = NOON) -> Speak:
    return Speak(speakers, lambda: now, lambda: ZONE)


def topics(notice: Notice) -> list[str]:
    return list(speak(Speakers()).recipients(notice))


def test_danger_is_read_out_when_it_begins_or_grows_and_nothing_less() -> None:
    assert topics(DANGER) == ["canhbao/v1/speak/A"]
    assert topics(replace(DANGER, reason=Reason.WORSE, level=4, previous_level=3)) == ["canhbao/v1/speak/A"]
    assert topics(replace(DANGER, drill=True)) == ["canhbao/v1/drill/speak/A"]
    for silent in (
        replace(DANGER, level=2, peak=2),
        replace(DANGER, reason=Reason.EASED, previous_level=4),
        replace(DANGER, reason=Reason.UPDATED),
        replace(DANGER, withheld=Withheld.HEARD),
    ):
        assert topics(silent) == []


def test_what_a_person_words_anew_is_read_out() -> None:
    hand = Hand("evacuation", 4, NOON + HOUR, "lan")
    assert topics(replace(DANGER, reason=Reason.UPDATED, level=4, hand=hand)) == ["canhbao/v1/speak/A"]
    assert topics(replace(DANGER, reason=Reason.UPDATED, level=2, hand=hand)) == []


@pytest.mark.parametrize("reason", [Reason.OVER, Reason.WITHDRAWN])
def test_the_end_of_danger_is_read_out_by_day_alone(reason: Reason) -> None:
    over = replace(OVER, reason=reason)
    assert topics(over) == ["canhbao/v1/speak/A"]
    assert topics(replace(over, peak=2)) == []
    night = NOON + 10 * HOUR  # 22:00
    assert topics(replace(over, arrival=night)) == []
    assert topics(replace(over, arrival=night + 8 * HOUR - 1)) == []
    assert topics(replace(over, arrival=night + 8 * HOUR)) == ["canhbao/v1/speak/A"]
    assert topics(replace(DANGER, arrival=night)) == ["canhbao/v1/speak/A"], "danger knows no night"


def test_the_text_is_made_for_the_ear_in_both_languages() -> None:
    speakers = Speakers()
    asyncio.run(speak(speakers).send(parcel(DANGER)))
    ((topic, said),) = speakers.said
    words = message(DANGER, parse_city(CITY), parse_rules(""))

    assert topic == "canhbao/v1/speak/A"
    assert (said["text"], said["lang"]) == (words["spoken"]["vi"], "vi")
    assert said["also"] == [{"text": words["spoken"]["en"], "lang": "en"}]
    assert (said["incident"], said["version"], said["level"], said["exercise"]) == ("flood.A.1", 1, 3, False)
    assert said["repeat"] == 2
    assert said["expires"] == "2022-10-14T05:30:00+00:00"
    assert said["id"] == parcel(DANGER).key


def test_where_only_the_little_could_be_said_it_is_said() -> None:
    speakers = Speakers()
    asyncio.run(speak(speakers).send(replace(parcel(DANGER), body=bare_message(DANGER))))
    assert speakers.said[0][1]["text"] == "Nguy hiểm: ngập lụt, A."


def test_nothing_is_read_out_after_its_life() -> None:
    speakers = Speakers()
    asyncio.run(speak(speakers, NOON + LIFE_MS - 1).send(parcel(DANGER)))
    with pytest.raises(ChannelError, match="older than 30 min") as caught:
        asyncio.run(speak(speakers, NOON + LIFE_MS).send(parcel(DANGER)))
    assert caught.value.permanent
    assert len(speakers.said) == 1


def test_a_broker_that_is_down_is_tried_again() -> None:
    speakers = Speakers()
    speakers.down = True
    with pytest.raises(ChannelError, match="no PUBACK") as caught:
        asyncio.run(speak(speakers).send(parcel(DANGER)))
    assert not caught.value.permanent


@pytest.mark.server("mosquitto")
def test_who_comes_later_does_not_hear_it(
    program: Callable[[str], str], free_port: Callable[[], int], tmp_path: Path
) -> None:
    mosquitto = Mosquitto(program("mosquitto"), tmp_path, free_port())
    mosquitto.start()
    publisher = MqttPublisher(mosquitto.url, "collector-out", "any")
    publisher.start()
    try:
        until(lambda: publisher.connected)
        with Client(mosquitto.port, "canhbao/v1/speak/+") as early:
            asyncio.run(speak(publisher).send(parcel(DANGER)))
            until(lambda: early.heard)
            with Client(mosquitto.port, "canhbao/v1/speak/+") as late:
                asyncio.run(speak(publisher).send(parcel(replace(DANGER, version=2))))
                until(lambda: late.heard and len(early.heard) == 2)
                assert [json.loads(payload)["version"] for _, payload, _ in late.heard] == [2]
    finally:
        publisher.stop()
        mosquitto.kill()
