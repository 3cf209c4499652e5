"""Pictures of the DICOM objects of a report: each read back from its file, the report and the page by dcmtk."""

import io
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import highdicom as hd
import numpy as np
import pydicom
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from braintumor.scans import in_window
from braintumor.settings import ROOT

_SIDE, _GAP, _TITLE, _LINE = 380, 16, 24, 15
_FONT = ROOT / "braintumor" / "reports" / "fonts" / "DejaVuSans.ttf"
_RED = np.array([220, 40, 40])
_MOST_LINES, _LONGEST_LINE = 46, 150


def objects_picture(
    objects: Mapping[str, bytes], images: Sequence[bytes], draw: Callable[[bytes], Image.Image]
) -> Image.Image:
    """Draw the files of ``reports.case_files``, by the endings of their names, beside and below each other.

    ``images`` are the files of the series; ``draw`` makes a picture of a PDF.
    """
    panels = {
        "Segmentation, on its source image": _segmented(objects["-segmentation.dcm"], images),
        "Secondary capture of the key image": _captured(objects["-key-image.dcm"]),
        "Encapsulated PDF, as dcm2pdf takes it out": _page(objects["-page.dcm"], draw),
    }
    lines = _lines(objects["-report.dcm"])
    width = len(panels) * (_SIDE + _GAP) + _GAP
    below = 2 * _GAP + _TITLE + _SIDE
    sheet = Image.new("RGB", (width, below + _TITLE + _LINE * len(lines) + _GAP), "white")
    pen, font, small = ImageDraw.Draw(sheet), ImageFont.truetype(str(_FONT), 13), ImageFont.truetype(str(_FONT), 11)
    for number, (title, picture) in enumerate(panels.items()):
        left = _GAP + number * (_SIDE + _GAP)
        pen.text((left, _GAP), title, "black", font)
        picture.thumbnail((_SIDE, _SIDE), Image.Resampling.LANCZOS)
        sheet.paste(picture, (left, _GAP + _TITLE))
        edge = (left, _GAP + _TITLE, left + picture.width, _GAP + _TITLE + picture.height)
        pen.rectangle(edge, outline=(190, 190, 190))
    pen.text((_GAP, below), "Structured report, TID 1500, as dsrdump prints it", "black", font)
    for number, line in enumerate(lines):
        indent = len(line) - len(line.lstrip())
        pen.text((_GAP + 7 * indent, below + _TITLE + number * _LINE), line.strip(), (40, 40, 40), small)
    return sheet


def _segmented(file: bytes, images: Sequence[bytes]) -> Image.Image:
    """Draw the image that has most of the segment, with it."""
    segmentation = hd.seg.segread(io.BytesIO(file))
    sources = [pydicom.dcmread(io.BytesIO(image)) for image in images]
    marks = segmentation.get_pixels_by_source_instance(
        [source.SOPInstanceUID for source in sources], combine_segments=True, assert_missing_frames_are_empty=True
    )
    number = int(np.count_nonzero(marks, axis=(1, 2)).argmax())
    marked, values = marks[number] > 0, sources[number].pixel_array.astype(np.float32)
    drawn = np.repeat(in_window(values, values)[..., None], 3, axis=2).astype(np.float32)
    drawn[marked] = 0.5 * drawn[marked] + 0.5 * _RED
    return _enlarged(drawn.astype(np.uint8))


def _captured(file: bytes) -> Image.Image:
    return Image.fromarray(pydicom.dcmread(io.BytesIO(file)).pixel_array)


def _page(file: bytes, draw: Callable[[bytes], Image.Image]) -> Image.Image:
    with tempfile.TemporaryDirectory(prefix="braintumor-page-") as folder:
        given, taken = Path(folder, "page.dcm"), Path(folder, "page.pdf")
        given.write_bytes(file)
        subprocess.run(["dcm2pdf", given, taken], check=True, capture_output=True)
        return draw(taken.read_bytes())


def _lines(file: bytes) -> list[str]:
    with tempfile.TemporaryDirectory(prefix="braintumor-report-") as folder:
        given = Path(folder, "report.dcm")
        given.write_bytes(file)
        said = subprocess.run(["dsrdump", "+Pl", given], check=True, capture_output=True, text=True).stdout
    _, _, tree = said.partition("<CONTAINER")
    lines = [f"<CONTAINER{tree}".splitlines()[0], *tree.splitlines()[1:]]
    shown = [line if len(line) <= _LONGEST_LINE else f"{line[:_LONGEST_LINE]}…" for line in lines if line.strip()]
    return shown if len(shown) <= _MOST_LINES else [*shown[:_MOST_LINES], "…"]


def _enlarged(pixels: NDArray[np.uint8]) -> Image.Image:
    return Image.fromarray(pixels).resize((_SIDE, _SIDE * pixels.shape[0] // pixels.shape[1]), Image.Resampling.NEAREST)
