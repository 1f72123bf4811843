"""The table of texts in docs/reference/words.md. `python tests/words_table.py` writes it anew; a test compares it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from worded import HANDS, MEASURED, by_hand, city, composed, notice, outage, rules, sensor

from alerts.incidents.incident import Confirmation, Reason
from alerts.words.actions import after_the_end, what_to_do
from alerts.words.hand import TEMPLATES
from alerts.words.impacts import impact, what_is_left
from alerts.words.names import LANGS, LEVELS, Lang

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "words.md"
BEGIN, END = "<!-- texts: made by tests/words_table.py -->\n", "<!-- end of texts -->\n"


def table() -> str:
    """Markdown: what every measured hazard does at every level, then a short text of every state and template."""
    lines: list[str] = []
    for lang in LANGS:
        lines += [f"#### {'Tiếng Việt' if lang == 'vi' else 'English'}", "", "| hazard | level | impact | what to do |",
                  "|---|---|---|---|", *_rows(lang), ""]  # fmt: skip
    lines += ["#### Every state and every template, short", "", *_examples(), ""]
    return "\n".join(lines)


def _rows(lang: Lang) -> Iterator[str]:
    for kind in MEASURED:
        row = "" if kind == "of our own" else kind
        for level in (1, 2, 3, 4):
            yield f"| {kind} | {LEVELS[lang][level]} | {impact(row, level, lang)} | {what_to_do(row, level, lang)} |"
        for peak, when in ((2, "over"), (3, "over, after danger")):
            yield f"| {kind} | {when} | {what_is_left(row, peak, lang)} | {after_the_end(row, peak, lang)} |"


def _examples() -> Iterator[str]:
    there, law = city(sensor("street_depth")), rules("flood", "street_depth")
    told = [
        notice(Reason.FIRST, 2), notice(Reason.WORSE, 3, 2), notice(Reason.EASED, 1, 3), notice(Reason.OVER, 0, 3),
        replace(notice(Reason.WITHDRAWN, 0, 2), by="an"), notice(Reason.STOPPED, 0, 2),
        notice(Reason.FIRST, 2, by=Confirmation.SOLE), notice(Reason.FIRST, 3, by=Confirmation.UNATTENDED),
        *(by_hand(template, Reason.FIRST, TEMPLATES[template].levels[-1]) for template in HANDS),
        outage(Reason.PLANNED, again=True), outage(Reason.MOVED), outage(Reason.CALLED_OFF),
        outage(Reason.CALLED_OFF, late=True),
    ]  # fmt: skip
    for one in told:
        name = one.hand.template if one.hand is not None else one.reason.value
        sole = one.cause is not None and one.sole
        texts = composed(one, there, law)
        yield f"- {name}{f', {one.cause.by.value}' if sole and one.cause else ''}"
        yield from (f"  - {texts[lang].short}" for lang in LANGS)


def page(text: str) -> str:
    """`text` with the table as it is now."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}{table()}\n{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text("utf-8")), "utf-8")
