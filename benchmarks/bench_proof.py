"""What it costs that warnings prove themselves: the notary's part of a version, and the answer to a code.

Beside the notary (a code that is free, the address, the signature) stands the same message without it, with its words
alone: what is on top is the price. Beside the answer (three reads by index, both signatures checked, the page or JSON
made) stand two checks of an Ed25519 signature over as many bytes, which nobody who believes only signatures can save.

One JSON line a figure; `ratio` = value / floor.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any
from zoneinfo import ZoneInfo

from alerts.delivery.fan_out import FanOut
from alerts.delivery.notary import Notary
from alerts.incidents.decision import Outcome
from alerts.incidents.incident import Notice, Reason
from alerts.ledger.codes import Codes
from alerts.ledger.ledger import Ledger
from alerts.ledger.outbox import Outbox
from alerts.proof.code import make
from alerts.proof.keys import open_keys
from alerts.proof.signature import canonical, key_id
from alerts.web.check_model import check, check_page
from alerts.web.pages import static_files, templates
from alerts.words.code_line import code_lines
from alerts.words.message import message
from ingest.city import Area, City
from ingest.entries import Position
from processing.rules import Rules

AT = 1_665_734_580_000
AREA = Area("20242", "Hải Châu", "Hai Chau")
CITY = City("Đà Nẵng", ZoneInfo("Asia/Ho_Chi_Minh"), {AREA.code: AREA}, {}, {})
URL = "https://canhbao.example.vn/"


def _notice(n: int, version: int = 1) -> Notice:
    reason, level = (Reason.WORSE, 4) if version > 1 else (Reason.FIRST, 3)
    return Notice(f"flood.20242.{n}", version, reason, "flood", AREA.code, level, version and 3, AT, AT, None)


def _words(told: Notice, code: str) -> dict[str, Any]:
    return message(told, CITY, Rules(()), page_url=URL, code=code_lines(code, URL))


def _side_by_side(ours: Callable[[int], object], floor: Callable[[int], object], n: int) -> tuple[float, float]:
    """Median seconds of each; they take turns."""
    took: list[tuple[float, float]] = []
    for k in range(n):
        began = time.perf_counter()
        ours(k)
        between = time.perf_counter()
        floor(k)
        took.append((between - began, time.perf_counter() - between))
    one, other = zip(*took, strict=True)
    return median(one), median(other)


def _tell(figure: str, value: float, floor: float, n: int) -> None:
    line = {"bench": "proof", "figure": figure, "value": round(value * 1e6), "unit": "us", "floor": round(floor * 1e6),
            "ratio": round(value / floor, 2), "n": n}  # fmt: skip
    print(json.dumps(line), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="200 of everything a round (5)")
    n = 200 * parser.parse_args().rounds
    with tempfile.TemporaryDirectory(prefix="bench-proof-") as folder:
        keys, ledger = open_keys(Path(folder)), Ledger.open(Path(folder) / "ledger.sqlite")
        codes, public = Codes(ledger.store), keys.signing.public_key()
        notary = Notary(codes, keys, _words, now_ms=lambda: AT, public_url=URL)
        for position, version in ((1, 1), (2, 2)):
            notices = [_notice(k, version) for k in range(n)]
            ledger.record(Position(position), AT, outcome=Outcome(notices))
        fan_out = FanOut(Outbox(ledger.store), [], notary)
        while fan_out.turn(AT):
            pass
        _tell("a version made, beside its words", *_side_by_side(
            lambda k: notary(_notice(k, 3)), lambda k: _words(_notice(k, 3), "ABCD2345"), n), n)  # fmt: skip

        said = [make(keys.code, _notice(k).incident, 1) for k in range(n)]
        statement = canonical(notary(_notice(0)))
        signature = keys.signing.sign(statement)
        template, known = templates(static_files()).get_template("check.html"), {key_id(public): public}

        def answer(k: int) -> str:
            coded = codes.find(said[k])
            assert coded is not None
            shown = check(said[k], coded, known)
            page = check_page(shown, CITY.name, CITY.timezone, "vi", qr="/v/x/qr.svg", url=URL)
            return template.render(page=page, t=page.labels)

        def two_checks(_: int) -> None:
            for _twice in range(2):
                public.verify(signature, statement)

        _tell(f"a code answered as page, {2 * n} versions kept", *_side_by_side(answer, two_checks, n), n)
        ledger.close()


if __name__ == "__main__":
    main()
