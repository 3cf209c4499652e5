import gzip
import re
import struct
import subprocess
import sys
import time
import zlib
from pathlib import Path

import nibabel
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import braintumor
from braintumor.scans import Limits, Scan, ScanError, prepare, read, read_all
from tests.scans.nifti_files import FILE, SHAPE, VALUES, head, in_members, nifti, rows, with_fields

DAMAGED = "This volume is damaged or cut short."
TOO_LARGE = "This volume has more voxels than are accepted."
NO_VOLUME = "This NIfTI file holds no volume."
NOWHERE = "This volume does not say how it lies in space."
QUATERNION = "This volume's orientation is given by a quaternion that is not of unit length."
PAIR = "This is the header of a NIfTI or Analyze pair."
COLORS = "This volume holds colors, not gray values."
COMPLEX = "This volume holds complex numbers."
NO_NUMBERS = "This file holds no values that are numbers."
OTHER_TYPE = "The type of this volume's values cannot be read."
NOT_A_PICTURE = "This file is not a picture that can be read."
ONLY_NIFTI = "Of files packed with gzip only NIfTI and FreeSurfer volumes can be read."


def _rgb(shape=SHAPE, kind="RGB"):
    return np.zeros(shape, [(name, "u1") for name in kind])


UPRIGHT = ([1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 4, 0])
FLAT = {"sform_code": 0, "qform_code": 1}
NOTHING = {"sform_code": 0, "qform_code": 0}

REFUSED = {
    "four volumes": (nifti(np.zeros((17, 18, 19, 4), np.uint8)), "This file holds 4 volumes."),
    "vectors": (nifti(np.zeros((17, 18, 19, 1, 3), np.uint8)), "This file holds 3 volumes."),
    "volumes of vectors": (nifti(np.zeros((17, 18, 19, 5, 3), np.uint8)), "This file holds 15 volumes."),
    "colors": (nifti(_rgb()), COLORS),
    "colors with alpha": (nifti(_rgb(kind="RGBA")), COLORS),
    "complex": (nifti(VALUES.astype(np.complex64)), COMPLEX),
    "double complex": (nifti(VALUES.astype(np.complex128)), COMPLEX),
    "long double": (with_fields(FILE, datatype=1536), OTHER_TYPE),
    "long double complex": (with_fields(FILE, datatype=2048), COMPLEX),
    "NaN alone": (nifti(np.full(SHAPE, np.nan)), NO_NUMBERS),
    "infinity alone": (nifti(np.full(SHAPE, np.inf)), NO_NUMBERS),
    "one dimension": (with_fields(FILE, dim=[1, 17, 1, 1, 1, 1, 1, 1]), NO_VOLUME),
    "no voxels": (with_fields(FILE, dim=[3, 17, 0, 19, 1, 1, 1, 1]), NO_VOLUME),
    "fewer voxels than none": (with_fields(FILE, dim=[3, 17, -18, 19, 1, 1, 1, 1]), NO_VOLUME),
    "no fourth dimension": (with_fields(FILE, dim=[4, 17, 18, 19, 0, 1, 1, 1]), NO_VOLUME),
    "no dimensions": (with_fields(FILE, dim=[0] * 8), DAMAGED),
    "eight dimensions": (with_fields(FILE, dim=[8, *[1] * 7]), DAMAGED),
    "dimensions below none": (with_fields(FILE, dim=[-3, 17, 18, 19, 1, 1, 1, 1]), DAMAGED),
    "surface": (with_fields(FILE, dim=[3, -1, 1, 1, 1, 1, 1, 1]), DAMAGED),
    "too small": (
        nifti(np.zeros((15, 40, 5), np.uint8)),
        "The slices of this volume are 15 × 40 pixels, too small to show a brain.",
    ),
    "too narrow in the plane": (
        nifti(np.zeros((40, 15, 5), np.uint8), np.diag([1, 4, 1, 1])),
        "The slices of this volume are 40 × 5 pixels, too small to show a brain.",
    ),
    "too many slices": (
        nifti(np.zeros((16, 16, 769), np.uint8)),
        "This volume has 769 slices, more than are accepted.",
    ),
    "more voxels than there are": (with_fields(FILE, dim=[3, 17, 18, 20, 1, 1, 1, 1]), DAMAGED),
    "more voxels than there are in gzip": (gzip.compress(with_fields(FILE, dim=[3, 17, 18, 20, 1, 1, 1, 1])), DAMAGED),
    "one voxel fewer": (FILE[:-2], DAMAGED),
    "half a voxel fewer": (FILE[:-1], DAMAGED),
    "all but one voxel of a piece": (nifti(np.zeros((1024, 1025, 1), np.uint8))[: 352 + 2**20 + 1], DAMAGED),
    "no voxels at all": (FILE[:352], DAMAGED),
    "header alone": (FILE[:348], DAMAGED),
    "header cut short": (FILE[:347], DAMAGED),
    "unknown type": (with_fields(FILE, datatype=3), OTHER_TYPE),
    "bits for a type": (with_fields(FILE, datatype=1), OTHER_TYPE),
    "no type": (with_fields(FILE, datatype=0), OTHER_TYPE),
    "voxels inside the header": (with_fields(FILE, vox_offset=100), DAMAGED),
    "voxels before the file": (with_fields(FILE, vox_offset=-5000), DAMAGED),
    "voxels behind the file": (with_fields(FILE, vox_offset=1_000_000), DAMAGED),
    "voxels far behind the file": (with_fields(FILE, vox_offset=1e30), DAMAGED),
    "voxels at infinity": (with_fields(FILE, vox_offset=np.inf), DAMAGED),
    "voxels nowhere": (with_fields(FILE, vox_offset=np.nan), DAMAGED),
    "flat sform": (with_fields(FILE, **rows(*UPRIGHT[:2], [0, 0, 0, 0])), NOWHERE),
    "sform with two axes alike": (with_fields(FILE, **rows([1, 1, 0, 0], [1, 1, 0, 0], UPRIGHT[2])), NOWHERE),
    "sform of zeros": (with_fields(FILE, **rows([0] * 4, [0] * 4, [0] * 4)), NOWHERE),
    "sform with NaN": (with_fields(FILE, **rows([np.nan, 0, 0, 0], *UPRIGHT[1:])), NOWHERE),
    "sform with an infinite place": (with_fields(FILE, **rows([1, 0, 0, np.inf], *UPRIGHT[1:])), NOWHERE),
    "sform too large for its size": (
        nifti(kind=nibabel.Nifti2Image, **rows([1e200, 0, 0, 0], *UPRIGHT[1:])),
        NOWHERE,
    ),
    "sform too small for its size": (
        nifti(kind=nibabel.Nifti2Image, **rows([1e-200, 0, 0, 0], *UPRIGHT[1:])),
        NOWHERE,
    ),
    "sform almost flat": (with_fields(FILE, **rows([1, 1, 0, 0], [0, 0.005, 0, 0], UPRIGHT[2])), NOWHERE),
    "quaternion too long": (with_fields(FILE, **FLAT, quatern_b=1, quatern_c=1), QUATERNION),
    "quaternion of NaN": (with_fields(FILE, **FLAT, quatern_b=np.nan), NOWHERE),
    "voxels of size NaN": (with_fields(FILE, **NOTHING, pixdim=[1, np.nan, 1, 1, 0, 0, 0, 0]), NOWHERE),
    "pair": (with_fields(FILE, magic=b"ni1"), PAIR),
    "pair of version 2": (nifti(kind=nibabel.Nifti2Image, magic=b"ni2"), PAIR),
    "pair in gzip": (gzip.compress(with_fields(FILE, magic=b"ni1")), PAIR),
    "Analyze": (struct.pack("<i", 348) + bytes(344), PAIR),
    "Analyze from a big-endian machine": (struct.pack(">i", 348) + bytes(344), PAIR),
    "size of an Analyze header before more": (struct.pack("<i", 348) + bytes(345), NOT_A_PICTURE),
    "gzip of Analyze": (gzip.compress(struct.pack("<i", 348) + bytes(344)), PAIR),
    "version 2 with line ends mended": (nifti(kind=nibabel.Nifti2Image, eol_check=[10] * 4), DAMAGED),
    "gzip of a picture": (gzip.compress(b"\x89PNG\r\n\x1a\n" + bytes(999)), ONLY_NIFTI),
    "gzip of nothing": (gzip.compress(b""), ONLY_NIFTI),
    "gzip mark alone": (b"\x1f\x8b", ONLY_NIFTI),
    "gzip of gzip": (gzip.compress(gzip.compress(FILE)), ONLY_NIFTI),
    "noise behind a gzip mark": (b"\x1f\x8b\x08" + np.random.default_rng(1).bytes(4000), ONLY_NIFTI),
    "gzip with a wrong checksum": (gzip.compress(FILE)[:-8] + bytes(8), DAMAGED),
    "gzip without its end": (gzip.compress(FILE)[:-1], DAMAGED),
    "gzip without its last member": (in_members(FILE, 5000)[:-30], DAMAGED),
    "gzip with a damaged second member": (gzip.compress(FILE[:5000]) + b"\x1f\x8b" + bytes(99), DAMAGED),
}  # fmt: skip
SENTENCE = re.compile(r"[A-Z][^.!?\n\r]*\.")


@pytest.mark.parametrize(("data", "reason"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_used_is_refused_with_its_reason(data, reason):
    with pytest.raises(ScanError) as caught:
        read(data, "some/head\x00.nii")
    error = caught.value
    assert (error.reason, error.source) == (reason, "some/head.nii")
    assert SENTENCE.fullmatch(error.reason)
    assert SENTENCE.fullmatch(error.hint)


HUGE = with_fields(FILE, dim=[3, 32767, 32767, 32767, 1, 1, 1, 1])
HUGE_2 = nifti(kind=nibabel.Nifti2Image, dim=[3, 2**62, 2**62, 2**62, 1, 1, 1, 1])
SLAB = (20, 30, 40)


@pytest.mark.parametrize(
    ("data", "limits", "reason"),
    [
        (HUGE, Limits(), TOO_LARGE),
        (gzip.compress(HUGE), Limits(), TOO_LARGE),
        (HUGE_2, Limits(), TOO_LARGE),
        (with_fields(FILE, dim=[3, 8000, 8000, 1, 1, 1, 1, 1]), Limits(), TOO_LARGE),
        (with_fields(FILE, dim=[2, 5001, 5000, 1, 1, 1, 1, 1]), Limits(), TOO_LARGE),
        (with_fields(FILE, dim=[2, 5000, 5000, 1, 1, 1, 1, 1]), Limits(), DAMAGED),
        (with_fields(FILE, dim=[3, 400, 400, 401, 1, 1, 1, 1]), Limits(), TOO_LARGE),
        (with_fields(FILE, dim=[3, 382, 382, 383, 1, 1, 1, 1]), Limits(), DAMAGED),
        (nifti(np.zeros(SLAB, np.uint8)), Limits(max_voxels=20 * 30 * 40), None),
        (nifti(np.zeros(SLAB, np.uint8)), Limits(max_voxels=20 * 30 * 40 - 1), TOO_LARGE),
        (nifti(np.zeros(SLAB, np.uint8)), Limits(max_pixels=20 * 30), None),
        (nifti(np.zeros(SLAB, np.uint8)), Limits(max_pixels=20 * 30 - 1), TOO_LARGE),
        (nifti(np.zeros((16, 16, 768), np.uint8)), Limits(), None),
        (FILE, Limits(max_bytes=len(FILE) - 1, max_voxels=10**9), "This file is larger than 0 MB."),
    ],
)
def test_size_is_bounded_by_what_the_header_claims(data, limits, reason):
    (outcome,) = read_all(data, "head.nii", limits)
    assert (outcome.reason if isinstance(outcome, ScanError) else None) == reason


HEAD = {"plain": nifti(head()), "gzip": gzip.compress(nifti(head()))}


@pytest.mark.parametrize("packing", HEAD)
@pytest.mark.parametrize("share", [0.02, 0.1, 0.35, 0.5, 0.8, 0.9, 0.99, 0.999])
def test_a_volume_cut_short_is_never_taken_for_whole(packing, share):
    (outcome,) = read_all(HEAD[packing][: int(len(HEAD[packing]) * share)], "head.nii")
    assert isinstance(outcome, ScanError)


@settings(max_examples=300)
@given(
    packing=st.sampled_from(sorted(HEAD)),
    flips=st.lists(st.tuples(st.integers(0, 351), st.integers(0, 7)), min_size=1, max_size=6),
    far=st.booleans(),
)
def test_a_damaged_volume_is_an_error_or_a_whole_scan(packing, flips, far):
    broken = np.frombuffer(HEAD[packing], np.uint8).copy()
    for place, bit in flips:
        broken[place * (len(broken) // 352 if far else 1)] ^= 1 << bit
    started = time.process_time()
    (outcome,) = read_all(broken.tobytes(), "head.nii", Limits(max_voxels=10**6))
    assert time.process_time() - started < 5
    if isinstance(outcome, Scan):
        assert outcome.pixels.size <= 10**6
        assert prepare(outcome.pixels[0], 32).image.shape == (32, 32)
    else:
        assert SENTENCE.fullmatch(outcome.reason)


def _bomb(mebibytes, head=FILE, tail=b""):
    packer = zlib.compressobj(1, wbits=31)
    parts = [packer.compress(head)]
    parts += [packer.compress(bytes(2**20)) for _ in range(mebibytes)]
    return b"".join(parts) + packer.flush() + tail


def test_no_gzip_takes_much_time_or_memory():
    tiny = gzip.compress(b"\0")
    cases = {
        "leftovers": _bomb(150),
        "no NIfTI": _bomb(150, head=b""),
        "far voxels": _bomb(150, head=with_fields(FILE, vox_offset=2**28)[:352]),
        "claims much": _bomb(0, head=with_fields(FILE, dim=[3, 382, 382, 383, 1, 1, 1, 1])),
        "tiny members": gzip.compress(FILE[:352]) + tiny * 200_000,
        "tiny members before": tiny * 200_000,
        "empty members": gzip.compress(FILE[:352]) + gzip.compress(b"") * 200_000,
        "long name": b"\x1f\x8b\x08\x08\0\0\0\0\0\xff" + b"n" * 20_000_000,
        "long comment": b"\x1f\x8b\x08\x10\0\0\0\0\0\xff" + b"n" * 20_000_000 + b"\0" + gzip.compress(FILE)[10:],
    }
    run = subprocess.run(
        [sys.executable, "-c", READER],
        input=b"".join(struct.pack("<I", len(data)) + data for data in cases.values()),
        cwd=Path(braintumor.__file__).parents[1],
        capture_output=True,
        check=True,
        timeout=60,
    )
    told = [line.split("\t") for line in run.stdout.decode().splitlines()]
    assert [reason for reason, _, _ in told] == [
        "a scan", ONLY_NIFTI, DAMAGED, DAMAGED, DAMAGED, ONLY_NIFTI, ONLY_NIFTI, ONLY_NIFTI, "a scan",
    ]  # fmt: skip
    for name, (_, seconds, mebibytes) in zip(cases, told, strict=True):
        assert float(seconds) < 5, name
        assert int(mebibytes) < 100, name


READER = """
import resource, struct, sys, time
import nibabel
from braintumor.scans import Scan, read_all
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
cases = []
while size := sys.stdin.buffer.read(4):
    cases.append(sys.stdin.buffer.read(struct.unpack("<I", size)[0]))
before = peak()
for data in cases:
    started = time.monotonic()
    (outcome,) = read_all(data, "head.nii.gz")
    told = "a scan" if isinstance(outcome, Scan) else outcome.reason
    print(told, time.monotonic() - started, peak() - before, sep="\\t")
    before = peak()
"""
