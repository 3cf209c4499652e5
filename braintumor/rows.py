"""The JSON objects, and the lines for people, that ``predict`` prints."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from braintumor.reports import NOTE_WORDS, reason_words
from braintumor.scans import NotJudgedError

if TYPE_CHECKING:
    from braintumor.batch import Finding
    from braintumor.scans import ScanError, Series

_MASKS = ("mask", "segmentation", "no_segmentation")


def finding_row(finding: "Finding") -> dict[str, Any]:
    """Give a finding as the JSON object that ``predict --json`` prints; slices are numbered from 0."""
    measured = finding.measurements
    return {
        "source": finding.source,
        **_series_row(finding.series),
        "status": "ok",
        "judged": finding.finding is not None,
        "error": None,
        "p_tumor": finding.p_tumor,
        "probabilities": finding.probabilities,
        "decision": finding.decision,
        "finding": finding.finding,
        "slice": finding.slice_number,
        "rests_on": list(finding.rests_on),
        "outline": None if measured is None else asdict(measured),
        "mask": None,
        "segmentation": None,
        "no_segmentation": finding.no_segmentation,
        "reasons": list(reason_words(finding.reasons, finding.probabilities)),
        "notes": list(finding.notes),
        "seconds": finding.seconds,
        "bundle": finding.bundle,
    }


def _series_row(series: "Series | None") -> dict[str, Any]:
    """Give what a DICOM study calls a series, by UIDs as its PACS does, its kind, and how many images it lacks.

    ``missing`` lie in gaps, ``unread`` are damaged; all are None of other scans.
    """
    if series is None:
        return dict.fromkeys(("study", "series", "sequence", "missing", "unread"))
    known = {"missing": series.missing, "unread": series.unread}
    return {"study": series.study, "series": series.uid, "sequence": series.weighting.value, **known}


def error_row(error: "ScanError", bundle: str) -> dict[str, Any]:
    """Give a file that could not be read, or a series that is not judged, as a JSON object with the same keys."""
    not_judged = isinstance(error, NotJudgedError)
    empty = dict.fromkeys(("p_tumor", "probabilities", "decision", "finding", "slice", "rests_on", "outline", *_MASKS))
    return {
        "source": error.source,
        **_series_row(error.series),
        "status": "not judged" if not_judged else "error",
        "judged": False,
        "error": None if not_judged else str(error),
        **empty,
        "reasons": [str(error)] if not_judged else [],
        "notes": [],
        "seconds": None,
        "bundle": bundle,
    }


def line(row: dict[str, Any]) -> str:
    """Give an object that was made here as a line for people to read."""
    if row["status"] != "ok":
        return f"{row['source']}: {row['status']}. {row['error'] or row['reasons'][0]}"
    words = f"{row['decision']}, finding {row['finding'] or 'none'}, P(tumor) {row['p_tumor']:.3f}"
    said = [*row["reasons"], *(NOTE_WORDS[note] for note in row["notes"])]
    said += [f"No DICOM SEG of the mask. {row['no_segmentation']}"] if row["no_segmentation"] else []
    return f"{row['source']}: {words}" + "".join(f" {sentence}" for sentence in said)
