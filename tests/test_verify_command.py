"""`canhbao verify` as somebody runs it who was sent a warning: genuine, changed, somebody else's, or no message."""

import io
import json
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from test_proof import BODY

from alerts.__main__ import main
from alerts.proof.keys import open_keys
from alerts.proof.public_keys import KEY_PATH, document
from alerts.proof.signature import signed


@pytest.fixture
def key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ed25519PrivateKey:
    """Of this machine's data folder."""
    (tmp_path / "data").mkdir()
    monkeypatch.chdir(tmp_path)
    return open_keys(tmp_path / "data").signing


def saved(message: object, name: str = "message.json") -> str:
    text = message if isinstance(message, str) else json.dumps(message)
    Path(name).write_text(text, "utf-8")
    return name


def published(key: Ed25519PrivateKey) -> str:
    return saved(document(key.public_key()), "key.json")


def test_a_message_as_it_was_sent_is_genuine(key: Ed25519PrivateKey, capsys: pytest.CaptureFixture[str]) -> None:
    message = signed(BODY, key)

    assert main(["verify", saved(message), "--key", published(key)]) == 0
    assert "genuine: signed with the key" in capsys.readouterr().out
    assert main(["verify", saved(message)]) == 0, "by the key of the data folder"
    pem = saved(document(key.public_key())["keys"][0]["pem"], "key.pem")
    assert main(["verify", saved(message), "--key", pem]) == 0
    answer = {"verdict": "genuine", "message": message, "newest": None}
    assert main(["verify", saved(answer), "--key", pem]) == 0
    assert main(["verify", saved(json.dumps(message, indent=3, ensure_ascii=True, sort_keys=True))]) == 0


def test_an_exercise_is_said_to_be_one(key: Ed25519PrivateKey, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", saved(signed(BODY | {"exercise": True}, key))]) == 0
    assert "DIỄN TẬP / EXERCISE" in capsys.readouterr().out


def test_a_message_is_read_from_a_pipe(
    key: Ed25519PrivateKey, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    piped = io.BytesIO(json.dumps(signed(BODY, key)).encode())
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=piped))

    assert main(["verify", "-"]) == 0
    assert "genuine" in capsys.readouterr().out


def test_what_was_changed_or_signed_by_another_is_not(
    key: Ed25519PrivateKey, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["verify", saved(signed(BODY, key) | {"level": 1})]) == 1
    assert capsys.readouterr().out.startswith("NOT GENUINE: ")
    assert main(["verify", saved(signed(BODY, Ed25519PrivateKey.generate()))]) == 1
    assert "which is not one of those given" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "as JSON"),
        ("[]", "no message"),
        ('{"message": 3}', "no message"),
        ('{"level": 1}', "bears no signature"),
        ('{"level": 1, "level": 3, "signature": {}}', "stands in it twice"),
        ("[" * 100_000, "as JSON"),
        ("x" * 1_100_000, "one message"),
    ],
)
def test_what_is_no_message_is_a_wrong_call(
    key: Ed25519PrivateKey, capsys: pytest.CaptureFixture[str], text: str, said: str
) -> None:
    assert main(["verify", saved(text), "--key", published(key)]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("given", ["nowhere.json", "message.json", "http://127.0.0.1:9/"])
def test_a_key_that_cannot_be_had_is_a_wrong_call(
    key: Ed25519PrivateKey, capsys: pytest.CaptureFixture[str], given: str
) -> None:
    assert main(["verify", saved(signed(BODY, key)), "--key", given]) == 2
    assert "--key" in capsys.readouterr().err
    assert main(["verify", "no-such-file"]) == 2
    assert "FILE" in capsys.readouterr().err


def test_without_a_key_of_its_own_the_machine_asks_for_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["verify", saved(signed(BODY, Ed25519PrivateKey.generate()))]) == 2
    assert "--key FILE or --key URL" in capsys.readouterr().err


@pytest.fixture
def city(key: Ed25519PrivateKey) -> Iterator[str]:
    class City(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(document(key.public_key())).encode() if self.path == KEY_PATH else b"nothing here"
            self.send_response(200 if self.path == KEY_PATH else 404)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), City)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_the_key_is_fetched_from_the_citys_address(
    key: Ed25519PrivateKey, city: str, capsys: pytest.CaptureFixture[str]
) -> None:
    message = saved(signed(BODY, key))

    for url in (city, f"{city}/", f"{city}{KEY_PATH}"):
        assert main(["verify", message, "--key", url]) == 0
    assert main(["verify", message, "--key", f"{city}/elsewhere"]) == 2
    assert "Not Found" in capsys.readouterr().err
