"""Uploads to answers: each scan is read and scored once, whatever is clicked afterwards."""

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray
from PIL import Image

from braintumor import settings
from braintumor.bundles import GRAPH_FILE, Bundle
from braintumor.dashboard import server
from braintumor.dashboard.allocator import release_freed_memory
from braintumor.inference import Prediction, Predictor, Predictors
from braintumor.scans import (
    LeftOutError,
    Limits,
    NotJudgedError,
    PixelBudget,
    Scan,
    ScanError,
    StoredFile,
    Unit,
    gather,
    in_window,
    phantom,
    read,
    safe_name,
)
from braintumor.scans import outcome as read_outcome
from braintumor.segmentation import Measurements

MOST_SLICES_KEPT = 512
"""Slices of volumes whose pictures one session holds; as many as take some 50 MB."""

_LONGEST_SIDE = 640
_LONGEST_SLICE_SIDE = 320
_MOST_OF_A_VOLUME = 160
_KEPT = "_answers"
_GIVEN = "_predictions"
_MOST_BYTES = 64 * 2**20
"""Bytes of answers that a session keeps for files that may come again: those for three series of 160 slices. Answers on
the desk are the same objects and take no memory twice."""


@dataclass(frozen=True)
class Answer:
    """A scan's prediction, what its mask measures, and its pictures for display, each uint8 (height, width).

    ``measurements`` are None where there is no mask or nothing was found to be a scan. ``picture`` is the slice that
    answers, at most 640 pixels a side. ``slices`` has those of a volume by their numbers, in order, at most 320 pixels
    a side: that slice, and of the others one in so many where there is no room for all, or none; all share
    one window, that of the slice that answers. ``affine`` is the scan's. ``unit`` is that of a DICOM series; it names
    the patient, for those alone who may see it.
    """

    key: str
    prediction: Prediction
    measurements: Measurements | None
    picture: NDArray[np.uint8]
    slices: Mapping[int, NDArray[np.uint8]] = field(default_factory=dict)
    synthetic: bool = False
    affine: tuple[tuple[float, ...], ...] | None = None
    unit: Unit | None = None


@dataclass(frozen=True)
class Progress:
    """Where the answering of uploads stands: scans done, of how many, the one at hand, and how many wait ahead of it.

    ``total`` is None while files are still looked at.
    """

    name: str
    done: int = 0
    total: int | None = None
    ahead: int = 0


Outcome = Answer | ScanError


@dataclass(frozen=True)
class _Kept:
    """What one unit gave and the pixels it took."""

    outcome: Outcome
    pixels: int = 0


@dataclass
class _Desk:
    """What a session's uploads hold, looked at once, and the outcomes so far by the keys of units."""

    uploads: tuple[str, ...] = ()
    units: list[Unit | ScanError] = field(default_factory=list)
    kept: dict[str, _Kept] = field(default_factory=dict)


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
    return predictors().reading(series.modality if series else None).bundle


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
    uploads: Sequence[Any],
    on_progress: Callable[[Progress], object] = lambda progress: None,
    on_outcome: Callable[[Sequence[Outcome]], object] = lambda outcomes: None,
) -> list[Outcome]:
    """Answer all scans in the uploaded files of this session; what was answered before is not read again.

    DICOM files form series whatever upload they came in. Each scan waits for its turn among all that the server
    answers. ``on_progress`` is called before each file and scan and while it waits; what it raises ends the work, and
    what was answered until then is kept. ``on_outcome`` gets the outcomes so far after each new one. All files
    together, those answered before included, are decoded to no more than ``max_total_pixels`` of the limits. Series
    come first, ``max_files`` of each kind are given, and what is left out is said. Pictures of ``MOST_SLICES_KEPT``
    slices of volumes are kept. Answers to files that were taken away are forgotten.
    """
    desk = st.session_state.setdefault(_KEPT, _Desk())
    _look_at(uploads, desk, on_progress)
    units = _bounded(desk.units, limits().max_files)
    turns = _Turns(limits().max_total_pixels - sum(kept.pixels for kept in desk.kept.values()), on_progress)
    outcomes: list[Outcome] = []
    is_new = False
    for number, unit in enumerate(units):
        if isinstance(unit, ScanError):
            outcomes.append(unit)
            continue
        if unit.key not in desk.kept:
            room = MOST_SLICES_KEPT - sum(_slices_of(kept.outcome) for kept in desk.kept.values())
            with turns.scan(Progress(unit.name, number, len(units))):
                before = turns.left
                outcome = _answer_unit(unit, room, turns)
                desk.kept[unit.key] = _Kept(outcome, before - turns.left)
            is_new = True
            on_outcome([*outcomes, outcome])
        outcomes.append(desk.kept[unit.key].outcome)
    if is_new:
        release_freed_memory()
    return outcomes


def _bounded(units: Sequence[Unit | ScanError], most: int) -> list[Unit | ScanError]:
    """Put series first, then pictures and volumes, then failures, ``most`` of each, and say how many were left out.

    So nothing that lies beside a study crowds it out, and no series that none judges crowds out one for a model.
    """
    kinds: dict[str, list[Unit | ScanError]] = {
        "series": [],
        "pictures and volumes": [],
        "files that cannot be used": [],
    }
    series, pictures, failures = kinds.values()
    for unit in units:
        (failures if isinstance(unit, ScanError) else series if unit.series else pictures).append(unit)
    taken, left_out = [], []
    for name, of_kind in kinds.items():
        first = sorted(range(len(of_kind)), key=lambda number: not _matters_most(of_kind[number]))[:most]
        taken += [of_kind[number] for number in sorted(first)]
        if len(of_kind) > most:
            reason = f"{len(of_kind)} {name} were uploaded; {most} of them are shown."
            left_out.append(LeftOutError(reason, "Take the others in a second go.", "Uploads"))
    return [*taken, *left_out]


def _matters_most(unit: Unit | ScanError) -> bool:
    if isinstance(unit, ScanError):
        return isinstance(unit, LeftOutError) or unit.series is not None
    return unit.series is None or unit.series.is_judged


def _look_at(uploads: Sequence[Any], desk: _Desk, on_progress: Callable[[Progress], object]) -> None:
    """Find what uploads hold, where others lie on the desk than before, and forget what was taken away."""
    given = tuple(upload.file_id for upload in uploads)
    if given == desk.uploads:
        return
    files = [StoredFile(safe_name(upload.name), upload.getvalue, upload.file_id) for upload in uploads]
    # The name of a file, or of a folder in an archive, often is a patient's.
    units = list(gather(files, limits(), lambda number: on_progress(Progress(f"file {number:,}"))))
    keys = {unit.key for unit in units if isinstance(unit, Unit)}
    desk.uploads, desk.units = given, units
    desk.kept = {key: kept for key, kept in desk.kept.items() if key in keys and _is_lasting(kept.outcome)}


def _is_lasting(outcome: Outcome) -> bool:
    """Tell whether an outcome stays as it is with other files beside it; a failure may have been for want of room."""
    return isinstance(outcome, NotJudgedError) or not isinstance(outcome, ScanError)


def _answer_unit(unit: Unit, room: int, turns: "_Turns") -> Outcome:
    scan = read_outcome(unit, limits(), turns, predictors().modalities)
    if isinstance(scan, ScanError):
        return scan
    try:
        answer = _answer(scan, unit.key, room)
    except ScanError as error:
        return error
    return replace(answer, unit=unit) if unit.series else answer


class _Turns(PixelBudget):
    """The pixels of one upload, each scan of which waits for its turn on the server before it is decoded."""

    def __init__(self, pixels: int, on_progress: Callable[[Progress], object]) -> None:
        super().__init__(pixels)
        self._on_progress = on_progress
        self._now = Progress("")
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


def _slices_of(outcome: Outcome) -> int:
    return len(outcome.slices) if isinstance(outcome, Answer) else 0


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
    prediction, measurements = _predict(scan)
    # The stored prediction carries the name that the same bytes came with first.
    prediction = replace(prediction, source=scan.source, series=scan.series)
    own = prediction.slice_number
    numbers = _spread(scan.shape[0], own, min(room, _MOST_OF_A_VOLUME)) if prediction.finding else ()
    answering = scan.pixels[own]
    slices = {number: _picture(scan.pixels[number], _LONGEST_SLICE_SIDE, answering) for number in numbers}
    return Answer(key, prediction, measurements, _picture(answering, _LONGEST_SIDE), slices, affine=scan.affine)


def _spread(count: int, own: int, most: int) -> Sequence[int]:
    """Choose up to ``most`` of ``count`` slices, evenly spread, ``own`` among them; none if it would be alone."""
    if min(count, most) < 2:
        return ()
    step = -(-count // most)
    return range(own % step, count, step)


def _predict(scan: Scan) -> tuple[Prediction, Measurements | None]:
    """Answer a scan, or give the answer that its bytes had; the latest that take ``_MOST_BYTES`` are kept."""
    predictor = predictors().answering(scan)
    slot = (scan.sha256, predictor.bundle.card.sha256[GRAPH_FILE])
    given: dict[tuple[str, str], tuple[Prediction, Measurements | None]]
    given = st.session_state.setdefault(_GIVEN, {})
    if slot not in given:
        prediction = predictor.predict([scan])[0]
        given[slot] = prediction, prediction.measurements() if prediction.finding else None
        while len(given) > 1 and sum(kept.nbytes for kept, _ in given.values()) > _MOST_BYTES:
            del given[next(iter(given))]
    return given[slot]


def _picture(
    pixels: NDArray[np.float32], longest_side: int, reference: NDArray[np.float32] | None = None
) -> NDArray[np.uint8]:
    picture = Image.fromarray(pixels)
    picture.thumbnail((longest_side, longest_side))
    gray = np.asarray(picture, dtype=np.float32)
    return in_window(gray, gray if reference is None else reference)
