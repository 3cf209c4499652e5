"""The cases that readers corrected, from the records to what training reads."""

import dataclasses
from datetime import date

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sqlalchemy.orm import Session

from braintumor import settings
from braintumor.cli import main
from braintumor.database import Wanted, audit
from braintumor.datasets import build_index
from braintumor.records import NewSeries
from braintumor.records.scan_file import mask_file, scan_file
from tests.database.servers import SITE_KEY
from tests.records import clinic as made_clinic
from tests.records.clinic import FINDING, NAME, NUMBER


def box(first, last):
    mask = np.zeros((4, 32, 32), bool)
    mask[first:last, 8:20, 8:20] = True
    return mask


@pytest.fixture
def clinic(tmp_path, monkeypatch):
    folder = tmp_path / "data"
    monkeypatch.setenv("BRAINTUMOR_DATA_DIR", str(folder))
    monkeypatch.setenv("BRAINTUMOR_SITE_KEY", SITE_KEY.decode())
    settings.load.cache_clear()
    clinic = made_clinic.made(f"sqlite:///{folder / 'braintumor.sqlite3'}", folder)
    yield clinic
    clinic.engine.dispose()
    settings.load.cache_clear()


def file_and_judge(clinic, patient, number, *verdicts):
    scan = np.random.default_rng(number).integers(0, 900, (4, 32, 32)).astype(np.float32)
    finding = dataclasses.replace(FINDING, mask=mask_file(box(1, 3)))
    series = NewSeries("MR", "t1_contrast", 4, scan_file(scan), (finding,))
    clinic.filed(patient, identifier=str(number), taken_on=date(2026, 1, number), series=[series])
    for verdict in verdicts:
        clinic.studies.judge(clinic.people["bob"], number, **verdict)
    return scan


def test_corrected_cases_become_a_dataset_that_names_nobody(clinic, tmp_path, capsys):
    one, other = clinic.patient(), clinic.patient(name="Jane Doe")
    other_type, no_tumor = ({"kind": "correct", "label": label} for label in ("meningioma", "notumor"))
    scan = file_and_judge(clinic, one, 1, {"kind": "correct", "mask": mask_file(box(2, 4))})
    file_and_judge(clinic, one, 2, other_type)
    file_and_judge(clinic, other, 3, no_tumor)
    file_and_judge(clinic, other, 4, {"kind": "agree"})
    file_and_judge(clinic, other, 5, other_type, {"kind": "agree"})
    file_and_judge(clinic, other, 6)
    folder = tmp_path / "set"
    assert main(["data", "corrected", str(folder)]) == 0
    assert capsys.readouterr().out.startswith("10 pictures of 2 patients")
    index = build_index(folder)
    rows = index[["path", "label", "group"]].assign(mask=index["mask"] != "").to_numpy().tolist()
    assert [row[1:] for row in rows] == [
        *[["notumor", "patient-00000", False]] * 2,
        *[["glioma", "patient-00000", True]] * 2,
        *[["meningioma", "patient-00000", False]] * 2,
        *[["notumor", "patient-00001", False]] * 4,
    ]
    assert set(index["sequence"]) == {"t1_contrast"}
    picture = np.asarray(Image.open(folder / rows[2][0]), np.float64)
    assert np.abs(picture / 65535 * np.ptp(scan) + scan.min() - scan[2]).max() < 0.02
    assert (np.asarray(Image.open(folder / index["mask"][2])) == 255 * box(2, 4)[2]).all()
    for path in folder.rglob("*.*"):
        for secret in (NAME, NUMBER, "Jane", one.code, "2026-01"):
            assert secret.encode() not in path.read_bytes()
            assert secret not in str(path.relative_to(folder))
    with Session(clinic.engine) as db:
        line = audit.entries(db, Wanted(), 1)[0]
    assert (line.action, line.details) == ("corrected cases exported", {"findings": 3})
    assert main(["data", "corrected", str(folder)]) == 2
    assert "exists already" in capsys.readouterr().err


def test_without_a_correction_there_is_an_empty_list(clinic, tmp_path):
    assert main(["data", "corrected", str(tmp_path / "set")]) == 0
    assert pd.read_csv(tmp_path / "set" / "index.csv").empty
