"""A reader's correction of an outline: each lesion rejected, grown or shrunk, looked at, and kept as a verdict."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from braintumor.accounts import Account
from braintumor.dashboard import choices
from braintumor.dashboard.patients import store
from braintumor.dashboard.patients.outlined_slice import outlined_slice
from braintumor.dashboard.viewer.slice_layers import packed
from braintumor.records import PatientError, VerdictKind
from braintumor.records.scan_file import StoredScan, mask_file, read_scan_file
from braintumor.records.studies import Finding
from braintumor.scans import in_window
from braintumor.segmentation import Lesion, edited, lesions, regions

_KEEP = "Keep"
_CHANGES: Mapping[str, float | None] = {
    "Reject": None,
    **{
        f"{word} by {size:.0f} mm": sign * size
        for word, sign in (("Grow", 1), ("Shrink", -1))
        for size in (1.0, 2.0, 4.0)
    },
}
_MOST_LESIONS = 10


@dataclass(frozen=True)
class _Opened:
    """A scan as it is drawn, uint8 (slices, height, width), its outline, bool of that shape, and the outline's file."""

    pixels: NDArray[np.uint8]
    mask: NDArray[np.bool_]
    spacing: tuple[float, float, float]
    affine: NDArray[np.float64] | None
    lesions: tuple[Lesion, ...]
    sha256: str


def show_outline_edits(account: Account, finding: Finding, series_id: int) -> None:
    """Offer a reader to correct the outline of a finding, the latest one, lesion by lesion."""
    if not st.toggle("Correct the outline", key=f"outline_{finding.id}"):
        return
    found = store.shown_last("outline", (account.role, finding.id), _bytes, _read, series_id, finding.id).value
    if isinstance(found, str):
        st.info(found)
    if not isinstance(found, _Opened):
        return
    chosen = {number: _choose(finding.id, number, lesion) for number, lesion in enumerate(found.lesions, 1)}
    changed = edited(found.mask, _changes(chosen), found.spacing)
    areas = np.count_nonzero(found.mask, axis=(1, 2))
    count, number = len(found.pixels), int(areas.argmax()) + 1
    if count > 1:
        number = choices.slider("Slice", 1, count, number, 1, key=f"outline_slice_{finding.id}")
    drawn = outlined_slice(found.pixels[number - 1], changed[number - 1], found.spacing, found.affine)
    st.image(packed(drawn), width=512)
    before, now = (float(np.count_nonzero(mask) * np.prod(found.spacing) / 1000) for mask in (found.mask, changed))
    st.caption(f"{now:.1f} mL, before {before:.1f} mL. Borders move within the slices as they lie.")
    st.text_input("Comment on the outline", key=f"outline_comment_{finding.id}", max_chars=1000)
    st.button(
        "Keep this outline",
        type="primary",
        key=f"outline_keep_{finding.id}",
        disabled=bool((changed == found.mask).all()),
        on_click=_keep,
        args=(finding.id, chosen, found.sha256),
    )


def _choose(finding_id: int, number: int, lesion: Lesion) -> str:
    words = (
        f"Lesion {number}: {lesion.longest_mm:.0f} × {lesion.perpendicular_mm:.0f} mm, "
        f"slices {lesion.first_slice + 1} to {lesion.last_slice + 1}"
    )
    return choices.selectbox(words, [_KEEP, *_CHANGES], _KEEP, key=f"outline_{finding_id}_{number}", width=320)


def _changes(chosen: Mapping[int, str]) -> dict[int, float | None]:
    """Give by how many millimeters each lesion changes, as ``edited`` takes it; those that stay cost nothing."""
    return {number: _CHANGES[words] for number, words in chosen.items() if words != _KEEP}


def _keep(finding_id: int, chosen: Mapping[int, str], sha256: str) -> None:
    comment = st.session_state.get(f"outline_comment_{finding_id}", "")
    if store.attempt(keep_outline, finding_id, chosen, sha256, comment) is not None:
        for number in chosen:
            st.session_state[f"outline_{finding_id}_{number}"] = _KEEP


def keep_outline(actor: Account, finding_id: int, chosen: Mapping[int, str], sha256: str, comment: object = "") -> int:
    """Add a verdict with the corrected outline; raises ``PatientError`` where the latest is no longer the one shown."""
    content = store.studies().outline(actor, finding_id).content
    if hashlib.sha256(content).hexdigest() != sha256:
        raise PatientError("Another reader has corrected this outline meanwhile; look at it and correct it again.")
    stored = read_scan_file(content)
    mask = edited(stored.pixels > 0, _changes(chosen), stored.spacing)
    affine = None if stored.affine is None else stored.affine.tolist()
    file = mask_file(mask, affine, stored.spacing)
    return store.studies().judge(actor, finding_id, VerdictKind.CORRECT, None, comment, file)


def _read(actor: Account, series_id: int, finding_id: int) -> _Opened | str:
    """Read a scan and its outline; gives a sentence where they do not fit each other."""
    scan = read_scan_file(store.studies().scan(actor, series_id))
    content = store.studies().outline(actor, finding_id).content
    return _opened(scan, read_scan_file(content), hashlib.sha256(content).hexdigest())


def _opened(scan: StoredScan, outline: StoredScan, sha256: str) -> _Opened | str:
    mask = outline.pixels > 0
    if mask.shape != scan.pixels.shape:
        return "The outline does not fit its scan; file the study again."
    if outline.spacing is None:
        return "The file does not say how large a pixel is, so borders cannot be moved by millimeters."
    numbered = regions(mask)
    if not numbered.count:
        return "This outline is empty."
    values = scan.pixels.astype(np.float32)
    drawn = in_window(values, values.reshape(-1, values.shape[2]))
    found = tuple(lesions(mask, outline.spacing, _MOST_LESIONS, numbered))
    return _Opened(drawn, mask, outline.spacing, scan.affine, found, sha256)


def _bytes(found: _Opened | str | None) -> int:
    return found.pixels.nbytes + found.mask.nbytes if isinstance(found, _Opened) else 0
