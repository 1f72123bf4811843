"""What Grafana reads when it starts: data sources, where the dashboards lie, the dashboards. Pure: names -> texts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from grafana import yaml
from grafana.asks import UIDS
from grafana.board import TAG, Scene, dashboard, uid
from grafana.boards import boards
from grafana.words import LANGS, Lang, Tree, Words

FOLDERS: Final = Words("Cảnh báo thành phố", "City warnings")
READER: Final = "CANHBAO_READER_TOKEN"  # of the service, for the data source
INFLUX: Final = "CANHBAO_INFLUX_TOKEN"
_COMMENT: Final = "Written by `python -m grafana write`: change the registry or the rules and write it again."


@dataclass(frozen=True, slots=True)
class Sources:
    """Where Grafana finds the readings. Addresses and files as Grafana sees them, which may be another machine's.

    `token_file` "": the token stands in Grafana's environment.
    """

    service_url: str
    reader_token_file: str = ""
    influx_url: str = ""  # "": no InfluxDB
    influx_org: str = ""
    influx_bucket: str = ""
    influx_token_file: str = ""


def folder_uid(lang: Lang) -> str:
    return f"{TAG}-{lang}"


def data_sources(found: Sources) -> list[Tree]:
    """As Grafana's API takes them too, but for the secrets, which each way brings in its own."""
    rows: list[Tree] = [{
        "name": "canhbao", "uid": UIDS["prometheus"], "type": "prometheus", "access": "proxy",
        "url": f"{found.service_url}/prometheus", "isDefault": not found.influx_url,
        "jsonData": {"httpMethod": "POST", "timeInterval": "30s", "httpHeaderName1": "Authorization"},
    }]  # fmt: skip
    if found.influx_url:
        rows.append({
            "name": "canhbao InfluxDB", "uid": UIDS["influxdb"], "type": "influxdb", "access": "proxy",
            "url": found.influx_url, "isDefault": True,
            "jsonData": {"version": "Flux", "organization": found.influx_org, "defaultBucket": found.influx_bucket,
                         "timeInterval": "10s"},
        })  # fmt: skip
    return rows


def files(scene: Scene, langs: Sequence[Lang], found: Sources, dashboards_path: str) -> dict[str, str]:
    """Path below the folder -> text. `dashboards_path`: of its folder `dashboards`, as Grafana sees it."""
    made = {
        "provisioning/datasources/canhbao.yaml": yaml.dumped(_provisioned(found), _COMMENT),
        "provisioning/dashboards/canhbao.yaml": yaml.dumped(_providers(langs, dashboards_path), _COMMENT),
    }
    for board in boards(scene):
        for lang in langs:
            made[f"dashboards/{lang}/{uid(board.name, lang)}.json"] = text(dashboard(board, scene, lang))
    return made


def text(tree: Tree) -> str:
    """The same tree is always the same text."""
    return json.dumps(tree, ensure_ascii=False, indent=1, sort_keys=True, allow_nan=False) + "\n"


def _provisioned(found: Sources) -> Tree:
    secrets = {
        UIDS["prometheus"]: {"httpHeaderValue1": "Bearer " + _secret(found.reader_token_file, READER)},
        UIDS["influxdb"]: {"token": _secret(found.influx_token_file, INFLUX)},
    }
    rows = [{**_literal(row), "editable": False, "secureJsonData": secrets[row["uid"]]} for row in data_sources(found)]
    return {"apiVersion": 1, "datasources": rows}


def _literal(tree: Tree) -> Tree:
    """Grafana takes $ for the name of a variable, and $$ for a dollar."""
    doubled: Tree = json.loads(json.dumps(tree).replace("$", "$$"))
    return doubled


def _secret(file: str, variable: str) -> str:
    """Grafana puts the file's content, or its environment's variable, in this place."""
    return f"$__file{{{file}}}" if file else f"${{{variable}}}"


def _providers(langs: Sequence[Lang], path: str) -> Tree:
    rows = [
        {"name": folder_uid(lang), "folder": FOLDERS.said(lang), "folderUid": folder_uid(lang), "type": "file",
         "disableDeletion": False, "allowUiUpdates": False, "updateIntervalSeconds": 30,
         "options": {"path": f"{path}/{lang}", "foldersFromFilesStructure": False}}
        for lang in LANGS if lang in langs
    ]  # fmt: skip
    return {"apiVersion": 1, "providers": rows}
