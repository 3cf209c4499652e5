import pytest
from streamlit.testing.v1 import AppTest


def page():
    import streamlit as st

    from braintumor.dashboard.tabs import show_tabs

    show_tabs({title: lambda title=title: st.write(f"drawn {title}") for title in ("one", "two")}, key="parts")


@pytest.mark.parametrize(("opened", "drawn"), [(None, "drawn one"), ("one", "drawn one"), ("two", "drawn two")])
def test_only_the_open_tab_is_computed(opened, drawn):
    app = AppTest.from_function(page, default_timeout=30)
    if opened:
        app.session_state["parts"] = opened
    app.run()
    assert not app.exception
    assert [tab.label for tab in app.tabs] == ["one", "two"]
    assert [text.value for text in app.markdown] == [drawn]
