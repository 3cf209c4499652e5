import io
import time
import urllib.error
import urllib.request
import zipfile

import pytest

from braintumor.scans import phantom
from scripts.app_process import server_process
from scripts.websocket_client import first_administrator, guest, log_in
from tests.conftest import png_bytes


@pytest.fixture(scope="module")
def url(offline):
    with offline(BRAINTUMOR_DEMO="1") as url:
        first_administrator(url).close()
        yield url


def status(url):
    try:
        with urllib.request.urlopen(url) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def until_answered(client):
    """Run the page until it shows the scan that its job answers, and then have it shown as pictures with addresses."""
    deadline = time.monotonic() + 60
    # Beside the viewer of an answered scan, and nowhere else.
    while not client.of("checkbox"):
        assert time.monotonic() < deadline
        client.run()
    return client.toggle("Plain pictures")


@pytest.mark.parametrize(("enter", "leave"), [(log_in, "Log out"), (guest, "Log in")], ids=["user", "guest"])
def test_no_picture_and_no_upload_outlives_the_login(url, enter, leave):
    with enter(url, "prediction") as client:
        shown = until_answered(client.press("No scan at hand? Try a synthetic sample"))
        pictures = [url + image.url for group in shown.of("imgs") for image in group.imgs]
        downloads = [url + button.url for button in shown.of("download_button") if button.url]
        assert pictures
        assert {status(file) for file in [*pictures, *downloads]} == {200}
        assert client.upload(b"of the one before") == 204
        client.press(leave)
        assert {status(file) for file in [*pictures, *downloads]} == {404}
        assert client.upload(b"after") == 403


def test_a_dropped_scan_is_answered(url):
    with guest(url, "prediction") as client:
        answered = until_answered(client.drop(("head.png", png_bytes(phantom()))))
        assert answered.of("download_button")[0].label == "Answers (CSV)"
        assert not answered.of("exception")


def test_work_ends_when_its_user_leaves(url):
    archive, head = io.BytesIO(), phantom(600)
    with zipfile.ZipFile(archive, "w") as file:
        for number in range(200):
            # Each another picture, since the same one is not judged twice.
            head[0, 0] = number
            file.writestr(f"{number}.png", png_bytes(head))
    client = guest(url, "prediction")
    client.drop(("heads.zip", archive.getvalue()), wait=False)
    time.sleep(1)
    client.close()
    time.sleep(1)
    before = server_process(url).cpu_seconds
    time.sleep(3)
    assert server_process(url).cpu_seconds - before < 0.5
