"""The API as it is run, and its document line by line."""

import asyncio
import json
import os
import re
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import pytest
from fastapi import HTTPException, Request

from braintumor.accounts import AccountError
from braintumor.accounts.clients import Clients
from braintumor.api import app
from braintumor.database import open_database
from braintumor.scans import phantom
from braintumor.settings import Settings
from tests.conftest import ROOT, SHIPPED, png_bytes
from tests.pacs.nodes import free_port, until

TOKENS = {"whole": ("send", "read"), "sender": ("send",), "reader": ("read",)}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A running server: its address, its folder, its environment, and tokens by the names of their programs."""
    folder, port = tmp_path_factory.mktemp("api"), free_port()
    (folder / "braintumor").write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -m braintumor "$@"\n')
    (folder / "braintumor").chmod(0o755)
    (folder / "scan.png").write_bytes(png_bytes(phantom(96, seed=3)))
    given = {"DATA_DIR": folder / "data", "MODELS_DIR": SHIPPED.parent, "MAX_UPLOAD_MB": 1, "SITE_KEY": "x" * 32}
    environment = {**os.environ, **{f"BRAINTUMOR_{name}": str(value) for name, value in given.items()}}
    environment["PATH"] = f"{folder}:{environment['PATH']}"
    engine = open_database(Settings(data_dir=folder / "data", site_key="x" * 32))
    clients = Clients(engine)
    tokens = {name: clients.add(name, scopes) for name, scopes in TOKENS.items()}
    command = [folder / "braintumor", "api", "serve", "--port", str(port)]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=ROOT)
    try:
        until(lambda: socket.socket().connect_ex(("127.0.0.1", port)) == 0)
        yield f"http://127.0.0.1:{port}", folder, environment, tokens, clients
    finally:
        process.terminate()
        process.wait(60)
        engine.dispose()


def ask(server, path, token=None, body=None):
    """Give the status of a request and what was answered."""
    headers = {"Authorization": f"Bearer {server[3].get(token, token)}"} if token else {}
    try:
        with urllib.request.urlopen(urllib.request.Request(server[0] + path, body, headers), timeout=60) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def test_the_document_works_when_copied(server):
    url, folder, environment, *_ = server
    text = (ROOT / "docs" / "api.md").read_text(encoding="utf-8").replace("http://127.0.0.1:8600\n", f"{url}\n")
    shell = re.search(r"```sh\n(.*?)```", text, re.DOTALL)[1]
    python = re.search(r"```python\n(.*?)```", text, re.DOTALL)[1]
    (folder / "example.py").write_text(python)
    script = f"set -eu\n{shell}\n{sys.executable} example.py\n"
    done = subprocess.run(["bash", "-c", script], cwd=folder, env=environment, capture_output=True, timeout=300)
    assert done.returncode == 0, done.stderr.decode() + (folder / "log").read_text()
    assert done.stdout.decode().strip().endswith(("tumor", "refer"))
    assert (folder / "mask.png").read_bytes().startswith(b"\x89PNG")
    assert (folder / "report.pdf").read_bytes().startswith(b"%PDF")
    assert "/v1/scans/{number}/{part}/mask" in json.loads((folder / "openapi.json").read_text())["paths"]
    assert ask(server, "/v1/scans/1", "whole")[0] == 404, "a program sees only what it has sent"


@pytest.mark.parametrize(
    ("path", "token", "body", "status"),
    [
        ("/v1/scans/1", None, None, 401),
        ("/v1/scans/1", "made up", None, 401),
        ("/v1/scans/1", "sender", None, 403),
        ("/v1/scans", "reader", b"x", 403),
        ("/v1/scans/999", "reader", None, 404),
        ("/v1/scans/1/1/mask", "reader", None, 404),
        ("/v1/scans/0", "reader", None, 422),
        ("/v1/scans", "sender", b"", 422),
        ("/v1/scans", "sender", bytes(2**20 + 1), 413),
    ],
)
def test_what_is_refused(server, path, token, body, status):
    assert ask(server, path, token, body)[0] == status


def test_a_body_that_does_not_come_gives_its_place_to_others(monkeypatch):
    monkeypatch.setattr(app, "_BODY_SECONDS", 0.05)
    request = Request({"type": "http"}, lambda: asyncio.sleep(60))
    # In a thread of its own: a browser's test in the same process leaves its event loop running in the main one.
    with ThreadPoolExecutor(1) as thread, pytest.raises(HTTPException) as refused:
        thread.submit(asyncio.run, app._body(request, 10)).result()
    assert refused.value.status_code == 408


def test_what_is_no_scan_says_so(server):
    number = json.loads(ask(server, "/v1/scans", "whole", b"no scan")[1])["id"]
    assert json.loads(ask(server, "/v1/scans", "whole", b"no scan")[1])["id"] == number
    path = f"/v1/scans/{number}"
    until(lambda: json.loads(ask(server, path, "whole")[1])["state"] == "done")
    (part,) = json.loads(ask(server, path, "whole")[1])["parts"]
    assert (part["outcome"], part["files"]) == ("failed", ["answer.json"])
    assert ask(server, f"{path}/1/report", "whole")[0] == 404


def test_a_revoked_token_opens_nothing_and_no_token_is_stored(server):
    clients, token = server[4], server[4].add("short-lived")
    assert ask(server, "/v1/scans/999", token)[0] == 404
    clients.revoke("short-lived")
    assert ask(server, "/v1/scans/999", token)[0] == 401
    stored = b"".join(path.read_bytes() for path in (server[1] / "data").glob("braintumor.sqlite3*"))
    assert [one for one in (token, *server[3].values()) if one.encode() in stored] == []
    for name, scopes in (("whole", ("read",)), ("x", ("read",)), ("another", ()), ("another", ("all",))):
        with pytest.raises(AccountError):
            clients.add(name, scopes)
