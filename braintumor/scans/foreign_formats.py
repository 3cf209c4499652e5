"""Files that people send and that cannot be read: what each is, and what to do with it instead."""

from pathlib import PurePosixPath

from braintumor.scans.limits import Limits, PixelBudget
from braintumor.scans.scan import Scan, ScanError

_CONVERT = "Convert the volume to NIfTI (.nii.gz) and try again."
_EXPORT = "Export the slice as PNG or JPEG and try again."
_UNPACK = "Unpack the picture, or convert the volume to NIfTI, and try again."
_DOWNLOAD = "Download or copy the scan itself again."
_LOOKED_AT = 512
_PRINTABLE = frozenset(range(32, 127)) | frozenset(b"\t\n\r\f")
_BARE_VOXELS = frozenset({".img", ".hdr", ".raw", ".zraw"})
_MARKS = {
    b"ObjectType": ("MetaImage volumes cannot be read.", _CONVERT),
    b"NDims": ("MetaImage volumes cannot be read.", _CONVERT),
    b"NRRD000": ("NRRD volumes cannot be read.", _CONVERT),
    b"\x1f\x8b": ("Of files packed with gzip only NIfTI and FreeSurfer volumes can be read.", _UNPACK),
    b"%PDF-": ("This is a PDF document, not a picture.", _EXPORT),
    b"version https://git-lfs": (
        "This is a Git LFS pointer, a text that stands for the scan.",
        "Fetch the scan with git lfs pull.",
    ),
}


def is_known(data: bytes, name: str) -> bool:
    """Tell whether a file is of a known kind that cannot be read."""
    return _refusal(data, name) is not None


def refuse(data: bytes, name: str, sha256: str, limits: Limits, budget: PixelBudget) -> Scan:
    """Raise the ``ScanError`` for a file of a known kind that cannot be read."""
    raise ScanError(*(_refusal(data, name) or ("This file cannot be read.", _EXPORT)), name)


def _refusal(data: bytes, name: str) -> tuple[str, str] | None:
    """Give the reason and the next step for a file of a known kind that cannot be read, None for any other file.

    Content decides; bare voxels, which have no mark of their own, are known by ``name``.
    """
    suffix = PurePosixPath(name).suffix.lower()
    for mark, said in _MARKS.items():
        if data.startswith(mark):
            return said
    start = data[:_LOOKED_AT].lstrip().lower()
    if start.startswith((b"<!doctype html", b"<html")):
        return "This is a web page saved under a scan's name.", _DOWNLOAD
    if start and _PRINTABLE.issuperset(start):
        return "This is a text file, not a scan.", _DOWNLOAD
    return ("These are voxels whose header lies in another file.", _CONVERT) if suffix in _BARE_VOXELS else None
