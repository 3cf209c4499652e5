import csv
import io

import numpy as np
import pandas as pd
import pytest

from braintumor.heatmaps import CellGrid
from braintumor.inference import Prediction
from braintumor.reports import answers_csv, answers_table
from braintumor.reports.tables import COLUMNS
from braintumor.scans import Prepared, ScanError


def _prediction(source="slice.png", decision="tumor", finding="glioma", reasons=()):
    return Prediction(
        source=source,
        sha256="0" * 64,
        probabilities={"glioma": 0.7, "meningioma": 0.125, "pituitary": 0.05, "notumor": 0.125},
        p_tumor=0.875,
        decision=decision,
        finding=finding,
        reasons=reasons,
        seconds=0.03125,
        bundle="squeezenet 1",
        slice_number=0,
        shape=(40, 40),
        prepared=Prepared(np.zeros((8, 8), np.uint8), 0, 0, 40),
        cam=np.zeros((2, 2, 4), np.float32),
        grid=CellGrid(8, 1.5, 4.0),
    )


def _read_csv(outcomes):
    return list(csv.DictReader(io.StringIO(answers_csv(outcomes).decode("utf-8-sig"), newline="")))


def test_columns_and_values_of_an_answer():
    table = answers_table([_prediction(reasons=("One reason.", "Another."))])
    assert tuple(table.columns) == COLUMNS
    assert table.iloc[0].to_dict() == {
        "source": "slice.png",
        "status": "ok",
        "decision": "Tumor",
        "finding": "Glioma",
        "p_tumor": 0.875,
        "p_glioma": 0.7,
        "p_meningioma": 0.125,
        "p_pituitary": 0.05,
        "p_notumor": 0.125,
        "reasons": "One reason. Another.",
        "error": "",
        "seconds": 0.03125,
        "bundle": "squeezenet 1",
    }


def test_what_is_no_brain_scan_has_no_numbers_that_could_pass_for_an_answer():
    row = answers_table([_prediction(decision="refer", finding=None, reasons=("The picture is blank.",))]).iloc[0]
    assert row[["p_tumor", "p_glioma", "p_meningioma", "p_pituitary", "p_notumor"]].isna().all()
    assert row["finding"] == ""


@pytest.mark.parametrize(
    ("decision", "finding", "words"),
    [
        ("tumor", "meningioma", ("Tumor", "Meningioma")),
        ("no_tumor", "notumor", ("No tumor seen", "No tumor seen")),
        ("refer", "pituitary", ("Refer to a reader", "")),
        ("refer", None, ("Refer to a reader", "")),
    ],
)
def test_decisions_are_put_in_words(decision, finding, words):
    row = answers_table([_prediction(decision=decision, finding=finding)]).iloc[0]
    assert (row["decision"], row["finding"]) == words


def test_failures_stand_beside_answers_in_order():
    error = ScanError("This file is empty.", "Check it.", "b.png")
    table = answers_table([_prediction("a.png"), error, _prediction("c.png")])
    assert list(table["source"]) == ["a.png", "b.png", "c.png"]
    assert list(table["status"]) == ["ok", "error", "ok"]
    failed = table.iloc[1]
    assert (failed["decision"], failed["error"]) == ("Not readable", "This file is empty. Check it.")
    assert (failed["finding"], failed["reasons"], failed["bundle"]) == ("", "", "")
    assert failed[["p_tumor", "p_glioma", "p_notumor", "seconds"]].isna().all()


@pytest.mark.parametrize("outcomes", [[], iter([])])
def test_no_outcomes_give_a_table_of_no_rows(outcomes):
    table = answers_table(outcomes)
    assert tuple(table.columns) == COLUMNS
    assert table.empty


def test_csv_reads_back_with_four_decimals():
    (answer, failure) = _read_csv([_prediction(), ScanError("No.", "Mend.", "x")])
    assert (answer["p_tumor"], answer["p_glioma"], answer["seconds"]) == ("0.8750", "0.7000", "0.0312")
    assert (failure["p_tumor"], failure["seconds"]) == ("", "")


def test_csv_starts_with_the_mark_of_utf8():
    data = answers_csv([_prediction("Schädel „3“ 脳.png")])
    assert data.startswith(b"\xef\xbb\xbfsource,status,")
    assert pd.read_csv(io.BytesIO(data))["source"].tolist() == ["Schädel „3“ 脳.png"]


def test_csv_of_nothing_is_a_header():
    assert answers_csv([]).decode("utf-8-sig").strip() == ",".join(COLUMNS)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
        ("+1+1.png", "'+1+1.png"),
        ("-2.png", "'-2.png"),
        ("@SUM(A1).png", "'@SUM(A1).png"),
        ("\tx.png", "'\tx.png"),
        ('=HYPERLINK("http://x","y")', '\'=HYPERLINK("http://x","y")'),
        ("a=b.png", "a=b.png"),
        ("slice-2.png", "slice-2.png"),
        ('quote",=1+1.png', 'quote",=1+1.png'),
        ("'=1", "'=1"),
        ("", ""),
    ],
)
def test_texts_a_spreadsheet_would_run_are_disarmed(text, written):
    answer, failure = _read_csv([_prediction(text, reasons=(text,)), ScanError(text, "Hint.", text)])
    assert (answer["source"], answer["reasons"], failure["source"]) == (written, written, written)
    assert failure["error"] == f"{written} Hint."


@pytest.mark.parametrize("start", list("=+-@\t\r"))
def test_every_start_of_a_formula_gets_an_apostrophe(start):
    assert f"'{start}x.png".encode() in answers_csv([_prediction(f"{start}x.png")])
