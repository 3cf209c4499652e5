"""A folder that takes the masks of scans."""

from collections.abc import Iterable
from itertools import chain, count
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from braintumor.batch import Finding


class MaskFolder:
    """A folder that takes each scan's mask as a file named as its source: PNG, or NIfTI for several slices."""

    def __init__(self, folder: Path, sources: Iterable[Path] = ()) -> None:
        self._folder = folder
        # Names that differ in case alone are one file on some systems.
        self._sources = {str(source.resolve()).lower() for source in sources}
        self._taken: set[str] = set()
        folder.mkdir(parents=True, exist_ok=True)

    def write(self, finding: "Finding") -> dict[str, str | None]:
        """Write the mask of the scan's own size and give its file's path; None from a network that does not locate.

        That of a DICOM series, where it is not empty, is written as DICOM Segmentation beside it.
        A second source of the same name gets a number behind it, so that no mask takes another one's place; one that
        would replace one of ``sources`` gets the word "mask", and then a number rather than replace anything.
        """
        if finding.mask is None or finding.mask_ending is None:
            return {"mask": None, "segmentation": None}
        path = self._free_path(Path(finding.source), finding.mask_ending)
        path.write_bytes(finding.mask)
        if finding.segmentation is None:
            return {"mask": str(path), "segmentation": None}
        beside = path.with_name(path.name.removesuffix(finding.mask_ending) + ".dcm")
        beside.write_bytes(finding.segmentation)
        return {"mask": str(path), "segmentation": str(beside)}

    def _free_path(self, source: Path, ending: str) -> Path:
        base = source.name
        stem = base[: -len(".nii.gz")] if base.lower().endswith(".nii.gz") else source.stem
        beside = self._is_source(f"{stem}{ending}")
        first = f"{stem}-mask" if beside else stem
        for name in chain([first], (f"{first}-{number}" for number in count(2))):
            path = self._folder / f"{name}{ending}"
            # Among scans a file of such a name may be a mask that a reader drew.
            if name.lower() not in self._taken and not self._is_source(path.name) and not (beside and path.exists()):
                break
        self._taken.add(name.lower())
        return path

    def _is_source(self, name: str) -> bool:
        return str((self._folder / name).resolve()).lower() in self._sources
