"""Two scans of a patient beside each other, each slice at the same place of the head, and their lesions matched."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from braintumor.accounts import Account
from braintumor.dashboard import choices, gate
from braintumor.dashboard.patients import store
from braintumor.dashboard.patients.outlined_slice import outlined_slice
from braintumor.dashboard.patients.room import Kept
from braintumor.dashboard.server.workload import turn
from braintumor.dashboard.viewer.slice_layers import packed
from braintumor.records import Patient
from braintumor.records.follow_up import Followed
from braintumor.records.scan_file import StoredScan, read_scan_file
from braintumor.registration import Alignment, Match, Outline, Volume, align, match, slice_through
from braintumor.scans import in_window
from braintumor.segmentation import Lesion, lesions, regions

if TYPE_CHECKING:
    from braintumor.evaluation import ChangeError
    from braintumor.reports.follow_up import Change, LesionChange, Outlined

_MOST_LESIONS = 30
_GAP = 8


@dataclass(frozen=True)
class _Shown:
    """A scan as it is drawn, uint8 (slices, height, width), its outline, bool of that shape, and where voxels lie."""

    pixels: NDArray[np.uint8]
    mask: NDArray[np.bool_]
    affine: NDArray[np.float64]
    spacing: tuple[float, float, float]
    lesions: tuple[Lesion, ...]
    model: str | None


@dataclass(frozen=True)
class _Pair:
    """An earlier scan and a later one, how the later lies on the earlier, and which lesions are one."""

    before: _Shown
    now: _Shown
    matrix: NDArray[np.float64]
    matches: tuple[Match, ...]

    @property
    def nbytes(self) -> int:
        """How many bytes the voxels and outlines take."""
        return sum(shown.pixels.nbytes + shown.mask.nbytes for shown in (self.before, self.now))


def show_side_by_side(
    account: Account,
    patient: Patient,
    followed: tuple[Followed, Followed],
    days: Sequence[str],
    error: "ChangeError | None",
) -> bool:
    """Offer to show an earlier series beside a later one, with their lesions matched; tells whether they are shown.

    Both are read and aligned when that is asked for, since it takes seconds.
    """
    key = "_".join(str(one.finding.id) for one in followed)
    if not st.toggle("Side by side, aligned", key=f"side_{key}"):
        return False
    with st.spinner("Aligning the two scans"):
        kept = store.shown_last("side by side", (account.role, key), _bytes, _read, followed)
    pair = kept.value
    if isinstance(pair, str):
        st.info(pair)
    if not isinstance(pair, _Pair):
        return False
    # Streamlit keeps what a fragment was given for as long as the page is open, so it is not given the scans.
    _show_slices(account, patient, kept, days, key)
    _show_matches(pair, error)
    return True


@st.fragment
def _show_slices(account: Account, patient: Patient, kept: Kept, days: Sequence[str], key: str) -> None:
    gate.current()
    # As the page was drawn: with the days as they are, or shifted for a researcher.
    if not store.is_still_seen(account, patient.id):
        st.error("What you may see of this patient has changed. Reload the page.")
        return
    pair = kept.value
    if pair is None:
        # Others needed the room; the page reads both scans again.
        st.rerun()
    slices = len(pair.now.pixels)
    areas = np.count_nonzero(pair.now.mask, axis=(1, 2))
    number = choices.slider("Slice of the later scan", 1, slices, int(areas.argmax()) + 1, 1, key=f"slice_{key}") - 1
    # One picture, so that a phone does not stack the two.
    st.image(packed(beside(*slices_of(pair, number))), caption=" and ".join(days), width="stretch")
    st.caption(
        "Both show the same place of the head: the earlier scan is cut where the later slice lies. Blue: outline. "
        "Letters: the patient's right (R) or left (L), front (A) or back (P), top (S) or bottom (I)."
    )


def beside(before: NDArray[np.uint8], now: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Set two pictures of one size beside each other, with a gap."""
    gap = np.full((len(before), _GAP, *before.shape[2:]), 128, np.uint8)
    return np.concatenate([before, gap, now], axis=1)


def slices_of(pair: _Pair, number: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Draw the earlier scan where a slice of the later one lies, and that slice, each with its outline."""
    before, now = pair.before, pair.now
    place = before.affine, pair.matrix, now.affine, number, now.pixels.shape[1:]
    cut = np.rint(slice_through(before.pixels, *place)).astype(np.uint8)
    outlined = slice_through(before.mask.view(np.uint8), *place, order=0) > 0
    return _drawn(cut, outlined, now), _drawn(now.pixels[number], now.mask[number], now)


def _drawn(picture: NDArray[np.uint8], mask: NDArray[np.bool_], now: _Shown) -> NDArray[np.uint8]:
    return outlined_slice(picture, mask, now.spacing, now.affine)


def _show_matches(pair: _Pair, error: "ChangeError | None") -> None:
    # Measuring brings libraries that the page does without.
    from braintumor.reports.follow_up import lesion_changes

    found = lesion_changes(pair.matches, _outlined(pair.before), _outlined(pair.now), error)
    st.markdown("Lesions, matched by place")
    st.dataframe([_cells(number, one) for number, one in enumerate(found, 1)], hide_index=True)
    st.caption(
        "Lesions that overlap are taken for one, and those less than 10 mm apart. What one scan alone shows is not "
        "said to be new or gone: outlines miss lesions, and add some."
    )


def _outlined(shown: _Shown) -> "Outlined":
    from braintumor.reports.follow_up import Outlined

    return Outlined(sum(lesion.volume_ml for lesion in shown.lesions), shown.lesions, shown.model)


def _cells(number: int, found: "LesionChange") -> dict[str, object]:
    change = found.changes[0] if found.changes else None
    return {
        "Lesion": number,
        "Before": _size_words(found.before),
        "Now": _size_words(found.now),
        "Change of volume": change_words(change) if change else "in one scan only",
        "Error": span_words(change) if change else "–",
        "Slices now": ", ".join(f"{one.first_slice + 1} to {one.last_slice + 1}" for one in found.now.lesions)
        if found.now
        else "–",
    }


def _size_words(outlined: "Outlined | None") -> str:
    if outlined is None or outlined.volume_ml is None:
        return "not outlined"
    sizes = " + ".join(f"{one.longest_mm:.0f} × {one.perpendicular_mm:.0f}" for one in outlined.lesions)
    return f"{amount(outlined.volume_ml, 'mL')}, {sizes} mm"


def amount(value: float, unit: str) -> str:
    """Write a size with its unit."""
    return f"{value:,.0f} {unit}" if value >= 100 else f"{value:.1f} {unit}"


def change_words(change: "Change") -> str:
    """Say by how much a size changed, and whether that is beyond the error."""
    told = {True: "beyond error", False: "within error", None: "error unknown"}[change.is_beyond_error]
    return f"{change.share:+.0%}, {told}"


def span_words(change: "Change") -> str:
    """Say from where to where a size may differ though nothing changed."""
    return "–" if change.factor is None else f"{1 / change.factor - 1:+.0%} to {change.factor - 1:+.0%}"


def _read(actor: Account, followed: tuple[Followed, Followed]) -> _Pair | str:
    """Read two scans with their outlines and align them; gives a sentence where that is not possible."""
    if not all(one.finding.allows_volume for one in followed):
        return "Slices of one of these scans are missing or uneven, so they are not aligned."
    contents = [store.studies().scan(actor, one.series.id) for one in followed]
    scans = [read_scan_file(content) for content in contents]
    outlines = [store.studies().outline(actor, one.finding.id) for one in followed]
    before, now = (_volume(scan) for scan in scans)
    if before is None or now is None:
        return "The files do not say where their slices lie, so these scans are not aligned."
    with turn(before.pixels.nbytes + now.pixels.nbytes, lambda ahead: None):
        found = _aligned(tuple(hashlib.sha256(content).hexdigest() for content in contents), now, before)
    if found is None or not found.is_trusted:
        return "These scans could not be aligned reliably, so compare them by eye."
    masks = [read_scan_file(outline.content).pixels > 0 for outline in outlines]
    if any(mask.shape != scan.pixels.shape for mask, scan in zip(masks, scans, strict=True)):
        return "An outline does not fit its scan, so these scans are not aligned; file the study again."
    earlier, later = (Outline(regions(mask), one.affine) for mask, one in zip(masks, (before, now), strict=True))
    return _Pair(
        _shown(scans[0], masks[0], earlier, outlines[0].model),
        _shown(scans[1], masks[1], later, outlines[1].model),
        found.matrix,
        tuple(match(earlier, later, found.matrix)),
    )


def _bytes(found: _Pair | str | None) -> int:
    return found.nbytes if isinstance(found, _Pair) else 0


def _volume(scan: StoredScan) -> Volume | None:
    return None if scan.affine is None else Volume(scan.pixels, scan.affine)


@st.cache_data(max_entries=100, show_spinner=False)
def _aligned(contents: tuple[str, ...], _now: Volume, _before: Volume) -> Alignment | None:
    """Align a later scan with an earlier one, once for all who look; ``contents`` are the hashes of both."""
    try:
        return align(_now, _before)
    except ValueError:
        return None


def _shown(scan: StoredScan, mask: NDArray[np.bool_], outline: Outline, model: str | None) -> _Shown:
    slices, rows, columns = scan.spacing or (float(size) for size in np.linalg.norm(outline.affine[:3, :3], axis=0))
    spacing = (slices, rows, columns)
    values = scan.pixels.astype(np.float32)
    drawn = in_window(values, values.reshape(-1, values.shape[2]))
    measured = tuple(lesions(mask, spacing, _MOST_LESIONS, outline.regions))
    return _Shown(drawn, mask, outline.affine, spacing, measured, model)
