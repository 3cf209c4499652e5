"""The lower-grade gliomas of The Cancer Genome Atlas as Kaggle has them: three sequences in the colors of a TIFF."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from braintumor.taxonomy import NO_TUMOR

_SLICE = re.compile(r"TCGA_(?P<hospital>[A-Z0-9]{2})_(?P<patient>[A-Z0-9]{4})_\d{8}_(?P<number>\d+)\.tif")
_CHANNELS = {"pre": 0, "flair": 1, "post": 2}
# Neighbors are alike, and after contrast agent is what the other sets show.
_EVERY = {"post": 1, "flair": 2, "pre": 3}


def convert(folder: Path) -> pd.DataFrame:
    """Write the slices under the dataset's folder as gray pictures, one a sequence, and give their list.

    Pictures go to ``images``, masks to ``masks``, both in ``folder``; of T1 after contrast agent every slice, of FLAIR
    every second, of T1 before it every third. A slice with a mask shows a glioma; one without is "notumor" where its
    neighbors have none either, and left out elsewhere. A sequence that a patient lacks, for which FLAIR stands in
    there, is left out. Columns are path, label, group, mask, institution and sequence; empty without such slices.
    """
    patients: dict[tuple[str, str], dict[int, Path]] = {}
    for path in sorted(folder.rglob("TCGA_*.tif")):
        if found := _SLICE.fullmatch(path.name):
            slices = patients.setdefault((found["hospital"], found["patient"]), {})
            slices[int(found["number"])] = path
    rows = [row for who, slices in sorted(patients.items()) for row in _convert_patient(folder, who, slices)]
    return pd.DataFrame(rows, columns=["path", "label", "group", "mask", "institution", "sequence"])


def _convert_patient(folder: Path, who: tuple[str, str], slices: dict[int, Path]) -> list[dict[str, str]]:
    hospital, patient = who
    numbers = sorted(slices)
    colors = {number: np.asarray(Image.open(slices[number]).convert("RGB")) for number in numbers}
    masks = {number: _mask(slices[number]) for number in numbers}
    shown = {number for number in numbers if masks[number].any()}
    rows = []
    for number in numbers:
        if number not in shown and {number - 1, number + 1} & shown:
            continue
        mask = f"masks/{patient}_{number:02}.png" if number in shown else ""
        if mask:
            _write(folder / mask, masks[number])
        for sequence in _sequences(colors):
            if (number - numbers[0]) % _EVERY[sequence] == 0:
                path = f"images/{patient}_{number:02}_{sequence}.png"
                _write(folder / path, colors[number][..., _CHANNELS[sequence]])
                label = "glioma" if mask else NO_TUMOR
                facts = {"group": f"lgg-{patient}", "institution": hospital, "sequence": sequence}
                rows.append({"path": path, "label": label, "mask": mask, **facts})
    return rows


def _sequences(colors: dict[int, NDArray[np.uint8]]) -> list[str]:
    def differs(channel: int) -> bool:
        return any((color[..., channel] != color[..., _CHANNELS["flair"]]).any() for color in colors.values())

    return [name for name, channel in _CHANNELS.items() if name == "flair" or differs(channel)]


def _mask(path: Path) -> NDArray[np.uint8]:
    drawn = path.with_name(f"{path.stem}_mask.tif")
    if not drawn.is_file():
        return np.zeros((1, 1), np.uint8)
    return np.where(np.asarray(Image.open(drawn).convert("L")) > 127, np.uint8(255), np.uint8(0))


def _write(path: Path, values: NDArray[np.uint8]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.ascontiguousarray(values)).save(path)
