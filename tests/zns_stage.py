"""Approved templates as a city would set them up, and messages made of real notices."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from carriers.zalo import Zalo
from channel_settings import NOW

from alerts.incidents.incident import Notice, Reason
from alerts.words.message import message
from alerts.words.zns import ZnsText, zns_texts
from ingest.city import DEFAULT_CITY_FILE, City, parse_city
from processing.rules import DEFAULT_RULES_FILE, Rules, parse_rules

PARAMS = {"khu_vuc": ("area", 200), "tieu_de": ("headline", 200), "thoi_gian": ("time", 20), "ma_tin": ("code", 30),
          "dia_chi": ("address", 200), "den_luc": ("until", 20)}  # fmt: skip


def city() -> City:
    return parse_city(DEFAULT_CITY_FILE.read_text("utf-8"), "city.toml")


def rules() -> Rules:
    return parse_rules(DEFAULT_RULES_FILE.read_text("utf-8"), "rules.toml")


def said(level: int = 3, reason: Reason = Reason.FIRST, hazard: str = "flood", **more: Any) -> Mapping[str, Any]:
    registry = city()
    area = next(iter(registry.areas))
    notice = Notice("flood.A.1", 2, reason, hazard, area, level, 0, NOW, NOW, None, **more)
    url = "https://canhbao.example.vn/v/4KDMQ2X"
    return {**message(notice, registry, rules()), "code": "4KDMQ2X", "check": url}


def templates_file(folder: Path, fake: Zalo | None = None, *, but: str = "") -> Path:
    """Each of our texts approved under a number of its own; `but`: the name of one that is not."""
    rows = []
    for number, text in enumerate(zns_texts(), 300_000):
        if text.name == but:
            continue
        rows.append(_row(str(number), text))
        if fake is not None:
            fake.templates[str(number)] = {name: PARAMS[name][1] for name in _used(text)}
    file = folder / "zns.toml"
    file.write_text("\n".join(rows), "utf-8")
    return file


def _row(number: str, text: ZnsText) -> str:
    states = ", ".join(f'"{state.value}"' for state in text.states)
    used = _used(text)
    params = "\n".join(
        f'{name} = {{ word = "{word}", most = {most} }}' for name in used for word, most in [PARAMS[name]]
    )
    return (
        f'[[template]]\nid = "{number}"\nhazards = ["{text.kind}"]\nlevels = [{text.level}]\nstates = [{states}]\n'
        f"[template.params]\n{params}\n"
    )


def _used(text: ZnsText) -> list[str]:
    return [name for name in PARAMS if f"<{name}>" in " ".join(text.paragraphs) or name == "dia_chi"]
