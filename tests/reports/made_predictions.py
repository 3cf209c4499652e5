"""Predictions made by hand, of a slice or of a volume."""

import numpy as np
from nibabel.nifti1 import Nifti1Header

from braintumor.heatmaps import CellGrid
from braintumor.inference import Prediction, SliceAnswer
from braintumor.scans import Placement, phantom, prepare

SPACING = (5.0, 0.5, 0.5)
AFFINE = ((-0.5, 0.0, 0.0, 9.0), (0.0, -0.5, 0.0, 8.0), (0.0, 0.0, 5.0, 7.0), (0.0, 0.0, 0.0, 1.0))


def placement(shape):
    """Give a NIfTI header for (slices, height, width), with columns, rows and slices along its axes."""
    header = Nifti1Header()
    header.set_data_shape(shape[::-1])
    header.set_sform(AFFINE, 1)
    return Placement(header.binaryblock, ((2, 1), (1, 1), (0, 1)))


def answered(*arguments, **options):
    made = prediction(*arguments, **options)
    return made, made.measurements()


def prediction(
    source="slice.png", decision="tumor", finding="glioma", reasons=(), sha256="0" * 64, p_tumors=(0.875,), located=True
):
    tumor_map = np.zeros((8, 8), np.float32)
    tumor_map[2:6, 2:6] = 0.9
    shown = prepare(phantom(40).astype(np.float32), 64)
    is_volume = len(p_tumors) > 1
    return Prediction(
        source=source,
        sha256=sha256,
        probabilities={"glioma": 0.7, "meningioma": 0.125, "pituitary": 0.05, "notumor": 0.125},
        p_tumor=0.875,
        decision=decision,
        finding=finding,
        reasons=reasons,
        seconds=0.03125,
        bundle="squeezenet 1",
        slice_number=0,
        slices=tuple(SliceAnswer(p_tumor, shown, tumor_map if located else None) for p_tumor in p_tumors),
        shape=(len(p_tumors), 40, 40),
        spacing=SPACING if is_volume else None,
        placement=placement((len(p_tumors), 40, 40)) if is_volume else None,
        cam=np.zeros((2, 2, 4), np.float32),
        grid=CellGrid(8, 1.5, 4.0),
        threshold=0.5,
        doubt_from=0.25,
        sure_from=0.75,
    )
