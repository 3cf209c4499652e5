import csv
import io
import re
import time
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from braintumor.decision import Reason, ReasonCode
from braintumor.inference import ORIENTATION_ASSUMED, SIZE_UNKNOWN, SLICES_UNEVEN
from braintumor.reports import MEASURES, NOTE_WORDS, answers_csv, answers_table, guarded, reason_words
from braintumor.reports.tables import COLUMNS, manifest_csv
from braintumor.scans import BACKGROUND, FRAME, INVERTED, ScanError, Series, SeriesNote
from braintumor.segmentation import Measurements
from tests.reports.made_predictions import answered, prediction

DOUBT = Reason(ReasonCode.TUMOR_UNCERTAIN, 0.4, 0.25, 0.75)


def _read_csv(outcomes):
    return list(csv.DictReader(io.StringIO(answers_csv(outcomes).decode("utf-8-sig"), newline="")))


def test_columns_and_values_of_an_answer():
    measured = Measurements(2, 0, 310.5, 0.0625, 24.5, 0.25, None)
    table = answers_table([(prediction(reasons=(DOUBT, Reason(ReasonCode.COLOR))), measured)])
    assert tuple(table.columns) == COLUMNS
    row = table.iloc[0].to_dict()
    assert np.isnan(row.pop("volume_ml"))
    assert row == {
        "source": "slice.png",
        "status": "ok",
        "decision": "Tumor",
        "finding": "Glioma",
        "p_tumor": 0.875,
        "p_glioma": 0.7,
        "p_meningioma": 0.125,
        "p_pituitary": 0.05,
        "p_notumor": 0.125,
        "lesions": 2,
        "area_mm2": 310.5,
        "head_share": 0.0625,
        "largest_diameter_mm": 24.5,
        "largest_diameter_head": 0.25,
        "reasons": " ".join(reason_words((DOUBT, Reason(ReasonCode.COLOR)), prediction().probabilities)),
        "notes": "",
        "error": "",
        "seconds": 0.03125,
        "bundle": "squeezenet 1",
    }


@pytest.mark.parametrize(
    ("known", "notes"),
    [
        ({}, ()),
        ({"oriented": False}, (ORIENTATION_ASSUMED,)),
        ({"spacing": None}, (SIZE_UNKNOWN,)),
        ({"oriented": False, "spacing": None}, (ORIENTATION_ASSUMED, SIZE_UNKNOWN)),
        ({"series": Series("1", "2", notes=(SeriesNote.DUPLICATES,))}, ()),
        ({"series": Series("1", "2", notes=(SeriesNote.GAPS, SeriesNote.UNREAD))}, (SLICES_UNEVEN,)),
        ({"undone": (FRAME, BACKGROUND, FRAME)}, (FRAME, BACKGROUND)),
        ({"oriented": False, "undone": (INVERTED,)}, (ORIENTATION_ASSUMED, INVERTED)),
    ],
)
def test_what_a_file_leaves_open_and_what_was_undone_is_said(known, notes):
    made = replace(prediction(p_tumors=(0.875, 0.1)), **known)
    assert made.notes == notes
    row = answers_table([(made, None)]).iloc[0]
    assert row["notes"] == " ".join(NOTE_WORDS[note] for note in notes)


def test_what_is_no_brain_scan_has_no_numbers_that_could_pass_for_an_answer():
    row = answers_table([answered(decision="refer", finding=None, reasons=(Reason(ReasonCode.BLANK),))]).iloc[0]
    assert row[["p_tumor", "p_glioma", "p_meningioma", "p_pituitary", "p_notumor", *MEASURES]].isna().all()
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
    row = answers_table([answered(decision=decision, finding=finding)]).iloc[0]
    assert (row["decision"], row["finding"]) == words


def test_failures_stand_beside_answers_in_order():
    error = ScanError("This file is empty.", "Check it.", "b.png")
    table = answers_table([answered("a.png"), error, answered("c.png")])
    assert list(table["source"]) == ["a.png", "b.png", "c.png"]
    assert list(table["status"]) == ["ok", "error", "ok"]
    failed = table.iloc[1]
    assert (failed["decision"], failed["error"]) == ("Not readable", "This file is empty. Check it.")
    assert (failed["finding"], failed["reasons"], failed["bundle"]) == ("", "", "")
    assert failed[["p_tumor", "p_glioma", "p_notumor", "seconds", *MEASURES]].isna().all()


@pytest.mark.parametrize("outcomes", [[], iter([])])
def test_no_outcomes_give_a_table_of_no_rows(outcomes):
    table = answers_table(outcomes)
    assert tuple(table.columns) == COLUMNS
    assert table.empty


def test_csv_reads_back_with_four_decimals():
    (answer, failure) = _read_csv([answered(), ScanError("No.", "Mend.", "x")])
    assert (answer["p_tumor"], answer["p_glioma"], answer["seconds"]) == ("0.8750", "0.7000", "0.0312")
    assert (answer["lesions"], answer["area_mm2"]) == ("1", "")
    assert (failure["p_tumor"], failure["lesions"], failure["seconds"]) == ("", "", "")


def test_csv_starts_with_the_mark_of_utf8():
    data = answers_csv([answered("Schädel „3“ 脳.png")])
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
        ("\t=1+1", "'\t'=1+1"),
        ("  =1+1", "  '=1+1"),
        ("\u3000\u200b=1+1", "\u3000\u200b'=1+1"),
        ("\x00=1+1", "\x00'=1+1"),
        ("＝1+1", "'＝1+1"),
        ("a;=1+1.png", "a;'=1+1.png"),
        ("a; +1;-2;x;@b", "a; '+1;'-2;x;'@b"),
        ("a\t=1", "a\t'=1"),
        ("a\n=1", "a\n'=1"),
        ("a\r\n =1", "a\r\n '=1"),
        ("a\u2028=1", "a\u2028'=1"),
        ('a";"=1', 'a";"\'=1'),
        ('"=1"', '"\'=1"'),
        ("a;b=c, d = e", "a;b=c, d = e"),
        ("a; b - c", "a; b - c"),
        ('=HYPERLINK("http://x","y")', '\'=HYPERLINK("http://x","y")'),
        ("a=b.png", "a=b.png"),
        ("slice-2.png", "slice-2.png"),
        ('quote",=1+1.png', 'quote",=1+1.png'),
        ("'=1", "'=1"),
        ("", ""),
    ],
)
def test_texts_a_spreadsheet_would_run_are_disarmed(text, written):
    answer, failure = _read_csv([answered(text), ScanError(text, "Hint.", text)])
    assert (answer["source"], failure["source"]) == (written, written)
    assert failure["error"] == f"{written} Hint."


@pytest.mark.parametrize("start", list("=+-@\t\r＝＋－＠﹦﹢﹣﹫"))
def test_every_start_of_a_formula_gets_an_apostrophe(start):
    assert f"'{start}x.png".encode() in answers_csv([answered(f"{start}x.png")])


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("name", ["a;=1+1", 'a";"=1+1', "a\t=1+1", "a\n=1+1", 'a"\n;"=1+1;', " =1+1", ';\t"\r\n=1+1'])
def test_no_cell_is_a_formula_whichever_sign_splits_the_line(name, separator):
    text = answers_csv([answered(name), ScanError(name, "Hint.", name)]).decode("utf-8-sig")
    for quoting in (csv.QUOTE_MINIMAL, csv.QUOTE_NONE):
        cells = [cell for row in csv.reader(io.StringIO(text), delimiter=separator, quoting=quoting) for cell in row]
        assert len(cells) >= 3
        assert not [cell for cell in cells if cell.strip().strip('"').strip().startswith(("=", "+", "-", "@"))]


@given(st.text(alphabet="=+-@;\"'\t\n\r ,a\u200b\uff1d"))
def test_guarding_disarms_every_cell_and_once_is_enough(text):
    safe = guarded(text)
    assert guarded(safe) == safe
    assert safe.replace("'", "") == text.replace("'", "")
    cells = re.split(r'[;"\t\n\r]', safe)
    assert not [cell for cell in cells if cell.strip(" \u200b").startswith(("=", "+", "-", "@", "＝"))]


def test_a_long_name_is_guarded_at_once():
    start = time.thread_time()
    guarded("\n" * 200_000 + ";=" * 200_000)
    assert time.thread_time() - start < 1


def test_names_of_masks_and_bundles_are_guarded_too():
    measured = prediction()
    text = manifest_csv([((measured, None), "=1.png")]).decode("utf-8-sig")
    assert next(csv.DictReader(io.StringIO(text)))["mask_file"] == "'=1.png"
    table = answers_table([(replace(measured, bundle="=1+1"), None)])
    assert table.iloc[0]["bundle"] == "'=1+1"


@pytest.mark.parametrize(
    ("options", "known"),
    [
        ({}, {"lesions", "head_share", "largest_diameter_head"}),
        ({"p_tumors": (0.875, 0.1)}, set(MEASURES)),
        ({"decision": "no_tumor", "finding": "notumor", "p_tumors": (0.1,)}, {"lesions"}),
        ({"located": False}, set()),
    ],
)
def test_measures_are_missing_where_they_are_not_known(options, known):
    row = answers_table([answered(**options)]).iloc[0]
    assert {name for name in MEASURES if pd.notna(row[name])} == known


def test_a_referred_scan_has_the_measures_of_its_outline():
    assert answers_table([answered(decision="refer", reasons=(DOUBT,))]).iloc[0]["lesions"] == 1
