"""docker-compose.yml and the systemd units: accepted, hardened, without a secret, and their commands do what they say.

No Docker engine is needed: its commands run in a network and on a read-only root of their own (tests/pod.py).
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from test_spine import CITY, RULES

ROOT = Path(__file__).parents[1]
SECRETS = ("grafana_password", "influx_password", "influx_token", "operator_token")
UNITS = sorted((ROOT / "docs" / "examples" / "systemd").glob("canhbao*"))
LONG_RUNNING = ("mosquitto", "influxdb", "canhbao", "grafana")


def compose(program: str, folder: Path) -> dict[str, Any]:
    """The file as docker-compose understands it: paths made whole, what is shared put in its places."""
    (folder / "secrets").mkdir(exist_ok=True)
    for name in SECRETS:
        (folder / "secrets" / name).write_text(secrets.token_hex(16))
    environ = {"PATH": os.environ["PATH"], "CANHBAO_CONFIG": str(folder / "config"),
               "CANHBAO_SECRETS": str(folder / "secrets")}  # fmt: skip
    command = [program, "--profile", "demo", "-f", str(ROOT / "docker-compose.yml"), "config"]
    done = subprocess.run(command, env=environ, cwd=folder, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    # Its own interpreter reads its YAML; ours has no package for that.
    interpreter = Path(program).read_text("utf-8").splitlines()[0].removeprefix("#!").split()
    as_json = "import json, sys, yaml; json.dump(yaml.safe_load(sys.stdin), sys.stdout)"
    read = subprocess.run([*interpreter, "-c", as_json], input=done.stdout, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(read.stdout)
    return found


@pytest.fixture
def file(tmp_path: Path, program: Callable[[str], str]) -> dict[str, Any]:
    return compose(program("docker-compose"), tmp_path)


@pytest.mark.server("docker-compose")
def test_the_file_is_accepted_and_every_service_is_shut_off(file: dict[str, Any]) -> None:
    for name, service in file["services"].items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["user"].partition(":")[0] not in ("", "0", "root"), name
        assert re.fullmatch(r"[a-z/-]+:\d+\.\d+\.\d+", service["image"]), f"{name}: a version, whole"
        assert service["logging"]["options"].keys() == {"max-size", "max-file"}, name
        assert "privileged" not in service, name
        assert service["tmpfs"] == ["/tmp"] if name != "mosquitto" else "tmpfs" not in service, name
    assert {name for name, service in file["services"].items() if "ports" in service} == {"pod", "demo"}
    assert {name for name, service in file["services"].items() if "healthcheck" in service} == set(LONG_RUNNING)
    shared = {name for name, service in file["services"].items() if service.get("network_mode") == "service:pod"}
    assert shared == {"broker-files", *LONG_RUNNING}
    told = {name for name, service in file["services"].items() if service.get("pid") == "service:pod"}
    assert told == {"broker-files", "mosquitto", "canhbao"}, "who may tell the broker to read its files again"
    version = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    assert file["services"]["canhbao"]["image"] == f"canhbao:{version}"


@pytest.mark.server("docker-compose")
def test_no_secret_stands_in_the_file_and_none_is_given_to_who_does_not_need_it(
    file: dict[str, Any], tmp_path: Path
) -> None:
    text = json.dumps(file)
    for name in SECRETS:
        assert (tmp_path / "secrets" / name).read_text() not in text
        assert file["secrets"][name]["file"] == str(tmp_path / "secrets" / name)
    for name, service in file["services"].items():
        for variable, value in service.get("environment", {}).items():
            if re.search("PASSWORD|TOKEN|SECRET|KEY", variable):
                assert variable.endswith("_FILE"), f"{name}: {variable}"
                assert value.startswith(("/run/secrets/", "/data/mosquitto/")), f"{name}: {variable}"
    given = {name: {each["source"] for each in service["secrets"]} for name, service in file["services"].items()
             if "secrets" in service}  # fmt: skip
    assert given == {
        "canhbao": {"influx_token"}, "influxdb": {"influx_password", "influx_token"},
        "grafana": {"grafana_password", "influx_token", "operator_token"},
    }  # fmt: skip
    example = (ROOT / ".env.example").read_text("utf-8")
    assert not re.search(r"(?i)^\w*(password|token|secret|key)\w*=.*[0-9a-f]{8}", example, re.MULTILINE)


def test_every_variable_of_the_file_is_in_the_example() -> None:
    used = set(re.findall(r"\$\{(\w+)", (ROOT / "docker-compose.yml").read_text("utf-8")))
    told = set(re.findall(r"^(\w+)=", (ROOT / ".env.example").read_text("utf-8"), re.MULTILINE))
    assert used == told


def may_unshare() -> bool:
    tried = ["unshare", "--mount", "--net", "sh", "-c", "mount --bind /tmp /tmp && ip link set lo up"]
    return bool(shutil.which("unshare")) and subprocess.run(tried, capture_output=True, check=False).returncode == 0


@pytest.mark.slow
@pytest.mark.server("docker-compose", "mosquitto")
@pytest.mark.skipif(not may_unshare(), reason="namespaces of our own: needs root, unshare and iproute2")
def test_the_commands_of_the_file_make_a_warning_of_a_reading_on_a_read_only_root(
    file: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "city.toml").write_text(CITY)
    (tmp_path / "config" / "rules.toml").write_text(RULES)
    (tmp_path / "file.json").write_text(json.dumps(file))
    data = tmp_path / "volumes" / "data"
    data.mkdir(parents=True)
    shutil.copy(tmp_path / "secrets" / "operator_token", data)  # a file over a volume: Docker's doing
    command = ["unshare", "--mount", "--net", sys.executable, str(ROOT / "tests" / "pod.py")]
    done = subprocess.run(
        [*command, str(tmp_path / "file.json"), str(tmp_path)], capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]
    seen = json.loads(done.stdout)

    assert (seen["root"], seen["volume"]) == (False, True), "the root is to be read-only, and was not"
    assert seen["reloaded"], "a new gateway has to wait for the broker's next start"
    assert (seen["warning"]["hazard"], seen["warning"]["level"]) == ("flood", 3)
    status, ready = seen["ready"]
    assert (status, ready["ready"]) == (200, True), ready
    assert (seen["operator"], seen["stranger"]) == (200, 401)
    assert seen["ended"] == {"canhbao": 0, "mosquitto": 0}
    told = [line for line in seen["log"] if line.startswith("{")]
    assert any(json.loads(line)["event"] == "sent" for line in told)
    assert not list(ROOT.glob("written"))


@pytest.mark.server("docker-compose")
@pytest.mark.skipif(not (ROOT / "grafana" / "__main__.py").exists(), reason="the dashboards are not here yet")
def test_the_dashboards_are_written_where_grafana_looks_with_the_secrets_that_it_is_given(
    file: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "city.toml").write_text(CITY)
    (tmp_path / "config" / "rules.toml").write_text(RULES)
    python, *words = file["services"]["dashboards"]["command"]
    words = [re.sub(r"^(--\w+=)?/(?=config|provisioning)", rf"\g<1>{tmp_path}/", word) for word in words]
    assert python == "python"
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, *words], env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    grafana = file["services"]["grafana"]
    looked_at = Path(f"{tmp_path}{grafana['environment']['GF_PATHS_PROVISIONING']}")
    text = "".join(path.read_text("utf-8") for path in looked_at.rglob("*.yaml"))
    wanted = set(re.findall(r"\$__file\{/run/secrets/(\w+)\}", text))
    assert wanted
    assert wanted <= {each["source"] for each in grafana["secrets"]}


def test_the_image_takes_what_it_needs_and_the_builder_is_shown_no_more() -> None:
    docker = (ROOT / "Dockerfile").read_text("utf-8")
    shown = {line[1:] for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines() if line.startswith("!")}
    copied = {word for line in docker.splitlines() if line.startswith("COPY ") and "--from" not in line
              for word in line.split()[1:-1]}  # fmt: skip
    assert copied == shown
    assert all((ROOT / name).exists() for name in copied)
    assert "USER 10001:10001" in docker.rsplit("FROM ", 1)[1]
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]["packages"]["find"]
    assert {name.removesuffix("*") for name in packages["include"]} <= copied


@pytest.mark.server("systemd-analyze")
def test_the_units_are_right_and_hardened(tmp_path: Path, program: Callable[[str], str]) -> None:
    analyze, made = program("systemd-analyze"), []
    for unit in UNITS:
        text = unit.read_text("utf-8").replace("/opt/canhbao/bin/canhbao", "/bin/true").replace(
            "/usr/sbin/mosquitto", "/bin/true"
        )  # fmt: skip
        made.append(tmp_path / unit.name)
        made[-1].write_text(text)
    assert len(made) == 4
    environ = {**os.environ, "SYSTEMD_LOG_LEVEL": "warning"}
    done = subprocess.run(
        [analyze, "verify", "--man=no", *made], env=environ, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    for unit in made:
        if unit.suffix == ".service":  # its own measure, 0 to 10 (here times ten): 2 is "OK"
            security = [analyze, "security", "--offline=true", "--no-pager", "--threshold=20", str(unit)]
            done = subprocess.run(security, env=environ, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stdout[-400:]
