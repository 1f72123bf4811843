"""The parts of what is said of a planned outage: told before, moved, called off. In the name of who announced it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from alerts.incidents.incident import Notice, Planned, Reason
from alerts.words.forbidden import forbidden
from alerts.words.listed import listed_areas
from alerts.words.measured import public_place
from alerts.words.names import Lang
from alerts.words.parts import Parts
from alerts.words.voice import CAVEAT, Voice, capital
from ingest.city import City

REASON_NAMES: Final = 2  # a reason may be as long as so many names
HAZARD: Final[Mapping[Lang, str]] = {"vi": "cắt điện theo kế hoạch", "en": "planned power cut"}
_HEADS: Final[Mapping[Lang, Mapping[str, str]]] = {
    "vi": {
        Reason.PLANNED: "Báo trước: {hazard} {place}.",
        Reason.MOVED: "Đổi giờ: {hazard} {place}.",
        "before": "Không cắt điện nữa: hủy {hazard} {place}.",
        "early": "Kết thúc sớm: {hazard} {place}.",
    },
    "en": {
        Reason.PLANNED: "Notice: {hazard} {place}.",
        Reason.MOVED: "New times: {hazard} {place}.",
        "before": "Called off: {hazard} {place}.",
        "early": "Ended early: {hazard} {place}.",
    },
}
# Impact, what to do, and what the long forms add.
_SAID: Final[Mapping[Lang, Mapping[str, tuple[str, str, str]]]] = {
    "vi": {
        "": (
            "Không có điện; thang máy, máy bơm ngừng.",
            "Sạc thiết bị y tế; trữ nước; ít mở tủ đông; không đi thang máy lúc cắt.",
            (
                "Ai dùng máy thở hoặc thiết bị y tế tại nhà hãy chuẩn bị pin hoặc đến nơi có điện; khi nguy cấp gọi "
                "115. Sạc điện thoại, đèn pin. Rút phích cắm thiết bị dễ hỏng. Không dùng máy phát điện, bếp than "
                "trong nhà kín."
            ),
        ),
        "before": ("Lần cắt điện này không diễn ra.", "Không cần chuẩn bị cho lần cắt này nữa.", ""),
        "early": (
            "Lần cắt điện này đã kết thúc.",
            "Bật lại từng thiết bị một; chưa có điện thì báo điện lực.",
            "Không tự sửa điện; không chạm dây điện đứt.",
        ),
    },
    "en": {
        "": (
            "No power; lifts and pumps stop.",
            "Charge medical devices; store water; keep freezers shut; take no lift then.",
            (
                "On a ventilator or other medical device at home: have batteries, or go where there is power; call 115 "
                "in an emergency. Charge phones and torches. Unplug sensitive devices. Use no generator or charcoal "
                "stove in a closed house."
            ),
        ),
        "before": ("This cut does not take place.", "You need not prepare for this cut any more.", ""),
        "early": (
            "This cut is over.",
            "Switch devices on one by one; without power, tell the power company.",
            "Repair nothing yourself; touch no broken wires.",
        ),
    },
}  # fmt: skip


def planned_parts(notices: Sequence[Notice], planned: Planned, city: City, voice: Voice, after: str) -> Parts:
    """`notices`: of one outage and reason, one an area, at least one; `after`: where the next word is."""
    first = notices[0]
    impact, action, more = said_of(first, planned, voice.lang)
    head = _HEADS[voice.lang][_state(first, planned) or first.reason].format(
        hazard=HAZARD[voice.lang], place=_place(notices, planned, city, voice)
    )
    return Parts(
        head=head, observed=_source(planned, voice), impact=voice.text(impact), action=voice.text(action), after=after,
        caveat=_next(first, planned, voice), more=voice.text(more),
    )  # fmt: skip


def said_of(notice: Notice, planned: Planned, lang: Lang) -> tuple[str, str, str]:
    """Impact, what to do, and what the long forms add."""
    return _SAID[lang][_state(notice, planned)]


def _state(notice: Notice, planned: Planned) -> str:
    """What was called off: before it began, or early, before its end; "" while it comes, or is there."""
    if notice.reason is not Reason.CALLED_OFF:
        return ""
    return "before" if notice.at < planned.begins else "early"


def announcer(planned: Planned, voice: Voice) -> str:
    """Who announces it and why, as an operator wrote it; "" where it holds what no text of ours may."""
    return "" if forbidden(planned.reason) else voice.name(planned.reason, REASON_NAMES)


def _source(planned: Planned, voice: Voice) -> str:
    who = announcer(planned, voice) or voice.pick("đơn vị điện lực", "the power company")
    span = capital(voice.span(planned.begins, planned.until))
    return voice.pick(f"{span}, theo {who}.", f"{span}, announced by {who}.")


def _place(notices: Sequence[Notice], planned: Planned, city: City, voice: Voice) -> str:
    """Never the whole area: around the sensor's place, or in places."""
    areas = listed_areas([notice.area for notice in notices], city, voice)
    place = public_place(city.sensors.get(planned.sensor), notices[0].area, city, voice) if len(notices) == 1 else ""
    if place and voice.spoken:
        return voice.pick(f"quanh {place}, thuộc {areas}", f"around {place}, in {areas}")
    if place:
        return voice.pick(f"quanh {place} ({areas})", f"around {place} ({areas})")
    return voice.pick(f"ở một số nơi thuộc {areas}", f"in places in {areas}")


def _next(notice: Notice, planned: Planned, voice: Voice) -> str:
    """When there is word again."""
    if notice.reason is Reason.CALLED_OFF or voice.detail < CAVEAT:
        return ""
    if planned.again:
        return voice.text(voice.pick("Nhắc lại 1 giờ trước khi cắt.", "A reminder follows 1 hour before."))
    return voice.pick("Có tin mới nếu đổi giờ hoặc quá giờ.", "Told again if times change or it overruns.")
