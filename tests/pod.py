"""The services of docker-compose.yml without Docker: `unshare --mount --net python pod.py FILE FOLDER`, FILE being that
file as JSON.

As there: one network of their own, in which the ports are the real ones; a root that nobody may write to; no
capability; each command and environment as they stand in the file. Volumes are folders below FOLDER; a path of a
container means the one there.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

ROOT: Final = Path(__file__).parents[1]
BARE: Final = ("setpriv", "--no-new-privs", "--bounding-set=-all", "--inh-caps=-all")
START_S: Final = 120.0


def until(true: Callable[[], Any], what: str, wait_s: float = 20.0) -> None:
    deadline = time.monotonic() + wait_s
    while not true():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


class Pod:
    def __init__(self, file: dict[str, Any], folder: Path) -> None:
        self._services, self._folder = file["services"], folder
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._shut_off(file)

    def _shut_off(self, file: dict[str, Any]) -> None:
        """From here on this process and its children can write to FOLDER, and to the cache of kernels, alone."""
        for name in file["volumes"]:
            (self._folder / "volumes" / name).mkdir(parents=True, exist_ok=True)
        # Not under the name that the image gives it: what earlier tests have compiled is compiled.
        kernels = ROOT / "processing" / "kernels" / "__pycache__"
        kernels.mkdir(exist_ok=True)
        inside = self.path("/data/mosquitto", "canhbao")
        inside.mkdir()
        for source, target in ((self._folder, self._folder), (kernels, kernels), (ROOT, ROOT),
                               (self._folder / "volumes" / "mosquitto", inside)):  # fmt: skip
            subprocess.run(["mount", "--bind", source, target], check=True)
        subprocess.run(["mount", "--bind", kernels, kernels], check=True)  # over that of the tree
        for where in (ROOT, Path("/")):
            subprocess.run(["mount", "-o", "remount,ro,bind", where], check=True)
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        (self._folder / "tmp").mkdir()

    def path(self, inside: str, service: str) -> Path:
        """Where what a container of `service` calls `inside` lies."""
        for volume in sorted(self._services[service]["volumes"], key=len, reverse=True):
            source, target, *_ = volume.split(":")
            if inside == target or inside.startswith(f"{target}/"):
                base = Path(source) if source.startswith("/") else self._folder / "volumes" / source
                if target == "/data/mosquitto":
                    base = self._folder / "volumes" / "data" / "mosquitto"
                return Path(f"{base}{inside.removeprefix(target)}")
        raise AssertionError(f"{service}: no volume has {inside}")

    def _here(self, text: str, service: str) -> str:
        """A word of a command or a value of an environment, with the paths of this machine."""
        option, equals, value = text.rpartition("=") if text.startswith("--") else ("", "", text)
        if value.startswith("/run/secrets/"):
            return f"{option}{equals}{self._folder}/secrets/{value.rpartition('/')[2]}"
        if value.startswith("/"):
            return f"{option}{equals}{self.path(value, service)}"
        return text

    def begin(self, service: str, command: list[str] | None = None) -> subprocess.Popen[bytes]:
        found = self._services[service]
        words = [self._here(word, service) for word in command or found["command"]]
        programs = {"canhbao": [sys.executable, "-m", "alerts"], "python": [sys.executable]}
        environ = {name: self._here(value, service) for name, value in found.get("environment", {}).items()}
        environ |= {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "TMPDIR": str(self._folder / "tmp")}
        cwd = self.path(found.get("working_dir", "/config"), service)
        with (self._folder / f"{service}.log").open("ab") as log:
            return subprocess.Popen(
                [*BARE, *programs.get(words[0], [shutil.which(words[0]) or words[0]]), *words[1:]],
                env=environ, cwd=cwd, stdout=subprocess.PIPE if command else log, stderr=log,
            )  # fmt: skip

    def once(self, service: str, command: list[str] | None = None) -> str:
        """To its end; what it printed, where `command` stands for its own."""
        process = self.begin(service, command)
        out, _ = process.communicate(timeout=START_S)
        assert process.returncode == 0, f"{command or service}: {self.log(service)}"
        return (out or b"").decode().strip()

    def up(self, service: str, ready: Callable[[], bool]) -> None:
        process = self._running[service] = self.begin(service)
        until(lambda: process.poll() is not None or ready(), f"{service}: {self.log(service)}", START_S)
        assert process.poll() is None, self.log(service)

    def healthy(self, service: str) -> bool:
        """Its own health check, run beside it as Docker does."""
        _, *command = self._services[service]["healthcheck"]["test"]
        return self.begin(service, command).wait(30) == 0

    def down(self) -> dict[str, int]:
        """Exit codes, each ended with SIGTERM within its grace, the last begun first."""
        codes = {}
        for service, process in reversed(self._running.items()):
            process.terminate()
            codes[service] = process.wait(float(self._services[service]["stop_grace_period"].removesuffix("s")))
        return codes

    def log(self, service: str) -> str:
        return (self._folder / f"{service}.log").read_text(errors="replace")[-3000:]


def client(username: str, password: str, port: int, ca_file: Path | None = None) -> paho.Client:
    made = paho.Client(CallbackAPIVersion.VERSION2, username)
    made.username_pw_set(username, password)
    if ca_file is not None:
        made.tls_set(str(ca_file))
    made.connect("localhost", port)
    made.loop_start()
    until(made.is_connected, f"{username} is not let in at {port}")
    return made


def asked(url: str, token: str = "") -> tuple[int, Any]:
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"} if token else {})
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def writable(path: Path) -> bool:
    try:
        path.write_text("")
    except OSError:
        return False
    return True


def open_port(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def story(pod: Pod, folder: Path) -> dict[str, Any]:
    """A gateway is given its password, connects over TLS, and what it measures becomes a warning."""
    seen: dict[str, Any] = {"root": writable(ROOT / "written"), "volume": writable(folder / "written")}
    pod.once("broker-files")
    pod.up("mosquitto", lambda: all(map(open_port, (1883, 8883, 8884))))
    pod.up("canhbao", lambda: open_port(8000) and pod.healthy("canhbao"))
    password = pod.once("canhbao", ["canhbao", "gateway", "add", "gw-1"])
    pod.once("broker-files")  # as at every `up`, while the broker runs
    seen["reloaded"] = "the broker goes by it from now on" in pod.log("canhbao")

    broker, heard = folder / "volumes" / "mosquitto", list[bytes]()
    listener = client("collector-listener", (broker / "collector-listener.password").read_text(), 1883)
    listener.on_message = lambda _c, _u, message: heard.append(message.payload)
    listener.subscribe("canhbao/v1/alerts/+/+", 1)
    gateway = client("gw-1", password, 8883, broker / "ca" / "ca.crt")
    now = time.time_ns() // 1_000_000
    reading = json.dumps({"sensor": "river", "t": now, "v": 3.0})
    gateway.publish("canhbao/v1/gw-1/readings", reading, 1).wait_for_publish(10)
    until(lambda: heard, f"no warning: {pod.log('canhbao')}")
    seen["warning"] = json.loads(heard[0])
    seen["ready"] = asked("http://127.0.0.1:8000/readyz")
    token = (folder / "secrets" / "operator_token").read_text()
    seen["operator"] = asked("http://127.0.0.1:8000/api/v1/health/sensors", token)[0]
    seen["stranger"] = asked("http://127.0.0.1:8000/api/v1/health/sensors", "0" * 32)[0]
    for each in (gateway, listener):
        each.disconnect()
        each.loop_stop()
    seen["ended"] = pod.down()
    seen["log"] = pod.log("canhbao").splitlines()
    return seen


if __name__ == "__main__":
    pod_folder = Path(sys.argv[2])
    print(json.dumps(story(Pod(json.loads(Path(sys.argv[1]).read_text()), pod_folder), pod_folder)))
