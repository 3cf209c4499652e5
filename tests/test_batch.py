import io
import json
import os
import shutil
import sys
import zipfile
from dataclasses import replace
from itertools import repeat
from multiprocessing import active_children
from types import ModuleType

import numpy as np
import pydicom
import pytest
from PIL import Image

from braintumor.batch import Batch, BatchError, Finding
from braintumor.bundles import GRAPH_FILE, BundleError
from braintumor.scans import ScanError, files_at, gather, phantom
from tests.conftest import SHIPPED, png_bytes
from tests.scans.dicom_files import dicom, stored


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Twenty-three units: pictures, one of them broken, and an archive of two."""
    root = tmp_path_factory.mktemp("scans")
    for number in range(20):
        (root / f"{number:02}.png").write_bytes(png_bytes(phantom(96, tumor=number % 3 > 0, seed=number)))
    (root / "broken.png").write_bytes(b"broken")
    with zipfile.ZipFile(root / "two.zip", "w") as archive:
        archive.writestr("1.png", png_bytes(phantom(96, seed=30)))
        archive.writestr("2.png", png_bytes(phantom(96, tumor=False, seed=31)))
    return root


def _untimed(outcome):
    """What must be the same in each run; failures are compared by what they say."""
    if isinstance(outcome, ScanError):
        return outcome.source, outcome.reason, outcome.hint
    return replace(outcome, seconds=0.0)


@pytest.fixture(scope="module")
def alone(folder):
    return list(Batch(SHIPPED, measurements=True, masks=True).answer(gather(files_at([folder])), processes=1))


def test_each_unit_has_an_outcome_in_order(folder, alone):
    names = [f"{number:02}.png" for number in range(20)]
    names += ["broken.png", "two.zip/1.png", "two.zip/2.png"]
    assert [outcome.source for outcome in alone] == [f"{folder}/{name}" for name in names]
    assert [outcome.source for outcome in alone if isinstance(outcome, ScanError)] == [f"{folder}/broken.png"]


def test_several_processes_answer_bit_for_bit_like_one(folder, alone):
    apart = list(Batch(SHIPPED, measurements=True, masks=True).answer(gather(files_at([folder])), processes=2))
    assert list(map(_untimed, apart)) == list(map(_untimed, alone))


def test_the_environment_is_left_as_it_was(folder, monkeypatch):
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    list(Batch(SHIPPED).answer(gather(files_at([folder])), processes=2))
    assert "OPENBLAS_NUM_THREADS" not in os.environ


def test_processes_do_not_run_their_callers_script(folder, monkeypatch, tmp_path):
    """As Streamlit leaves a page where the main script was."""
    script = tmp_path / "page.py"
    script.write_text(f"open({str(tmp_path / 'ran')!r}, 'w').close(); raise SystemExit(3)")
    page = ModuleType("__main__")
    page.__file__ = str(script)
    monkeypatch.setitem(sys.modules, "__main__", page)
    assert len(list(Batch(SHIPPED).answer(gather(files_at([folder])), processes=2))) == 23
    assert sys.modules["__main__"] is page
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(("measurements", "masks"), [(False, False), (True, False), (False, True)])
def test_only_what_is_asked_for_is_measured(measurements, masks, folder):
    units = gather(files_at([folder / "01.png"]))
    (finding,) = Batch(SHIPPED, measurements=measurements, masks=masks).answer(units)
    assert (finding.measurements is not None) == measurements
    assert (finding.mask is not None) == (finding.mask_ending is not None) == masks


def test_a_mask_is_a_file_of_the_scans_own_size(folder, alone, tmp_path):
    for finding in alone:
        if isinstance(finding, Finding):
            path = tmp_path / f"mask{finding.mask_ending}"
            path.write_bytes(finding.mask)
            mask = np.asarray(Image.open(path))
            assert mask.shape == (96, 96)
            assert mask.any() == (finding.measurements.lesions > 0)


def test_a_series_to_which_nothing_can_refer_has_its_answer_and_a_reason():
    """By its pixels, which the shipped model answers with a tumor, the head is as good as the one beside it."""
    pixels = phantom(256).astype(np.uint16) * 8
    files = [
        dicom(pixels, SeriesInstanceUID="1.2.3", SOPInstanceUID=None),
        dicom(pixels, SeriesInstanceUID="1.2.4", SeriesNumber=3),
    ]
    refused, written = Batch(SHIPPED, masks=True).answer(gather(stored(files)), processes=1)
    assert refused.finding == written.finding is not None
    assert refused.mask == written.mask is not None
    assert (refused.segmentation, bool(refused.no_segmentation)) == (None, True)
    assert pydicom.dcmread(io.BytesIO(written.segmentation)).Modality == "SEG"
    assert written.no_segmentation is None


def test_a_second_model_that_cannot_be_used_ends_its_own_series_and_no_others(tmp_path):
    shutil.copytree(SHIPPED, tmp_path / "mr")
    shutil.copytree(SHIPPED, tmp_path / "ct")
    card = json.loads((tmp_path / "ct" / "card.json").read_text())
    (tmp_path / "ct" / "card.json").write_text(json.dumps(card | {"modality": "CT"}))
    (tmp_path / "ct" / GRAPH_FILE).write_bytes(b"no network")
    files = [dicom(Modality="CT", SeriesInstanceUID="1.2.3", SeriesNumber=1), dicom()]
    failed, answered = Batch(tmp_path / "mr").answer(gather(stored(files)), processes=1)
    assert isinstance(failed, ScanError)
    assert isinstance(answered, Finding)


@pytest.mark.parametrize("processes", [1, 2])
def test_a_model_that_cannot_be_used_is_refused(processes, folder, tmp_path):
    (tmp_path / "card.json").write_text(json.dumps({}))
    with pytest.raises(BundleError):
        list(Batch(tmp_path).answer(gather(files_at([folder])), processes=processes))


def test_units_are_taken_as_they_are_needed(folder):
    taken = []

    def endless():
        while True:
            taken.append(1)
            yield from gather(files_at([folder / "broken.png"]))

    answers = Batch(SHIPPED).answer(endless(), processes=2)
    next(answers)
    answers.close()
    assert len(taken) < 100


def test_the_end_of_a_process_ends_the_batch(folder):
    answers = Batch(SHIPPED).answer(repeat(next(gather(files_at([folder / "01.png"])))), processes=2)
    next(answers)
    for process in active_children():
        process.kill()
    with pytest.raises(BatchError):
        list(answers)
