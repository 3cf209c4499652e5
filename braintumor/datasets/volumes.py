"""NIfTI volumes with a mask beside them, as hospitals and The Cancer Imaging Archive have them."""

import re
from pathlib import Path

import numpy as np
from PIL import Image

from braintumor.scans import Scan, ScanError, read
from braintumor.taxonomy import ANY_TUMOR, NO_TUMOR

_MASK = re.compile(r"(?P<name>.+)[_-](mask|seg)\.nii(\.gz)?", re.IGNORECASE)
_FOLDER = "volumes"


def convert(root: Path) -> list[dict[str, str]]:
    """Write the slices of each volume with a mask under a folder as pictures and masks, and give their index's rows.

    ``NAME_mask.nii.gz`` (or ``_seg``, ``-mask``, ``.nii``) is the mask of the volume ``NAME`` or ``NAME_t1…`` beside
    it, of several the last in order: ``t1ce`` before ``t1``. Slices lie as ``scans.read`` turns them. Pictures (16-bit
    PNG, scaled from the volume's smallest to its largest value) go to ``volumes/images``, masks to ``volumes/masks``;
    the group is the volume, the label "tumor" where the mask holds anything and "notumor" elsewhere. Masks without a
    volume, of another shape than theirs, or that cannot be read are passed over, and a folder without any is left as
    it is.
    """
    found = sorted((path, match["name"]) for path in root.rglob("*.nii*") if (match := _MASK.fullmatch(path.name)))
    return [row for mask, name in found for row in _convert_pair(_volume_beside(mask, name), mask, name, root)]


def _volume_beside(mask: Path, name: str) -> Path | None:
    named = re.compile(rf"{re.escape(name)}([_-]t1[^/]*)?\.nii(\.gz)?", re.IGNORECASE)
    beside = sorted(path for path in mask.parent.glob("*.nii*") if named.fullmatch(path.name) and path != mask)
    return beside[-1] if beside else None


def _convert_pair(volume: Path | None, mask: Path, name: str, root: Path) -> list[dict[str, str]]:
    if volume is None:
        return []
    try:
        scan, drawn = (read(path.read_bytes(), path.name) for path in (volume, mask))
    except (ScanError, OSError):
        return []
    if scan.shape != drawn.shape:
        return []
    # Folders of patients hold files of the same names.
    inside = "-".join([*mask.relative_to(root).parts[:-1], name])
    return [_convert_slice(scan, drawn, number, inside, root) for number in range(scan.shape[0])]


def _convert_slice(scan: Scan, drawn: Scan, number: int, name: str, root: Path) -> dict[str, str]:
    low, high = float(scan.pixels.min()), float(scan.pixels.max())
    scaled = np.rint((scan.pixels[number] - low) / max(high - low, 1e-12) * 65535).astype(np.uint16)
    tumor = drawn.pixels[number] > 0
    file = f"{name}-{number:03}.png"
    for folder, values in (("images", scaled), ("masks", tumor.astype(np.uint8) * 255)):
        target = root / _FOLDER / folder / file
        target.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(values).save(target)
    return {
        "path": f"{_FOLDER}/images/{file}",
        "dataset": root.resolve().name,
        "published_split": "",
        "label": ANY_TUMOR if tumor.any() else NO_TUMOR,
        "group": f"volume-{name}",
        "mask": f"{_FOLDER}/masks/{file}" if tumor.any() else "",
    }
