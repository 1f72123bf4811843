"""canhbao check: are the settings, the city and the rules right, and which rules do not judge a sensor?"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from alerts import settings
from alerts.commands.run import DEFAULT_FILE
from alerts.commands.zalo import missing_templates
from alerts.settings import read_text
from ingest.city import City, parse_city
from processing.rules import Rules, parse_rules

HELP = "check the settings, city.toml and rules.toml; exit 2 says what is wrong and where"
EXAMPLE = """\
examples:
  canhbao check                                       what canhbao run would start with
  canhbao check --city city.toml --rules rules.toml
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--city", type=Path, metavar="FILE", help="default: that of the settings, else Da Nang's")
    parser.add_argument("--rules", type=Path, metavar="FILE", help="default: those of the settings, else Da Nang's")
    parser.add_argument("--config", type=Path, metavar="FILE", help="settings (default: canhbao.toml, if it is there)")


def run(arguments: argparse.Namespace) -> int:
    file = arguments.config or (DEFAULT_FILE if DEFAULT_FILE.exists() else None)
    given = settings.load(file, os.environ, with_secrets=False)
    city_file, rules_file = arguments.city or given.city_file, arguments.rules or given.rules_file
    city, rules = parse_city(read_text(city_file), str(city_file)), parse_rules(read_text(rules_file), str(rules_file))
    print(
        f"{city_file}: {city.name}, {len(city.areas)} areas, {len(city.gateways)} gateways, {len(city.sensors)} sensors"
    )
    print(f"{rules_file}: {len(rules.rules)} rules for {', '.join(rules.hazards) or 'no hazard'}")
    for line in _skipped(city, rules) + _idle(city, rules) + _nowhere(city, rules) + _endings(city, rules):
        print(line)
    for line in missing_templates(given, list(rules.hazards)):
        print(line)
    if not given.residents_keyed:
        print("residents: nobody can subscribe: residents.key_file is not set (docs/how-to/subscriptions.md)")
    return 0


def _skipped(city: City, rules: Rules) -> list[str]:
    return [
        f"skipped: rule {rule.name!r} does not judge sensor {sensor.id!r}: {why}"
        for sensor in city.sensors.values()
        for rule in rules.rules
        if (why := rule.why_skipped(sensor))
    ]


def _nowhere(city: City, rules: Rules) -> list[str]:
    """Names that nothing answers to: most often a typing mistake."""
    stations = {sensor.station for sensor in city.sensors.values()}
    judged = {rule.hazard for rule in rules.rules}
    return [
        *(f"idle: rule {rule.name!r} has levels for station {station!r}, which no sensor of this city is"
          for rule in rules.rules for station in rule.stations if station not in stations),
        *(f"idle: no rule is of hazard.{name}" for name in rules.hazards if name not in judged),
    ]  # fmt: skip


def _endings(city: City, rules: Rules) -> list[str]:
    """A sensor that `ends_when` cannot judge (a sum under its period) holds its incident open until its rules ease."""
    found = []
    for name in (hazard.name for hazard in rules.hazards.values() if hazard.ends_when is not None):
        judged = [s for s in city.sensors.values() if any(r.hazard == name and r.judgement(s) for r in rules.rules)]
        watched = sum(rules.ends(sensor, name) for sensor in judged)
        found.append(f"ends: hazard.{name}.ends_when watches {watched} of the {len(judged)} sensors of its rules")
    return found


def _idle(city: City, rules: Rules) -> list[str]:
    """Rules that judge nothing: a typing mistake in a quantity or a station would look like this."""
    return [
        f"idle: rule {rule.name!r} judges no sensor of this city"
        for rule in rules.rules
        if not any(rule.judgement(sensor) for sensor in city.sensors.values())
    ]
