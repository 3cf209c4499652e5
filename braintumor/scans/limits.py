"""What is accepted of a file and of a whole upload."""

from dataclasses import dataclass

from braintumor.scans.scan import ScanError

SMALLEST_SLICE = 260_000
"""Pixels that a slice counts for at least: however small, it takes 15 ms to judge and its answer 130 KB to keep."""


@dataclass(frozen=True)
class Limits:
    """What is accepted: bytes a file, scans a ZIP archive, pixels a picture or slice, bytes an archive unpacks to.

    ``max_objects`` bounds the files that are taken of an archive, and the DICOM objects of an upload, of which a study
    has one a slice: some 3 KB of each are held until all were looked at. Their pixels are read series by series.

    Pixels of WebP count twice, since decoding them takes twice the memory of others. ``max_voxels`` bounds a volume,
    whatever its file was packed to; as float32 that many take 4 bytes each. ``max_slices`` bounds the slices of a
    volume and the pages or frames of a picture. ``max_total_pixels`` bounds what all files of one upload are decoded
    to, see ``PixelBudget``: eight of the largest pictures, three of the largest volumes, or 769 slices.
    """

    max_bytes: int = 50 * 2**20
    max_files: int = 200
    max_pixels: int = 25_000_000
    max_archive_bytes: int = 500 * 2**20
    max_voxels: int = 56_000_000
    max_slices: int = 768
    max_total_pixels: int = 200_000_000
    max_objects: int = 20_000


DEFAULT_LIMITS = Limits()


LARGEST_RATIO = 200
"""How many times its size a packed file may unpack to, once that is ``RATIO_COUNTS_FROM`` bytes or more."""
RATIO_COUNTS_FROM = 2**20


class PixelBudget:
    """The pixels that one upload may still be decoded to, ``left`` of them, shared by all of its files.

    Taken before decoding, and not given back by what turns out damaged: its decoding has cost the same.
    """

    def __init__(self, pixels: int) -> None:
        self.left = pixels

    def take(self, pixels: int, slices: int = 1) -> None:
        """Take the pixels of so many slices, at least ``SMALLEST_SLICE`` each.

        Raises ``ScanError``, and takes none, where fewer are left.
        """
        taken = max(pixels, slices * SMALLEST_SLICE)
        if taken > self.left:
            raise ScanError("This upload holds more pixels than are accepted at once.", "Upload the rest on its own.")
        self.left -= taken
