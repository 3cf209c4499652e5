"""Take the pictures of reports in ``docs/screenshots``, by poppler or Ghostscript, of phantoms."""

import shutil
import subprocess
import sys
import tempfile
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

# Called by its path, Python would look for modules beside this file only.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from braintumor.bundles import load_bundle
from braintumor.inference import Predictor
from braintumor.reports.composition import Judged, model_of, report_of
from braintumor.reports.model import Report
from braintumor.reports.pdf import pdf_report
from braintumor.scans import Patient, Scan, in_window, phantom
from braintumor.settings import DEFAULT_MODEL, ROOT

FOLDER = ROOT / "docs" / "screenshots"
_DAY = date(2026, 3, 4)
_PIXEL = 0.9
"""Millimeters of a pixel of the phantom, whose head is then as long as a person's."""
_RESOLUTION = 80
_GHOSTSCRIPT = (
    *("gs", "-q", "-dNOPAUSE", "-dBATCH", "-dSAFER", "-sDEVICE=png16m"),
    *("-dTextAlphaBits=4", "-dGraphicsAlphaBits=4"),
)


def main() -> None:
    """Draw a page for a tumor, for an answer that is withheld, and for a picture that is not judged."""
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


def _report(predictor: Predictor, pixels: NDArray[np.float32], patient: Patient) -> Report:
    scan = Scan(pixels[np.newaxis], "Synthetic slice", "0" * 64, spacing=(5.0, _PIXEL, _PIXEL))
    (prediction,) = predictor.predict([scan])
    judged = Judged(prediction, in_window(pixels, pixels), *model_of(predictor.bundle))
    report = report_of(judged, patient, _DAY, "A-2026-0304", is_synthetic=True)
    return replace(report, study=replace(report.study, sequence="Synthetic, axial"))


def _save(pdf: bytes, path: Path) -> None:
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
        picture = Image.open(drawn.with_suffix(".png")).convert("RGB")
    picture.quantize(128).save(path, "PNG", optimize=True)


if __name__ == "__main__":
    main()
