"""Answers as a table, on the page and as CSV."""

from collections.abc import Iterable, Mapping, Sequence

import pandas as pd

from braintumor.evaluation.metrics import PROBABILITIES
from braintumor.inference import ORIENTATION_ASSUMED, SIZE_UNKNOWN, Prediction
from braintumor.scans import BACKGROUND, FRAME, INVERTED, OUTLIERS, ScanError
from braintumor.segmentation import Measurements
from braintumor.taxonomy import CLASSES, FINDING_TITLES, NO_TUMOR

Answered = tuple[Prediction, Measurements | None]
"""A scan's answer and what its mask measures, which nothing here measures again."""

NOTE_WORDS = {
    ORIENTATION_ASSUMED: "The file does not say how its axes lie in the patient; the usual orientation is assumed, so "
    "left and right, up and down may be wrong.",
    SIZE_UNKNOWN: "The file does not say how large its voxels are, so nothing is given in millimeters or milliliters.",
    INVERTED: "The picture looks like a negative and was inverted before it was judged.",
    FRAME: "A frame around the picture was left out before it was judged.",
    BACKGROUND: "The background was made dark before the scan was judged.",
    OUTLIERS: "A few values far above all others were cut off before the scan was judged.",
}
"""How a scan was taken, and what was changed in it before it was judged, see ``Prediction.notes``, as sentences."""

DECISION_WORDS = {"tumor": "Tumor", "no_tumor": FINDING_TITLES[NO_TUMOR], "refer": "Refer to a reader"}
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
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")


def answers_table(outcomes: Iterable[Answered | ScanError]) -> pd.DataFrame:
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
    return _csv(_framed(rows, MANIFEST_COLUMNS))


def guarded(text: str) -> str:
    """Put an apostrophe before a text that a spreadsheet would run as a formula (OWASP, CSV Injection)."""
    return f"'{text}" if text.startswith(_FORMULA_STARTS) else text


def answers_csv(outcomes: Iterable[Answered | ScanError]) -> bytes:
    """Write the table as UTF-8 CSV that spreadsheets read as such."""
    return _csv(answers_table(outcomes))


def _framed(rows: Sequence[Mapping[str, object]], columns: Sequence[str]) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=list(columns))
    # Beside a missing one a plain integer would become a float.
    return table.astype({"lesions": "Int64", **dict.fromkeys(MEASURES[1:], "float64")})


def _csv(table: pd.DataFrame) -> bytes:
    # The mark at the start makes spreadsheets read the file as UTF-8.
    text: str = table.to_csv(index=False, float_format="%.4f")
    return ("\ufeff" + text).encode()


def _answered(prediction: Prediction, measured: Measurements | None) -> dict[str, object]:
    given = prediction.finding is not None
    answered = given and prediction.decision != "refer"
    return {
        "source": guarded(prediction.source),
        "status": "ok",
        "decision": DECISION_WORDS[prediction.decision],
        "finding": FINDING_TITLES[prediction.finding] if answered and prediction.finding else "",
        "p_tumor": prediction.p_tumor if given else None,
        **{
            column: prediction.probabilities.get(name) if given else None
            for column, name in zip(PROBABILITIES, CLASSES, strict=True)
        },
        **{name: getattr(measured, name) if given and measured else None for name in MEASURES},
        "reasons": guarded(" ".join(prediction.reasons)),
        "notes": " ".join(NOTE_WORDS[note] for note in prediction.notes),
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
        "notes": "",
        "error": guarded(str(error)),
        "bundle": "",
    }
