import dataclasses

import pytest

from braintumor.records import Judged, PatientError, Research
from tests.records import clinic as made_clinic
from tests.records.clinic import FINDING, SERIES
from tests.records.test_patients import trail

clinic = made_clinic.clinic


def filed(clinic, label, *verdicts, by="bob", patient=None):
    """File a finding of the model and give verdicts on it."""
    finding = dataclasses.replace(FINDING, label=label)
    patient = patient or clinic.patient(by=by, group=clinic.pediatrics if by == "eve" else None)
    study = clinic.filed(
        patient, by=by, identifier=str(verdicts), series=[dataclasses.replace(SERIES, findings=(finding,))]
    )
    actor = clinic.people[by]
    found = next(one for one in clinic.studies.history(actor, patient.id) if one.id == study)
    for verdict in verdicts:
        clinic.studies.judge(actor, found.series[0].findings[0].id, **verdict)
    return patient


AGREE, CORRECT = {"kind": "agree"}, {"kind": "correct", "label": "meningioma"}


@pytest.mark.parametrize(
    ("label", "verdicts", "expected"),
    [
        ("glioma", [], None),
        ("glioma", [AGREE], ("glioma", "glioma")),
        ("glioma", [CORRECT], ("glioma", "meningioma")),
        ("glioma", [CORRECT, AGREE], ("glioma", "glioma")),
        ("glioma", [AGREE, CORRECT], ("glioma", "meningioma")),
        ("glioma", [CORRECT, {"kind": "comment", "comment": "at the edge"}], ("glioma", "meningioma")),
        ("glioma", [CORRECT, {"kind": "correct", "mask": b"better"}], ("glioma", "meningioma")),
        ("glioma", [{"kind": "correct", "mask": b"better"}], None),
        (None, [CORRECT], (None, "meningioma")),
        (None, [AGREE], None),
    ],
)
def test_the_latest_word_on_the_type_counts(clinic, label, verdicts, expected):
    filed(clinic, label, *verdicts)
    found = Research(clinic.engine, clinic.vault).judged(clinic.people["rosa"])
    assert [(one.model, one.reader) for one in found] == ([] if expected is None else [expected])
    assert trail(clinic)[0] == (clinic.people["rosa"].id, "agreement viewed", {"findings": len(found)})


def test_only_of_the_own_groups_and_without_who_it_is(clinic):
    first = filed(clinic, "glioma", AGREE)
    other = filed(clinic, "glioma", CORRECT)
    filed(clinic, "pituitary", AGREE, by="eve")
    clinic.patients.merge(clinic.people["bob"], first.id, other.id)
    research = Research(clinic.engine, clinic.vault)
    found = research.judged(clinic.people["bob"])
    expected = Judged(first.id, "efficient_unet 5.2.1", "t1ce", 17.5, "glioma", "glioma")
    assert found == [expected, dataclasses.replace(expected, reader="meningioma")]
    assert [one.model for one in research.judged(clinic.people["eve"])] == ["pituitary"]
    assert research.judged(clinic.people["ada"]) == []
    clinic.accounts.disable(clinic.people["ada"], clinic.people["bob"].id)
    with pytest.raises(PatientError):
        research.judged(clinic.people["bob"])
