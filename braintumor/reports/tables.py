"""Answers as a table, on the page and as CSV."""

from collections.abc import Iterable

import pandas as pd

from braintumor.evaluation.metrics import PROBABILITIES
from braintumor.inference import Prediction
from braintumor.scans import ScanError
from braintumor.taxonomy import CLASSES, FINDINGS, NO_TUMOR

DECISION_WORDS = {"tumor": "Tumor", "no_tumor": FINDINGS[NO_TUMOR].title, "refer": "Refer to a reader"}
COLUMNS = (
    "source",
    "status",
    "decision",
    "finding",
    "p_tumor",
    *PROBABILITIES,
    "reasons",
    "error",
    "seconds",
    "bundle",
)
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def answers_table(outcomes: Iterable[Prediction | ScanError]) -> pd.DataFrame:
    """Put answers and failures in one table with ``COLUMNS``, a row each, in order; probabilities from 0 to 1.

    A withheld answer has no finding, and what does not look like a brain MRI has no probabilities either. Texts are
    ``guarded``, since a table on a page can be saved as CSV as well.
    """
    rows = [_failed(item) if isinstance(item, ScanError) else _answered(item) for item in outcomes]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def guarded(text: str) -> str:
    """Put an apostrophe before a text that a spreadsheet would run as a formula (OWASP, CSV Injection)."""
    return f"'{text}" if text.startswith(_FORMULA_STARTS) else text


def answers_csv(outcomes: Iterable[Prediction | ScanError]) -> bytes:
    """Write the table as UTF-8 CSV that spreadsheets read as such."""
    table = answers_table(outcomes)
    # The mark at the start makes spreadsheets read the file as UTF-8.
    text: str = table.to_csv(index=False, float_format="%.4f")
    return ("\ufeff" + text).encode()


def _answered(prediction: Prediction) -> dict[str, object]:
    given = prediction.finding is not None
    answered = given and prediction.decision != "refer"
    return {
        "source": guarded(prediction.source),
        "status": "ok",
        "decision": DECISION_WORDS[prediction.decision],
        "finding": FINDINGS[prediction.finding].title if answered and prediction.finding else "",
        "p_tumor": prediction.p_tumor if given else None,
        **{
            column: prediction.probabilities[name] if given else None
            for column, name in zip(PROBABILITIES, CLASSES, strict=True)
        },
        "reasons": guarded(" ".join(prediction.reasons)),
        "error": "",
        "seconds": prediction.seconds,
        "bundle": prediction.bundle,
    }


def _failed(error: ScanError) -> dict[str, object]:
    return {
        "source": guarded(error.source),
        "status": "error",
        "decision": "Not readable",
        "finding": "",
        "reasons": "",
        "error": guarded(str(error)),
        "bundle": "",
    }
