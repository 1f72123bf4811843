"""Grafana as code: `python -m grafana COMMAND …`."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from typing import Final

from grafana.client import GrafanaError
from grafana.public_api import ServiceError
from ingest.city import ConfigError

COMMANDS: Final = ("write", "push", "annotate", "check")  # one file each in grafana/commands


def main(argv: Sequence[str] | None = None) -> int:
    """Exit codes: 0 done, 1 failed while running, 2 the call, the configuration or a dashboard is wrong."""
    parser = argparse.ArgumentParser(
        prog="python -m grafana", description="Dashboards for operators, made from the registry and the rules.",
        epilog="examples:\n  python -m grafana write out\n  python -m grafana check",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name in COMMANDS:
        module = importlib.import_module(f"grafana.commands.{name}")
        sub = commands.add_parser(name, help=module.HELP, description=module.HELP, epilog=module.EXAMPLE,
                                  formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
        module.add_arguments(sub)
        sub.set_defaults(run=module.run)
    arguments = parser.parse_args(argv)
    try:
        return int(arguments.run(arguments))
    except ConfigError as error:
        return _failed(arguments.command, error, 2)
    except (GrafanaError, ServiceError, OSError) as error:
        return _failed(arguments.command, error, 1)
    except KeyboardInterrupt:
        return 130


def _failed(command: str, error: Exception, code: int) -> int:
    print(f"python -m grafana {command}: {error}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
