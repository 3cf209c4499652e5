"""Lists of reports for machines: JSON and CSV, a row a case, and who the patient is only where that is asked for."""

import json
import math
from collections.abc import Sequence
from typing import Any

import pandas as pd

from braintumor.reports.codes import answer_code, change_code, reason_codes, type_code
from braintumor.reports.model import Estimate, Report
from braintumor.reports.tables import csv_of, guarded
from braintumor.reports.values import parsed_day, person
from braintumor.taxonomy import TUMOR_CLASSES

WHO = ("patient_name", "patient_id", "birth_date", "sex", "accession", "scan")
"""What tells who a patient is; the name of a scan does too, since files are named after patients."""
_SIZES = {"longest": "longest_mm", "perpendicular": "perpendicular_mm", "area": "area_mm2", "volume": "volume_ml"}
_PRIOR_SIZES = {key: name for key, name in _SIZES.items() if key != "area"}


def reports_json(reports: Sequence[Report], *, with_names: bool = False) -> bytes:
    """Write cases as a JSON list of ``report_row``, the same bytes for the same cases."""
    rows = [report_row(report, with_names=with_names) for report in reports]
    return (json.dumps(rows, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode("utf-8", "replace")


def reports_csv(reports: Sequence[Report], *, with_names: bool = False) -> bytes:
    """Write the same as CSV in UTF-8 that spreadsheets read as such, without formulas that they would run.

    Lists are joined by spaces.
    """
    rows = [report_row(report, with_names=with_names) for report in reports]
    return csv_of(pd.DataFrame([{name: _cell(value) for name, value in row.items()} for row in rows], dtype=object))


def report_row(report: Report, *, with_names: bool = False) -> dict[str, Any]:
    """Give a case as a flat JSON object: codes as in ``codes``, probabilities from 0 to 1, sizes with their ranges.

    What is unknown or no number is None. ``WHO`` is left out without ``with_names``.
    """
    study, finding, patient = report.study, report.finding, report.patient
    kind, verdict, measures = type_code(report), report.verdict, report.measures
    prior, change = report.prior, change_code(report)
    born = parsed_day(patient.birth_date)
    who = (person(patient.name), patient.identifier, _iso(born), patient.sex, study.accession, study.scan)
    is_judged = finding.finding is not None
    sizes = {name: getattr(measures, key, None) for key, name in _SIZES.items()}
    return {
        **(dict(zip(WHO, who, strict=True)) if with_names else {}),
        "study": study.uid or None,
        "study_date": _iso(study.day),
        "sha256": study.sha256,
        "sequence": study.sequence,
        "slices": study.slices,
        "answer": answer_code(report).value,
        "reasons": [code.value for code in reason_codes(report)],
        "tumor_type": kind.value if kind else None,
        "p_tumor": _number(finding.p_tumor) if is_judged else None,
        **{f"p_{name}": _number(finding.probabilities.get(name)) if is_judged else None for name in TUMOR_CLASSES},
        "lesions": measures.lesions if measures else None,
        **{key: value for name, found in sizes.items() for key, value in _sized(name, found).items()},
        "prior_date": _iso(prior.day) if prior else None,
        **{f"prior_{name}": _number(getattr(prior, key)) if prior else None for key, name in _PRIOR_SIZES.items()},
        "change": change.value if change else None,
        "notes": list(finding.notes),
        "other_series": list(report.other_series),
        "not_assessed": list(report.not_assessed),
        "is_draft": report.is_draft,
        "reader_agrees": verdict.agrees if verdict and not report.is_draft else None,
        "model": report.model.name,
        "model_version": report.model.version,
        "model_sha256": report.model.sha256,
    }


def _iso(day: Any) -> str | None:
    return day.isoformat() if day else None


def _sized(name: str, found: Estimate | None) -> dict[str, float | None]:
    value, low, high = (None, None, None) if found is None else (found.value, found.low, found.high)
    return {name: _number(value), f"{name}_low": _number(low), f"{name}_high": _number(high)}


def _number(value: float | None) -> float | None:
    return round(value, 4) if value is not None and math.isfinite(value) else None


def _cell(value: object) -> object:
    text = " ".join(map(str, value)) if isinstance(value, list) else value
    return guarded(text) if isinstance(text, str) else text
