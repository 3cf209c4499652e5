"""Every number that the pages show of the shipped comparison: ``python -m tests.golden.networks`` writes them.

Run it only when other networks were compared.
"""

import json
import re
from pathlib import Path

import pandas as pd

from tests.pages.guest import decoded, drawn, every_tab_open, opened

FILE = Path(__file__).with_name("networks.json")
PAGES = ("networks.py", "leakage.py")
_NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?")
_LONGEST = 100
"""Points of a trace from which on it is a curve through every prediction, whose points change with their digits."""


def shown(name):
    """Give the numbers of a page's texts, tables and charts, each a list."""
    with every_tab_open():
        page = opened(name)
    texts = [element.value for kind in (page.markdown, page.caption) for element in kind]
    tables = [table.value.reset_index() for kind in (page.table, page.dataframe) for table in kind]
    return {
        "texts": [found for text in texts if (found := _numbers(text))],
        "tables": [[_numbers(cell) for cell in table.to_numpy().ravel()] for table in tables],
        "charts": [_points(chart) for chart in drawn(page)],
    }


def _numbers(cell):
    if isinstance(cell, str):
        return [float(number.replace(",", "")) for number in _NUMBER.findall(cell)]
    return [] if pd.isna(cell) else [float(f"{cell:.7g}")]


def _points(chart):
    traces = [decoded(trace.get(axis)) or [] for trace in chart["data"] for axis in ("x", "y", "z", "customdata")]
    return [float(f"{point:.7g}") for trace in traces if len(trace) < _LONGEST for point in _flat(trace)]


def _flat(values):
    if isinstance(values, list):
        for value in values:
            yield from _flat(value)
    elif isinstance(values, (int, float)) and not pd.isna(values):
        yield values


if __name__ == "__main__":
    from braintumor import settings

    settings.load.cache_clear()
    FILE.write_text(json.dumps({name: shown(name) for name in PAGES}) + "\n", encoding="utf-8")
