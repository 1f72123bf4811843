"""The one program: `canhbao COMMAND …`, also `python -m alerts`."""

from __future__ import annotations

import argparse
import importlib
import sys
from typing import Final

from ingest.city import ConfigError

# One file each in alerts/commands.
COMMANDS: Final = ("demo", "run", "check", "replay", "export", "import", "gateway", "user", "dead-letters", "drill",
                    "zalo", "verify", "backup", "restore")  # fmt: skip
_FILES: Final = {"dead-letters": "dead_letters", "import": "import_"}  # where the name is no module's


def main(argv: list[str] | None = None) -> int:
    """Exit codes: 0 done, 1 failed while running, 2 the call, the configuration or the data is wrong."""
    parser = argparse.ArgumentParser(
        prog="canhbao", description="Carries a city's sensor readings to the people they concern.",
        epilog="examples:\n  canhbao demo --for 60\n  canhbao run\n  canhbao check --city city.toml",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name in COMMANDS:
        module = importlib.import_module(f"alerts.commands.{_FILES.get(name, name)}")
        sub = commands.add_parser(name, help=module.HELP, description=module.HELP, epilog=module.EXAMPLE,
                                  formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
        module.add_arguments(sub)
        sub.set_defaults(run=module.run)
    arguments = parser.parse_args(argv)
    try:
        return int(arguments.run(arguments))
    except ConfigError as error:
        print(f"canhbao {arguments.command}: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        sys.stderr.close()  # the reader of our output has gone: nothing is left to say
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
