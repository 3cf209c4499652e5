"""Take the pictures of reports and of their DICOM objects in ``docs/screenshots``, of phantoms.

A page is drawn by poppler or Ghostscript, and dcmtk reads the objects.
"""

import shutil
import subprocess
import sys
import tempfile
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

# Called by its path, Python would look for modules beside this file only.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from braintumor.bundles import GRAPH_FILE, load_bundle
from braintumor.inference import Predictor
from braintumor.reports.case_files import Case, case_files, case_of
from braintumor.reports.composition import Judged, model_of, report_of
from braintumor.reports.follow_up import Outlined, changes, measured, outline_error, prior_of
from braintumor.reports.model import Report, ReportVerdict
from braintumor.reports.pdf import pdf_report
from braintumor.scans import DEFAULT_LIMITS, Patient, PixelBudget, Scan, Unit, gather, in_window, outcome, phantom
from braintumor.settings import DEFAULT_MODEL, ROOT
from scripts.object_pictures import objects_picture
from tests.scans.dicom_files import slices, stored

FOLDER = ROOT / "docs" / "screenshots"
_DAY, _EARLIER = date(2026, 3, 4), date(2025, 9, 1)
_SLICES = 4
_PIXEL = 0.9
"""Millimeters of a pixel of the phantom, whose head is then as long as a person's."""
_RESOLUTION = 80
_GHOSTSCRIPT = (
    *("gs", "-q", "-dNOPAUSE", "-dBATCH", "-dSAFER", "-sDEVICE=png16m"),
    *("-dTextAlphaBits=4", "-dGraphicsAlphaBits=4"),
)


def main() -> None:
    """Draw a page for a tumor, an answer that is withheld, a picture that is not judged, and a signed follow-up.

    Of the last, its DICOM objects are drawn as well.
    """
    bundle = load_bundle(ROOT / "models" / DEFAULT_MODEL)
    predictor = Predictor(bundle)
    pictures = {
        "report-tumor": (phantom(seed=4), Patient("Lovelace^Ada", "PHANTOM-1", "18151210", "F")),
        "report-referred": (phantom(tumor=False, seed=10), Patient("शर्मा^प्रियंका", "PHANTOM-2", "19850615", "F")),
        "report-not-assessed": (phantom(tumor=False, seed=2), Patient("علي^محمد", "PHANTOM-3", "19700131", "M")),
    }
    for name, (pixels, patient) in pictures.items():
        report = _report(predictor, np.asarray(pixels, np.float32), patient)
        _save(pdf_report([report]), FOLDER / f"{name}.png")
        sys.stdout.write(f"{name}: {report.finding.decision}\n")
    case, images = _follow_up(predictor)
    _save(pdf_report([case.report]), FOLDER / "report-follow-up.png")
    _put(objects_picture(case_files(case), images, _drawn), FOLDER / "report-objects.png", colors=64)


def _report(predictor: Predictor, pixels: NDArray[np.float32], patient: Patient) -> Report:
    scan = Scan(pixels[np.newaxis], "Synthetic slice", "0" * 64, spacing=(5.0, _PIXEL, _PIXEL))
    (prediction,) = predictor.predict([scan])
    judged = Judged(prediction, in_window(pixels, pixels), *model_of(predictor.bundle))
    report = report_of(judged, patient, _DAY, "A-2026-0304", is_synthetic=True)
    return replace(report, study=replace(report.study, sequence="Synthetic, axial"))


def _follow_up(predictor: Predictor) -> tuple[Case, list[bytes]]:
    """Answer a head that was cut into thin slices, and into thicker ones later; give the later one, and its files."""
    (before, _), (now, images) = (_series_case(predictor, thickness) for thickness in (4.0, 5.0))
    sha = predictor.bundle.card.sha256[GRAPH_FILE]
    earlier, later = (_measured(case, sha) for case in (before, now))
    found = changes(earlier, later, outline_error(ROOT / "models", sha))
    verdict = ReportVerdict("Dr. Grace Hopper", True, datetime(2026, 3, 5, 9, 30, tzinfo=UTC), "", "As in the prior.")
    report = replace(now.report, prior=prior_of(_EARLIER, found), verdict=verdict)
    return replace(now, report=report), images


def _measured(case: Case, sha: str) -> Outlined:
    mask = case.prediction.mask()
    assert mask is not None
    return measured(mask, case.prediction.spacing, sha)


def _series_case(predictor: Predictor, thickness: float) -> tuple[Case, list[bytes]]:
    head = phantom(seed=4).astype(np.uint16) * 8
    said: dict[str, Any] = {"PatientName": "Lovelace^Ada", "PatientID": "MADE-1", "PatientBirthDate": "18151210"}
    said |= {"StudyDate": f"{_DAY:%Y%m%d}", "SeriesDescription": "t1_mprage_tra_km", "PixelSpacing": [_PIXEL, _PIXEL]}
    said |= {"SliceThickness": thickness}
    files = [
        slices(1, pixels=head, first=(0.0, 0.0, thickness * number), start=number + 1, **said)[0]
        for number in range(_SLICES)
    ]
    (unit,) = gather(stored(files))
    scan = outcome(unit, DEFAULT_LIMITS, PixelBudget(10**8))
    assert isinstance(unit, Unit)
    assert isinstance(scan, Scan)
    (prediction,) = predictor.predict([scan])
    picture = scan.pixels[prediction.slice_number]
    drawn = in_window(picture, picture)
    return case_of(prediction, drawn, predictor.bundle, unit, DEFAULT_LIMITS, is_synthetic=True), files


def _save(pdf: bytes, path: Path) -> None:
    _put(_drawn(pdf), path)


def _put(picture: Image.Image, path: Path, colors: int = 128) -> None:
    picture.quantize(colors).save(path, "PNG", optimize=True)


def _drawn(pdf: bytes) -> Image.Image:
    with tempfile.TemporaryDirectory(prefix="braintumor-reports-") as folder:
        page = Path(folder, "page.pdf")
        page.write_bytes(pdf)
        drawn = Path(folder, "page")
        resolution = str(_RESOLUTION)
        if shutil.which("pdftoppm"):
            subprocess.run(["pdftoppm", "-r", resolution, "-png", "-singlefile", page, drawn], check=True)
        else:
            subprocess.run(
                [*_GHOSTSCRIPT, f"-r{resolution}", f"-sOutputFile={drawn}.png", page],
                check=True,
            )
        return Image.open(drawn.with_suffix(".png")).convert("RGB")


if __name__ == "__main__":
    main()
