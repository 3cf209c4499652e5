import os
import time

import pytest

from scripts.websocket_client import Client, guest

MEGABYTE = os.urandom(2**20)


@pytest.fixture(scope="module")
def url(offline):
    """A demo server whose sessions hold three megabytes of uploads each."""
    with offline(BRAINTUMOR_DEMO="1", BRAINTUMOR_MAX_SESSION_MB="3") as url:
        yield url


@pytest.mark.parametrize("chunked", [False, True])
def test_nothing_is_taken_before_the_gate_nor_after_the_session(url, chunked):
    with Client(url) as stranger:
        assert [stranger.upload(MEGABYTE, chunked=chunked) for _ in range(3)] == [403] * 3
        stranger.press("Try it as a guest")
        assert stranger.upload(MEGABYTE, chunked=chunked) == 204
        left = stranger.press("Log in")
        assert left.upload(MEGABYTE, chunked=chunked) == 403


@pytest.mark.parametrize("session_id", ["nobody", "", "..", "%2e%2e", "0" * 5000])
def test_a_session_that_does_not_exist_uploads_nothing(url, session_id):
    with guest(url) as client:
        assert client.upload(b"x", session_id=session_id or "/") in (403, 404, 405)


@pytest.mark.parametrize("chunked", [False, True])
def test_a_session_holds_no_more_than_its_share(url, chunked):
    with guest(url) as client:
        assert [client.upload(MEGABYTE, chunked=chunked) for _ in range(4)] == [204, 204, 413, 413]


def test_all_guests_hold_no_more_than_half_of_the_server_s_share_which_a_closed_page_frees(offline):
    limits = {"BRAINTUMOR_MAX_SESSION_MB": "3", "BRAINTUMOR_MAX_SERVER_MB": "8"}
    with offline(BRAINTUMOR_DEMO="1", STREAMLIT_SERVER_DISCONNECTED_SESSION_TTL="6", **limits) as url:
        first, second = guest(url), guest(url)
        assert [first.upload(MEGABYTE) for _ in range(2)] == [204, 204]
        assert [second.upload(MEGABYTE) for _ in range(2)] == [204, 413]
        first.close()
        wait_until(lambda: second.upload(MEGABYTE) == 204)
        second.close()


def wait_until(condition, seconds=30):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.2)
