"""The real servers and programs that tests need, and how Debian brings them. `python tests/servers.py` installs them.

One line is printed. Without the right to install nothing fails here: the tests that want the server say so themselves.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

# Debian keeps daemons where an ordinary user's PATH does not look.
_SEARCH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin", "/sbin"])


@dataclass(frozen=True, slots=True)
class Server:
    """`service`: what Debian would start at installation; the tests start their own on free ports."""

    package: str
    programs: tuple[str, ...]  # any of them will do
    service: str = ""

    def program(self) -> str | None:
        """The path of the first program that is there."""
        return next((path for name in self.programs if (path := shutil.which(name, path=_SEARCH))), None)


SERVERS = {
    "mosquitto": Server("mosquitto", ("mosquitto",), service="mosquitto"),
    "victoria-metrics": Server(  # a store that is not ours and takes what InfluxDB takes
        "victoria-metrics", ("victoria-metrics", "victoria-metrics-prod"), service="victoria-metrics"
    ),
    "chromium": Server("chromium", ("chromium", "chromium-browser", "google-chrome")),
    "npm": Server("npm", ("npm",)),  # with node: Grafana's own types of dashboards
    "openssl": Server("openssl", ("openssl",)),  # throw-away certificates, and another's view of our signatures
    "jq": Server("jq", ("jq",)),  # another's view of their canonical form
    "prometheus": Server("prometheus", ("prometheus",), service="prometheus"),  # with promtool; answers as we should
    "promtool": Server("prometheus", ("promtool",), service="prometheus"),  # Prometheus's own view of our metrics
    "docker-compose": Server("docker-compose", ("docker-compose",)),  # is the file one that it accepts?
    "systemd-analyze": Server("systemd", ("systemd-analyze",)),  # are our units right?
    "strace": Server("strace", ("strace",)),  # sees that fsync comes before the receipt
}


def missing() -> list[Server]:
    return [server for server in SERVERS.values() if server.program() is None]


def install() -> str:
    """Brings what is missing, if we may. What happened, in one line."""
    wanted = missing()
    packages = " ".join(server.package for server in wanted)
    if not wanted:
        return "servers: all here (" + ", ".join(SERVERS) + ")"
    if shutil.which("apt-get", path=_SEARCH) is None:
        return f"servers: {packages} missing, and no apt-get here to bring them"
    if os.geteuid() == 0:
        privilege = []
    elif (
        shutil.which("sudo")
        and subprocess.run(["sudo", "-n", "true"], capture_output=True, check=False).returncode == 0
    ):
        privilege = ["sudo", "-n"]
    else:
        return f"servers: {packages} missing, and no right to install: apt-get install {packages}"
    apt = [*privilege, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q"]
    log = Path(sys.prefix) / "servers.log"
    with log.open("wb") as out:
        subprocess.run([*apt, "update"], stdin=subprocess.DEVNULL, stdout=out, stderr=out, check=False)
        command = [*apt, "install", "-y", "--no-install-recommends", *packages.split()]
        failed = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, check=False).returncode
        for server in wanted:
            # A daemon that nobody asked for would sit on the port of the next `make demo`.
            if server.service and not failed and Path("/run/systemd/system").is_dir():
                stop = [*privilege, "systemctl", "disable", "--now", server.service]
                subprocess.run(stop, stdout=out, stderr=out, check=False)
    return f"servers: {packages} could not be installed, see {log}" if failed else f"servers: {packages} installed"


if __name__ == "__main__":
    print(install(), flush=True)
