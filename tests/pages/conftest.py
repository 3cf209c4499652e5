import pytest
import streamlit as st


@pytest.fixture(autouse=True)
def every_tab(monkeypatch):
    """Let every tab of a page be computed, so that one run shows all of it; see the tests of ``dashboard.tabs``."""
    tabs = st.tabs
    monkeypatch.setattr(st, "tabs", lambda titles, **options: tabs(titles))
