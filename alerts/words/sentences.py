"""What people read: the short text of a notice, and the one sentence on how an area stands.

Always what sensors observed, never a forecast; at most 360 characters, so that it stays one short message.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from alerts.incidents.incident import Incident, Member, Notice, Reason
from alerts.words.actions import what_remains, what_to_do
from alerts.words.names import Lang, area_name, area_of, duration, hazard_name, level_word, local_time, number, one_line
from alerts.words.names import quantity_name as named
from ingest.city import Area, City, Sensor
from processing.rules import Judgement, Rules, Statistic

TEXT_MOST: Final = 360  # characters of the short form

_EXERCISE: Final = {"vi": "DIỄN TẬP. ", "en": "EXERCISE. "}
_HEADS: Final = {
    "vi": {
        Reason.FIRST: "{level}: {hazard} ở {area}.",
        Reason.WORSE: "{level}: {hazard} ở {area} nặng hơn (trước đó: {before}).",
        Reason.EASED: "{level}: {hazard} ở {area} đã giảm (trước đó: {before}).",
        Reason.OVER: "Hết cảnh báo {hazard} ở {area}.",
    },
    "en": {
        Reason.FIRST: "{level}: {hazard} in {area}.",
        Reason.WORSE: "{level}: {hazard} in {area} is worse (before: {before}).",
        Reason.EASED: "{level}: {hazard} in {area} has eased (before: {before}).",
        Reason.OVER: "The warning is over: {hazard} in {area}.",
    },
}


def sentence(
    notice: Notice, city: City, rules: Rules, lang: Lang, *, page_url: str = "", exercise: bool = False
) -> str:
    """The short text of a notice, at most TEXT_MOST characters, on one line.

    `page_url`: where the next word comes; the city's page by name where empty. `exercise`: nothing of this is real
    (drills, and whatever runs on the data's clock); then it is the first word.
    """
    head = _HEADS[lang][notice.reason].format(
        level=level_word(notice.level, lang),
        before=level_word(notice.previous_level, lang),
        hazard=hazard_name(notice.hazard, lang),
        area=area_name(area_of(city, notice.area), lang),
    )
    if notice.reason is Reason.OVER:
        observed, action = _quiet_since(notice, city, lang), what_remains(notice.hazard, lang)
    else:
        observed, action = _observed(notice, city, rules, lang), what_to_do(notice.hazard, notice.level, lang)
    start = (_EXERCISE[lang] if exercise else "") + head
    # What is left out first where names are long: the way to the page, then the measurement; never what to do.
    forms = ((start, observed, action, _next(city, page_url, lang)), (start, observed, action), (start, action))
    texts = [" ".join(part for part in form if part) for form in forms]
    return next((text for text in texts if len(text) <= TEXT_MOST), texts[-1])


def situation(area: Area, incidents: Sequence[Incident], lang: Lang) -> str:
    """How an area stands, in one plain sentence; of `incidents` only the open ones of the area count."""
    here = sorted((i for i in incidents if i.area == area.code and i.closed_at is None), key=lambda i: (-i.level, i.id))
    name = area_name(area, lang)
    if not here:
        return f"Hiện không có cảnh báo nào ở {name}." if lang == "vi" else f"No warnings in {name} right now."
    parts = [_state(incident, lang) for incident in here]
    return f"{name}: {'; '.join(parts)}."


def _state(incident: Incident, lang: Lang) -> str:
    text = f"{level_word(incident.level, lang)} – {hazard_name(incident.hazard, lang)}"
    if incident.members:
        return text
    return text + (
        " (cảm biến không còn ở mức cảnh báo)" if lang == "vi" else " (sensors now out of the warning range)"
    )


def _observed(notice: Notice, city: City, rules: Rules, lang: Lang) -> str:
    cause = notice.cause
    sensor = city.sensors.get(cause.sensor) if cause else None
    when = local_time(cause.at if cause else notice.at, city.timezone, lang)
    if cause is None or sensor is None or cause.value is None or not sensor.public:
        return f"Cảm biến ghi nhận lúc {when}." if lang == "vi" else f"Observed by sensors at {when}."
    what = f"{named(sensor.quantity, lang)} {_measured(cause, cause.value, sensor, rules, lang)}"
    place = one_line(sensor.place)
    if place == one_line(city.areas[sensor.area].name if sensor.area in city.areas else ""):
        place = ""  # the registry names no place: the area stands in the head already
    if lang == "vi":
        return f"Cảm biến{' tại ' if place else ''}{place} đo được {what} lúc {when}."
    return f"{'Sensor at ' if place else 'A sensor'}{place} measured {what} at {when}."


def _measured(cause: Member, value: float, sensor: Sensor, rules: Rules, lang: Lang) -> str:
    """The statistic with its unit and its window: "53,7 mm trong 1 giờ"."""
    quantity, judgement = sensor.quantity, _judgement(cause, sensor, rules)
    amount = f"{number(value, quantity.decimals, lang)} {one_line(quantity.unit)}".rstrip()
    if judgement is None or judgement.statistic is Statistic.LAST:
        return amount
    span = duration(judgement.window_ms, lang)
    if judgement.statistic is Statistic.COUNT:
        amount = f"{value:.0f} {'lần đo' if lang == 'vi' else 'readings'}"
    return _STATISTICS[lang][judgement.statistic].format(amount=amount, span=span)


_STATISTICS: Final = {
    "vi": {
        Statistic.SUM: "{amount} trong {span}",
        Statistic.COUNT: "{amount} trong {span}",
        Statistic.MEAN: "{amount} (trung bình {span})",
        Statistic.MAX: "{amount} (cao nhất trong {span})",
        Statistic.MIN: "{amount} (thấp nhất trong {span})",
        Statistic.RISE: "tăng {amount} mỗi giờ",
    },
    "en": {
        Statistic.SUM: "{amount} in {span}",
        Statistic.COUNT: "{amount} in {span}",
        Statistic.MEAN: "{amount} (mean over {span})",
        Statistic.MAX: "{amount} (highest in {span})",
        Statistic.MIN: "{amount} (lowest in {span})",
        Statistic.RISE: "rising {amount} per hour",
    },
}


def _judgement(cause: Member, sensor: Sensor, rules: Rules) -> Judgement | None:
    rule = next((rule for rule in rules.rules if rule.name == cause.rule), None)
    if rule is None:
        return None
    return rule.stations.get(sensor.station or "") or rule.everywhere


def _quiet_since(notice: Notice, city: City, lang: Lang) -> str:
    when = local_time(notice.at, city.timezone, lang)
    if lang == "vi":
        return f"Cảm biến không còn ở mức cảnh báo từ {when}."
    return f"Sensors have been out of the warning range since {when}."


def _next(city: City, page_url: str, lang: Lang) -> str:
    if page_url:
        return f"Tin tiếp: {page_url}" if lang == "vi" else f"Updates: {page_url}"
    name = one_line(city.name)
    return f"Tin tiếp: trang cảnh báo của {name}." if lang == "vi" else f"Updates: the warning page of {name}."
