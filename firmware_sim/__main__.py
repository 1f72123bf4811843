"""A city that needs no city: `python -m firmware_sim` (see --help)."""

from __future__ import annotations

import argparse
import logging
import math
import signal
import sqlite3
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from tqdm import tqdm

from firmware_sim.fleet import city_toml, fleet
from firmware_sim.gateway import Broker, Gateways
from firmware_sim.play import BrokerError, Played, Player, Portion, storm_portions, tidy_portions
from firmware_sim.spool import Spool, SpoolError
from firmware_sim.storm import HOUR_MS, MINUTE_MS, NOON_MS
from firmware_sim.tidy import read, tidy_city
from firmware_sim.window import ON_WIRE_MAX
from ingest.city import DEFAULT_CITY_FILE, ConfigError, parse_city
from ingest.tls import ended, tls_context

DEFAULT_URL: Final = "mqtt://127.0.0.1:1883"
STORM_MS: Final = 12 * HOUR_MS
AHEAD_MINUTES_MAX: Final = 2  # simulated minutes that a gateway may run ahead of its receipts, and so of the others
_EXAMPLES: Final = """examples:
  python -m firmware_sim storm --city-out city.toml      writes the city file of the storm and ends
  python -m firmware_sim storm --url mqtt://127.0.0.1:1883 --speed 720
  python -m firmware_sim --csv rain.csv.gz river.csv --city-out city.toml --url mqtt://127.0.0.1:1883

--city-out without --url only writes the file. Exit codes: 0 done, 1 it failed while running (no broker, or
messages that never got a receipt), 2 the call or the data is wrong."""


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    options = _options(argv)
    try:
        return _run(options)
    except ConfigError as error:
        print(f"firmware_sim: {error}", file=sys.stderr)
        return 2
    except BrokerError as error:
        doubt = "; is its certificate signed by those of --ca-file?" if options.ca_file and not error.refused else ""
        print(f"firmware_sim: {options.url or DEFAULT_URL}: {error}{doubt}", file=sys.stderr)
        return 2 if error.refused else 1
    except (OSError, SpoolError, sqlite3.Error) as error:
        print(f"firmware_sim: {error}", file=sys.stderr)
        return 1


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m firmware_sim",
        description="Plays the storm of 14 Oct 2022 over Da Nang, or tidy files, through reference gateways.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("what", nargs="?", choices=("storm", "csv"), default="storm", help="default: storm")
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE", help="tidy files, .csv or .csv.gz, for csv")
    parser.add_argument("--csv", nargs="+", type=Path, metavar="FILE", help="the same as: csv FILE…")
    parser.add_argument("--url", help=f"the broker, mqtt:// or mqtts:// (default {DEFAULT_URL})")
    parser.add_argument("--username", default="", help="default: each gateway's id, where there is a password")
    parser.add_argument("--password-file", type=Path, metavar="FILE",
                        help="holds the password of all; or a folder: one a gateway, named by its id")  # fmt: skip
    parser.add_argument("--ca-file", type=Path, metavar="FILE",
                        help="PEM: who signed the broker's certificate (default: whom the system trusts)")  # fmt: skip
    parser.add_argument("--certificate-dir", type=Path, metavar="DIR",
                        help="each gateway's ID.crt and ID.key, in the place of passwords")  # fmt: skip
    parser.add_argument("--city-out", type=Path, metavar="FILE", help="where to write the matching city file")
    parser.add_argument("--spool", type=Path, metavar="DIR", help="keeps the spool there (default: none is kept)")
    parser.add_argument("--for", dest="for_s", type=_positive, default=math.inf, metavar="SECONDS",
                        help="send nothing more after so long")  # fmt: skip
    parser.add_argument("--seed", type=int, default=1, help="of the storm's devices (default 1)")
    parser.add_argument("--speed", type=_positive, default=720.0, help="simulated seconds a second (default 720)")
    parser.add_argument("--skip", type=int, choices=range(720), default=0, metavar="MINUTES",
                        help="begin so long after 12:00 (default 0, at most 719)")  # fmt: skip
    parser.add_argument("--clock", choices=("data", "wall"), default="data",
                        help="wall: the storm as if it began now, at speed 1")  # fmt: skip
    parser.add_argument("--gateway", default="csv", metavar="ID", help="the gateway that sends the files (default csv)")
    parser.add_argument("--period", choices=("auto", "none"), default="auto",
                        help="none: leave periods out of the files' city (default auto)")  # fmt: skip
    options = parser.parse_intermixed_args(argv)
    options.files += options.csv or []
    if options.csv:
        options.what = "csv"
    if (options.what == "csv") != bool(options.files):
        parser.error("csv needs files, storm takes none")
    return options


def _positive(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"found {text!r}, expected a number above 0")
    return number


def _run(options: argparse.Namespace) -> int:
    if options.what == "csv":
        return _files(options)
    return _storm(options)


def _storm(options: argparse.Namespace) -> int:
    base = parse_city(DEFAULT_CITY_FILE.read_text(encoding="utf-8"), str(DEFAULT_CITY_FILE))
    made = fleet(base, options.seed)
    if _only_writes(options, city_toml(made, base)):
        return 0
    wall = options.clock == "wall"
    begin_ms = NOON_MS + options.skip * MINUTE_MS
    shift_ms = int(time.time() * 1000) - begin_ms - MINUTE_MS if wall else 0  # a minute goes out when it is over
    played = _play(
        options,
        made.gateways,
        storm_portions(made, begin_ms, NOON_MS + STORM_MS, shift_ms),
        portions_total=(NOON_MS + STORM_MS - begin_ms) // MINUTE_MS,
        every_s=60.0 / (1.0 if wall else options.speed),
        behind_max=AHEAD_MINUTES_MAX,
    )
    return 0 if not played.unreceipted or played.stopped else 1


def _files(options: argparse.Namespace) -> int:
    tidy = read(options.files)
    text = tidy_city(tidy, options.gateway, periods=options.period == "auto", file=", ".join(map(str, options.files)))
    if _only_writes(options, text):
        return 0
    portions = list(tidy_portions(tidy, options.gateway))
    played = _play(
        options,
        [options.gateway],
        portions,
        portions_total=len(portions),
        every_s=0.0,
        behind_max=ON_WIRE_MAX - 1,
    )
    return 0 if played.finished and not played.unreceipted else 1


def _only_writes(options: argparse.Namespace, city: str) -> bool:
    """Whether the city file is all that was asked for."""
    if options.city_out is None:
        return False
    options.city_out.write_text(city, encoding="utf-8")
    return options.url is None


def _play(
    options: argparse.Namespace,
    gateway_ids: Iterable[str],
    portions: Iterable[Portion],
    *,
    portions_total: int,
    every_s: float,
    behind_max: int,
) -> Played:
    """Plays and says on stderr how it went."""
    gateway_ids, broker = list(gateway_ids), _broker(options)
    _check_certificates(gateway_ids, broker)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with tempfile.TemporaryDirectory(prefix="firmware-sim-") as passing:
        folder = options.spool or Path(passing)
        folder.mkdir(parents=True, exist_ok=True)
        with closing(Spool(folder / "spool.sqlite")) as spool:
            gateways = Gateways(gateway_ids, spool, broker)
            gateways.start()
            try:
                shown = tqdm(portions, total=portions_total, disable=None, leave=False)
                played = Player(gateways, stop.is_set).play(
                    shown, every_s=every_s, behind_max=behind_max, for_s=options.for_s
                )
            finally:
                gateways.stop()
            played.stopped = stop.is_set()
            print(f"firmware_sim: {played.messages} messages from {len(gateways.by_id)} gateways, "
                  f"{played.unreceipted} without a receipt, {len(spool.parked())} parked, {spool.dropped} dropped",
                  file=sys.stderr)  # fmt: skip
            return played


def _broker(options: argparse.Namespace) -> Broker:
    url = options.url or DEFAULT_URL
    password = None if options.password_file is None else _passwords(options.password_file)
    if options.username and password is None:
        raise ConfigError("--username", options.username, "--password-file beside it")
    for option, given in (("--ca-file", options.ca_file), ("--certificate-dir", options.certificate_dir)):
        if given is not None and not url.startswith("mqtts://"):  # nobody should believe that it is TLS
            raise ConfigError(option, url, "--url mqtts://host:port beside it")
    try:
        if options.ca_file is not None:
            tls_context(options.ca_file)
    except OSError as error:
        raise ConfigError("--ca-file", f"{options.ca_file}: {error}", "a file of certificates in PEM") from None
    try:
        return Broker.at(url, options.username, password, options.ca_file, options.certificate_dir)
    except ValueError as error:
        raise ConfigError("--url", url, str(error)) from None


def _check_certificates(gateway_ids: Iterable[str], broker: Broker) -> None:
    for gateway in gateway_ids:
        identity = broker.identity_of(gateway)
        if identity is None:
            continue
        try:
            identity.try_out()
            fault = ended(identity, datetime.now(UTC))
        except (OSError, ValueError) as error:
            fault = str(error)
        if fault:
            raise ConfigError("--certificate-dir", fault, f"{gateway}.crt and {gateway}.key in it, which hold")


def _passwords(path: Path) -> str | dict[str, str]:
    """One for all, or of a folder each gateway's own."""
    try:
        if path.is_dir():
            return {file.name: file.read_text(encoding="utf-8").strip() for file in path.iterdir()}
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError("--password-file", str(error), "a file with a password, or a folder of them") from None


if __name__ == "__main__":
    sys.exit(main())
