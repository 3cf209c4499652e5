"""What a browser says was chosen, held against what it could choose.

Streamlit hands back whatever text or number the client sent over its websocket, so a value is trusted only after it has
been found among the options that were offered. These widgets look and behave as Streamlit's own; of a value that was
not on offer they say so and stop the run.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import streamlit as st
from streamlit.errors import StreamlitAPIException

if TYPE_CHECKING:
    # The login page needs none of it, and loads no more than it needs.
    import pandas as pd

T = TypeVar("T")
Default = TypeVar("Default")
Number = TypeVar("Number", int, float)


def selectbox(label: str, options: Sequence[T], default: Default, **widget: Any) -> T | Default:
    """Show a select box and give the option chosen; ``default`` is one of the options, or None for no choice yet."""
    index = None if default is None else list(options).index(default)  # type: ignore[arg-type] # one of the options
    return _one_of(_shown(st.selectbox, label, options, index, **widget), options, default)


def segmented_control(label: str, options: Sequence[T], default: Default, **widget: Any) -> T | Default:
    """Show a row of buttons and give the one chosen; ``default`` is one of the options, or None for no choice yet."""
    return _one_of(_shown(st.segmented_control, label, options, default=default, **widget), options, default)


def select_slider(label: str, options: Sequence[T], default: T, **widget: Any) -> T:
    """Show a slider over options and give the one chosen."""
    return _one_of(_shown(st.select_slider, label, options, default, **widget), options, default)


def multiselect(label: str, options: Sequence[T], default: Sequence[T], **widget: Any) -> list[T]:
    """Show a choice of several and give the options chosen, each once, in the order of the choice."""
    values: Iterable[object] = _shown(st.multiselect, label, options, default, **widget)
    return list(dict.fromkeys(_offered(value, options) for value in values))


def slider(label: str, low: Number, high: Number, value: Number, step: Number, **widget: Any) -> Number:
    """Show a slider over numbers and give the one chosen, from ``low`` to ``high``."""
    chosen = _shown(st.slider, label, low, high, value, step, **widget)
    # NaN fails both comparisons, and a client may send two numbers for one.
    if type(chosen) is not type(low) or not low <= chosen <= high:
        refuse()
    return chosen


@dataclass(frozen=True)
class Selection:
    """What is selected in a table: numbers of ticked rows, and the last cell that was clicked as (row, column)."""

    rows: tuple[int, ...]
    cell: tuple[int, str] | None


def selection(data: "pd.DataFrame", **widget: Any) -> Selection:
    """Show a table in which rows can be ticked and cells clicked, and give what is selected."""
    chosen = _shown(st.dataframe, data, on_select="rerun", **widget)["selection"]
    rows = [_row(row, data) for row in _iterable(chosen.get("rows"))]
    cells = [cell for cell in _iterable(chosen.get("cells")) if isinstance(cell, tuple | list) and len(cell) == 2]
    return Selection(tuple(dict.fromkeys(rows)), (_row(cells[0][0], data), str(cells[0][1])) if cells else None)


def _row(value: object, data: "pd.DataFrame") -> int:
    if type(value) is not int or not 0 <= value < len(data):
        refuse()
    return value


def _iterable(value: object) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else refuse()


def _one_of(value: object, options: Iterable[T], default: Default) -> T | Default:
    return default if value is None else _offered(value, options)


def _offered(value: object, options: Iterable[T]) -> T:
    """Give the very option that a value equals; stops the run for one that was not on offer."""
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
