import urllib.error
import urllib.request

import pytest

from tests.websocket_client import first_administrator, guest, log_in


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


@pytest.mark.parametrize(("enter", "leave"), [(log_in, "Log out"), (guest, "Log in")], ids=["user", "guest"])
def test_no_picture_and_no_upload_outlives_the_login(url, enter, leave):
    with enter(url, "prediction") as client:
        shown = client.toggle("sample")
        pictures = [url + image.url for group in shown.of("imgs") for image in group.imgs]
        downloads = [url + button.url for button in shown.of("download_button") if button.url]
        assert pictures
        assert {status(file) for file in [*pictures, *downloads]} == {200}
        assert client.upload(b"of the one before") == 204
        client.press(leave)
        assert {status(file) for file in [*pictures, *downloads]} == {404}
        assert client.upload(b"after") == 403
