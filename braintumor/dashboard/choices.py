"""What a browser says was chosen, held against what it could choose.

Streamlit hands back whatever text or number the client sent over its websocket, so a value is trusted only after it has
been found among the options that were offered. These widgets look and behave as Streamlit's own; of a value that was
not on offer they say so and stop the run.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NoReturn, TypeVar

import streamlit as st
from streamlit.errors import StreamlitAPIException

T = TypeVar("T")
Number = TypeVar("Number", int, float)


def selectbox(label: str, options: Sequence[T], **widget: Any) -> T | None:
    """Show a select box and give the option chosen, None where nothing was."""
    return one_of(_shown(st.selectbox, label, options, **widget), options)


def segmented_control(label: str, options: Sequence[T], **widget: Any) -> T | None:
    """Show a row of buttons and give the one chosen, None where none was."""
    return one_of(_shown(st.segmented_control, label, options, **widget), options)


def select_slider(label: str, options: Sequence[T], value: T, **widget: Any) -> T:
    """Show a slider over options and give the one chosen."""
    chosen = one_of(_shown(st.select_slider, label, options, value, **widget), options)
    return value if chosen is None else chosen


def multiselect(label: str, options: Sequence[T], default: Sequence[T], **widget: Any) -> list[T]:
    """Show a choice of several and give the options chosen, each once, in the order of the choice."""
    values: Iterable[object] = _shown(st.multiselect, label, options, default, **widget)
    chosen = [one_of(value, options) for value in values]
    return list(dict.fromkeys(option for option in chosen if option is not None))


def slider(label: str, low: Number, high: Number, value: Number, step: Number, **widget: Any) -> Number:
    """Show a slider over numbers and give the one chosen, from ``low`` to ``high``."""
    chosen = _shown(st.slider, label, low, high, value, step, **widget)
    # What is no number lies nowhere between, and a client may send two numbers for one.
    if type(chosen) is not type(low) or not low <= chosen <= high:
        refuse()
    return chosen


def one_of(value: object, options: Iterable[T]) -> T | None:
    """Give the very option that a value equals, None for None; stops the run for one that was not on offer."""
    if value is None:
        return None
    for option in options:
        if option == value:
            return option
    return refuse()


def refuse() -> NoReturn:
    """Say that what came from the browser was not on offer, and stop the run."""
    st.error("This choice is not on offer here. Reload the page and choose again.")
    st.stop()


def _shown(widget: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    try:
        return widget(*arguments, **options)
    # Streamlit reads indices and numbers of a client unchecked, and fails on those that are out of range.
    except (ArithmeticError, LookupError, TypeError, ValueError, StreamlitAPIException):
        refuse()
