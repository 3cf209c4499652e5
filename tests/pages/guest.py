"""A page opened as a guest of a demo server, for tests; takes the fixture ``guest_app``."""

import base64
import json
from contextlib import contextmanager

import numpy as np
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from braintumor.dashboard import gate
from braintumor.settings import ROOT


@contextmanager
def every_tab_open():
    """Let every tab of a page be computed, so that one run shows all of it; see the tests of ``dashboard.tabs``."""
    tabs = st.tabs
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(st, "tabs", lambda titles, **options: tabs(titles))
        yield


def opened(name):
    page = AppTest.from_file(str(ROOT / "pages" / name), default_timeout=60)
    page.session_state[gate.GUEST] = True
    page.run()
    assert not page.exception
    return page


def texts(page):
    kinds = (page.markdown, page.caption, page.warning, page.info, page.error)
    return " ".join(element.value for kind in kinds for element in kind)


def drawn(page):
    """The charts of a page as Plotly is given them."""
    return [json.loads(chart.proto.spec) for chart in page.get("plotly_chart")]


def decoded(values):
    """Values of a chart as a list; Plotly keeps arrays of numbers as base64."""
    if not isinstance(values, dict):
        return values
    shape = [int(number) for number in str(values.get("shape", "-1")).split(", ")]
    return np.frombuffer(base64.b64decode(values["bdata"]), values["dtype"]).reshape(shape).tolist()
