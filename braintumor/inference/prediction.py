"""What the model says of a scan."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from braintumor.decision import Outcome, Reason
from braintumor.heatmaps import CellGrid, scaled_map
from braintumor.scans import Placement, Prepared, Series, SeriesNote, place_on_scan
from braintumor.segmentation import Measurements, dice_threshold, head_mask, measure, tumor_mask
from braintumor.taxonomy import ANY_TUMOR, CLASSES

ORIENTATION_ASSUMED, SIZE_UNKNOWN = "orientation_assumed", "size_unknown"
SLICES_UNEVEN = "slices_uneven"
_NO_VOLUME = frozenset({SeriesNote.GAPS, SeriesNote.UNEVEN, SeriesNote.UNREAD})
"""Notes of series that leave open how much lies between the slices."""
_HALF = 0.5


@dataclass(frozen=True)
class SliceAnswer:
    """What a network says of one slice; in a volume its neighbors have a say in ``p_tumor``.

    ``prepared`` is the square it was shown, ``tumor_map`` float32 (h, w), the probability of tumor from 0 to 1 over
    that square, None from a network that does not locate.
    """

    p_tumor: float
    prepared: Prepared
    tumor_map: NDArray[np.float32] | None

    def outlined(self, square: Prepared, shape: tuple[int, int]) -> NDArray[np.bool_] | None:
        """Give the mask on a picture (height, width) that ``square`` is cut from, bool; None where nothing locates."""
        if self.tumor_map is None:
            return None
        return tumor_mask(self.tumor_map, square, shape, dice_threshold(self.tumor_map))


@dataclass(frozen=True)
class Prediction:
    """What the model says of one scan.

    ``probabilities`` maps each class to its calibrated probability, summing to 1, or "tumor" and "notumor" from a
    network that tells no kinds; ``p_tumor`` is 1 less that of "notumor". ``decision``, ``finding`` and
    ``reasons`` are those of ``Decision``. ``slices`` has an answer for each slice, in order; the rest is that of slice
    ``slice_number``. ``cam`` is Grad-CAM per class, float32 (h, w, classes), 0 or more, in the cells of the last
    feature map, which ``grid`` lays over the prepared square; a network that locates tumors has none for "notumor", one
    whose Grad-CAM has no closed form none at all. ``shape`` is (slices, height, width) in pixels; ``spacing``
    and ``placement`` are the scan's. ``seconds`` is the time from pixels to answer, ``bundle`` the model's name
    and version, ``threshold`` the P(tumor) from which a scan counts as showing a tumor, ``doubt_from`` that from which
    one is not ruled out and ``sure_from`` that from which one is in no doubt. ``undone`` names what was changed in the
    gray values before they were judged, see ``restore``. ``oriented`` is False where the file does not say how its axes
    lie in space and the usual orientation is assumed. Of a volume that is judged as a whole ``rests_on`` are the slices
    that the answer rests on, by number, and ``slice_limits`` threshold and doubt for single slices; the others are then
    the volume's. ``series`` holds the facts of a DICOM series.
    """

    source: str
    sha256: str
    probabilities: dict[str, float]
    p_tumor: float
    decision: Outcome
    finding: str | None
    reasons: tuple[Reason, ...]
    seconds: float
    bundle: str
    slice_number: int
    slices: tuple[SliceAnswer, ...]
    shape: tuple[int, int, int]
    spacing: tuple[float, float, float] | None
    placement: Placement | None
    cam: NDArray[np.float32] | None
    grid: CellGrid
    threshold: float
    doubt_from: float
    sure_from: float
    undone: tuple[str, ...] = ()
    oriented: bool = True
    rests_on: tuple[int, ...] = ()
    slice_limits: tuple[float, float] | None = None
    series: Series | None = None

    @property
    def nbytes(self) -> int:
        """Bytes that its pictures and maps take, the rest being small."""
        arrays = [array for answer in self.slices for array in (answer.prepared.image, answer.tumor_map)]
        return sum(array.nbytes for array in (*arrays, self.cam) if array is not None)

    @property
    def unsure_of_kind_alone(self) -> bool:
        """Whether the scan is referred for the kind of a tumor that is itself in no doubt."""
        return self.decision == Outcome.REFER and self.finding is not None and self.p_tumor >= self.sure_from

    @property
    def confidence(self) -> float:
        """Calibrated probability of the answer shown: of the finding's class, or of the likeliest one."""
        return self.probabilities[self.finding] if self.finding else max(self.probabilities.values())

    @property
    def notes(self) -> tuple[str, ...]:
        """What to know of how the scan was read, as codes: what its file leaves open, and what was ``undone``."""
        left_open = {
            ORIENTATION_ASSUMED: not self.oriented,
            SIZE_UNKNOWN: self.placement is not None and self.spacing is None,
            SLICES_UNEVEN: self._lacks_slices,
        }
        return (*(note for note, applies in left_open.items() if applies), *dict.fromkeys(self.undone))

    @property
    def _lacks_slices(self) -> bool:
        return self.series is not None and not _NO_VOLUME.isdisjoint(self.series.notes)

    @property
    def prepared(self) -> Prepared:
        """The square that the network was shown of the slice that answers."""
        return self.slices[self.slice_number].prepared

    @property
    def tumor_map(self) -> NDArray[np.float32] | None:
        """Probability of tumor over that square, float32 (h, w) from 0 to 1; None where the network does not locate."""
        return self.slices[self.slice_number].tumor_map

    @property
    def locates(self) -> bool:
        """Whether the network says where a tumor is."""
        return self.tumor_map is not None

    @property
    def outlined_from(self) -> float:
        """The P(tumor) of a single slice from which it has an outline, see ``outlines``."""
        called, doubted = self.slice_limits or (self.threshold, self.doubt_from)
        return called if self.p_tumor >= self.threshold else doubted

    def outlines(self, number: int) -> bool:
        """Tell whether a slice has an outline.

        Its P(tumor) must reach the threshold or, where the scan stays below its own, the doubt; or the finding of a
        tumor must rest on it.
        """
        is_resting = self.p_tumor >= self.threshold and number in self.rests_on
        return is_resting or self.slices[number].p_tumor >= self.outlined_from

    def explains(self, name: str) -> bool:
        """Tell whether there is a Grad-CAM of this class."""
        return self.cam is not None and _unit(name) < self.cam.shape[-1]

    def class_map(self, name: str) -> NDArray[np.float32]:
        """Give the Grad-CAM of one class over the prepared square: float32 (size, size) from 0 to 1.

        Raises ``ValueError`` where there is none, see ``explains``.
        """
        if self.cam is None or not self.explains(name):
            raise ValueError(f"{self.bundle} has no Grad-CAM of {name} at hand")
        return scaled_map(self.grid.to_square(self.cam[..., _unit(name)]))

    def mask(self) -> NDArray[np.bool_] | None:
        """Give the tumor's mask on the scan, bool (slices, height, width); None from a network that does not locate.

        A slice on which the model sees no tumor is empty, as is a scan without a finding. One that is referred because
        a tumor is neither sure nor ruled out has the outline that the tumor would have, one that is referred for the
        kind alone that of its tumor.
        """
        if not self.locates:
            return None
        mask = np.zeros(self.shape, dtype=bool)
        for number, answer in enumerate(self.slices):
            if self.finding and self.outlines(number):
                mask[number] = answer.outlined(answer.prepared, self.shape[1:])
        return mask

    def measurements(self) -> Measurements | None:
        """Measure the mask against the head and, where the scan tells its spacing, in millimeters; None without one.

        A series with slices that are missing or unevenly spaced has no volume.
        """
        mask = self.mask()
        if mask is None:
            return None
        drawn = [number for number in range(len(mask)) if mask[number].any()]
        head = np.zeros(self.shape, dtype=bool)
        for number in drawn:
            prepared = self.slices[number].prepared
            inside = head_mask(prepared.image.astype(np.float32)).astype(np.float32)
            head[number] = place_on_scan(inside, prepared, self.shape[1:]) >= _HALF
        measured = measure(mask, head, self.spacing)
        return replace(measured, volume_ml=None) if self._lacks_slices else measured


def _unit(name: str) -> int:
    """Number of the classifier's unit of a class; one that tells no kinds has one only for tumor."""
    return 0 if name == ANY_TUMOR else CLASSES.index(name)
