"""NIfTI volumes with a mask beside them, as hospitals and The Cancer Imaging Archive have them."""

import re
from pathlib import Path

import numpy as np

from braintumor.datasets.slice_files import write_mask, write_picture
from braintumor.scans import Scan, ScanError, read
from braintumor.taxonomy import ANY_TUMOR, NO_TUMOR

VOLUME_GROUP = "volume-"
"""How the group of a volume's slices begins."""

# Not "-mask", as masks that this software writes beside a scan are named.
_MASK = re.compile(r"(?P<name>.+)(_mask|[_-]seg)\.nii(\.gz)?", re.IGNORECASE)
_OF_BRAIN = re.compile(r"(brain|bet)_mask\.", re.IGNORECASE)
_ENHANCED = re.compile(r"t1(ce|c|gd)\b", re.IGNORECASE)
_FOLDER = "volumes"
_TOLERANCE = 1e-2
"""Millimeters and parts of them by which the places of a volume and its mask may differ."""


def convert(root: Path) -> list[dict[str, str]]:
    """Write the slices of each volume with a mask under a folder as pictures and masks, and give their index's rows.

    ``NAME_mask.nii.gz`` (or ``_seg``, ``-seg``, ``.nii``) is the mask of the volume ``NAME`` or ``NAME_t1…`` beside
    it, of several the one after contrast agent (``t1ce``, ``t1c``, ``t1gd``). Slices lie as ``scans.read`` turns them;
    empty ones are left out. Pictures (16-bit PNG, scaled from the volume's smallest to its largest value) go to
    ``volumes/images``, masks to ``volumes/masks``; the group is the volume, the label "tumor" where the mask holds
    anything and "notumor" elsewhere. Masks of the brain, without a volume, of another shape or place than
    theirs, second ones of a volume, and what cannot be read are passed over; a folder without any is left as it is.
    """
    rows: dict[str, list[dict[str, str]]] = {}
    for mask in sorted(root.rglob("*.nii*")):
        named = _MASK.fullmatch(mask.name)
        volume = _volume_beside(mask, named["name"]) if named and not _OF_BRAIN.search(mask.name) else None
        if named and volume:
            # Folders of patients hold files of the same names.
            name = "-".join([*mask.relative_to(root).parts[:-1], named["name"]])
            rows.setdefault(name, _convert_pair(volume, mask, name, root))
    return [row for of_volume in rows.values() for row in of_volume]


def _volume_beside(mask: Path, name: str) -> Path | None:
    named = re.compile(rf"{re.escape(name)}([_-]t1[^/]*)?\.nii(\.gz)?", re.IGNORECASE)
    beside = [
        path for path in mask.parent.glob("*.nii*") if named.fullmatch(path.name) and not _MASK.fullmatch(path.name)
    ]
    return max(beside, key=lambda path: (bool(_ENHANCED.search(path.name)), path.name), default=None)


def _convert_pair(volume: Path, mask: Path, name: str, root: Path) -> list[dict[str, str]]:
    try:
        scan, drawn = (read(path.read_bytes(), path.name) for path in (volume, mask))
    except (ScanError, OSError):
        return []
    if scan.shape != drawn.shape or not np.allclose(scan.affine or 0, drawn.affine or 0, atol=_TOLERANCE):
        return []
    shown = [number for number in range(scan.shape[0]) if np.ptp(scan.pixels[number])]
    low, high = float(scan.pixels.min()), float(scan.pixels.max())
    return [_convert_slice(scan, drawn, number, name, root, low, high) for number in shown]


def _convert_slice(
    scan: Scan, drawn: Scan, number: int, name: str, root: Path, low: float, high: float
) -> dict[str, str]:
    tumor = drawn.pixels[number] > 0
    row = {
        "path": f"{_FOLDER}/images/{name}-{number:03}.png",
        "dataset": root.resolve().name,
        "published_split": "",
        "label": ANY_TUMOR if tumor.any() else NO_TUMOR,
        "group": f"{VOLUME_GROUP}{name}",
        "mask": f"{_FOLDER}/masks/{name}-{number:03}.png" if tumor.any() else "",
    }
    write_picture(root / row["path"], scan.pixels[number], low, high)
    if row["mask"]:
        write_mask(root / row["mask"], tumor)
    return row
