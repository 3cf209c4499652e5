"""A page opened as a guest of a demo server, for tests; takes the fixture ``guest_app``."""

from streamlit.testing.v1 import AppTest

from braintumor.dashboard import gate
from braintumor.settings import ROOT


def opened(name):
    page = AppTest.from_file(str(ROOT / "pages" / name), default_timeout=60)
    page.session_state[gate.GUEST] = True
    page.run()
    assert not page.exception
    return page


def texts(page):
    kinds = (page.markdown, page.caption, page.warning, page.info, page.error)
    return " ".join(element.value for kind in kinds for element in kind)
