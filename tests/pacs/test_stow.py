"""STOW-RS towards servers that answer in every way; that Orthanc stores what is sent is in ``test_orthanc``."""

import base64
import socket
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

from braintumor.pacs import stow
from braintumor.pacs.calls import UnreachablePeerError
from braintumor.pacs.errors import PacsError
from braintumor.pacs.stow import StowSender
from braintumor.settings import Settings

STORED, FAILED = b'{"00081199": {"vr": "SQ", "Value": [{}]}}', b'{"00081198": {"vr": "SQ", "Value": [{}]}}'


@contextmanager
def serving(status, body=b""):
    """Answer every request alike, and give the address and what came."""
    came = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            came.append((self.path, dict(self.headers), self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Location", "/elsewhere")
            self.end_headers()
            self.wfile.write(body)

        def do_GET(self):
            self.do_POST()

        def log_message(self, *words):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/dicom-web/", came
    finally:
        server.shutdown()
        server.server_close()


def sender(address, login=""):
    return StowSender(Settings(pacs_stow=address, pacs_stow_login=login))


@pytest.mark.parametrize(
    ("status", "body", "is_stored"),
    [
        (200, STORED, True),
        (200, b"<xml/>", True),
        (200, b"[" * 10**6, True),
        (202, FAILED, False),
        (200, FAILED, False),
        (409, FAILED, False),
    ],
)
def test_what_a_server_says_of_an_object_is_heard(status, body, is_stored):
    with serving(status, body) as (address, _):
        assert list(sender(address).send([b"an object"])) == [is_stored]


@pytest.mark.parametrize("status", [302, 307, 401, 404, 500, 503])
def test_what_may_go_right_later_is_tried_later(status):
    with serving(status) as (address, came):
        with pytest.raises(UnreachablePeerError):
            list(sender(address).send([b"an object"]))
        assert len(came) == 1, "nothing goes to another address"
    with pytest.raises(UnreachablePeerError):
        list(sender(address).send([b"an object"]))


@pytest.mark.parametrize(
    ("login", "said"), [("me:secret", f"Basic {base64.b64encode(b'me:secret').decode()}"), ("key", "Bearer key")]
)
def test_an_object_goes_as_it_is_with_the_login(login, said):
    with serving(200, STORED) as (address, came):
        list(sender(address, login).send([b"an\r\nobject"]))
    [(path, headers, body)] = came
    boundary = headers["Content-Type"].rpartition("boundary=")[2]
    assert (path, headers["Authorization"]) == ("/dicom-web/studies", said)
    assert body == f"--{boundary}\r\nContent-Type: application/dicom\r\n\r\nan\r\nobject\r\n--{boundary}--\r\n".encode()


@pytest.mark.parametrize(
    "address", ["archive", "ftp://archive/x", "https://me:secret@archive/x", "https:///x", "https://archive:x"]
)
def test_what_is_no_address_is_refused_without_repeating_it(address):
    with pytest.raises(PacsError) as refused:
        sender(address)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    "beginning",
    [b"", b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n", b"HTTP/1.0 200 OK\r\n\r\n"],
)
def test_a_server_that_never_ends_its_answer_holds_nothing(monkeypatch, beginning):
    """A byte now and then, so that no timeout of a socket counts."""
    monkeypatch.setattr(stow, "REQUEST_SECONDS", 0.5)
    listener = socket.create_server(("127.0.0.1", 0))

    def drip():
        caller, _ = listener.accept()
        try:
            caller.sendall(beginning)
            for _ in range(100):
                caller.sendall(b"1")
                time.sleep(0.1)
        except OSError:
            pass

    Thread(target=drip, daemon=True).start()
    began = time.monotonic()
    with listener, pytest.raises(UnreachablePeerError):
        list(sender(f"http://127.0.0.1:{listener.getsockname()[1]}").send([b"an object"]))
    assert time.monotonic() - began < 5
