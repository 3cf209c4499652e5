import pytest
from pydicom.sr.codedict import codes as dictionary

from braintumor.decision import Outcome, ReasonCode
from braintumor.reports import codes
from braintumor.reports.codes import answer_code, reason_codes, type_code
from braintumor.taxonomy import ANY_TUMOR, SNOMED_CT, TUMOR_CLASSES
from tests.reports.made_reports import CASES, finding, referred, report

OWN = [
    *codes.CONCEPTS,
    *codes.ANSWERS.values(),
    codes.NOT_JUDGED,
    *codes.REASONS.values(),
    codes.CONTRADICTION,
    *codes.TYPES.values(),
    *codes.VERDICTS.values(),
    *codes.CHANGES.values(),
    codes.PRIOR,
]


def test_every_answer_reason_and_type_has_a_code():
    assert set(codes.ANSWERS) == set(Outcome)
    assert set(codes.REASONS) == set(ReasonCode)
    assert set(codes.TYPES) == set(TUMOR_CLASSES)


def test_codes_are_unique_and_fit_dicom():
    assert len({code.value for code in OWN}) == len(OWN)
    for code in OWN:
        assert code.scheme.startswith("99")
        assert len(code.value) <= 16
        assert len(code.scheme) <= 16
        assert len(code.meaning) <= 64


def test_the_code_of_a_tumor_is_that_of_dicom():
    assert SNOMED_CT[ANY_TUMOR] == (dictionary.SCT.Neoplasm.value, dictionary.SCT.Neoplasm.meaning)


@pytest.mark.parametrize(
    ("name", "answer", "reasons", "kind"),
    [
        ("tumor", "tumor", [], "glioma"),
        ("no tumor", "no_tumor", [], None),
        ("referred", "refer", ["tumor_uncertain", "kind_uncertain"], None),
        ("not judged", "not_judged", ["atypical"], None),
        ("contradicted", "refer", ["contradiction"], None),
    ],
)
def test_a_report_in_codes(name, answer, reasons, kind):
    case = CASES[name]
    assert answer_code(case).value == answer
    assert [code.value for code in reason_codes(case)] == reasons
    assert (type_code(case).value if kind else type_code(case)) == kind


@pytest.mark.parametrize("code", ReasonCode)
def test_each_reason_is_coded_as_itself(code):
    assert [found.value for found in reason_codes(report(finding=referred(code)))] == [code.value]


def test_a_tumor_of_no_told_type_has_no_type():
    assert type_code(report(finding=finding(kind=ANY_TUMOR))) is None
