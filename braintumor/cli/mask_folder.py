"""A folder that takes the masks of scans."""

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from braintumor.errors import InputError

if TYPE_CHECKING:
    from braintumor.batch import Finding

_SEGMENTATION = ".dcm"
_KEY_LENGTH = 12
"""Hexadecimal digits of a key, as many as the page's downloads are named by."""
_MOST_ALIKE = 10_000


class MaskFolder:
    """A folder that takes each scan's mask as a file named as its source: PNG, or NIfTI for several slices."""

    def __init__(self, folder: Path, sources: Iterable[Path] = ()) -> None:
        self._folder = folder
        # Names that differ only in case are one file on some systems.
        self._sources = {str(source.resolve()).lower() for source in sources}
        self._taken: set[str] = set()
        folder.mkdir(parents=True, exist_ok=True)

    def write(self, finding: "Finding") -> dict[str, str | None]:
        """Write the mask of the scan's own size and give its file's path; None from a network that does not locate.

        That of a DICOM series, where it is not empty, is written as DICOM Segmentation beside it.
        What has a name that is taken, by another scan, by a file from before or by one of ``sources``, gets behind it
        a key made from scan and model, as a DICOM series always does: many are called alike. So no file is replaced
        but by its like, and the same scan has the same name each time.
        """
        if finding.mask is None or finding.mask_ending is None:
            return {"mask": None, "segmentation": None}
        content = {finding.mask_ending: finding.mask}
        if finding.segmentation is not None:
            content[_SEGMENTATION] = finding.segmentation
        name = self._free_name(finding, content)
        paths = {ending: self._folder / f"{name}{ending}" for ending in content}
        for ending, data in content.items():
            paths[ending].write_bytes(data)
        segmentation = paths.get(_SEGMENTATION)
        return {
            "mask": str(paths[finding.mask_ending]),
            "segmentation": None if segmentation is None else str(segmentation),
        }

    def _free_name(self, finding: "Finding", content: Mapping[str, bytes]) -> str:
        source = Path(finding.source).name
        stem = source[: -len(".nii.gz")] if source.lower().endswith(".nii.gz") else Path(source).stem
        key = hashlib.sha256(f"{finding.sha256} {finding.bundle}".encode()).hexdigest()[:_KEY_LENGTH]
        keyed = [f"{stem}-{key}", *(f"{stem}-{key}-{number}" for number in range(2, _MOST_ALIKE))]
        for name in keyed if finding.series else [stem, f"{stem}-mask", *keyed]:
            if name.lower() not in self._taken and all(self._is_free(f"{name}{end}", content[end]) for end in content):
                self._taken.add(name.lower())
                return name
        raise InputError(f"{self._folder} holds too many masks called {stem}; name another folder.")

    def _is_free(self, name: str, data: bytes) -> bool:
        """Tell whether a file may be written: there is none, or the same one that is no source."""
        path = self._folder / name
        return not self._is_source(name) and (not path.exists() or path.read_bytes() == data)

    def _is_source(self, name: str) -> bool:
        return str((self._folder / name).resolve()).lower() in self._sources
