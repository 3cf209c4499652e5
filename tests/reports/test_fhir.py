import json
import math
from collections import Counter
from dataclasses import replace

import pytest
from fhir.resources.bundle import Bundle
from hypothesis import given, settings
from hypothesis import strategies as st

from braintumor.reports.codes import SCHEME_URI
from braintumor.reports.fhir import fhir_bundle
from braintumor.reports.model import Estimate, ReportMeasures, ReportPrior
from braintumor.scans import Patient
from tests.reports.made_reports import CASES, MEASURES, PRIOR, SIGNED, report


def resources(file):
    return [entry["resource"] for entry in json.loads(file)["entry"]]


def of_kind(file, kind):
    return [resource for resource in resources(file) if resource["resourceType"] == kind]


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("with_names", [False, True])
def test_a_case_is_valid_fhir_and_the_same_each_time(name, with_names):
    file = fhir_bundle([CASES[name]], with_names=with_names)
    assert Bundle.model_validate_json(file).type == "collection"
    assert file == fhir_bundle([CASES[name]], with_names=with_names)


def test_every_reference_leads_to_a_resource_of_the_bundle():
    file = fhir_bundle(list(CASES.values()))
    urls = {entry["fullUrl"] for entry in json.loads(file)["entry"]}
    text = json.dumps(resources(file))
    referred_to = {part.split('"')[0] for part in text.split('"reference": "')[1:]}
    assert referred_to
    assert referred_to <= urls


def test_answer_reasons_and_type_are_codes():
    (answer, *_), (referred, *_) = (
        of_kind(fhir_bundle([CASES[name]]), "Observation") for name in ("tumor", "referred")
    )
    coding = answer["valueCodeableConcept"]["coding"]
    assert [(code["system"], code["code"]) for code in coding] == [
        (SCHEME_URI, "tumor"),
        ("http://snomed.info/sct", "108369006"),
    ]
    kinds = Counter(part["code"]["coding"][0]["code"] for part in referred["component"])
    assert kinds == {"reason": 2, "p_tumor": 1}


def test_sizes_have_units_and_ranges():
    volume = of_kind(fhir_bundle([report()]), "Observation")[1]
    assert (volume["valueQuantity"]["value"], volume["valueQuantity"]["code"]) == (28.1, "mL")
    assert volume["component"][0]["valueRange"]["high"]["value"] == 56.7


def test_patients_are_numbers_unless_their_names_are_asked_for():
    text = fhir_bundle([report()]).decode()
    assert not [secret for secret in ("Doe", "12345", "1970", "A1") if f'"{secret}' in text]
    (patient,) = of_kind(fhir_bundle([report()], with_names=True), "Patient")
    assert (patient["name"][0]["text"], patient["gender"], patient["birthDate"]) == (
        "Doe, Jane",
        "female",
        "1970-01-31",
    )


def test_cases_of_one_patient_share_the_patient():
    other = report(study=replace(report().study, sha256="d" * 64, uid="1.2.4"))
    file = fhir_bundle([report(), other], with_names=True)
    assert [len(of_kind(file, kind)) for kind in ("Patient", "ImagingStudy", "DiagnosticReport")] == [1, 2, 2]


def test_a_report_is_preliminary_until_it_is_signed():
    (draft,), (final,) = (
        of_kind(fhir_bundle([case], with_names=True), "DiagnosticReport") for case in (report(), report(verdict=SIGNED))
    )
    assert (draft["status"], final["status"]) == ("preliminary", "final")
    assert final["resultsInterpreter"] == [{"display": "Dr. Ada Lovelace"}]
    assert final["issued"].startswith("2026-03-05T09:30:00")
    assert draft["id"] != final["id"]


def coded(resource):
    return resource["code"]["coding"][0]["code"]


@pytest.mark.parametrize(("beyond", "code"), [(True, "beyond_error"), (False, "within_error"), (None, "error_unknown")])
def test_the_prior_study_is_another_study_and_the_change_is_derived_from_both(beyond, code):
    file = fhir_bundle([report(prior=replace(PRIOR, is_beyond_error=beyond))])
    studies = {one["started"]: f"urn:uuid:{one['id']}" for one in of_kind(file, "ImagingStudy")}
    observations = {f"urn:uuid:{one['id']}": one for one in of_kind(file, "Observation")}
    (final,) = of_kind(file, "DiagnosticReport")
    before = [observations[one["reference"]["reference"]] for one in final["supportingInfo"]]
    assert [(one["valueQuantity"]["value"], one["valueQuantity"]["code"]) for one in before] == [
        *((22.0, "mL"), (40.2, "mm"), (31.0, "mm"))
    ]
    assert {(one["effectiveDateTime"], one["derivedFrom"][0]["reference"]) for one in before} == {
        ("2025-09-01", studies["2025-09-01"])
    }
    (change,) = [one for one in observations.values() if coded(one) == "change"]
    assert change["valueCodeableConcept"]["coding"][0]["code"] == code
    assert change["component"][0]["valueQuantity"]["value"] == pytest.approx(27.7273)
    sources = [observations[one["reference"]] for one in change["derivedFrom"]]
    assert [(one["valueQuantity"]["value"], one["effectiveDateTime"]) for one in sources] == [
        *((28.1, "2026-03-04"), (22.0, "2025-09-01"))
    ]
    # The report is about the later study; what the prior measured supports it and is not its result.
    assert [one["reference"] for one in final["study"]] == [studies["2026-03-04"]]
    results = [observations[one["reference"]] for one in final["result"]]
    assert change in results
    assert not [one for one in before if one in results]


@pytest.mark.parametrize(
    ("prior", "measures", "studies", "sizes"),
    [
        (ReportPrior(None, longest=40.2), MEASURES, 2, 1),
        (ReportPrior(PRIOR.day), MEASURES, 1, 0),
        (replace(PRIOR, volume=0.0, longest=math.inf), MEASURES, 2, 2),
        (PRIOR, None, 2, 3),
        (PRIOR, ReportMeasures(1, volume=Estimate(math.nan)), 2, 3),
    ],
)
def test_of_a_prior_only_what_is_known_is_said_and_no_change_without_two_volumes(prior, measures, studies, sizes):
    file = fhir_bundle([report(prior=prior, measures=measures)])
    assert len(of_kind(file, "ImagingStudy")) == studies
    (final,) = of_kind(file, "DiagnosticReport")
    assert len(final.get("supportingInfo", ())) == sizes
    assert "change" not in map(coded, of_kind(file, "Observation"))


def test_hostile_values_are_cleaned_or_refused():
    measures = ReportMeasures(1, Estimate(float("nan")), volume=Estimate(1e12, 0, float("inf")))
    patient = Patient("<b>\u202e\x00" + "x" * 10_000, "\x00", "00000000", "?")
    file = fhir_bundle([report(patient=patient, measures=measures)], with_names=True)
    (found,) = of_kind(file, "Patient")
    assert len(found["name"][0]["text"]) <= 200
    assert "birthDate" not in found


@settings(max_examples=20)
@given(*[st.text(max_size=30)] * 5)
def test_any_text_gives_valid_fhir(name, identifier, accession, uid, reader):
    case = report(
        patient=Patient(name, identifier, name, identifier),
        study=replace(report().study, accession=accession, uid=uid, sequence=name),
        verdict=replace(SIGNED, reader=reader, tumor_type=name),
        key_image=None,
    )
    assert Bundle.model_validate_json(fhir_bundle([case], with_names=True))


def test_without_names_no_number_is_made_from_what_can_be_guessed():
    ids = {
        resource["id"]
        for identifier in ("1", "2")
        for resource in of_kind(fhir_bundle([report(patient=Patient("Doe", identifier))]), "Patient")
    }
    assert len(ids) == 1
