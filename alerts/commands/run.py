"""canhbao run: the service of one data folder."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from pathlib import Path
from typing import Final

from alerts import settings
from alerts.app import Service, ServiceError
from alerts.watch.logs import set_up

log = logging.getLogger(__name__)

HELP = "run the service: broker, collector, warnings, pages"
EXAMPLE = """\
examples:
  canhbao run                          embedded defaults, everything under ./data
  canhbao run --config canhbao.toml
  CANHBAO_HTTP__LISTEN=0.0.0.0:8000 canhbao run
"""
DEFAULT_FILE: Final = Path("canhbao.toml")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", type=Path, metavar="FILE", help="settings (default: canhbao.toml, if it is there)")
    parser.add_argument(
        "--log-level", type=str.upper, choices=settings.LOG_LEVELS, help="instead of the settings' log.level"
    )


def run(arguments: argparse.Namespace) -> int:
    file = arguments.config or (DEFAULT_FILE if DEFAULT_FILE.exists() else None)
    chosen = settings.load(file, os.environ)
    logs = set_up(chosen.log_format, arguments.log_level or chosen.log_level)
    service = Service(chosen)
    try:
        service.start()
        print(f"residents' page: {service.page_url}   gateways: {service.mqtt_url}   Ctrl-C ends", file=sys.stderr)
        if service.held:
            log.error("WARNINGS ARE NOT SENT / CẢNH BÁO CHƯA ĐƯỢC GỬI: %s", service.held)
        service.run()
    except ServiceError as error:
        print(f"canhbao run: {error}", file=sys.stderr)
        return 1
    finally:
        service.close()
        logs.close()
    return 0
