import re
import urllib.error
import urllib.request

import pytest

from braintumor.dashboard.server.headers import _policy


@pytest.fixture(scope="module")
def url(offline):
    with offline(BRAINTUMOR_FRAME_ANCESTORS="https://portal.example.org") as url:
        yield url


def fetch(url, **headers):
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers)) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read()


def directives(headers):
    return dict(part.strip().partition(" ")[::2] for part in headers["Content-Security-Policy"].split(";"))


PAGE = {"Accept": "text/html", "Accept-Encoding": "gzip"}


@pytest.mark.parametrize(
    ("path", "status"),
    [("/", 200), ("/prediction", 200), ("/_stcore/health", 200), ("/media/none.png", 404), ("/static/none.js", 200)],
)
def test_every_response_is_guarded(url, path, status):
    found, headers, _ = fetch(url + path, **PAGE)
    assert found == status
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    allowed = directives(headers)
    assert allowed["frame-ancestors"] == "'self' https://portal.example.org"
    assert allowed["object-src"] == "'none'"
    assert "unsafe" not in allowed["script-src"]
    assert all(source.startswith("'") for source in allowed["script-src"].split())


@pytest.mark.parametrize("path", ["/", "/prediction", "/_stcore/health", "/_stcore/host-config", "/media/none.png"])
def test_nothing_of_a_session_is_stored(url, path):
    assert fetch(url + path, **PAGE)[1]["Cache-Control"] == "no-store"


def test_the_front_end_s_own_files_are_stored(url):
    _, _, page = fetch(f"{url}/", **PAGE)
    script = re.search(rb'src="\.(/static/js/[^"]+)"', page)[1].decode()
    status, headers, _ = fetch(url + script)
    assert status == 200
    assert "max-age" in headers["Cache-Control"]


def test_a_page_that_the_browser_brings_back_reloads_and_every_inline_script_is_allowed(url):
    status, headers, page = fetch(f"{url}/prediction", **PAGE, **{"If-None-Match": "*"})
    scripts = re.findall(rb"<script>(.*?)</script>", page, re.DOTALL)
    assert status == 200
    assert any(b"pageshow" in script for script in scripts)
    assert directives(headers)["script-src"] == directives({"Content-Security-Policy": _policy(scripts)})["script-src"]
