"""What the app writes at run time, searched for what must not be read there: names, dates of birth and pixels."""

import os
from pathlib import Path

import numpy as np

from braintumor.scans import phantom

WHO = (
    *("Zoë", "Müller", "ller-Wei", "Jane Doe", "Jane Roe", "Jane^", "^Jane", "Doe^", "Canary", "Zeisig", "Иванова"),
    *("MRN-00417", "1961-04-05", "19610405", "1980-02-03"),
)
"""Names, numbers and dates of birth of patients in tests; those of accounts are kept in the clear."""
FORMATS = (b"\x89PNG\r\n\x1a\n", b"JFIF\0", bytes(8) + b"DICM")
STARTS = (b"\x1f\x8b\x08", b"PK\x03\x04", b"\x93NUMPY")
"""Formats known by so few bytes that an encrypted file may hold them by chance, but hardly begins with them."""
_SEEDS = range(1, 6)


def _pixels():
    """Rows through the heads that tests lay on desks, as bytes and as numbers of the kinds that scans are kept as."""
    for seed in _SEEDS:
        row = phantom(64, seed=seed)[30, 16:48]
        yield from (row.astype(kind).tobytes() for kind in (np.uint8, np.float32))


def needles():
    """Give what to search for, as bytes."""
    return [*(text.encode() for text in WHO), *FORMATS, *_pixels()]


def in_the_clear(root):
    """Give the files below ``root`` that lie beside a database or a vault of the app and hold what they must not."""
    wanted, found = needles(), []
    for folder, names, files in os.walk(root):
        if "vault" in names or any(file.endswith(".sqlite3") for file in files):
            names.clear()
            paths = (path for path in Path(folder).rglob("*") if path.is_file())
            found += [path for path in paths if _is_clear(path.read_bytes(), wanted)]
    return found


def _is_clear(content, wanted):
    return content.startswith(STARTS) or any(needle in content for needle in wanted)
