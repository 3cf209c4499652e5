"""Uploads to answers: each scan is read and scored once, whatever is clicked afterwards."""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import islice
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray
from PIL import Image

from braintumor import settings
from braintumor.bundles import GRAPH_FILE
from braintumor.dashboard.allocator import release_freed_memory
from braintumor.inference import Prediction, Predictor
from braintumor.scans import Limits, Scan, ScanError, in_window, phantom, read, read_all, safe_name

_LONGEST_SIDE = 640
_KEPT = "_answers"


@dataclass(frozen=True)
class Answer:
    """A scan's prediction and its slice for display: uint8 (height, width), at most 640 pixels a side."""

    key: str
    prediction: Prediction
    picture: NDArray[np.uint8]
    synthetic: bool = False


@dataclass(frozen=True)
class _Kept:
    """What one upload gave; ``cut`` where there was no room for all of it."""

    outcomes: Sequence[Answer | ScanError]
    cut: bool


_NOTHING = _Kept((), cut=True)


@st.cache_resource(show_spinner="Loading the model …")
def predictor() -> Predictor:
    """Give the one loaded model of this server; raises ``BundleError`` when it cannot be used."""
    configured = settings.load()
    return Predictor.load(configured.models_dir / configured.model)


def limits() -> Limits:
    """Turn the settings into what the readers accept."""
    configured = settings.load()
    size = configured.max_upload_mb * 2**20
    return Limits(
        max_bytes=size,
        max_files=configured.max_files,
        max_pixels=configured.max_megapixels * 1_000_000,
        max_archive_bytes=10 * size,
    )


def answer_uploads(
    uploads: Sequence[Any], on_progress: Callable[[int, int, str], object] | None = None
) -> list[Answer | ScanError]:
    """Answer every uploaded file of this session, in order; files answered before are not read again.

    ``on_progress`` is called with (number, all, name) before each new file. Over all files, ``max_files`` outcomes are
    given and then one ``ScanError`` for the rest. Answers to files that were taken away are forgotten.
    """
    before: dict[str, _Kept] = st.session_state.get(_KEPT, {})
    kept: dict[str, _Kept] = {}
    most = left = limits().max_files
    for number, upload in enumerate(uploads):
        found = before.get(upload.file_id, _NOTHING)
        if found.cut and left > len(found.outcomes):
            if on_progress:
                on_progress(number, len(uploads), upload.name)
            found = _answer_file(upload.getvalue(), upload.name, upload.file_id, left)
        kept[upload.file_id] = found
        left -= len(found.outcomes)
    if any(found is not before.get(key) for key, found in kept.items()):
        release_freed_memory()
    st.session_state[_KEPT] = kept
    outcomes = [outcome for found in kept.values() for outcome in found.outcomes]
    cut = next((upload.name for upload in uploads if kept[upload.file_id].cut), None)
    if cut is not None:
        reason = f"More than {most} scans were uploaded; the first {most} are answered."
        outcomes.append(ScanError(reason, "Take the others in a second go.", safe_name(cut)))
    return outcomes


def _answer_file(data: bytes, name: str, key: str, most: int) -> _Kept:
    """Read a file, or every file of an archive, and answer the first ``most`` (1 or more) scans in it."""
    found = read_all(data, name, replace(limits(), max_files=most))
    outcomes = [
        _answer(outcome, f"{key}-{number}") if isinstance(outcome, Scan) else outcome
        for number, outcome in enumerate(islice(found, most))
    ]
    return _Kept(outcomes, cut=next(found, None) is not None)


def sample_answer() -> Answer:
    """Answer the synthetic sample scan."""
    scan = read(phantom_png(), "Synthetic sample scan", limits())
    return replace(_answer(scan, "sample"), synthetic=True)


@cache
def phantom_png() -> bytes:
    """Draw the synthetic sample scan as a PNG file."""
    file = io.BytesIO()
    Image.fromarray(phantom()).save(file, "PNG")
    return file.getvalue()


def _answer(scan: Scan, key: str) -> Answer:
    model = predictor().bundle.card["sha256"][GRAPH_FILE]
    # The stored prediction carries the name that the same bytes came with first.
    prediction = replace(_predict(scan.sha256, model, scan), source=scan.source)
    return Answer(key, prediction, _picture(scan.pixels[prediction.slice_number]))


@st.cache_data(max_entries=200, show_spinner=False, scope="session")
def _predict(sha256: str, model: str, _scan: Scan) -> Prediction:
    return predictor().predict([_scan])[0]


def _picture(pixels: NDArray[np.float32]) -> NDArray[np.uint8]:
    picture = Image.fromarray(pixels)
    picture.thumbnail((_LONGEST_SIDE, _LONGEST_SIDE))
    gray = np.asarray(picture, dtype=np.float32)
    return in_window(gray, gray)
