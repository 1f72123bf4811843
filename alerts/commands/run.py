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
    parser.add_argument("--log-level", choices=("DEBUG", "INFO", "WARNING", "ERROR"), default="INFO")


def run(arguments: argparse.Namespace) -> int:
    logging.basicConfig(level=arguments.log_level, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    file = arguments.config or (DEFAULT_FILE if DEFAULT_FILE.exists() else None)
    service = Service(settings.load(file, os.environ))
    try:
        service.start()
        print(f"residents' page: {service.page_url}   gateways: {service.mqtt_url}   Ctrl-C ends", file=sys.stderr)
        if service.held:
            print(f"WARNINGS ARE NOT SENT / CẢNH BÁO CHƯA ĐƯỢC GỬI: {service.held}", file=sys.stderr)
        service.run()
    except ServiceError as error:
        print(f"canhbao run: {error}", file=sys.stderr)
        return 1
    finally:
        service.close()
    return 0
