"""A client that speaks Streamlit's websocket protocol without a browser, and so may send whatever it likes."""

import http.client
import http.cookies
import time
from contextlib import suppress
from http.client import NO_CONTENT
from typing import Any, Self
from urllib.parse import urlsplit

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.WidgetStates_pb2 import WidgetState
from websockets.sync.client import connect
from websockets.typing import Origin, Subprotocol

RUN_SECONDS = 60
PASSWORD = "correct horse battery staple"


class Client:
    """One session; ``elements`` are those of its last run, by kind and in order of arrival."""

    def __init__(self, url: str, page: str = "") -> None:
        self.url, self.page = url, page
        self.session_id = ""
        self.elements: list[tuple[str, Any]] = []
        self._known: dict[str, ForwardMsg] = {}
        self._states: dict[str, WidgetState] = {}
        self._socket = connect(
            f"ws{url.removeprefix('http')}/_stcore/stream",
            origin=Origin(url),
            subprotocols=[Subprotocol("streamlit")],
            max_size=None,
        )
        self.run()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *failure: object) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    def run(self, *states: WidgetState, wait: bool = True) -> Self:
        """Run the page with widget states added to those sent before; triggers hold only for this run."""
        sent = {**self._states, **{state.id: state for state in states}}
        self._states = {key: state for key, state in sent.items() if state.WhichOneof("value") != "trigger_value"}
        message = BackMsg()
        message.rerun_script.page_name = self.page
        message.rerun_script.widget_states.widgets.extend(sent.values())
        self._socket.send(message.SerializeToString())
        if wait:
            self._read_run()
        return self

    def forget(self, widget_id: str) -> None:
        """Leave out what was sent of a widget in the runs that follow."""
        self._states.pop(widget_id, None)

    def of(self, kind: str) -> list[Any]:
        return [element for name, element in self.elements if name == kind]

    def widget(self, kind: str, key: str) -> Any:
        """Find a widget by the key that the page gave it, or by its label."""
        return next(found for found in self.of(kind) if found.id.endswith(f"-{key}") or found.label == key)

    def press(self, label: str, *states: WidgetState) -> Self:
        return self.run(*states, WidgetState(id=self.widget("button", label).id, trigger_value=True))

    def toggle(self, key: str) -> Self:
        return self.run(WidgetState(id=self.widget("checkbox", key).id, bool_value=True))

    def fill(self, form: str, **values: str) -> list[WidgetState]:
        """Give the states of a form's text fields."""
        return [
            WidgetState(id=self.widget("text_input", f"{form}_{name}").id, string_value=value)
            for name, value in values.items()
        ]

    def drop(self, *files: tuple[str, bytes], wait: bool = True) -> Self:
        """Upload files, (name, bytes) each, and run the page with them; ``wait`` for the end of that run."""
        state = WidgetState(id=self.of("file_uploader")[0].id)
        for number, (name, data) in enumerate(files):
            file_id = f"file-{number}"
            if (status := self.upload(data, name, file_id=file_id)) != NO_CONTENT:
                raise ValueError(f"{name} was refused with {status}")
            state.file_uploader_state_value.uploaded_file_info.add(file_id=file_id, name=name, size=len(data))
        return self.run(state, wait=wait)

    def upload(
        self, data: bytes, name: str = "scan.png", *, chunked: bool = False, session_id: str = "", file_id: str = ""
    ) -> int:
        """Send a file as the uploader does, and give the HTTP status."""
        boundary = "browserless"
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'
        body = head.encode() + data + f"\r\n--{boundary}--\r\n".encode()
        cookie = xsrf_cookie(self.url)
        headers = {
            "Content-Type": f"multipart/form-data; boundary={boundary}",
            "X-Xsrftoken": cookie,
            "Cookie": f"_streamlit_xsrf={cookie}",
        }
        path = f"/_stcore/upload_file/{session_id or self.session_id}/{file_id or time.monotonic_ns()}"
        connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=30)
        sent = (body[start : start + 2**16] for start in range(0, len(body), 2**16)) if chunked else body
        # A broken pipe: refused before all was sent, and the answer is there to be read.
        with suppress(BrokenPipeError, ConnectionResetError):
            connection.request("PUT", path, sent, headers, encode_chunked=chunked)
        try:
            return connection.getresponse().status
        finally:
            connection.close()

    def _read_run(self) -> None:
        self.elements = []
        deadline = time.monotonic() + RUN_SECONDS
        while True:
            message = ForwardMsg()
            message.ParseFromString(self._socket.recv(timeout=deadline - time.monotonic()))
            if message.WhichOneof("type") == "ref_hash":
                message = self._known[message.ref_hash]
            elif message.hash:
                self._known[message.hash] = message
            kind = message.WhichOneof("type")
            if kind == "new_session":
                self.session_id = message.new_session.initialize.session_id
                self.elements = []
            elif kind == "delta" and message.delta.WhichOneof("type") == "new_element":
                element = message.delta.new_element
                name = str(element.WhichOneof("type"))
                self.elements.append((name, getattr(element, name)))
            elif kind == "script_finished" and message.script_finished == ForwardMsg.FINISHED_SUCCESSFULLY:
                return


def guest(url: str, page: str = "") -> Client:
    """Open a page as a guest of a demo server."""
    return Client(url, page=page).press("Try it as a guest")


def first_administrator(url: str, page: str = "") -> Client:
    """Create the first administrator, ``ada``, with ``PASSWORD``."""
    client = Client(url, page=page)
    person = {"name": "Ada", "username": "ada", "new": PASSWORD, "repeat": PASSWORD}
    return client.press("Create administrator", *client.fill("first", **person))


def log_in(url: str, page: str = "", username: str = "ada") -> Client:
    """Log in with ``PASSWORD``."""
    client = Client(url, page=page)
    return client.press("Log in", *client.fill("login", username=username, password=PASSWORD))


def xsrf_cookie(url: str) -> str:
    """Fetch the token that every upload must carry, as a browser gets it."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)
    connection.request("GET", "/_stcore/health")
    cookies = http.cookies.SimpleCookie(connection.getresponse().headers["Set-Cookie"])
    connection.close()
    return cookies["_streamlit_xsrf"].value
