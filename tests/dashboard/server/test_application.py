import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from scripts.websocket_client import guest


@pytest.fixture(scope="module")
def url(offline):
    with offline(BRAINTUMOR_DEMO="1", STREAMLIT_SERVER_ADDRESS="0.0.0.0") as url:
        yield url


def test_foreign_origins_are_refused_and_cost_nothing(url):
    """The server reaches no other machine, and would fail this test by trying."""
    for number in range(20):
        with pytest.raises(InvalidStatus) as refused:
            connect(f"ws{url.removeprefix('http')}/_stcore/stream", origin=f"https://{number}.example.org")
        assert refused.value.response.status_code == 403
    with guest(url, "prediction") as client:
        assert client.of("file_uploader")
