"""NIfTI files that the tests make."""

import gzip

import nibabel
import numpy as np

from braintumor.scans import phantom

SHAPE = (17, 18, 19)
VALUES = np.arange(np.prod(SHAPE), dtype=np.int16).reshape(SHAPE)


def nifti(values=VALUES, affine=None, kind=nibabel.Nifti1Image, **fields):
    """A NIfTI file of the values; fields of its header are overwritten afterwards, whatever they then mean."""
    affine = np.diag([1, 1, 4, 1]) if affine is None else affine
    data = kind(values, affine, dtype=values.dtype).to_bytes()
    return with_fields(data, kind.header_class, **fields)


def with_fields(data, header_class=nibabel.Nifti1Header, **fields):
    size = header_class.template_dtype.itemsize
    header = header_class(data[:size], check=False)
    for name, value in fields.items():
        header.structarr[name] = value
    return header.binaryblock + data[size:]


def head(side=32, slices=8):
    return np.stack([phantom(side, seed=number) for number in range(slices)], axis=-1)


FILE = nifti()


def in_members(data, size):
    return b"".join(gzip.compress(data[start : start + size]) for start in range(0, len(data), size))


def rows(*rows):
    return {f"srow_{name}": row for name, row in zip("xyz", rows, strict=True)}
