"""`push`, against a stub of the Hub on this machine."""

import base64
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from calling import call

from bench.sharing import uploading
from bench.sharing.exporting import chosen_model, export


class Hub(ThreadingHTTPServer):
    """Takes what is sent to it, weights by the protocol of git-lfs."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answering)
        self.tokens: set[str | None] = set()
        self.created: dict[str, Any] = {}
        self.sent: dict[str, bytes] = {}
        self.stored: dict[str, bytes] = {}

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Answering(BaseHTTPRequestHandler):
    server: Hub

    def log_message(self, *arguments: Any) -> None:
        """Nothing."""

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        answer = json.dumps(self._content(body)).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_GET = do_POST = do_PUT = _answer

    def _content(self, body: bytes) -> dict[str, Any]:
        hub, path = self.server, self.path
        if path.startswith("/put/"):
            hub.stored[path.removeprefix("/put/")] = body
        elif path == "/api/repos/create":
            hub.created = json.loads(body)
            return {"url": f"{hub.address}/me/model"}
        elif "/preupload/" in path:
            names = [file["path"] for file in json.loads(body)["files"]]
            modes = {name: "lfs" if name.endswith(".safetensors") else "regular" for name in names}
            return {
                "files": [{"path": name, "uploadMode": mode, "shouldIgnore": False} for name, mode in modes.items()]
            }
        elif path.endswith("/objects/batch"):
            objects = json.loads(body)["objects"]
            for item in objects:
                item["actions"] = {"upload": {"href": f"{hub.address}/put/{item['oid']}", "header": {}}}
            return {"transfer": "basic", "objects": objects}
        elif "/commit/" in path:
            hub.tokens.add(self.headers["authorization"])
            for line in map(json.loads, body.splitlines()):
                if line["key"] == "file":
                    hub.sent[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
                elif line["key"] == "lfsFile":
                    hub.sent[line["value"]["path"]] = hub.stored[line["value"]["oid"]]
            return {"success": True, "commitOid": "0" * 40, "commitUrl": f"{hub.address}/me/model/commit/{'0' * 40}"}
        return {}


@pytest.fixture
def hub() -> Iterator[Hub]:
    server = Hub()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_push_sends_the_folder_that_export_makes(trained_run: Path, tmp_path: Path, hub: Hub) -> None:
    environment = os.environ | {
        "HF_ENDPOINT": hub.address,
        "HF_TOKEN": "hf_stub",
        "HF_HOME": str(tmp_path / "home"),
        "HF_HUB_OFFLINE": "0",
        "HF_HUB_DISABLE_XET": "1",  # a protocol of its own, in a library that speaks to the Hub alone
        "NO_PROXY": "127.0.0.1",
    }
    command = [sys.executable, "-m", "bench", "push", str(trained_run), "--arch", "lstm", "--repo", "me/model"]
    done = subprocess.run([*command, "--private"], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert f"sent to {hub.address}/me/model" in done.stdout
    assert hub.created["name"] == "model"
    assert hub.created["organization"] == "me"
    assert hub.created["visibility"] == "private"
    assert hub.tokens == {"Bearer hf_stub"}
    trained, run = chosen_model(trained_run, "lstm", None)
    export(trained, run, tmp_path / "model", "me/model")
    assert hub.sent == {path.name: path.read_bytes() for path in (tmp_path / "model").iterdir()}
    assert b'name = "me/model"' in hub.sent["README.md"]


def test_a_hub_that_is_not_reached_is_one_line(
    trained_run: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tests are offline to huggingface_hub (`HF_HUB_OFFLINE`)."""
    monkeypatch.setenv("HF_TOKEN", "hf_stub")
    status, _, err = call(capsys, monkeypatch, "push", str(trained_run), "--arch", "lstm", "--repo", "me/model")
    assert status == 2
    assert err.startswith("bench: --repo me/model: OfflineModeIsEnabled: ")
    assert err.count("\n") == 1


def test_dry_run_shows_what_would_go_and_names_what_git_hosts_refuse(
    trained_run: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_hub() -> None:
        raise AssertionError("a dry run speaks to no Hub")

    monkeypatch.setattr(uploading, "_hub", no_hub)
    arguments = ("push", str(trained_run), "--arch", "lstm", "--repo", "me/model", "--dry-run")
    status, out, _ = call(capsys, monkeypatch, *arguments)
    assert status == 0
    sizes = {line.split()[-1]: int(line.split()[0].replace(",", "")) for line in out.splitlines() if " bytes  " in line}
    assert {"model.safetensors", "config.json", "tokenizer.json", "README.md", "lstm.py"} < set(sizes)
    assert f"{sum(sizes.values()):,} bytes in all" in out
    assert "nothing was sent" in out
    assert "100 MB" not in out
    monkeypatch.setattr(uploading, "GIT_HOSTS_REFUSE", sizes["model.safetensors"] - 1)
    status, out, _ = call(capsys, monkeypatch, *arguments)
    assert "over 100 MB, which git hosts refuse and the Hub takes: model.safetensors\n" in out


def test_without_a_token_or_a_name_push_is_one_line(
    trained_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class NoToken:
        @staticmethod
        def get_token() -> None:
            return None

    monkeypatch.setattr(uploading, "_hub", lambda: NoToken)
    status, out, err = call(capsys, monkeypatch, "push", str(trained_run), "--arch", "lstm", "--repo", "me/model")
    assert (status, out) == (2, "")
    assert err.startswith("bench: no token of the Hub: set HF_TOKEN")
    assert err.count("\n") == 1
    for name in ("model", "me/", "/model", "me/a/b", 'me/"', "../x"):
        status, _, err = call(capsys, monkeypatch, "push", str(trained_run), "--arch", "lstm", "--repo", name)
        assert status == 2
        assert "expected USER/NAME" in err


def test_where_the_package_is_missing_one_line_names_the_extra(
    trained_run: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    status, out, err = call(capsys, monkeypatch, "push", str(trained_run), "--arch", "lstm", "--repo", "me/model")
    assert (status, out) == (2, "")
    assert "'.[hub]'" in err
