"""Answers of the shipped model to scans drawn when asked for: ``python -m tests.inference.golden`` writes them.

Run it only when another model ships, or a change is meant to alter answers.
"""

import io
import json
from dataclasses import asdict
from pathlib import Path

import nibabel
import numpy as np
from PIL import Image

from braintumor.datasets.changes import CHANGES
from braintumor.inference import Predictor
from braintumor.scans import phantom, read
from tests.bundles.made_card import with_card
from tests.conftest import SHIPPED, png_bytes

FILE = Path(__file__).with_name("golden.json")
_HEADS = 8


def scans():
    """Every change of a scan, plain heads, several pages, and volumes: some seventy scans by name."""
    for number, change in enumerate(CHANGES):
        head = phantom(192, tumor=bool(number % 3), seed=number % _HEADS)
        yield read(change.make(head), change.name)
    for seed in range(_HEADS):
        yield read(png_bytes(phantom(tumor=bool(seed % 2), seed=seed)), f"head {seed}")
    yield read(png_bytes(np.full((128, 128), 200)), "blank")
    yield read(_pages(5), "pages.tif")
    yield read(_volume(9, tumor=True), "tumor.nii")
    yield read(_volume(9, tumor=False), "clear.nii")
    yield read(_volume(3, tumor=True), "short.nii")


def _pages(count):
    stored = io.BytesIO()
    first, *others = (Image.fromarray(phantom(128, tumor=bool(seed % 2), seed=seed)) for seed in range(count))
    first.save(stored, "TIFF", save_all=True, append_images=others)
    return stored.getvalue()


def _volume(slices, *, tumor):
    layers = [phantom(96, tumor=tumor and abs(2 * number - slices) < 5, seed=3) for number in range(slices)]
    voxels = np.pad(np.stack(layers, axis=-1), ((0, 0), (0, 0), (1, 0))).astype(np.int16)
    return nibabel.Nifti1Image(voxels, np.diag([2.0, 2.0, 5.0, 1.0])).to_bytes()


def answers(predictor):
    """Give what is said of each of ``scans``, ready for JSON."""
    drawn = list(scans())
    return {scan.source: answer(found) for scan, found in zip(drawn, predictor.predict(drawn), strict=True)}


def predictors():
    """The shipped model, and two that take everything for a scan, one of which never sees a tumor on a slice.

    Between them all kinds of answers occur.
    """
    shipped = Predictor.load(SHIPPED)
    return {
        "shipped": shipped,
        "trusting": _changed(shipped, distance_limit=None),
        "blind": _changed(shipped, threshold=1.0, tumor_low=1.0, tumor_high=1.0, distance_limit=None),
    }


def _changed(predictor, **changes):
    point = {name if name == "threshold" else f"referral.{name}": value for name, value in changes.items()}
    named = {f"operating_point.{name}": value for name, value in point.items()}
    anything = {"marks": None, "volume_rule.distance_limit": None}
    return Predictor(with_card(predictor.bundle, {**anything, **named}))


def answer(found):
    """Give codes and numbers of a prediction, ready for JSON."""
    measured = found.measurements()
    return {
        "decision": found.decision,
        "finding": found.finding,
        "reasons": [reason.code for reason in found.reasons],
        "notes": list(found.notes),
        "p_tumor": found.p_tumor,
        "probabilities": list(found.probabilities.values()),
        "slices": [one.p_tumor for one in found.slices],
        "slice": found.slice_number,
        "rests_on": list(found.rests_on),
        "limits": [found.threshold, found.doubt_from, found.sure_from],
        "cam": None if found.cam is None else found.cam.sum(axis=(0, 1)).tolist(),
        "outline": measured and asdict(measured),
    }


def rounded(value):
    """Cut floats in nested values to seven digits."""
    if isinstance(value, dict):
        return {name: rounded(part) for name, part in value.items()}
    if isinstance(value, list):
        return [rounded(part) for part in value]
    return float(f"{value:.7g}") if isinstance(value, float) else value


if __name__ == "__main__":
    golden = {name: answers(predictor) for name, predictor in predictors().items()}
    FILE.write_text(json.dumps(rounded(golden)) + "\n", "utf-8")
