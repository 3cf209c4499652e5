"""Stacks of made-up slices as a hospital has them, for tests."""

import numpy as np

from tests.conftest import png_bytes
from tests.training.heads import disc, head

SIZE = 48


def slice_picture(seed, tumor):
    """A dark head with single bright pixels, too few for any cell of the map, and with a bright disc as its tumor."""
    dark = head(SIZE, seed=seed) // 3
    dark[(dark > 0) & (np.random.default_rng(seed).random(dark.shape) < 0.03)] = 255
    return np.where(disc(SIZE, 22, 16, 6), np.uint8(255), dark) if tumor else dark


def put_hospital(root, name, patients):
    """Write the slices of {patient, a letter: (how many, sequences)}, four with a tumor each; gives lines of a list."""
    (root / "lgg").mkdir(exist_ok=True)
    lines = []
    for patient, (count, sequences) in patients.items():
        for layer in range(count):
            for sequence in sequences:
                tumor = 1 <= layer < 5
                path = f"{patient}{layer:02}_{sequence}.png"
                (root / "lgg" / path).write_bytes(png_bytes(slice_picture(100 * ord(patient) + layer, tumor)))
                lines.append(f"{path},{'glioma' if tumor else 'notumor'},{patient},,{name},{sequence}")
    return lines


def write_list(root, lines):
    """Write the list of the folder that ``put_hospital`` wrote to."""
    (root / "lgg" / "index.csv").write_text("\n".join(["path,label,group,mask,institution,sequence", *lines]))
