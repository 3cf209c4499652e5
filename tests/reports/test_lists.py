import csv
import io
import json

import pytest

from braintumor.reports.lists import WHO, report_row, reports_csv, reports_json
from braintumor.reports.model import Estimate, ReportMeasures
from braintumor.scans import Patient
from tests.reports.made_reports import CASES, SIGNED, report

SECRETS = ("Doe", "Jane", "12345", "1970", "A1", "series 5")


@pytest.mark.parametrize("write", [reports_json, reports_csv])
def test_who_the_patient_is_stays_out_unless_asked_for(write):
    text = write(list(CASES.values())).decode()
    assert not [secret for secret in SECRETS if secret in text.replace("a" * 64, "").replace("c" * 64, "")]
    named = write([report()], with_names=True).decode()
    assert "Doe, Jane" in named
    assert "1970-01-31" in named


def test_json_holds_codes_shares_and_sizes():
    rows = json.loads(reports_json(list(CASES.values())))
    assert [row["answer"] for row in rows] == [
        *("tumor", "tumor", "tumor", "no_tumor", "refer", "not_judged", "refer", "tumor")
    ]
    first = rows[0]
    assert (first["tumor_type"], first["p_tumor"], first["p_meningioma"]) == ("glioma", 0.95, 0.1)
    assert (first["volume_ml"], first["volume_ml_low"], first["volume_ml_high"]) == (28.1, 14.3, 56.7)
    assert rows[4]["reasons"] == ["tumor_uncertain", "kind_uncertain"]
    assert rows[5]["p_tumor"] is None
    assert [row["is_draft"] for row in rows].count(False) == 1
    before = [(row["prior_date"], row["prior_volume_ml"], row["prior_longest_mm"], row["change"]) for row in rows[:2]]
    assert before == [(None, None, None, None), ("2025-09-01", 22.0, 40.2, "beyond_error")]


def test_csv_has_the_same_columns_and_a_row_a_case():
    rows = list(csv.DictReader(io.StringIO(reports_csv(list(CASES.values()), with_names=True).decode("utf-8-sig"))))
    assert len(rows) == len(CASES)
    assert list(rows[0]) == list(report_row(report(), with_names=True))
    assert list(rows[0])[: len(WHO)] == list(WHO)
    assert rows[4]["reasons"] == "tumor_uncertain kind_uncertain"


def test_the_same_cases_give_the_same_bytes_and_no_case_an_empty_list():
    assert reports_json([report()]) == reports_json([report()])
    assert json.loads(reports_json([])) == []


def test_hostile_values_run_no_formula_and_are_no_number():
    measures = ReportMeasures(1, Estimate(float("nan"), 1, float("inf")))
    case = report(patient=Patient("@SUM(1)", "+1\ud800", "notaday", "-"), measures=measures, verdict=SIGNED)
    row = next(csv.DictReader(io.StringIO(reports_csv([case], with_names=True).decode("utf-8-sig"))))
    assert row["patient_name"].startswith("'@")
    assert row["patient_id"].startswith("'+")
    found = json.loads(reports_json([case], with_names=True))[0]
    assert (found["longest_mm"], found["longest_mm_low"], found["longest_mm_high"]) == (None, 1, None)
    assert found["birth_date"] is None
    assert found["reader_agrees"] is False
