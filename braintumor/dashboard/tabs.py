"""Tabs of a page, of which only the one that is open is computed."""

from collections.abc import Callable, Mapping

import streamlit as st


def show_tabs(sections: Mapping[str, Callable[[], object]], key: str) -> None:
    """Show a tab for each title and call what draws the one that is open; at first that is the first one."""
    tabs = st.tabs(list(sections), key=key, on_change="rerun")
    for tab, show in zip(tabs, sections.values(), strict=True):
        if tab.open is not False:
            with tab:
                show()
