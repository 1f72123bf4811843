"""The dashboards: thresholds of the rules, units of the quantities, words in two languages; a validator that sees."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from boards import EMPTY, SERVICE, default_text, full_text, scene
from grafana_foundation_sdk.models import units as sdk_units

from alerts.watch.metrics import FAMILIES
from alerts.words import names
from grafana import board as board_module
from grafana.asks import KINDS
from grafana.board import dashboard
from grafana.boards import BOARDS, boards
from grafana.judged import CHARTS_MAX, IDS_MAX
from grafana.levels import COLOURS, steps
from grafana.queries import dashboards, queries
from grafana.units import KNOWN, unit_id
from grafana.validate import problems, untranslated
from grafana.words import HAZARDS, LANGS, LEVELS, Words
from ingest.quantity import CATALOGUE, Quantity
from processing.rules import parse_rules

NAMES = ("city", "rain", "flood", "power", "schools", "area", "sensor", "gateways", "warnings", "system")


def panels(tree: Any, type_: str) -> list[Any]:
    return [panel for panel in tree["panels"] if panel["type"] == type_]


def titled(tree: Any, part: str) -> Any:
    found = [panel for panel in tree["panels"] if part in panel["title"]]
    assert len(found) == 1, [panel["title"] for panel in tree["panels"]]
    return found[0]


def made(name: str, lang: names.Lang = "en", **scenery: Any) -> Any:
    chosen = scene(**scenery)
    return next(dashboard(board, chosen, lang) for board in boards(chosen) if board.name == name)


def values(panel: Any) -> list[float]:
    return [step["value"] for step in panel["fieldConfig"]["defaults"]["thresholds"]["steps"]]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("text", [default_text, full_text, lambda: EMPTY], ids=["default", "full", "empty"])
def test_every_dashboard_of_every_city_can_go_to_grafana(kind: Any, text: Callable[[], str]) -> None:
    chosen = scene(kind, text())

    trees = dashboards(chosen)

    assert problems(trees) == []
    assert [line for board in boards(chosen) for line in untranslated(board)] == []
    assert [tree["uid"] for tree in trees] == [f"canhbao-{name}-{lang}" for name in NAMES for lang in LANGS]
    assert {tree["timezone"] for tree in trees} == {chosen.city.timezone.key}


def test_both_languages_have_the_same_panels_and_no_word_in_common_that_is_none_of_both() -> None:
    chosen = scene()
    for board in boards(chosen):
        vi, en = (dashboard(board, chosen, lang) for lang in LANGS)
        assert [(p["type"], p["gridPos"], p.get("targets") and len(p["targets"])) for p in vi["panels"]] == [
            (p["type"], p["gridPos"], p.get("targets") and len(p["targets"])) for p in en["panels"]
        ]
        assert vi["title"] != en["title"]


def test_thresholds_are_those_of_the_rules() -> None:
    rain = made("rain")

    charts = {panel["title"]: panel for panel in panels(rain, "timeseries")}
    assert values(charts["Rain, sum of 1 hour"]) == [None, 20, 30, 50, 80]
    assert values(charts["Rain, sum of 24 hours"]) == [None, 100, 200, 400, 600]
    assert "Advisory ≥ 20 mm" in charts["Rain, sum of 1 hour"]["description"]
    assert charts["Rain, sum of 1 hour"]["targets"][0]["expr"] == (
        'sum_over_time(rain{area=~"$area",sensor=~"$sensor"}[1h])'
    )


def test_each_station_stands_beside_its_own_thresholds() -> None:
    flood = made("flood", city=default_text())

    cam_le, ai_nghia = titled(flood, "Cẩm Lệ"), titled(flood, "Ái Nghĩa")
    assert values(cam_le) == [None, 1.0, 2.0, 2.5, 3.5]
    assert values(ai_nghia) == [None, 6.5, 8.0, 9.0, 10.77]
    assert 'sensor=~"river-cam-le"' in cam_le["targets"][0]["expr"]
    assert cam_le["interval"] == "600s"  # no shorter steps than the station speaks at


def test_a_sensor_with_thresholds_of_its_own_is_not_drawn_beside_those_of_the_others() -> None:
    rules = """
[[rule]]
name = "depth"
hazard = "flood"
quantity = "street_depth"
statistic = "last"
levels = { warning = 0.2 }
[rule.station.low]
levels = { warning = 0.1 }
"""
    city = full_text().replace('id = "street-depth.20260"', 'id = "street-depth.20260"\nstation = "low"')
    flood = made("flood", city=city, rules=rules)

    shared, own = (panel for panel in panels(flood, "timeseries") if "Street depth" in panel["title"])
    assert values(shared) == [None, 0.2]
    assert r'sensor!~"street-depth\\.20260"' in shared["targets"][0]["expr"]
    assert values(own) == [None, 0.1]


def test_stations_beyond_the_limit_share_a_chart_without_thresholds() -> None:
    many = CHARTS_MAX + 3
    rules = '[[rule]]\nname = "r"\nhazard = "flood"\nquantity = "water_level"\nstatistic = "last"\n' + "".join(
        f"[rule.station.s{n}]\nlevels = {{ warning = {n + 1} }}\n" for n in range(many)
    )
    city = (
        EMPTY
        + '[[area]]\ncode = "a"\nname = "A"\n'
        + "".join(
            f'[[sensor]]\nid = "s{n}"\nquantity = "water_level"\narea = "a"\nstation = "s{n}"\n' for n in range(many)
        )
    )
    flood = made("flood", city=city, rules=rules)

    rivers = panels(flood, "timeseries")
    assert len(rivers) == CHARTS_MAX + 1
    assert values(rivers[-1]) == [None]
    assert 'sensor=~"s24|s25|s26"' in rivers[-1]["targets"][0]["expr"]


def test_more_ids_than_a_query_holds_are_not_named_in_it() -> None:
    rules = '[[rule]]\nname = "r"\nhazard = "flood"\nquantity = "water_level"\nstatistic = "last"\n[rule.station.s]\n'
    city = EMPTY + '[[area]]\ncode = "a"\nname = "A"\n' + "".join(
        f'[[sensor]]\nid = "{n:060}"\nquantity = "water_level"\narea = "a"\nstation = "s"\n' for n in range(100)
    )  # fmt: skip
    (river,) = panels(made("flood", city=city, rules=rules + "levels = { warning = 1 }\n"), "timeseries")

    assert values(river) == [None]
    assert len(river["targets"][0]["expr"]) < IDS_MAX


def test_a_window_of_any_length_is_drawn() -> None:
    rules = RULE.format(name="odd", direction="above", levels="{ warning = 300 }").replace("15m", "90.5s")
    chosen = {kind: scene(kind, rules=rules) for kind in KINDS}

    assert all(problems(dashboards(each)) == [] for each in chosen.values())
    odd = titled(made("power", rules=rules), "90500 milliseconds")
    assert "[90500ms]" in odd["targets"][0]["expr"]


RULE = """
[[rule]]
name = "{name}"
hazard = "power"
quantity = "voltage"
statistic = "mean"
window = "15m"
direction = "{direction}"
levels = {levels}
clear_by = 1
"""


def test_a_rule_that_looks_below_colours_what_lies_below() -> None:
    low = RULE.format(name="low", direction="below", levels="{ advisory = 198, warning = 176 }")
    high = RULE.format(name="high", direction="above", levels="{ advisory = 242 }")
    judgements = [rule.everywhere for rule in parse_rules(low + high).rules]

    found = steps([judgement for judgement in judgements if judgement is not None])

    assert [step["color"] for step in found] == [COLOURS[2], COLOURS[1], COLOURS[0], COLOURS[1]]
    assert found[0]["value"] is None
    assert [step["value"] for step in found[1:]] == pytest.approx([176, 198, 242])
    assert found[1]["value"] > 176  # 176 itself is a warning: reached at x and below (CONTRACTS section 4)


def test_a_number_becomes_the_word_of_the_level_that_it_reaches() -> None:
    table = titled(made("rain"), "highest by ward")

    said = next(o for o in table["fieldConfig"]["overrides"] if o["matcher"] == {"id": "byName", "options": "Level"})
    ranges = said["properties"][0]["value"]

    def word(value: float) -> str:  # as Grafana: the first range that has it, ends included
        return next(str(r["options"]["result"]["text"]) for r in ranges
                    if (r["options"]["from"] is None or value >= r["options"]["from"])
                    and (r["options"]["to"] is None or value <= r["options"]["to"]))  # fmt: skip

    assert [word(mm) for mm in (0, 19.9, 20, 30, 50, 79.9, 80, 400)] == [
        "Below thresholds", "Below thresholds", "Advisory", "Warning", "Danger", "Danger", "Emergency", "Emergency",
    ]  # fmt: skip


def test_the_levels_have_the_words_of_the_warnings_and_the_colours_of_the_page() -> None:
    for lang in LANGS:
        assert [words.said(lang) for words in LEVELS[1:]] == list(names.LEVELS[lang][1:])
        assert {hazard: words.said(lang) for hazard, words in HAZARDS.items()} == names.HAZARDS[lang]
    css = Path("alerts/web/static/page.css")
    dark = (Path(__file__).parents[1] / css).read_text("utf-8").split("prefers-color-scheme: dark")[1]
    page = re.findall(r"--l[1-4]: (#[0-9a-f]+);", dark)
    assert [colour.replace("#ffffff", "#fff") for colour in COLOURS[1:]] == page


def test_units_are_grafanas() -> None:
    grafanas = {value for value in vars(sdk_units).values() if isinstance(value, str)}

    assert KNOWN - {"dateTimeAsIso"} <= grafanas
    assert sdk_units.DatetimeISO == "dateTimeAsIso"
    assert {unit_id(quantity) for quantity in CATALOGUE.values()} <= KNOWN | {"suffix: dBA"}
    assert unit_id(Quantity("h2s", "ppb", 0, 1)) == "suffix: ppb"


def test_every_metric_of_the_service_that_a_panel_asks_for_exists() -> None:
    asked = {re.split(r"[{\[(]", query.text)[0] for query in queries(dashboards(scene())) if "canhbao_" in query.text}

    parts = {
        f"{name}{part}" for name, family in FAMILIES.items() if family.kind != "counter" for part in ("_sum", "_count")
    }
    assert asked <= FAMILIES.keys() | parts
    assert len(asked) > 25


def test_a_sensor_leads_to_its_dashboard_and_a_ward_to_its_own() -> None:
    for lang in LANGS:
        text = json.dumps(made("rain", lang))
        assert f"/d/canhbao-sensor-{lang}?var-sensor=${{__field.labels.sensor}}&${{__url_time_range}}" in text
        assert f"/d/canhbao-area-{lang}?var-area=${{__value.raw}}" in text
        assert f"{SERVICE}/api/v1/alerts?active=true" in text


def test_names_with_commas_and_colons_stay_one_choice_each() -> None:
    choices = made("sensor")["templating"]["list"][0]["query"]

    rows = [re.fullmatch(r"\s*(.+)\s:\s(.+)", row) for row in re.findall(r"(?:\\,|[^,])+", choices)]  # Grafana's own
    assert [row and row[2] for row in rows] == list(scene().city.sensors)


def test_a_city_with_too_many_sensors_for_a_list_has_them_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(board_module, "NAMES_MAX", 5)

    variable = made("sensor")["templating"]["list"][0]

    assert (variable["type"], variable["query"]) == ("textbox", "river-cam-le")


def test_a_new_dashboard_is_one_file_and_one_line() -> None:
    files = {path.stem for path in (Path(__file__).parents[1] / "grafana" / "boards").glob("[a-z]*.py")}
    assert files == set(NAMES) == {make.__module__.rpartition(".")[2] for make in BOARDS}


def _wrong() -> Iterator[tuple[str, Callable[[list[Any]], None]]]:
    def first(trees: list[Any], name: str = "rain") -> Any:
        return next(tree for tree in trees if tree["uid"] == f"canhbao-{name}-vi")

    def chart(trees: list[Any]) -> Any:
        return panels(first(trees), "timeseries")[0]

    yield "uid of 2 dashboards", lambda trees: first(trees).update(uid="canhbao-flood-vi")
    yield "letters, digits", lambda trees: first(trees).update(uid="x" * 41)
    yield "title of 2 dashboards", lambda trees: first(trees).update(title=first(trees, "flood")["title"])
    yield "no title", lambda trees: first(trees).update(title=" ")
    yield "has no title", lambda trees: chart(trees).update(title="")
    yield "id 1 of 2 panels", lambda trees: first(trees)["panels"][1].update(id=1)
    yield "overlap", lambda trees: first(trees)["panels"][1]["gridPos"].update(first(trees)["panels"][0]["gridPos"])
    yield "outside the grid", lambda trees: chart(trees)["gridPos"].update(x=13)
    yield "twice in", lambda trees: first(trees, "system")["panels"][6]["targets"][1].update(refId="A")
    yield "does not exist", lambda trees: chart(trees)["targets"][0]["datasource"].update(uid="other")
    yield "'nobody' is used and not", lambda trees: chart(trees)["targets"][0].update(expr='rain{area=~"${nobody}"}')
    yield (
        "defined and not used",
        lambda trees: first(trees)["templating"]["list"].append({"name": "x", "type": "custom"}),
    )
    yield "is no selector", lambda trees: chart(trees)["targets"][0].update(expr='rate(rain{area=~"$area"}[5m])')
    yield "'parsecs' is unknown", lambda trees: chart(trees)["fieldConfig"]["defaults"].update(unit="parsecs")


@pytest.mark.parametrize(("says", "spoil"), list(_wrong()), ids=[says for says, _ in _wrong()])
def test_the_validator_sees(says: str, spoil: Callable[[list[Any]], None]) -> None:
    trees = deepcopy(dashboards(scene()))
    assert problems(trees) == []

    spoil(trees)

    assert [line for line in problems(trees) if says in line]


def test_a_text_that_lacks_a_language_is_seen() -> None:
    board = boards(scene())[0]

    assert untranslated(board_module.Board(board.name, Words("Mưa", " "), board.about, board.panels))
