"""A small town whose sensors cross their thresholds all the time: its files, and what each says at any moment."""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, pi
from random import Random
from typing import Final

AREAS: Final = 10
DRY: Final = ("d0", "d1")  # areas that no sensor speaks for: what people say there meets nothing that is measured
RULES: Final = """
[[rule]]
name = "river"
hazard = "flood"
quantity = "water_level"
statistic = "last"
levels = { advisory = 1.0, warning = 2.0, danger = 3.0, emergency = 4.0 }
[[rule]]
name = "street"
hazard = "flood"
quantity = "street_depth"
statistic = "max"
window = "2s"
levels = { advisory = 0.1, warning = 0.3, danger = 0.6 }
hold_clear = "300ms"
[[rule]]
name = "rain"
hazard = "rain"
quantity = "rain"
statistic = "sum"
window = "4s"
levels = { advisory = 0.6, warning = 1.2, danger = 1.8 }
[[rule]]
name = "river-mean"
hazard = "rain"
quantity = "water_level"
statistic = "mean"
window = "5s"
min_readings = 3
hold = "500ms"
levels = { warning = 2.2 }
[hazard.flood]
confirm_by = "none"
quiet = "200ms"
min_update = "500ms"
[hazard.rain]
confirm_by = "none"
quiet = "500ms"
min_update = "200ms"
"""
# Floods have to be confirmed: some are by neighbours, the others wait for persons, who are called meanwhile.
CONFIRMED: Final = RULES.replace(
    """[hazard.flood]
confirm_by = "none"
""",
    """[hazard.flood]
confirm_within = "1s"
approve_within = "400ms"
""",
)
_QUANTITIES: Final = {"river": "water_level", "street": "street_depth", "rain": "rain"}
_HEIGHTS: Final = {"river": (0.2, 0.2, 1.2, 2.3, 3.4, 4.5), "street": (0.0, 0.0, 0.15, 0.4, 0.8)}


@dataclass(frozen=True, slots=True)
class Town:
    """`gateways` numbered ones with three sensors each, `devices` without numbers with one; `seed` of the weather."""

    gateways: int = 20
    devices: int = 4
    seed: int = 0

    @property
    def gateway_ids(self) -> list[str]:
        return [f"gw-{n:02}" for n in range(self.gateways)]

    @property
    def device_ids(self) -> list[str]:
        return [f"dev-{n:02}" for n in range(self.devices)]

    def sensors(self, id_: str) -> list[str]:
        number = id_.rpartition("-")[2]
        return [f"lake-{number}"] if id_.startswith("dev") else [f"{kind}-{number}" for kind in _QUANTITIES]

    def city_toml(self) -> str:
        areas = "".join(f'[[area]]\ncode = "a{n}"\nname = "Phường {n}"\n' for n in range(AREAS))
        areas += "".join(f'[[area]]\ncode = "{code}"\nname = "Thôn {code}"\n' for code in DRY)
        owners = [*self.gateway_ids, *self.device_ids]
        gateways = "".join(f'[[gateway]]\nid = "{id_}"\n' for id_ in owners)
        sensors = "".join(_sensor(sensor, id_) for id_ in owners for sensor in self.sensors(id_))
        return f'[city]\nname = "Phố"\ntimezone = "Asia/Ho_Chi_Minh"\n{areas}{gateways}{sensors}'

    def value(self, sensor: str, t: int) -> float | None:
        """What `sensor` says at `t` ms UTC: any process that asks again is told the same."""
        kind, _, number = sensor.partition("-")
        if kind == "rain":
            return _total(t, int(number))
        heights = _HEIGHTS["street" if kind == "street" else "river"]
        r = Random(f"{self.seed} {sensor} {t // 2_000}")
        height = r.choice(heights) if _stormy(t, int(number)) else heights[0]
        ripple = Random(f"{self.seed} {sensor} {t}").random()
        return None if ripple < 0.01 else round(height + 0.05 * ripple, 4)


def _sensor(sensor: str, gateway: str) -> str:
    kind, _, number = sensor.partition("-")
    quantity, area = _QUANTITIES.get(kind, "water_level"), int(number) % AREAS
    more = 'counter = true\nperiod = "1s"\n' if kind == "rain" else 'period = "1s"\n' if int(number) % 2 else ""
    affects = f'"a{area}", "a{(area + 1) % AREAS}"' if kind == "river" else f'"a{area}"'
    return (f'[[sensor]]\nid = "{sensor}"\nquantity = "{quantity}"\narea = "a{area}"\naffects = [{affects}]\n'
            f'gateway = "{gateway}"\n{more}')  # fmt: skip


def _stormy(t: int, number: int) -> bool:
    """Less than half of the time, nearly everywhere at once: then incidents have an end as well."""
    return (t // 1_000 + number % 2) % 12 < 5


def _total(t: int, number: int) -> float:
    """A counter's total in mm, whose rate goes up and down between 0 and 0.5 mm/s every 12 s."""
    seconds, turn = (t % 86_400_000) / 1000, 12.0 / (2 * pi)
    return round(0.25 * (seconds - turn * (cos((seconds + number) / turn) - 1)), 4)
