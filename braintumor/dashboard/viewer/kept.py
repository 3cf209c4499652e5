"""What a session keeps so that no click makes it anew."""

from collections.abc import Callable, Hashable
from typing import TypeVar

import streamlit as st

_Made = TypeVar("_Made")
MOST_KEPT = 32


def once(shelf: str, slot: Hashable, make: Callable[[], _Made]) -> _Made:
    """Give what the session keeps in a slot of a shelf, and make it first where it is new; the latest 32 are kept."""
    kept: dict[Hashable, _Made] = st.session_state.setdefault(shelf, {})
    if slot not in kept:
        kept[slot] = make()
        while len(kept) > MOST_KEPT:
            del kept[next(iter(kept))]
    return kept[slot]
