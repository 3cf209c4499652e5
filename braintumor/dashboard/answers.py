"""Scans to answers, by the models of this server."""

import hashlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, lru_cache

import numpy as np
import streamlit as st
from numpy.typing import NDArray
from PIL import Image

from braintumor import settings
from braintumor.bundles import Bundle
from braintumor.inference import Prediction, Predictor, Predictors
from braintumor.scans import Limits, Scan, ScanError, Unit, in_window, phantom, with_square_pixels
from braintumor.segmentation import Measurements

MOST_SLICES_KEPT = 512
"""Slices of volumes whose pictures a guest's desk holds; as many as take some 50 MB."""

_LONGEST_SIDE = 640
_LONGEST_SLICE_SIDE = 320
MOST_OF_A_VOLUME = 160
"""Slices of one volume whose pictures come with its answer."""


@dataclass(frozen=True)
class Answer:
    """A scan's prediction, what its mask measures, and its pictures for display, each uint8 (height, width).

    Pixels of the pictures are square, so that a head has its true proportions.

    ``measurements`` are None where there is no mask or nothing was found to be a scan. ``picture`` is the slice that
    answers, at most 640 pixels a side. ``slices`` has those of a volume by their numbers, in order, at most 320 pixels
    a side: that slice, and of the others one in so many where there is no room for all, or none; all share
    one window, that of the slice that answers. ``affine`` is the scan's. ``unit`` is what it was read from; that of a
    DICOM series names the patient, only for those who may see it.
    """

    key: str
    prediction: Prediction
    measurements: Measurements | None
    picture: NDArray[np.uint8]
    slices: Mapping[int, NDArray[np.uint8]] = field(default_factory=dict)
    synthetic: bool = False
    affine: tuple[tuple[float, ...], ...] | None = None
    unit: Unit | None = None


Outcome = Answer | ScanError


@st.cache_resource(show_spinner="Loading the model …")
def predictors() -> Predictors:
    """Give the models of this server, one a modality; raises ``BundleError`` when the first cannot be used."""
    configured = settings.load()
    return Predictors(configured.models_dir / configured.model)


def predictor() -> Predictor:
    """Give the model that answers for MRI and for pictures; raises ``BundleError`` when it cannot be used."""
    return predictors().first


def bundle_of(answer: Answer) -> Bundle:
    """Give the model that gave an answer: that of the modality of its series."""
    series = answer.prediction.series
    return predictors().of_modality(series.modality if series else None).bundle


def limits() -> Limits:
    """Turn the settings into what the readers accept."""
    configured = settings.load()
    size = configured.max_upload_mb * 2**20
    return Limits(
        max_bytes=size,
        max_files=configured.max_files,
        max_pixels=configured.max_megapixels * 1_000_000,
        max_archive_bytes=10 * size,
        max_total_pixels=8 * configured.max_megapixels * 1_000_000,
    )


@cache
def phantom_png() -> bytes:
    """Draw the synthetic sample scan as a PNG file."""
    file = io.BytesIO()
    Image.fromarray(phantom()).save(file, "PNG")
    return file.getvalue()


@lru_cache(maxsize=8)
def model_of(predictor: Predictor) -> str:
    """Tell a model from all others: the SHA-256 of its card, which names that of every file of its bundle."""
    return hashlib.sha256(predictor.bundle.card.model_dump_json().encode()).hexdigest()


def answer_scan(scan: Scan, unit: Unit, predictor: Predictor, room: int = MOST_OF_A_VOLUME) -> Answer:
    """Answer one scan; pictures of up to ``room`` of a volume's slices come with it."""
    prediction = predictor.predict([scan])[0]
    measurements = prediction.measurements() if prediction.finding else None
    own = prediction.slice_number
    numbers = _spread(scan.shape[0], own, min(room, MOST_OF_A_VOLUME))
    answering = scan.pixels[own]
    return Answer(
        unit.key,
        prediction,
        measurements,
        _picture(answering, _LONGEST_SIDE, scan.pixel_aspect),
        {
            number: _picture(scan.pixels[number], _LONGEST_SLICE_SIDE, scan.pixel_aspect, answering)
            for number in numbers
        },
        synthetic=scan.sha256 == hashlib.sha256(phantom_png()).hexdigest(),
        affine=scan.affine,
        unit=unit,
    )


def _spread(count: int, own: int, most: int) -> Sequence[int]:
    """Choose up to ``most`` of ``count`` slices, evenly spread, ``own`` among them; none if it would be alone."""
    if min(count, most) < 2:
        return ()
    step = -(-count // most)
    return range(own % step, count, step)


def _picture(
    pixels: NDArray[np.float32], longest_side: int, aspect: float = 1.0, reference: NDArray[np.float32] | None = None
) -> NDArray[np.uint8]:
    picture = Image.fromarray(with_square_pixels(pixels, aspect, longest_side))
    picture.thumbnail((longest_side, longest_side))
    gray = np.asarray(picture, dtype=np.float32)
    return in_window(gray, gray if reference is None else reference)
