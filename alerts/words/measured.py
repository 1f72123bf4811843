"""The parts of what sensors measured: first, worse, eased, over; and of what a person takes back or stops.

Always what was observed, never a forecast, in the name of the city's sensors or of a station.
"""

from __future__ import annotations

from typing import Final

from alerts.incidents.incident import DANGER, ENDS, Confirmation, Notice, Reason, Withheld
from alerts.words.actions import after_the_end, more_to_do, what_to_do
from alerts.words.impacts import RIVER, impact, what_is_left
from alerts.words.names import Lang, level_word, one_line
from alerts.words.parts import Parts
from alerts.words.voice import BEFORE, CAVEAT, VALUE, Voice, capital
from ingest.city import City, Sensor
from processing.rules import Judgement, Rules

_HEADS: Final = {
    "vi": {
        Reason.FIRST: "{level}: {hazard} {place}.",
        Reason.WORSE: "{level}: {hazard} {place}{pause} nặng hơn{before}.",
        Reason.EASED: "{level}: {hazard} {place}{pause} đã giảm{before}.",
        Reason.UPDATED: "{level}: {hazard} {place}.",
        Reason.OVER: "Hết cảnh báo {hazard} tại {area}.",
        Reason.WITHDRAWN: "Rút lại cảnh báo {hazard} tại {area}.",
        Reason.STOPPED: "Dừng diễn tập {hazard} tại {area}.",
    },
    "en": {
        Reason.FIRST: "{level}: {hazard} {place}.",
        Reason.WORSE: "{level}: {hazard} {place}{pause} is worse{before}.",
        Reason.EASED: "{level}: {hazard} {place}{pause} has eased{before}.",
        Reason.UPDATED: "{level}: {hazard} {place}.",
        Reason.OVER: "The warning of {hazard} for {area} is over.",
        Reason.WITHDRAWN: "Withdrawn: the warning of {hazard} for {area}.",
        Reason.STOPPED: "The drill of {hazard} for {area} is stopped.",
    },
}
RIVER_NAMES: Final = {"vi": "nước sông lên cao", "en": "high river"}
_STATION: Final = "trạm "  # a place that is a station is the source itself


def kind_of(notice: Notice, city: City) -> str:
    """The row of the tables: the hazard, and RIVER for what a river gauge measured."""
    sensor = cause_sensor(notice, city)
    river = notice.hazard == "flood" and sensor is not None and sensor.quantity.name == "water_level"
    return RIVER if river else notice.hazard


def cause_sensor(notice: Notice, city: City) -> Sensor | None:
    return city.sensors.get(notice.cause.sensor) if notice.cause is not None else None


def measured_parts(notice: Notice, city: City, rules: Rules, voice: Voice, after: str) -> Parts:
    """`after`: where the next word is."""
    impact_of, action_of = impact_and_action(notice, kind_of(notice, city), voice.lang)
    return Parts(
        head=_head(notice, city, voice), observed=_observed(notice, city, rules, voice),
        impact=voice.text(impact_of), action=voice.text(action_of), after=after, caveat=_caveat(notice, voice),
        more=voice.text(_more(notice, city, voice.lang)),
    )  # fmt: skip


def impact_and_action(notice: Notice, kind: str, lang: Lang) -> tuple[str, str]:
    """What it does, or what is left of it; what to do."""
    if notice.reason is Reason.OVER:
        peak = DANGER if notice.withheld is Withheld.UNMEASURED else max(notice.peak, notice.previous_level)
        return what_is_left(kind, peak, lang), after_the_end(kind, peak, lang)
    if notice.reason in ENDS:
        return _BACK[lang][notice.reason]
    return impact(kind, notice.level, lang), what_to_do(kind, notice.level, lang)


_BACK: Final = {
    "vi": {
        Reason.WITHDRAWN: (
            "Không có nguy hiểm như đã báo.",
            "Không cần làm theo cảnh báo đó nữa.",
        ),
        Reason.STOPPED: (
            "Hiện có cảnh báo thật ở đây.",
            "Hãy làm theo cảnh báo thật, không theo diễn tập.",
        ),
    },
    "en": {
        Reason.WITHDRAWN: ("There is no danger as we had said.", "You need not follow that warning any more."),
        Reason.STOPPED: ("There is a real warning here now.", "Follow the real warning, not the drill."),
    },
}


def _more(notice: Notice, city: City, lang: Lang) -> str:
    return "" if notice.reason in ENDS else more_to_do(kind_of(notice, city), notice.level, lang)


def head_words(notice: Notice, voice: Voice) -> dict[str, str]:
    """The level, as said, and what it was before."""
    word = level_word(notice.level, voice.lang)
    if voice.spoken and voice.lang == "vi":
        word = f"Cảnh báo mức {word.lower()}"  # "Chú ý" alone would be lost behind the opening words
    was = level_word(notice.previous_level, voice.lang)
    before = voice.pick(f"trước đó là {was.lower()}", f"it was {was} before") if voice.spoken else ""
    before = before or voice.pick(f"trước đó: {was}", f"before: {was}")
    told = was and voice.detail >= BEFORE
    before = (f", {before}" if voice.spoken else f" ({before})") if told else ""
    return {"level": word, "before": before, "pause": "," if voice.spoken else ""}


def _head(notice: Notice, city: City, voice: Voice) -> str:
    river = kind_of(notice, city) == RIVER
    hazard = RIVER_NAMES[voice.lang] if river else voice.hazard(notice.hazard)
    area = voice.area(city, notice.area)
    return _HEADS[voice.lang][notice.reason].format(
        hazard=hazard, area=area, place=_place(notice, city, voice, area), **head_words(notice, voice)
    )


def _place(notice: Notice, city: City, voice: Voice, area: str) -> str:
    """Never the whole area: around the sensor's place, low by the river, or in places."""
    if kind_of(notice, city) == RIVER:
        return voice.pick(f"ở nơi thấp ven sông thuộc {area}", f"in low places by the river in {area}")
    place = public_place(cause_sensor(notice, city), notice.area, city, voice)
    if not place:
        return voice.pick(f"ở một số nơi thuộc {area}", f"in places in {area}")
    if voice.spoken:
        return voice.pick(f"quanh {place}, thuộc {area}", f"around {place}, in {area}")
    return voice.pick(f"quanh {place} ({area})", f"around {place} ({area})")


def public_place(sensor: Sensor | None, area: str, city: City, voice: Voice) -> str:
    """The sensor's place within `area`; empty where it has none, it is not public, or it lies in another area."""
    if sensor is None or not sensor.public or sensor.area != area:
        return ""
    if area in city.areas and one_line(sensor.place) == one_line(city.areas[area].name):
        return ""  # the registry names no place
    return voice.name(sensor.place)


def _source(sensor: Sensor | None, notice: Notice, voice: Voice) -> str:
    """Who measured. A place outside the area, or a station, is named here."""
    place = voice.name(sensor.place) if sensor is not None and sensor.public else ""
    if place.lower().startswith(_STATION):
        return voice.pick(capital(place), f"The station {place[len(_STATION) :]}")
    source = voice.pick("Cảm biến của thành phố", "A city sensor")
    if not place or (sensor is not None and sensor.area == notice.area):
        return source
    return voice.pick(f"{source} tại {place}", f"{source} at {place}")


def _observed(notice: Notice, city: City, rules: Rules, voice: Voice) -> str:
    if notice.reason in ENDS:
        return _ended(notice, voice)
    cause, sensor = notice.cause, cause_sensor(notice, city)
    when = voice.time(cause.at if cause is not None else notice.at)
    if cause is None and notice.by:
        return duty_says(voice, when)
    source, what = _source(sensor, notice, voice), ""
    if voice.detail >= VALUE and cause is not None and cause.value is not None and sensor is not None and sensor.public:
        what = voice.amount(cause.value, sensor.quantity, judgement_of(rules, cause.rule, sensor))
    if what:
        return voice.pick(f"{source} đo được {what} lúc {when}.", f"{source} measured {what} at {when}.")
    return voice.pick(f"{source} ghi nhận lúc {when}.", f"{source} observed it at {when}.")


def duty_says(voice: Voice, when: str) -> str:
    return voice.pick(f"Trực ban của thành phố thông báo lúc {when}.", f"Said by the city's duty officers at {when}.")


def _ended(notice: Notice, voice: Voice) -> str:
    when = voice.time(notice.at)
    if notice.reason is not Reason.OVER:
        return taken_back(notice, voice, when)
    if notice.by:
        return voice.pick(
            f"Trực ban của thành phố xác nhận đã hết lúc {when}.", f"The city's duty officers ended it at {when}."
        )
    if notice.withheld is Withheld.UNMEASURED:
        return voice.pick(
            f"Từ {when} cảm biến của thành phố không đo nữa; chưa thể nói là an toàn.",
            f"The city's sensors have not measured since {when}; we cannot say that it is safe.",
        )
    return voice.pick(
        f"Cảm biến của thành phố không còn ở mức cảnh báo từ {when}.",
        f"The city's sensors have been out of the warning range since {when}.",
    )


def taken_back(notice: Notice, voice: Voice, when: str) -> str:
    """A drill stops by itself where a real incident opens."""
    who = voice.pick("Trực ban của thành phố", "the city's duty officers")
    if not notice.by:
        who = voice.pick("Hệ thống cảnh báo của thành phố", "the city's warning system")
    if notice.reason is Reason.STOPPED:
        return voice.pick(f"{who} dừng diễn tập lúc {when}.", f"Stopped by {who} at {when}.")
    return voice.pick(
        f"Cảnh báo đó là nhầm, thành thật xin lỗi. {who} rút lại lúc {when}.",
        f"It was an error, we apologise. Withdrawn by {who} at {when}.",
    )


def _caveat(notice: Notice, voice: Voice) -> str:
    overran = _overran(notice, voice)
    if not notice.sole or notice.cause is None:
        return overran
    one = voice.pick("Chỉ một trạm ghi nhận", "One station only")
    if notice.cause.by is Confirmation.UNATTENDED:
        rest = voice.pick(", người trực chưa xác nhận", ", not yet checked by staff on duty")
    else:
        rest = voice.pick(", chưa có trạm khác xác nhận", ", not confirmed by others")
    return f"{overran} {one}{rest if voice.detail >= CAVEAT else ''}.".lstrip()


def _overran(notice: Notice, voice: Voice) -> str:
    """It was announced, and was to be over by then."""
    if not notice.overran:
        return ""
    when = voice.time(notice.overran)
    if voice.detail < CAVEAT:
        return voice.pick(f"Đã quá giờ hẹn ({when}).", f"The announced cut has overrun ({when}).")
    return voice.pick(
        f"Lịch cắt điện báo đến {when}, nay đã quá giờ hẹn.", f"The announced cut was to end at {when}: it has overrun."
    )


def judgement_of(rules: Rules, rule: str, sensor: Sensor) -> Judgement | None:
    """How the rule of that name judges the sensor; None where it is gone."""
    found = next((row for row in rules.rules if row.name == rule), None)
    if found is None:
        return None
    return found.stations.get(sensor.station or "") or found.everywhere
