"""``braintumor series``: what a study holds, and which series a model may judge."""

import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from braintumor.cli.app import OK, SOME_FAILED, Options, app
from braintumor.cli.predict import Scans

if TYPE_CHECKING:
    from braintumor.scans import ScanError, Series, Unit

_COLUMNS = ("source", "plane", "slices", "spacing", "verdict", "notes")
"""Spacing is that of slices, rows and columns, in millimeters."""


@dataclass(frozen=True, kw_only=True)
class SeriesOptions:
    """How series are listed."""

    json: bool = False
    """Print one JSON object a line instead of a table."""


@app.command
def series(paths: Scans, /, *, options: Options[SeriesOptions] = SeriesOptions()) -> int:
    """List the series of DICOM studies: kind, plane, slices, spacing, and whether a model may judge each."""
    from braintumor.scans import ScanError, files_at, gather

    rows = [_row(unit) for unit in gather(files_at(paths)) if isinstance(unit, ScanError) or unit.series]
    if options.json:
        sys.stdout.writelines(json.dumps(row) + "\n" for row in rows)
    else:
        sys.stdout.writelines(_table(rows))
    return SOME_FAILED if any(row["verdict"] == "error" for row in rows) else OK


def _row(unit: "Unit | ScanError") -> dict[str, Any]:
    """Read one series, which tells its plane and spacing, and give what is said of it."""
    from braintumor.scans import DEFAULT_LIMITS, NotJudgedError, PixelBudget, ScanError, outcome

    scan = outcome(unit, DEFAULT_LIMITS, PixelBudget(DEFAULT_LIMITS.max_total_pixels))
    found = scan.series
    failed = isinstance(scan, ScanError) and not isinstance(scan, NotJudgedError)
    return {
        "source": scan.source,
        **_facts(found),
        "plane": found.plane if found else "",
        "slices": found.slices if found else 0,
        "spacing": found.spacing if found else None,
        "verdict": "error" if failed else "not judged" if isinstance(scan, ScanError) else "judged",
        "why": scan.reason if isinstance(scan, ScanError) else "",
        "notes": list(found.notes) if found else [],
    }


def _facts(found: "Series | None") -> dict[str, Any]:
    """Give what the files of a series say of it, as ``Series`` has it; None where they do not."""
    names = ("modality", "body_part", "laterality", "vendor", "field_strength", "contrast_agent")
    said = {name: getattr(found, name, None) for name in names}
    told = {name: None if value == "" else value for name, value in said.items()}
    return {"sequence": found.weighting.value if found else None, **told}


def _table(rows: Sequence[dict[str, Any]]) -> Iterable[str]:
    """Lay out rows in columns as wide as their longest words; why a series is not judged ends its line."""
    shown = [_COLUMNS, *([_words(row[name]) for name in _COLUMNS] for row in rows)]
    widths = [max(len(line[column]) for line in shown) for column in range(len(_COLUMNS))]
    reasons = ["", *(row["why"] for row in rows)]
    for line, why in zip(shown, reasons, strict=True):
        cells = "  ".join(word.ljust(width) for word, width in zip(line, widths, strict=True))
        yield f"{cells}  {why}".rstrip() + "\n"


def _words(value: object) -> str:
    if isinstance(value, tuple):
        return " x ".join(f"{size:.3g}" for size in value)
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value or "")
