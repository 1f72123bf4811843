"""What the page says around the warnings, in Vietnamese and English."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from alerts.incidents.incident import Incident
from alerts.words.names import Lang, area_name, area_of, hazard_name, level_word
from ingest.city import City
from processing.transitions import Status

EXERCISE: Final[Mapping[Lang, str]] = {"vi": "DIỄN TẬP. ", "en": "EXERCISE. "}
_NAMED_AREAS_MAX: Final = 3  # the sentence stays one; the list below it has them all

LABELS: Final[Mapping[Lang, Mapping[str, str]]] = {
    "vi": {
        "title": "Cảnh báo {city}",
        "skip": "Tới nội dung chính",
        "now": "Hiện tại ở {area}",
        "whole_city": "Toàn thành phố",
        "choose": "Phường, xã của bạn",
        "show": "Xem",
        "warnings": "Cảnh báo đang có hiệu lực",
        "warnings_none": "Không có cảnh báo nào đang có hiệu lực.",
        "elsewhere": "Nơi khác trong thành phố ({count})",
        "since": "Từ {time}",
        "measured": "Đo được",
        "do": "Việc nên làm",
        "sensors": "Số đo cảm biến",
        "sensors_none": "Không có cảm biến công khai nào ở đây.",
        "sensors_all": "Xem số đo của toàn thành phố",
        "sensor_count": "{count} cảm biến",
        "no_reading": "chưa có số đo",
        "below": "Dưới ngưỡng",
        "easing": "Đang giảm",
        "as_of": "Cập nhật",
        "offline": "Mất kết nối. Cập nhật lần cuối lúc",
        "simulated": "Thời gian mô phỏng: đây là diễn tập với số liệu cũ, không phải tình hình thật.",
        "delayed": "Số liệu bị chậm: chưa có gì mới từ {time}. Hãy tự quan sát quanh mình.",
        "observed": "Quan trắc tự động bằng cảm biến của thành phố, không phải bản tin dự báo.",
        "check": "Kiểm tra một tin cảnh báo có thật không",
        "data": "Dữ liệu mở",
        "language": "Ngôn ngữ",
        "just_now": "vừa xong",
        "ago": "{span} trước",
    },
    "en": {
        "title": "{city} warnings",
        "skip": "Skip to the content",
        "now": "Right now in {area}",
        "whole_city": "The whole city",
        "choose": "Your ward",
        "show": "Show",
        "warnings": "Warnings in force",
        "warnings_none": "No warnings are in force.",
        "elsewhere": "Elsewhere in the city ({count})",
        "since": "Since {time}",
        "measured": "Measured",
        "do": "What to do",
        "sensors": "Sensor readings",
        "sensors_none": "There is no public sensor here.",
        "sensors_all": "Readings of the whole city",
        "sensor_count": "{count} sensors",
        "no_reading": "no reading yet",
        "below": "Below thresholds",
        "easing": "Easing",
        "as_of": "Updated",
        "offline": "No connection. Last update at",
        "simulated": "Simulated time: this is an exercise on past data, not the real situation.",
        "delayed": "Data are delayed: nothing new since {time}. Watch your surroundings.",
        "observed": "Observed automatically by the city's sensors; this is not a forecast.",
        "check": "Check whether a warning is genuine",
        "data": "Open data",
        "language": "Language",
        "just_now": "just now",
        "ago": "{span} ago",
    },
}
STATUS: Final[Mapping[Lang, Mapping[Status, str]]] = {
    "vi": {Status.SILENT: "Mất tín hiệu", Status.NO_DATA: "Không có số đo", Status.DELAYED: "Số liệu cũ"},
    "en": {Status.SILENT: "Not heard", Status.NO_DATA: "No usable data", Status.DELAYED: "Old data"},
}


def city_sentence(city: City, incidents: Sequence[Incident], lang: Lang) -> str:
    """How the whole city stands, in one plain sentence. `incidents`: all that are open."""
    if not incidents:
        return (
            f"Hiện không có cảnh báo nào ở {city.name}." if lang == "vi" else f"No warnings in {city.name} right now."
        )
    level = max(incident.level for incident in incidents)
    gravest = [incident for incident in incidents if incident.level == level]
    places = list(dict.fromkeys(area_name(area_of(city, incident.area), lang) for incident in gravest))
    hazards = ", ".join(dict.fromkeys(hazard_name(incident.hazard, lang) for incident in gravest))
    named, more = ", ".join(places[:_NAMED_AREAS_MAX]), len(places) - _NAMED_AREAS_MAX
    word = level_word(level, lang) or LABELS[lang]["easing"]
    if lang == "vi":
        named += f" và {more} nơi khác" if more > 0 else ""
        return f"{len(incidents)} cảnh báo đang có hiệu lực; cao nhất: {word} – {hazards} ở {named}."
    named += f" and {more} more" if more > 0 else ""
    count = f"{len(incidents)} warning{'s' if len(incidents) > 1 else ''} in force"
    return f"{count}; highest: {word} – {hazards} in {named}."
