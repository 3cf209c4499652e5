"""A plot of what ``braintumor changes`` measured."""

from collections.abc import Mapping
from typing import Any
from xml.sax.saxutils import escape

_BARS = (
    ("false_alarms", "#D55E00", "called a tumor"),
    ("cleared", "#000000", "tumor cleared"),
    ("withheld", "#999999", "withheld"),
)
"""Figures of a change with the color of each, after Okabe and Ito, and its name in the legend."""
_ROW, _LEFT, _WIDE, _TOP = 18, 170, 420, 34
_LINES = (0, 10, 25, 50, 75, 100)


def changes_plot(report: Mapping[str, Any]) -> str:
    """Draw the share of answers that each change turns, with its interval as a thin line, as SVG."""
    rows = report["changes"]
    bottom = _TOP + _ROW * len(rows)
    parts = [_legend(number, color, name) for number, (_, color, name) in enumerate(_BARS)]
    parts += [_line(percent, bottom) for percent in _LINES]
    parts += [_bars(row, _TOP + _ROW * number) for number, row in enumerate(rows)]
    size = f'width="{_LEFT + _WIDE + 30}" height="{bottom + 24}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="11">'
    return "\n".join([head, f'<rect {size} fill="white"/>', *parts, "</svg>\n"])


def _legend(number: int, color: str, name: str) -> str:
    x = _LEFT + 130 * number
    return f'<rect x="{x}" y="8" width="12" height="12" fill="{color}"/><text x="{x + 17}" y="18">{name}</text>'


def _line(percent: int, bottom: int) -> str:
    x = _LEFT + _WIDE * percent / 100
    mark = f'<text x="{x}" y="{bottom + 14}" text-anchor="middle">{percent}%</text>'
    return f'<path d="M{x} {_TOP - 4}V{bottom}" stroke="#ddd"/>{mark}'


def _bars(row: Mapping[str, Any], top: int) -> str:
    parts = [f'<text x="{_LEFT - 8}" y="{top + 11}" text-anchor="end">{escape(row["name"])}</text>']
    for place, (key, color, _) in enumerate(_BARS):
        share, y = row["flips"][key], top + 4 * place + 1
        if share["count"]:
            low, value, high = (_LEFT + _WIDE * share[end] for end in ("low", "value", "high"))
            parts.append(f'<rect x="{_LEFT}" y="{y}" width="{value - _LEFT:.1f}" height="3" fill="{color}"/>')
            parts.append(f'<path d="M{low:.1f} {y + 1.5}H{high:.1f}" stroke="{color}" stroke-opacity="0.5"/>')
    return "".join(parts)
