"""Answers as a table, on the page and as CSV."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from braintumor.inference import Prediction
from braintumor.reports.words import DECISION_WORDS, NOTE_WORDS, reason_words
from braintumor.scans import ScanError
from braintumor.segmentation import Measurements
from braintumor.taxonomy import CLASSES, FINDING_TITLES, PROBABILITIES

if TYPE_CHECKING:
    import pandas as pd

Answered = tuple[Prediction, Measurements | None]
"""A scan's answer and what its mask measures, which nothing here measures again."""

MEASURES = ("lesions", "area_mm2", "head_share", "largest_diameter_mm", "largest_diameter_head", "volume_ml")
COLUMNS = (
    "source",
    "status",
    "decision",
    "finding",
    "p_tumor",
    *PROBABILITIES,
    *MEASURES,
    "reasons",
    "notes",
    "error",
    "seconds",
    "bundle",
)
MANIFEST_COLUMNS = ("sha256", "source", "mask_file", "decision", *MEASURES)
# What begins a formula (OWASP, CSV Injection), also in the full-width and small forms of East Asian keyboards.
_FORMULA_SIGNS = r"=+\-@\uff1d\uff0b\uff0d\uff20\ufe66\ufe62\ufe63\ufe6b"
# What ends a cell somewhere: semicolons and tabs where they separate cells, line breaks and quotes where the program
# takes quotes otherwise than they were meant.
_CELL_ENDS = ';"\t\n\v\f\r\x1c\x1d\x1e\x85\u2028\u2029'
# What some programs pass over before a formula: blanks, control characters and signs without a width.
_PASSED_OVER = r"\s\x00-\x1f\x7f\xa0\xad\u180e\u200b-\u200f\u2060\ufeff"
_BEFORE_FORMULA = re.compile(f"([{_PASSED_OVER}{_CELL_ENDS}]+|^)([{_FORMULA_SIGNS}]?)")


def answers_table(outcomes: Iterable[Answered | ScanError]) -> "pd.DataFrame":
    """Put answers and failures in one table with ``COLUMNS``, a row each, in order; probabilities from 0 to 1.

    A withheld answer has no finding, and what does not look like a brain MRI has no probabilities and no measures
    either. Measures are as in ``Measurements``, missing where unknown. Texts are ``guarded``, since a table on a page
    can be saved as CSV as well.
    """
    rows = [_failed(item) if isinstance(item, ScanError) else _answered(*item) for item in outcomes]
    return _framed(rows, COLUMNS)


def manifest_csv(answers: Iterable[tuple[Answered, str]]) -> bytes:
    """Write a table of scans and the files of their masks ("" for none) as CSV, with ``MANIFEST_COLUMNS``."""
    rows = [{**_answered(*answered), "sha256": answered[0].sha256, "mask_file": name} for answered, name in answers]
    return csv_of(_framed(rows, MANIFEST_COLUMNS))


def guarded(text: str) -> str:
    """Put an apostrophe before whatever a spreadsheet would run as a formula (OWASP, CSV Injection).

    That is a sign of a formula at the start of the text, or where another language's spreadsheet starts a cell.
    """
    disarmed = _BEFORE_FORMULA.sub(_disarmed, text)
    # These two are passed over, and so dangerous as such, in OWASP's list.
    return f"'{disarmed}" if text.startswith(("\t", "\r")) else disarmed


def _disarmed(found: re.Match[str]) -> str:
    before, sign = found.groups()
    begins = found.start() == 0 or any(end in before for end in _CELL_ENDS)
    return f"{before}'{sign}" if sign and begins else found[0]


def answers_csv(outcomes: Iterable[Answered | ScanError]) -> bytes:
    """Write the table as UTF-8 CSV that spreadsheets read as such."""
    return csv_of(answers_table(outcomes))


def _framed(rows: Sequence[Mapping[str, object]], columns: Sequence[str]) -> "pd.DataFrame":
    # Words and masks of one scan are asked for without a table, and pandas takes as long to load as ten answers.
    import pandas as pd

    safe = [{name: guarded(cell) if isinstance(cell, str) else cell for name, cell in row.items()} for row in rows]
    table = pd.DataFrame(safe, columns=list(columns))
    # Beside a missing one a plain integer would become a float.
    return table.astype({"lesions": "Int64", **dict.fromkeys(MEASURES[1:], "float64")})


def csv_of(table: "pd.DataFrame") -> bytes:
    """Write a table as UTF-8 CSV that spreadsheets read as such."""
    # The mark at the start makes spreadsheets read the file as UTF-8.
    text: str = table.to_csv(index=False, float_format="%.4f")
    # Half of a character, as a damaged name may hold, is none in UTF-8.
    return ("\ufeff" + text).encode("utf-8", "replace")


def _answered(prediction: Prediction, measured: Measurements | None) -> dict[str, object]:
    given = prediction.finding is not None
    answered = given and prediction.decision != "refer"
    return {
        "source": prediction.source,
        "status": "ok",
        "decision": DECISION_WORDS[prediction.decision],
        "finding": FINDING_TITLES[prediction.finding] if answered and prediction.finding else "",
        "p_tumor": prediction.p_tumor if given else None,
        **{
            column: prediction.probabilities.get(name) if given else None
            for column, name in zip(PROBABILITIES, CLASSES, strict=True)
        },
        **{name: getattr(measured, name) if given and measured else None for name in MEASURES},
        "reasons": " ".join(reason_words(prediction.reasons, prediction.probabilities)),
        "notes": " ".join(NOTE_WORDS[note] for note in prediction.notes),
        "error": "",
        "seconds": prediction.seconds,
        "bundle": prediction.bundle,
    }


def _failed(error: ScanError) -> dict[str, object]:
    return {
        "source": error.source,
        "status": "error",
        "decision": "Not readable",
        "finding": "",
        "reasons": "",
        "notes": "",
        "error": str(error),
        "bundle": "",
    }
