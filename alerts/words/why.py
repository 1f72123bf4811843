"""Why, in one plain sentence a decision, for operators: in Vietnamese and English."""

from __future__ import annotations

from typing import Final

from alerts.incidents.decision import Decided, Decision
from alerts.words.names import Lang, duration, hazard_name, level_word, local_time, number, one_line
from ingest.city import City, Sensor
from processing.rules import Judgement, Rules, Statistic

_DETAIL_MOST: Final = 200  # characters of what a person wrote
_NAMES_MOST: Final = 12  # users of one call

# What was decided. A sentence of its own where the reason makes it another one: (decided, because), and what stands for
# any other reason: (decided, "").
_SENTENCES: Final[dict[Lang, dict[tuple[Decided, str], str]]] = {
    "en": {
        (Decided.ROSE, ""): "{sensor} rose to {level} under {rule}{measured}.",
        (Decided.ROSE, "not measured"): "{sensor} stands at {level} under {rule}, without a new measurement.",
        (Decided.FELL, ""): "{sensor} fell to {level} under {rule}{measured}.",
        (
            Decided.FELL,
            "not measured",
        ): "{sensor} is at {level} under {rule}, and nothing was measured: a schedule closed, "
        "or the rule or the sensor went.",
        (Decided.CONFIRMED, "neighbour"): "{sensor} is confirmed at {level}: {witness} saw it too.",
        (Decided.CONFIRMED, "hazard"): "{sensor} is confirmed at {level}: there is a warning of {hazard} in the area.",
        (Decided.CONFIRMED, "reference"): "{sensor} is confirmed at {level}: it is a station of the hydromet office "
        "and its reading is good.",
        (Decided.CONFIRMED, "sole"): "{sensor} is confirmed at {level} by itself: no other sensor could confirm it, "
        "and it has stood there over three good readings and five minutes. The text says one station.",
        (Decided.CONFIRMED, "person"): "{sensor} is confirmed at {level} by {witness}.",
        (Decided.CONFIRMED, "not_asked"): "{sensor} counts at {level}: the rules ask for no confirmation.",
        (Decided.CONFIRMED, ""): "{sensor} is confirmed at {level} ({because}).",
        (Decided.ASKED, ""): "Operators are asked to approve {level}: {reason}.",
        (Decided.CALLED, "approve"): "{to} were called to approve {level} (call {call}).",
        (Decided.CALLED, "acknowledge"): "{to} were called to acknowledge {level} (call {call}).",
        (Decided.CALLED, ""): "{to} were called (call {call}).",
        (Decided.UNATTENDED, ""): "{level} is published unattended: nobody answered, and {sensor} alone still says so.",
        (Decided.PUBLISHED, "first"): "Version {version} is published: {level}, the first.{by}",
        (Decided.PUBLISHED, "updated"): "Version {version} is published: {level}, in other words.{by}",
        (Decided.PUBLISHED, "worse"): "Version {version} is published: {level}, worse than before.{by}",
        (Decided.PUBLISHED, "eased"): "Version {version} is published: eased to {level}.{by}",
        (Decided.PUBLISHED, "over"): "Version {version} is published: it is over.{by}",
        (Decided.PUBLISHED, "withdrawn"): "Version {version} takes the warning back: it should never have been said."
        "{by}",
        (Decided.PUBLISHED, "stopped"): "Version {version} stops the drill: a real warning goes before it.{by}",
        (Decided.PUBLISHED, "planned"): "Version {version} tells residents of the planned outage.{by}",
        (Decided.PUBLISHED, "moved"): "Version {version} tells residents the new times of the planned outage.{by}",
        (Decided.PUBLISHED, "called_off"): "Version {version} calls the planned outage off.{by}",
        (Decided.PUBLISHED, ""): "Version {version} is published: {level} ({because}).{by}",
        (Decided.ACTED, "acknowledge"): "{person} has seen it: calls stop.{said}",
        (Decided.ACTED, "assign"): "{person} assigned it.{said}",
        (Decided.ACTED, "comment"): "{person} commented.{said}",
        (Decided.ACTED, "approve"): "{person} approved {level}.{said}",
        (Decided.ACTED, "ease"): "{person} eased it.{said}",
        (Decided.ACTED, "close"): "{person} closed it.{said}",
        (Decided.ACTED, "raise"): "{person} gave it by hand.{said}",
        (Decided.ACTED, ""): "{person} did: {because}.{said}",
        (Decided.JOINED, ""): "It became part of the city event {because}.",
        (Decided.UNCONFIRMED, ""): "{sensor} at {level} is not published yet: {reason}.",
        (Decided.WAITS, ""): "Its easing waits until the shortest time between two versions is over.",
        (Decided.CALM, ""): "{sensor} holds it open no more until it rises again: {calm}.",
        (Decided.SILENCED, ""): "{sensor} at {level} does not count: it is covered by {because}.",
        (Decided.HELD_OPEN, ""): "It is not over yet: {reason}.",
        (Decided.WITHHELD, "eased_by_one_level"): "Residents were not sent version {version}: they hear of easings by "
        "two levels or more.",
        (Decided.WITHHELD, "unmeasured"): "Residents were not sent version {version}: nothing was measured, so that an "
        "all-clear would be a guess.",
        (Decided.WITHHELD, "unheard"): "Residents were not sent version {version}: they had heard nothing before.",
        (Decided.WITHHELD, "heard_already"): "Residents were not sent version {version}: it is no more than they heard "
        "last, and of the easing between they were not told.",
        (Decided.WITHHELD, ""): "Residents were not sent version {version} ({because}).",
    },
    "vi": {
        (Decided.ROSE, ""): "{sensor} lên mức {level} theo quy tắc {rule}{measured}.",
        (Decided.ROSE, "not measured"): "{sensor} ở mức {level} theo quy tắc {rule}, không có số đo mới.",
        (Decided.FELL, ""): "{sensor} xuống mức {level} theo quy tắc {rule}{measured}.",
        (Decided.FELL, "not measured"): "{sensor} về mức {level} theo quy tắc {rule} mà không có số đo: do hết giờ "
        "áp dụng, hoặc quy tắc hay cảm biến đã bị bỏ.",
        (Decided.CONFIRMED, "neighbour"): "{sensor} được xác nhận ở mức {level}: {witness} cũng ghi nhận.",
        (Decided.CONFIRMED, "hazard"): "{sensor} được xác nhận ở mức {level}: khu vực đang có cảnh báo {hazard}.",
        (Decided.CONFIRMED, "reference"): "{sensor} được xác nhận ở mức {level}: đây là trạm của cơ quan khí tượng "
        "thủy văn và số đo tốt.",
        (Decided.CONFIRMED, "sole"): "{sensor} tự xác nhận ở mức {level}: không có cảm biến nào khác có thể xác nhận, "
        "và mức này đã giữ qua ba số đo tốt trong ít nhất năm phút. Nội dung tin nói rõ chỉ một trạm ghi nhận.",
        (Decided.CONFIRMED, "person"): "{sensor} được {witness} xác nhận ở mức {level}.",
        (Decided.CONFIRMED, "not_asked"): "{sensor} được tính ở mức {level}: quy tắc không yêu cầu xác nhận.",
        (Decided.CONFIRMED, ""): "{sensor} được xác nhận ở mức {level} ({because}).",
        (Decided.ASKED, ""): "Đã xin người trực duyệt mức {level}: {reason}.",
        (Decided.CALLED, "approve"): "Đã gọi {to} để duyệt mức {level} (lần gọi {call}).",
        (Decided.CALLED, "acknowledge"): "Đã gọi {to} để xác nhận đã nhận tin mức {level} (lần gọi {call}).",
        (Decided.CALLED, ""): "Đã gọi {to} (lần gọi {call}).",
        (Decided.UNATTENDED, ""): "Mức {level} được công bố khi không có người duyệt: không ai trả lời và chỉ riêng "
        "{sensor} vẫn ghi nhận.",
        (Decided.PUBLISHED, "first"): "Đã công bố bản {version}: {level}, lần đầu.{by}",
        (Decided.PUBLISHED, "updated"): "Đã công bố bản {version}: {level}, lời mới.{by}",
        (Decided.PUBLISHED, "worse"): "Đã công bố bản {version}: {level}, nặng hơn trước.{by}",
        (Decided.PUBLISHED, "eased"): "Đã công bố bản {version}: giảm xuống {level}.{by}",
        (Decided.PUBLISHED, "over"): "Đã công bố bản {version}: hết cảnh báo.{by}",
        (Decided.PUBLISHED, "withdrawn"): "Bản {version} rút lại cảnh báo: lẽ ra không nên phát.{by}",
        (Decided.PUBLISHED, "stopped"): "Bản {version} dừng diễn tập: nhường cho cảnh báo thật.{by}",
        (Decided.PUBLISHED, "planned"): "Bản {version} báo trước cho người dân về lịch cắt điện.{by}",
        (Decided.PUBLISHED, "moved"): "Bản {version} báo giờ mới của lịch cắt điện.{by}",
        (Decided.PUBLISHED, "called_off"): "Bản {version} báo lịch cắt điện đã hủy.{by}",
        (Decided.PUBLISHED, ""): "Đã công bố bản {version}: {level} ({because}).{by}",
        (Decided.ACTED, "acknowledge"): "{person} đã nhận tin: ngừng gọi.{said}",
        (Decided.ACTED, "assign"): "{person} đã giao việc.{said}",
        (Decided.ACTED, "comment"): "{person} đã ghi chú.{said}",
        (Decided.ACTED, "approve"): "{person} đã duyệt mức {level}.{said}",
        (Decided.ACTED, "ease"): "{person} đã hạ mức.{said}",
        (Decided.ACTED, "close"): "{person} đã đóng cảnh báo.{said}",
        (Decided.ACTED, "raise"): "{person} đã phát cảnh báo bằng tay.{said}",
        (Decided.ACTED, ""): "{person} đã thao tác: {because}.{said}",
        (Decided.JOINED, ""): "Đã thuộc về sự kiện toàn thành phố {because}.",
        (Decided.UNCONFIRMED, ""): "{sensor} ở mức {level} chưa được công bố: {reason}.",
        (Decided.WAITS, ""): "Việc giảm mức còn chờ hết khoảng cách tối thiểu giữa hai bản tin.",
        (Decided.CALM, ""): "{sensor} không còn giữ cảnh báo mở cho đến khi tăng trở lại: {calm}.",
        (Decided.SILENCED, ""): "{sensor} ở mức {level} không được tính: đang được che bởi {because}.",
        (Decided.HELD_OPEN, ""): "Chưa hết cảnh báo: {reason}.",
        (Decided.WITHHELD, "eased_by_one_level"): "Không gửi bản {version} cho người dân: chỉ gửi khi giảm từ hai mức.",
        (Decided.WITHHELD, "unmeasured"): "Không gửi bản {version} cho người dân: không có số đo, nên báo an toàn chỉ "
        "là đoán.",
        (Decided.WITHHELD, "unheard"): "Không gửi bản {version} cho người dân: trước đó họ chưa nhận tin nào.",
        (Decided.WITHHELD, "heard_already"): "Không gửi bản {version} cho người dân: không cao hơn tin họ nhận gần "
        "nhất, và lần giảm ở giữa không được gửi.",
        (Decided.WITHHELD, ""): "Không gửi bản {version} cho người dân ({because}).",
    },
}
# Reasons that are a code and names behind it ("others_are_calm tower-2 tower-3").
_REASONS: Final[dict[Lang, dict[str, str]]] = {
    "en": {
        "sole_not_yet": "no other sensor can confirm it, and it has not stood there over three good readings and five "
        "minutes yet",
        "sole_above_warning": "one station alone is enough for a warning and not for more",
        "others_are_calm": "others that could confirm it do not: {names}",
        "silenced": "a silence covers it ({names})",
        "by hand": "it was given by hand",
        "gone": "{names}, which held it at danger, is no longer in the registry: a person has to say that it is over",
        "not_heard": "{names}, which held it at danger, is not heard",
        "linked": "there is still {names} at warning or above in the area",
    },
    "vi": {
        "sole_not_yet": "không có cảm biến nào khác có thể xác nhận, và mức này chưa giữ qua ba số đo tốt trong năm "
        "phút",
        "sole_above_warning": "một trạm chỉ đủ cho mức Đề phòng, không cao hơn",
        "others_are_calm": "các cảm biến khác có thể xác nhận nhưng không ghi nhận: {names}",
        "silenced": "đang bị che ({names})",
        "by hand": "cảnh báo được phát bằng tay",
        "gone": "{names} từng ở mức Nguy hiểm không còn trong danh sách: cần người xác nhận đã hết",
        "not_heard": "{names} từng ở mức Nguy hiểm nay không có tín hiệu",
        "linked": "khu vực vẫn còn {names} từ mức Đề phòng trở lên",
    },
}
_STATISTICS: Final[dict[Lang, dict[Statistic, str]]] = {
    "en": {Statistic.LAST: "", Statistic.SUM: "sum", Statistic.MEAN: "mean", Statistic.MAX: "highest",
           Statistic.MIN: "lowest", Statistic.RISE: "rise an hour", Statistic.COUNT: "readings"},
    "vi": {Statistic.LAST: "", Statistic.SUM: "tổng", Statistic.MEAN: "trung bình", Statistic.MAX: "cao nhất",
           Statistic.MIN: "thấp nhất", Statistic.RISE: "tốc độ tăng mỗi giờ", Statistic.COUNT: "số lần đo"},
}  # fmt: skip
_NONE: Final[dict[Lang, str]] = {"en": "no warning level", "vi": "bình thường"}


def why_sentence(decision: Decision, city: City, rules: Rules, lang: Lang) -> str:
    """What was decided and why, on one line. Reasons and verbs that this table does not know are shown as they are."""
    table = _SENTENCES[lang]
    form = table.get((decision.what, decision.because)) or table[decision.what, ""]
    detail = decision.detail
    return form.format(
        sensor=one_line(decision.sensor), rule=one_line(decision.rule), level=_level(decision.level, lang),
        because=one_line(decision.because), reason=_reason(decision.because, lang),
        measured=_measured(decision, city, rules, lang), witness=one_line(str(detail.get("witness", ""))),
        hazard=hazard_name(str(detail.get("witness", "")), lang),
        calm=_calm(decision, city, rules, lang),
        version=detail.get("version", ""), by=_by(detail.get("by"), lang), person=one_line(str(detail.get("by", "?"))),
        said=_said(detail.get("why")), to=_names(detail.get("to")), call=_call(detail.get("number")),
    )  # fmt: skip


def _level(level: int, lang: Lang) -> str:
    return level_word(level, lang) or _NONE[lang]


def _reason(because: str, lang: Lang) -> str:
    known = _REASONS[lang]
    code, _, names = because.partition(" ")
    form = known.get(because) or known.get(code)
    names = hazard_name(names, lang) if code == "linked" else one_line(names, _DETAIL_MOST)
    return one_line(because, _DETAIL_MOST) if form is None else form.format(names=names)


def _calm(decision: Decision, city: City, rules: Rules, lang: Lang) -> str:
    """What `ends_when` has seen, as its hazard's rules are now."""
    hazard = next((rules.hazards[rule.hazard] for rule in rules.rules if rule.name == decision.rule), None)
    sensor = city.sensors.get(decision.sensor)
    if hazard is None or hazard.ends_when is None or sensor is None:
        return one_line(decision.because, _DETAIL_MOST)
    ends = hazard.ends_when
    how = [_STATISTICS[lang][ends.statistic], duration(ends.window_ms, lang) if ends.window_ms else ""]
    amount = f"{number(ends.below, sensor.quantity.decimals, lang)} {one_line(sensor.quantity.unit)}".rstrip()
    form = "{amount} ({how}) trong {span}" if lang == "vi" else "{amount} ({how}) for {span}"
    below = "dưới " if lang == "vi" else "below "
    return below + form.format(amount=amount, how=", ".join(filter(None, how)), span=duration(ends.for_ms, lang))


def _measured(decision: Decision, city: City, rules: Rules, lang: Lang) -> str:
    """What follows a colon: 53.7 mm (sum, 1 hour), measured 15:03, 14 Oct; as far as it is known."""
    value, at = decision.detail.get("value"), decision.detail.get("measured_at")
    sensor = city.sensors.get(decision.sensor)
    parts = []
    if isinstance(value, (int, float)) and sensor is not None:
        parts.append(_amount(float(value), sensor, _judgement(decision.rule, sensor, rules), lang))
    if isinstance(at, int):
        parts.append(f"{'đo lúc' if lang == 'vi' else 'measured'} {local_time(at, city.timezone, lang)}")
    return ": " + ", ".join(parts) if parts else ""


def _amount(value: float, sensor: Sensor, judged: Judgement | None, lang: Lang) -> str:
    quantity = sensor.quantity
    if judged is None:
        return f"{number(value, quantity.decimals, lang)} {one_line(quantity.unit)}".rstrip()
    if judged.statistic is Statistic.COUNT:
        text = f"{value:.0f}"
    else:
        text = f"{number(value, quantity.decimals, lang)} {one_line(quantity.unit)}".rstrip()
    how = [_STATISTICS[lang][judged.statistic], duration(judged.window_ms, lang) if judged.window_ms else ""]
    return f"{text} ({', '.join(filter(None, how))})" if any(how) else text


def _judgement(rule: str, sensor: Sensor, rules: Rules) -> Judgement | None:
    """As the rules are now; None where that one is no more."""
    return next((one.judgement(sensor) for one in rules.rules if one.name == rule), None)


def _by(person: object, lang: Lang) -> str:
    if not person:
        return ""
    return f" Do {one_line(str(person))} thực hiện." if lang == "vi" else f" By {one_line(str(person))}."


def _said(text: object) -> str:
    return f" “{one_line(str(text), _DETAIL_MOST)}”" if text else ""


def _names(users: object) -> str:
    names = [one_line(str(user)) for user in users] if isinstance(users, (list, tuple)) else []
    more = f" (+{len(names) - _NAMES_MOST})" if len(names) > _NAMES_MOST else ""
    return ", ".join(names[:_NAMES_MOST]) + more if names else "?"


def _call(number_from_0: object) -> str:
    return str(number_from_0 + 1) if isinstance(number_from_0, int) else "?"
