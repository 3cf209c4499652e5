"""Uploads to answers: each scan is read and scored once, whatever is clicked afterwards."""

import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray
from PIL import Image

from braintumor import settings
from braintumor.bundles import GRAPH_FILE
from braintumor.dashboard import server
from braintumor.dashboard.allocator import release_freed_memory
from braintumor.inference import Prediction, Predictor
from braintumor.scans import Limits, PixelBudget, Scan, ScanError, in_window, phantom, read, read_all, safe_name
from braintumor.segmentation import Measurements

MOST_SLICES_KEPT = 512
"""Slices of volumes whose pictures one session holds; as many as take some 50 MB."""

_LONGEST_SIDE = 640
_LONGEST_SLICE_SIDE = 320
_MOST_OF_A_VOLUME = 160
_KEPT = "_answers"


@dataclass(frozen=True)
class Answer:
    """A scan's prediction, what its mask measures, and its pictures for display, each uint8 (height, width).

    ``measurements`` are None where there is no mask or nothing was found to be a scan. ``picture`` is the slice that
    answers, at most 640 pixels a side. ``slices`` has those of a volume by their numbers, in order, at most 320 pixels
    a side: that slice, and of the others one in so many where there is no room for all, or none.
    """

    key: str
    prediction: Prediction
    measurements: Measurements | None
    picture: NDArray[np.uint8]
    slices: Mapping[int, NDArray[np.uint8]] = field(default_factory=dict)
    synthetic: bool = False


@dataclass(frozen=True)
class Progress:
    """Where the answering of uploads stands: the file, from 0, its scans answered so far, and how many wait ahead."""

    file: int
    files: int
    name: str
    answered: int = 0
    ahead: int = 0


@dataclass(frozen=True)
class _Kept:
    """What one upload gave and the pixels it took; ``cut`` where there was no room for all of it."""

    outcomes: Sequence[Answer | ScanError]
    cut: bool
    pixels: int = 0


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
        max_total_pixels=8 * configured.max_megapixels * 1_000_000,
    )


def answer_uploads(
    uploads: Sequence[Any], on_progress: Callable[[Progress], object] = lambda progress: None
) -> list[Answer | ScanError]:
    """Answer every uploaded file of this session, in order; files answered before are not read again.

    Each scan waits for its turn among all that the server answers. ``on_progress`` is called before each and while it
    waits; what it raises ends the work. All files together, those answered before included, are decoded to no more than
    ``max_total_pixels`` of the limits. Over all files, ``max_files`` outcomes are given and then one ``ScanError`` for
    the rest, and pictures of ``MOST_SLICES_KEPT`` slices of volumes are kept. Answers to files that were taken away are
    forgotten.
    """
    before: dict[str, _Kept] = st.session_state.get(_KEPT, {})
    kept = {upload.file_id: before.get(upload.file_id, _NOTHING) for upload in uploads}
    most = left = limits().max_files
    turns = _Turns(limits().max_total_pixels - sum(found.pixels for found in kept.values()), on_progress)
    for number, upload in enumerate(uploads):
        found = kept[upload.file_id]
        if found.cut and left > len(found.outcomes):
            room = MOST_SLICES_KEPT - _count_slices(_all_outcomes(kept))
            progress = Progress(number, len(uploads), upload.name)
            found = kept[upload.file_id] = _answer_file(upload, left, room, progress, turns)
        left -= len(found.outcomes)
    if any(found is not before.get(key) for key, found in kept.items()):
        release_freed_memory()
    st.session_state[_KEPT] = kept
    outcomes = _all_outcomes(kept)
    cut = next((upload.name for upload in uploads if kept[upload.file_id].cut), None)
    if cut is not None:
        reason = f"More than {most} scans were uploaded; the first {most} are answered."
        outcomes.append(ScanError(reason, "Take the others in a second go.", safe_name(cut)))
    return outcomes


class _Turns(PixelBudget):
    """The pixels of one upload, each scan of which waits for its turn on the server before it is decoded."""

    def __init__(self, pixels: int, on_progress: Callable[[Progress], object]) -> None:
        super().__init__(pixels)
        self._on_progress = on_progress
        self._now = Progress(0, 1, "")
        self._place: ExitStack | None = None

    def take(self, pixels: int, slices: int = 1) -> None:
        super().take(pixels, slices)
        if self._place is None:
            # A picture may have more pages, which together have no more pixels than the largest picture.
            size = 4 * max(pixels, limits().max_pixels)
            self._place = ExitStack()
            self._place.enter_context(
                server.turn(size, lambda ahead: self._on_progress(replace(self._now, ahead=ahead)))
            )

    @contextmanager
    def scan(self, now: Progress) -> Iterator[None]:
        """Read and answer one scan; its place on the server, if it took one, is free afterwards."""
        self._now = now
        # Also where nobody waits: it is here that Streamlit ends the run of a user who has left.
        self._on_progress(now)
        try:
            yield
        finally:
            if self._place is not None:
                self._place.close()
                self._place = None


def _answer_file(upload: Any, most: int, room: int, progress: Progress, turns: _Turns) -> _Kept:
    """Read a file, or every file of an archive, and answer the first ``most`` (1 or more) scans in it.

    Pictures of ``room`` slices of volumes are kept.
    """
    found = read_all(upload.getvalue(), upload.name, replace(limits(), max_files=most), turns)
    outcomes: list[Answer | ScanError] = []
    before = turns.left
    while True:
        with turns.scan(replace(progress, answered=len(outcomes))):
            outcome = next(found, None)
            if outcome is None or len(outcomes) == most:
                return _Kept(outcomes, outcome is not None, before - turns.left)
            if isinstance(outcome, ScanError):
                outcomes.append(outcome)
            else:
                left = room - _count_slices(outcomes)
                outcomes.append(_answer(outcome, f"{upload.file_id}-{len(outcomes)}", left))
            # Or its pixels would lie in memory while the next scan is decoded.
            del outcome


def _count_slices(outcomes: Iterable[Answer | ScanError]) -> int:
    return sum(len(outcome.slices) for outcome in outcomes if isinstance(outcome, Answer))


def _all_outcomes(kept: Mapping[str, _Kept]) -> list[Answer | ScanError]:
    return [outcome for found in kept.values() for outcome in found.outcomes]


def sample_answer() -> Answer:
    """Answer the synthetic sample scan."""
    scan = read(phantom_png(), "Synthetic sample scan", limits())
    return replace(_answer(scan, "sample", room=0), synthetic=True)


@cache
def phantom_png() -> bytes:
    """Draw the synthetic sample scan as a PNG file."""
    file = io.BytesIO()
    Image.fromarray(phantom()).save(file, "PNG")
    return file.getvalue()


def _answer(scan: Scan, key: str, room: int) -> Answer:
    model = predictor().bundle.card.sha256[GRAPH_FILE]
    prediction, measurements = _predict(scan.sha256, model, scan)
    # The stored prediction carries the name that the same bytes came with first.
    prediction = replace(prediction, source=scan.source)
    own = prediction.slice_number
    numbers = _spread(scan.shape[0], own, min(room, _MOST_OF_A_VOLUME)) if prediction.finding else ()
    slices = {number: _picture(scan.pixels[number], _LONGEST_SLICE_SIDE) for number in numbers}
    return Answer(key, prediction, measurements, _picture(scan.pixels[own], _LONGEST_SIDE), slices)


def _spread(count: int, own: int, most: int) -> Sequence[int]:
    """Choose up to ``most`` of ``count`` slices, evenly spread, ``own`` among them; none if it would be alone."""
    if min(count, most) < 2:
        return ()
    step = -(-count // most)
    return range(own % step, count, step)


@st.cache_data(max_entries=200, show_spinner=False, scope="session")
def _predict(sha256: str, model: str, _scan: Scan) -> tuple[Prediction, Measurements | None]:
    prediction = predictor().predict([_scan])[0]
    return prediction, prediction.measurements() if prediction.finding else None


def _picture(pixels: NDArray[np.float32], longest_side: int) -> NDArray[np.uint8]:
    picture = Image.fromarray(pixels)
    picture.thumbnail((longest_side, longest_side))
    gray = np.asarray(picture, dtype=np.float32)
    return in_window(gray, gray)
