"""How a tumor changed from one study to a later one, and which of that is beyond the error of its outlines."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from braintumor.bundles import GRAPH_FILE, SEGMENTATION_FILE, BundleError, list_bundles, read_card
from braintumor.evaluation import ChangeError, change_error
from braintumor.registration import Match
from braintumor.reports.model import ReportPrior
from braintumor.segmentation import Lesion, lesions


class Quantity(StrEnum):
    """What is compared: the volume of all lesions, and the diameters of the largest and their product."""

    VOLUME = "volume"
    LONGEST = "longest"
    PERPENDICULAR = "perpendicular"
    PRODUCT = "product"


UNITS = {Quantity.VOLUME: "mL", Quantity.LONGEST: "mm", Quantity.PERPENDICULAR: "mm", Quantity.PRODUCT: "mm²"}
_POWERS = {Quantity.VOLUME: 1.0, Quantity.LONGEST: 0.5, Quantity.PERPENDICULAR: 0.5, Quantity.PRODUCT: 1.0}
"""Of the error of an area: a volume is a sum of areas, a diameter is as the square root of one."""


@dataclass(frozen=True)
class Outlined:
    """What the outline of one study measures; ``lesions`` are the largest ones, the largest first.

    ``volume_ml`` is that of all lesions, None for a single slice; all is empty where pixels have no known size.
    ``model`` is the SHA-256 of the graph that outlined it, None where a reader did.
    """

    volume_ml: float | None
    lesions: tuple[Lesion, ...]
    model: str | None


@dataclass(frozen=True)
class Change:
    """One quantity in two studies, both above 0; ``factor`` is what it may differ by though nothing changed."""

    quantity: Quantity
    before: float
    now: float
    factor: float | None

    @property
    def share(self) -> float:
        """By what share of the earlier value it changed, from -1."""
        return self.now / self.before - 1

    @property
    def is_beyond_error(self) -> bool | None:
        """Whether it changed by more than the error; None where that is not known, and no change is claimed."""
        if self.factor is None:
            return None
        return not 1 / self.factor <= self.now / self.before <= self.factor


@dataclass(frozen=True)
class Criterion:
    """From which share of change criteria of response speak of progression, and of partial response; and where.

    Progression asks for growth of ``least_growth`` as well, in the unit of the quantity; None where it does not.
    """

    title: str
    quantity: Quantity
    progression: float
    response: float
    source: str
    least_growth: float | None = None


_RANO = "Wen et al., J Clin Oncol 41:5187, 2023"
# Of sums over target lesions, progression against the smallest so far, response against the baseline.
CRITERIA = (
    Criterion("RANO 2.0, total volume", Quantity.VOLUME, 0.40, -0.65, _RANO),
    Criterion("RANO 2.0, product of diameters", Quantity.PRODUCT, 0.25, -0.50, _RANO),
    Criterion(
        *("RECIST 1.1, longest diameter", Quantity.LONGEST, 0.20, -0.30),
        *("Eisenhauer et al., Eur J Cancer 45:228, 2009", 5.0),
    ),
)


def measured(
    mask: NDArray[np.bool_],
    spacing: tuple[float, float, float] | None,
    model: str | None,
    *,
    has_volume: bool = True,
) -> Outlined:
    """Measure an outline, bool (slices, height, width), for comparison; ``spacing`` is (slice, row, column) in mm.

    Without ``has_volume``, as where slices are missing, only diameters are compared.
    """
    if spacing is None:
        return Outlined(None, (), model)
    volume = float(np.count_nonzero(mask) * np.prod(spacing) / 1000) if has_volume and len(mask) > 1 else None
    return Outlined(volume, tuple(lesions(mask, spacing)), model)


def outline_error(models_dir: Path, model: str) -> ChangeError | None:
    """Give the error of the outlines of the model whose graph has this SHA-256; None where it is not known here."""
    for folder in list_bundles(models_dir):
        try:
            is_that = read_card(folder).sha256[GRAPH_FILE] == model
        except BundleError:
            continue
        path = folder / SEGMENTATION_FILE
        if is_that and path.is_file():
            return change_error(pd.read_csv(path))
    return None


def changes(before: Outlined, now: Outlined, error: ChangeError | None) -> list[Change]:
    """Compare what two studies have in common, the volume first.

    ``error`` is that of the model's outlines. It holds only where one and the same model made both; for others no error
    was measured. That of cutting a lesion into slices is added, since where slices lie changes from scan to scan.
    """
    is_known = error is not None and before.model is not None and before.model == now.model
    factor = math.exp(math.hypot(math.log(error.factor), _cutting(before), _cutting(now))) if error else 1.0
    earlier, later = _values(before), _values(now)
    return [
        Change(quantity, value, later[quantity], factor ** _POWERS[quantity] if is_known else None)
        for quantity, value in earlier.items()
        if value > 0 and later.get(quantity, 0.0) > 0
    ]


def prior_of(day: date | None, found: Sequence[Change]) -> ReportPrior:
    """Give the sizes of the earlier study, of that day; a change is claimed of the volume alone, where there is one."""
    by_quantity = {change.quantity: change for change in found}
    before = {quantity: change.before for quantity, change in by_quantity.items()}
    volume = by_quantity.get(Quantity.VOLUME)
    return ReportPrior(
        day=day,
        longest=before.get(Quantity.LONGEST),
        perpendicular=before.get(Quantity.PERPENDICULAR),
        volume=before.get(Quantity.VOLUME),
        is_beyond_error=volume.is_beyond_error if volume else None,
    )


@dataclass(frozen=True)
class LesionChange:
    """What is one lesion in both studies, or lesions that flowed together or apart; None where one shows nothing there.

    ``changes`` are as of whole studies, empty where there is nothing to compare.
    """

    before: Outlined | None
    now: Outlined | None
    changes: tuple[Change, ...]


def lesion_changes(
    matches: Sequence[Match], before: Outlined, now: Outlined, error: ChangeError | None
) -> list[LesionChange]:
    """Compare matched lesions, which are numbered from 1 in the order of ``Outlined.lesions``.

    What one study alone shows is claimed neither to be new nor to be gone. Lesions beyond those that were measured are
    left out.
    """
    found = []
    for one in matches:
        earlier, later = _part(before, one.before), _part(now, one.now)
        if earlier is not None and later is not None:
            found.append(LesionChange(earlier, later, tuple(changes(earlier, later, error))))
        elif earlier is not None or later is not None:
            found.append(LesionChange(earlier, later, ()))
    return found


def _part(outlined: Outlined, numbers: Sequence[int]) -> Outlined | None:
    chosen = tuple(outlined.lesions[number - 1] for number in numbers if number <= len(outlined.lesions))
    volume = None if outlined.volume_ml is None else sum(lesion.volume_ml for lesion in chosen)
    return Outlined(volume, chosen, outlined.model) if chosen else None


def _cutting(outlined: Outlined) -> float:
    """Give the logarithm of the factor by which a size depends on where slices lie: an extent is known to one slice."""
    if not outlined.lesions:
        return 0.0
    largest = outlined.lesions[0]
    slices = largest.last_slice - largest.first_slice + 1
    return math.log((slices + 1) / slices)


def _values(outlined: Outlined) -> dict[Quantity, float]:
    values = {} if outlined.volume_ml is None else {Quantity.VOLUME: outlined.volume_ml}
    if outlined.lesions:
        largest = outlined.lesions[0]
        values[Quantity.LONGEST] = largest.longest_mm
        values[Quantity.PERPENDICULAR] = largest.perpendicular_mm
        values[Quantity.PRODUCT] = largest.longest_mm * largest.perpendicular_mm
    return values
