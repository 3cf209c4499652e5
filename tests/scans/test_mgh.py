import gzip
import subprocess
import sys

import nibabel
import numpy as np
import pytest
from nibabel.freesurfer.mghformat import MGHHeader

from braintumor.scans import Limits, ScanError, phantom, read
from braintumor.scans.limits import SMALLEST_SLICE
from braintumor.segmentation import mask_nifti

HEADER = MGHHeader._hdrdtype
HEAD = np.stack([phantom(32, seed=number) for number in range(20)], axis=-1)
# Columns to the patient's left, slices to the back, as FreeSurfer's own volumes lie; 1 × 1 × 1.5 mm.
CORONAL = np.array([[-1.0, 0, 0, 16], [0, 0, 1.5, -15], [0, -1.0, 0, 17], [0, 0, 0, 1]])


def _mgh(values=HEAD, affine=CORONAL, **fields):
    data = nibabel.MGHImage(values, affine).to_bytes()
    header = np.frombuffer(bytearray(data[: HEADER.itemsize]), HEADER)
    for name, value in fields.items():
        header[name] = value
    return header.tobytes() + data[HEADER.itemsize :]


@pytest.mark.parametrize("packed", [bytes, gzip.compress])
@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int32, np.float32])
def test_it_is_read_as_the_same_volume_in_nifti_is(dtype, packed):
    values = (HEAD.astype(float) * 100 if dtype != np.uint8 else HEAD).astype(dtype)
    scan = read(packed(_mgh(values)), "brain.mgz")
    same = read(nibabel.Nifti1Image(values, CORONAL, dtype=dtype).to_bytes(), "brain.nii")
    np.testing.assert_array_equal(scan.pixels, same.pixels)
    np.testing.assert_allclose(scan.affine, same.affine)
    assert scan.spacing == pytest.approx(same.spacing)
    assert scan.facts == same.facts | {"format": "MGH"}


def test_content_counts_and_not_the_name():
    assert read(_mgh(), "brain.dat").facts["format"] == "MGH"


def test_its_mask_lies_as_it_does():
    scan = read(_mgh(), "brain.mgz")
    mask = nibabel.Nifti1Image.from_bytes(gzip.decompress(mask_nifti(scan.pixels > 90, scan.placement)))
    np.testing.assert_array_equal(np.asarray(mask.dataobj), HEAD > 90)
    np.testing.assert_allclose(mask.affine, CORONAL, atol=1e-6)
    np.testing.assert_allclose(mask.header.get_zooms(), (1, 1, 1.5))


def test_without_coordinates_orientation_is_assumed_and_size_unknown():
    scan = read(_mgh(goodRASFlag=0), "brain.mgz")
    assert (scan.facts["oriented"], scan.facts["plane"], scan.spacing) == (False, "axial", None)
    mask = nibabel.Nifti1Image.from_bytes(gzip.decompress(mask_nifti(scan.pixels > 90, scan.placement)))
    assert (int(mask.header["sform_code"]), int(mask.header["qform_code"])) == (0, 0)


@pytest.mark.parametrize(
    ("data", "limits"),
    [
        (_mgh(np.stack([HEAD, HEAD], axis=-1)), Limits()),
        (_mgh()[:-5000], Limits()),
        (gzip.compress(_mgh())[:-500], Limits()),
        (_mgh(dims=[32, 32, 0, 1]), Limits()),
        (_mgh(dims=[-32, 32, 20, 1]), Limits()),
        (_mgh(delta=np.nan), Limits()),
        (_mgh(delta=0), Limits()),
        (_mgh(Mdc=0), Limits()),
        (_mgh(), Limits(max_voxels=HEAD.size - 1)),
        (_mgh(), Limits(max_slices=19)),
        (_mgh(), Limits(max_total_pixels=20 * SMALLEST_SLICE - 1)),
    ],
)
def test_what_cannot_be_used_is_refused(data, limits):
    with pytest.raises(ScanError) as refused:
        read(data, "brain.mgz", limits)
    assert refused.value.source == "brain.mgz"


def test_two_threads_may_be_the_first_to_read_a_volume(tmp_path):
    (tmp_path / "a.mgz").write_bytes(gzip.compress(_mgh()))
    (tmp_path / "b.nii").write_bytes(nibabel.Nifti1Image(HEAD, CORONAL).to_bytes())
    script = """
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from braintumor.scans import read
with ThreadPoolExecutor(2) as pool:
    print(*(scan.shape for scan in pool.map(lambda path: read(path.read_bytes(), path.name), map(Path, sys.argv[1:]))))
"""
    paths = [str(tmp_path / name) for name in ("a.mgz", "b.nii")]
    done = subprocess.run([sys.executable, "-c", script, *paths], capture_output=True, text=True, check=False)
    assert done.stdout.count("(") == 2, done.stderr
