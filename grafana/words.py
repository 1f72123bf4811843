"""Every word of the dashboards, in Vietnamese and English. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

Lang: TypeAlias = Literal["vi", "en"]
LANGS: Final[tuple[Lang, ...]] = ("vi", "en")
# JSON in the making: dicts, lists, numbers and texts; what people read stands in it as Words until it is said.
Tree: TypeAlias = dict[str, Any]

_SPANS: Final = (
    (3_600_000, "giờ", "hour"),
    (60_000, "phút", "minute"),
    (1000, "giây", "second"),
    (1, "mili giây", "millisecond"),
)


@dataclass(frozen=True, slots=True)
class Words:
    """One text in both languages."""

    vi: str
    en: str

    def said(self, lang: Lang) -> str:
        return self.vi if lang == "vi" else self.en


def same(text: str) -> Words:
    """A name that is the same in both languages: of a place, of a gateway, of a chemical."""
    return Words(text, text)


# As alerts/words says them, and what stands where nothing is reached.
LEVELS: Final = (
    Words("Dưới ngưỡng", "Below thresholds"),
    Words("Chú ý", "Advisory"),
    Words("Đề phòng", "Warning"),
    Words("Nguy hiểm", "Danger"),
    Words("Khẩn cấp", "Emergency"),
)
HAZARDS: Final[Mapping[str, Words]] = {
    "rain": Words("mưa lớn", "heavy rain"),
    "flood": Words("ngập lụt", "flooding"),
    "power": Words("sự cố điện", "power trouble"),
    "school": Words("môi trường trường học kém", "poor school environment"),
    "toilet": Words("sự cố nhà vệ sinh công cộng", "public toilet trouble"),
}
FLAGS: Final[Mapping[int, Words]] = {  # of QARTOD (docs/reference/quality.md)
    1: Words("1 tốt", "1 good"),
    2: Words("2 chưa đánh giá", "2 not evaluated"),
    3: Words("3 đáng ngờ", "3 suspect"),
    4: Words("4 hỏng", "4 fail"),
    9: Words("9 thiếu", "9 missing"),
}
STATUSES: Final[Mapping[str, Words]] = {  # of a sensor (docs/how-to/health.md)
    "ok": Words("Có tín hiệu", "Heard"),
    "silent": Words("Mất tín hiệu", "Not heard"),
    "no_data": Words("Không có số đo", "No usable data"),
    "delayed": Words("Số liệu cũ", "Old data"),
}
STATISTICS: Final[Mapping[str, Words]] = {
    "last": Words("giá trị mới nhất", "newest value"),
    "sum": Words("tổng {span}", "sum of {span}"),
    "mean": Words("trung bình {span}", "mean of {span}"),
    "max": Words("lớn nhất {span}", "maximum of {span}"),
    "min": Words("nhỏ nhất {span}", "minimum of {span}"),
    "count": Words("số lần đo trong {span}", "readings in {span}"),
}


def span(ms: int) -> Words:
    """A duration as people say it: "10 phút", "1 hour", "24 hours"."""
    unit_ms, vi, en = next(row for row in _SPANS if ms % row[0] == 0)
    count = ms // unit_ms
    return Words(f"{count} {vi}", f"{count} {en}{'' if count == 1 else 's'}")


def statistic(name: str, window_ms: int) -> Words:
    over, form = span(window_ms), STATISTICS[name]
    return Words(form.vi.format(span=over.vi), form.en.format(span=over.en))


def joined(*parts: Words, by: str = ", ") -> Words:
    return Words(by.join(part.vi for part in parts), by.join(part.en for part in parts))


def said(tree: Any, lang: Lang) -> Any:
    """`tree` with every Words in it said in `lang`: plain JSON."""
    if isinstance(tree, Words):
        return tree.said(lang)
    if isinstance(tree, Mapping):
        return {key.said(lang) if isinstance(key, Words) else key: said(value, lang) for key, value in tree.items()}
    return [said(item, lang) for item in tree] if isinstance(tree, (list, tuple)) else tree


def spoken(tree: Any) -> Iterator[Words]:
    """Every Words in `tree`."""
    if isinstance(tree, Words):
        yield tree
    elif isinstance(tree, Mapping):
        for key, value in tree.items():
            yield from spoken(key)
            yield from spoken(value)
    elif isinstance(tree, (list, tuple)):
        for item in tree:
            yield from spoken(item)
