"""Reports in FHIR R5: ImagingStudy, Observation and DiagnosticReport in one Bundle, checked by ``fhir.resources``."""

import uuid
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, time
from typing import Any

from braintumor.reports.codes import (
    ANSWER,
    CHANGE,
    NEOPLASM,
    P_TUMOR,
    PRIOR,
    REASON,
    SCHEME_URI,
    SNOMED_URI,
    TUMOR_TYPE,
    Code,
    answer_code,
    change_code,
    reason_codes,
    type_code,
)
from braintumor.reports.fonts import clean
from braintumor.reports.lists import report_row
from braintumor.reports.model import Report
from braintumor.reports.sentences import NOT_A_DIAGNOSIS, headline
from braintumor.taxonomy import SNOMED_CT

_SPACE = uuid.UUID("8a3c1f0e-6a2b-5c7d-9e4f-2b1d0c3a5e6f")
"""From which the identifiers of resources are made, with what they are about, so that they are the same each time."""
_SIZES = (
    ("volume_ml", Code("118565006", "Volume", "SCT"), "mL"),
    ("longest_mm", Code("103339001", "Long axis", "SCT"), "mm"),
    ("perpendicular_mm", Code("103340004", "Short axis", "SCT"), "mm"),
    ("area_mm2", Code("42798000", "Area", "SCT"), "mm2"),
)
_PRIOR_SIZES = ("volume_ml", "longest_mm", "perpendicular_mm")
_SHARE = Code("share", "Share by which it changed")
_RANGE = Code("range", "Range that a reader's value is expected in")
_SEXES = {"M": "male", "F": "female", "O": "other"}
_LONGEST = 200


def fhir_bundle(reports: Sequence[Report], *, with_names: bool = False) -> bytes:
    """Write cases as one Bundle of type collection in JSON, the same bytes for the same cases.

    Each has an ImagingStudy, an Observation for the answer and one for each size, and a DiagnosticReport, which is
    preliminary until a reader signs. With a prior study come that study, its sizes, and an Observation of the change.
    Neither patients nor readers have names without ``with_names``.
    """
    # It takes a second to load, and few ask for it.
    from fhir.resources.bundle import Bundle

    entries: dict[str, dict[str, Any]] = {}
    for report in reports:
        for resource in _resources(report, with_names=with_names):
            # Cases of one patient share the patient.
            entries.setdefault(resource["id"], {"fullUrl": f"urn:uuid:{resource['id']}", "resource": resource})
    bundle = Bundle.model_validate({"resourceType": "Bundle", "type": "collection", "entry": list(entries.values())})
    text: str = bundle.model_dump_json(indent=2)
    return (text + "\n").encode()


def _resources(report: Report, *, with_names: bool) -> Iterator[dict[str, Any]]:
    patient = _patient(report, with_names=with_names)
    about = {"subject": {"reference": f"urn:uuid:{patient['id']}"}}
    day = {"effectiveDateTime": report.study.day.isoformat()} if report.study.day else {}
    study = _study(report, about, with_names=with_names)
    common = {**about, **day, "status": "preliminary" if report.is_draft else "final"}
    observations = list(_observations(report, {**common, "device": {"display": _model(report)}}))
    before = list(_prior(report, {**about, "status": common["status"]}))
    sizes = [one for one in before if one["resourceType"] == "Observation"]
    observations += _changes(report, common, observations, sizes)
    yield from (patient, study, *observations, *before)
    made = _diagnostic_report(report, common, study["id"], [one["id"] for one in observations])
    if sizes:
        made["supportingInfo"] = [{"type": _concept(PRIOR), "reference": _to(one)} for one in sizes]
    if with_names and report.verdict is not None and not report.is_draft:
        made["resultsInterpreter"] = [{"display": clean(report.verdict.reader, _LONGEST) or "not stated"}]
    yield made


def _patient(report: Report, *, with_names: bool) -> dict[str, Any]:
    row, given = report_row(report, with_names=True), report.patient
    # Made from a number that can be guessed it could be found by trying all, so it is made from it only beside it.
    about = given.identifier if with_names and given.identifier else report.study.uid or report.study.sha256
    made: dict[str, Any] = {"resourceType": "Patient", "id": _id(about, "patient")}
    if with_names:
        made |= {"gender": _SEXES.get(given.sex.upper(), "unknown")}
        made |= {"birthDate": row["birth_date"]} if row["birth_date"] else {}
        if name := clean(row["patient_name"], _LONGEST):
            made["name"] = [{"text": name}]
        if identifier := clean(given.identifier, _LONGEST):
            made["identifier"] = [{"value": identifier}]
    return made


def _study(report: Report, about: dict[str, Any], *, with_names: bool) -> dict[str, Any]:
    study = report.study
    identifiers: list[dict[str, Any]] = []
    if study.uid:
        identifiers.append({"system": "urn:dicom:uid", "value": f"urn:oid:{study.uid}"})
    if with_names and (accession := clean(study.accession, _LONGEST)):
        identifiers.append({"type": {"text": "Accession number"}, "value": accession})
    made = {
        "resourceType": "ImagingStudy",
        "id": _id(study.uid or study.sha256, "study"),
        "status": "available",
        **about,
        "description": clean(study.sequence, _LONGEST) or "Slice of the head",
    }
    made |= {"identifier": identifiers} if identifiers else {}
    return made | ({"started": study.day.isoformat()} if study.day else {})


def _observations(report: Report, common: dict[str, Any]) -> Iterator[dict[str, Any]]:
    row = report_row(report)
    said = [{"code": _concept(REASON), "valueCodeableConcept": _concept(reason)} for reason in reason_codes(report)]
    if kind := type_code(report):
        said.append({"code": _concept(TUMOR_TYPE), "valueCodeableConcept": _typed(kind)})
    if row["p_tumor"] is not None:
        said.append({"code": _concept(P_TUMOR), "valueQuantity": _quantity(100 * row["p_tumor"], "%")})
    answer = answer_code(report)
    concepts = [answer, NEOPLASM] if answer.value == "tumor" else [answer]
    made = {"code": _concept(ANSWER), "valueCodeableConcept": _concept(*concepts)}
    yield {**_named(report, "answer", common), **made, **({"component": said} if said else {})}
    for name, code, unit in _SIZES:
        if row[name] is not None:
            yield {
                **_named(report, name, common),
                "code": _concept(code),
                "valueQuantity": _quantity(row[name], unit),
                **_ranged(row[f"{name}_low"], row[f"{name}_high"], unit),
            }


def _prior(report: Report, common: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Give the prior study and an Observation for each of its sizes, of its own day."""
    prior, row = report.prior, report_row(report)
    sizes = {name: row[f"prior_{name}"] for name in _PRIOR_SIZES if row[f"prior_{name}"] is not None}
    if prior is None or not sizes:
        return
    study = {
        "resourceType": "ImagingStudy",
        "id": _id(f"{report.study.uid or report.study.sha256}\n{prior.day}", "prior study"),
        "subject": common["subject"],
        "status": "available",
        "description": PRIOR.meaning,
    }
    yield study | ({"started": prior.day.isoformat()} if prior.day else {})
    day = {"effectiveDateTime": prior.day.isoformat()} if prior.day else {}
    for name, code, unit in _SIZES:
        if name in sizes:
            yield {
                **_named(report, f"prior {name} {prior}", {**common, **day}),
                "code": _concept(code),
                "valueQuantity": _quantity(sizes[name], unit),
                "derivedFrom": [_to(study)],
            }


def _changes(
    report: Report, common: dict[str, Any], now: Sequence[dict[str, Any]], before: Sequence[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Give what is claimed of the volume since the prior study, and by which share it changed."""
    row, change = report_row(report), change_code(report)
    if change is None or not row["prior_volume_ml"] or row["volume_ml"] is None:
        return []
    share = 100 * (row["volume_ml"] / row["prior_volume_ml"] - 1)
    volume = _concept(_SIZES[0][1])
    return [
        {
            **_named(report, f"change {report.prior}", common),
            "code": _concept(CHANGE),
            "valueCodeableConcept": _concept(change),
            "derivedFrom": [_to(one) for one in (*now, *before) if one["code"] == volume],
            "component": [{"code": _concept(_SHARE), "valueQuantity": _quantity(share, "%")}],
        }
    ]


def _diagnostic_report(
    report: Report, common: dict[str, Any], study: str, observations: Sequence[str]
) -> dict[str, Any]:
    verdict = report.verdict
    made = {
        **_named(report, "report", common),
        "resourceType": "DiagnosticReport",
        "code": {"text": "Brain MRI: a model's answer, for a reader to check"},
        "study": [{"reference": f"urn:uuid:{study}"}],
        "result": [{"reference": f"urn:uuid:{one}"} for one in observations],
        "conclusion": f"{headline(report.finding)}. {NOT_A_DIAGNOSIS}",
    }
    if verdict is None or verdict.signed is None:
        return made
    moment = verdict.signed if verdict.signed.tzinfo else datetime.combine(verdict.signed.date(), time(), UTC)
    seen = (
        "agrees" if verdict.agrees else f"does not agree and sees: {clean(verdict.tumor_type, _LONGEST) or 'not said'}"
    )
    return {
        **made,
        "issued": moment.isoformat(timespec="seconds"),
        "conclusion": f"The reader {seen}. The model: {headline(report.finding)}. {NOT_A_DIAGNOSIS}",
    }


def _named(report: Report, what: str, common: dict[str, Any]) -> dict[str, Any]:
    about = "\n".join((report.study.sha256, report.model.sha256, str(report.verdict), what))
    return {"resourceType": "Observation", "id": _id(about, what), **common}


def _to(resource: dict[str, Any]) -> dict[str, str]:
    return {"reference": f"urn:uuid:{resource['id']}"}


def _id(about: str, what: str) -> str:
    return str(uuid.uuid5(_SPACE, f"{what}\n{about}"))


def _model(report: Report) -> str:
    return clean(f"{report.model.name} {report.model.version}, SHA-256 {report.model.sha256}", _LONGEST)


def _concept(*codes: Code) -> dict[str, Any]:
    systems = {"SCT": SNOMED_URI}
    return {
        "coding": [
            {"system": systems.get(code.scheme, SCHEME_URI), "code": code.value, "display": code.meaning}
            for code in codes
        ],
        "text": codes[0].meaning,
    }


def _typed(kind: Code) -> dict[str, Any]:
    known = SNOMED_CT.get(kind.value)
    return _concept(kind, *([Code(*known, "SCT")] if known else []))


def _quantity(value: float, unit: str) -> dict[str, Any]:
    return {"value": round(value, 4), "unit": unit, "system": "http://unitsofmeasure.org", "code": unit}


def _ranged(low: float | None, high: float | None, unit: str) -> dict[str, Any]:
    ends = {name: _quantity(end, unit) for name, end in (("low", low), ("high", high)) if end is not None}
    return {"component": [{"code": _concept(_RANGE), "valueRange": ends}]} if ends else {}
