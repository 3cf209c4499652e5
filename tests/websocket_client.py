"""A client that speaks Streamlit's websocket protocol without a browser, and so may send whatever it likes."""

import http.client
import http.cookies
import time
from contextlib import suppress
from urllib.parse import urlsplit

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.WidgetStates_pb2 import WidgetState
from websockets.sync.client import connect

RUN_SECONDS = 60
PASSWORD = "correct horse battery staple"


class Client:
    """One session; ``elements`` are those of its last run, by kind and in order of arrival."""

    def __init__(self, url, origin=None, page=""):
        self.url, self.page = url, page
        self.session_id = ""
        self.elements = []
        self._known = {}
        self._states = {}
        self._socket = connect(
            f"ws{url.removeprefix('http')}/_stcore/stream",
            origin=url if origin is None else origin,
            subprotocols=["streamlit"],
            max_size=None,
        )
        self.run()

    def __enter__(self):
        return self

    def __exit__(self, *failure):
        self.close()

    def close(self):
        self._socket.close()

    def run(self, *states):
        """Run the page with widget states added to those sent before; triggers hold for this run alone."""
        sent = {**self._states, **{state.id: state for state in states}}
        self._states = {key: state for key, state in sent.items() if state.WhichOneof("value") != "trigger_value"}
        message = BackMsg()
        message.rerun_script.page_name = self.page
        message.rerun_script.widget_states.widgets.extend(sent.values())
        self._socket.send(message.SerializeToString())
        self._read_run()
        return self

    def forget(self, widget_id):
        """Leave out what was sent of a widget in the runs that follow."""
        self._states.pop(widget_id, None)

    def of(self, kind):
        return [element for name, element in self.elements if name == kind]

    def widget(self, kind, key):
        """Find a widget by the key that the page gave it, or by its label."""
        return next(found for found in self.of(kind) if found.id.endswith(f"-{key}") or found.label == key)

    def press(self, label, *states):
        return self.run(*states, WidgetState(id=self.widget("button", label).id, trigger_value=True))

    def toggle(self, key):
        return self.run(WidgetState(id=self.widget("checkbox", key).id, bool_value=True))

    def fill(self, form, **values):
        """Give the states of a form's text fields."""
        return [
            WidgetState(id=self.widget("text_input", f"{form}_{name}").id, string_value=value)
            for name, value in values.items()
        ]

    def upload(self, data, name="scan.png", chunked=False, session_id=None):
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
        path = f"/_stcore/upload_file/{session_id or self.session_id}/{time.monotonic_ns()}"
        connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=30)
        sent = (body[start : start + 2**16] for start in range(0, len(body), 2**16)) if chunked else body
        # A broken pipe: refused before all was sent, and the answer is there to be read.
        with suppress(BrokenPipeError, ConnectionResetError):
            connection.request("PUT", path, sent, headers, encode_chunked=chunked)
        try:
            return connection.getresponse().status
        finally:
            connection.close()

    def _read_run(self):
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
                name = element.WhichOneof("type")
                self.elements.append((name, getattr(element, name)))
            elif kind == "script_finished" and message.script_finished == ForwardMsg.FINISHED_SUCCESSFULLY:
                return


def guest(url, page=""):
    return Client(url, page=page).press("Try it as a guest")


def first_administrator(url, page=""):
    client = Client(url, page=page)
    person = {"name": "Ada", "username": "ada", "new": PASSWORD, "repeat": PASSWORD}
    return client.press("Create administrator", *client.fill("first", **person))


def log_in(url, page="", username="ada"):
    client = Client(url, page=page)
    return client.press("Log in", *client.fill("login", username=username, password=PASSWORD))


def xsrf_cookie(url):
    """Fetch the token that every upload must carry, as a browser gets it."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)
    connection.request("GET", "/_stcore/health")
    cookies = http.cookies.SimpleCookie(connection.getresponse().headers["Set-Cookie"])
    connection.close()
    return cookies["_streamlit_xsrf"].value
