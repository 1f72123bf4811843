"""The texts that Zalo approves, the page that lists them, and the file that names the approved numbers."""

import re
from pathlib import Path

import pytest
from zns_stage import rules, templates_file

from alerts.delivery.zns_templates import read_templates
from alerts.words.forbidden import forbidden
from alerts.words.zns import PARAGRAPH, TITLE, ZnsText, zns_page, zns_texts
from ingest.city import ConfigError

PAGE = Path(__file__).parents[1] / "docs/reference/zns-templates.md"
ONE = """
[[template]]
id = "1"
hazards = ["flood"]
levels = [3]
states = ["first"]
[template.params]
ma_tin = { word = "code", most = 30 }
"""


def test_the_page_is_what_the_code_says() -> None:
    assert PAGE.read_text("utf-8") == zns_page(), f"write zns_page() into {PAGE}"


@pytest.mark.parametrize("text", zns_texts(), ids=lambda text: text.name)
def test_each_text_keeps_to_zalos_sizes_and_our_words(text: ZnsText) -> None:
    assert 10 <= len(text.name) <= 60
    assert TITLE[0] <= len(text.title) <= TITLE[1]
    assert all(PARAGRAPH[0] <= len(paragraph) <= PARAGRAPH[1] for paragraph in text.paragraphs)
    assert 1 <= len(text.paragraphs) <= 4
    whole = " ".join((text.title, *text.paragraphs))
    assert not forbidden(re.sub("<[a-z_]+>", "", whole))
    assert "<ma_tin>" in whole
    assert "http" not in whole  # addresses stand in the button


def test_texts_of_all_that_is_told_leave_nothing_missing(tmp_path: Path) -> None:
    measured = ["rain", "flood", "power", "school", "toilet"]
    assert set(rules().hazards) <= set(measured)

    assert read_templates(templates_file(tmp_path)).missing(measured) == []


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    found = read_templates(templates_file(tmp_path, but="canhbao flood 3 first"))

    assert found.missing(["rain", "flood"]) == ["flood level 3 first", "flood level 3 updated"]
    assert "storm level 2 first" in found.missing(["storm"])
    assert "storm level 1 first" not in found.missing(["storm"])  # its template by hand has no such level


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[template", "TOML"),
        (ONE.replace('"flood"', '"flood", "flood"'), "one template for each"),
        (ONE + ONE, "one template for each"),
        (ONE.replace("[3]", "[5]"), "levels"),
        (ONE.replace('"code"', '"name"'), "word"),
        (ONE.replace("most = 30", "most = 0"), "most"),
        (ONE.replace("id =", "number ="), "number|id"),
    ],
)
def test_a_file_that_does_not_fit_is_refused(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "zns.toml"
    file.write_text(text, "utf-8")

    with pytest.raises(ConfigError, match=said):
        read_templates(file)
