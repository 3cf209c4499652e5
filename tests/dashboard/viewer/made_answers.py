"""Answers made by hand, for what is shown of them."""

import numpy as np

from braintumor.dashboard.answers import Answer, _picture
from braintumor.heatmaps import CellGrid
from braintumor.inference import Prediction, SliceAnswer
from braintumor.scans import prepare
from braintumor.taxonomy import CLASSES


def spot(size=64):
    """A map that holds a tumor in one place."""
    rows, columns = np.ogrid[:size, :size]
    away = np.hypot(rows - 0.4 * size, columns - 0.65 * size)
    return (1 / (1 + np.exp(0.8 * (away - size / 8)))).astype(np.float32)


def made_answer(
    decision="tumor",
    finding="glioma",
    sha256="0" * 64,
    pixels=None,
    p_tumors=(0.9,),
    tumor_map=None,
    kept=(),
    aspect=1.0,
):
    pixels = np.zeros((40, 40), np.float32) if pixels is None else pixels
    own = int(np.argmax(p_tumors))
    prediction = Prediction(
        source="scan.png",
        sha256=sha256,
        probabilities=dict(zip(CLASSES, (0.1, 0.7, 0.1, 0.1), strict=True)),
        p_tumor=max(p_tumors),
        decision=decision,
        finding=finding,
        reasons=(),
        seconds=0.01,
        bundle="net 1",
        slice_number=own,
        slices=tuple(SliceAnswer(p_tumor, prepare(pixels, 192, aspect), tumor_map) for p_tumor in p_tumors),
        shape=(len(p_tumors), *pixels.shape),
        spacing=None,
        placement=None,
        cam=np.ones((11, 11, 4 if tumor_map is None else 3), np.float32),
        grid=CellGrid(192, 15.5, 16.0),
        threshold=0.5,
        doubt_from=0.25,
        sure_from=0.75,
    )
    return Answer(
        "key",
        prediction,
        prediction.measurements() if finding else None,
        _picture(pixels, 640, aspect),
        {number: _picture(pixels, 320, aspect) for number in kept},
    )
