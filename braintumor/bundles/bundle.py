"""A trained model on disk: one folder with everything needed to use, check and question it."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from braintumor.bundles.schema import Card
from braintumor.bundles.store import (
    COPIES_FILE,
    GRAPH_FILE,
    MARKS_FILE,
    TYPICALITY_FILE,
    BundleError,
    files_of,
    read_card,
    sha256_of,
)
from braintumor.decision import Calibration, CopyDetector, MarkDetector, ReferralRule, Typicality, VolumeRule
from braintumor.heatmaps import CellGrid
from braintumor.scans import PREPROCESSING
from braintumor.taxonomy import CLASSES


@dataclass(frozen=True)
class Bundle:
    """A checked bundle: its folder and its card."""

    folder: Path
    card: Card

    @property
    def name(self) -> str:
        """Name and version, as predictions carry them."""
        return self.card.full_name

    @property
    def size(self) -> int:
        """Side of the square input in pixels."""
        return self.card.input.size

    @property
    def grid(self) -> CellGrid:
        """Where the cells of the Grad-CAM lie on the input."""
        return CellGrid(self.size, self.card.heatmap.first, self.card.heatmap.step)

    @property
    def feature_map(self) -> bool:
        """Whether the network has a last feature map, which Grad-CAM and its kin need."""
        return self.card.heatmap.feature_map

    @property
    def kinds(self) -> bool:
        """Whether the network tells kinds of tumors apart, and not only tumor or not."""
        return self.card.kinds

    @property
    def calibration(self) -> Calibration:
        """What turns logits into probabilities."""
        return self.card.calibration.values

    @property
    def threshold(self) -> float:
        """Operating point: P(tumor) from which a scan counts as showing a tumor."""
        return self.card.operating_point.threshold

    @property
    def doubt_from(self) -> float:
        """P(tumor) from which a tumor is not ruled out, whether it then counts as one or the scan is referred."""
        return min(self.referral.tumor_low, self.threshold)

    @property
    def sure_from(self) -> float:
        """P(tumor) from which a tumor is called without doubt about it, whether or not its kind is told."""
        return max(self.referral.tumor_high, self.threshold)

    @property
    def referral(self) -> ReferralRule:
        """When an answer is withheld."""
        return self.card.operating_point.referral

    @property
    def volume_rule(self) -> VolumeRule | None:
        """What judges a volume by all of its slices; None in models made without stacks of slices."""
        return None if self.card.volume_rule is None else self.card.volume_rule.rule

    @cached_property
    def marks(self) -> MarkDetector | None:
        """What tells marks drawn over the head; None where the bundle was not taught it."""
        if self.card.marks is None:
            return None
        try:
            return MarkDetector.load(self.folder / MARKS_FILE)
        except ValueError as error:
            raise BundleError(f"{MARKS_FILE} of {self.folder.name} is of another version; fit it again.") from error

    @cached_property
    def copies(self) -> CopyDetector | None:
        """What knows the pictures that were learned from again; None where the bundle was not taught it."""
        if self.card.copies is None:
            return None
        try:
            return CopyDetector.load(self.folder / COPIES_FILE)
        except ValueError as error:
            raise BundleError(f"{COPIES_FILE} of {self.folder.name} is of another version; fit it again.") from error

    @cached_property
    def typicality(self) -> Typicality:
        """What the features of brain MRI slices look like."""
        try:
            return Typicality.load(self.folder / TYPICALITY_FILE)
        except ValueError as error:
            raise BundleError(
                f"{TYPICALITY_FILE} of {self.folder.name} is of another version; train it again."
            ) from error


def load_bundle(folder: Path) -> Bundle:
    """Read a bundle's card and check every other file against its SHA-256.

    Raises ``BundleError`` when the folder, its card or a file is missing, a file was changed, or the bundle was made
    for other classes or another preprocessing than this version has.
    """
    bundle = Bundle(folder, read_card(folder))
    if bundle.card.classes != CLASSES:
        raise BundleError(f"{folder.name} answers with other classes than this version; use a model made for it.")
    made_with = bundle.card.input.preprocessing
    if made_with != PREPROCESSING:
        raise BundleError(
            f"{folder.name} was trained with the preprocessing {made_with!r}, this version has {PREPROCESSING!r}; "
            "train it again."
        )
    for name in files_of(bundle.card):
        _check_hash(folder / name, bundle.card.sha256.get(name))
    if bundle.marks is not None and bundle.marks.graph_sha256 != bundle.card.sha256[GRAPH_FILE]:
        raise BundleError(
            f"{MARKS_FILE} of {folder.name} belongs to another network; run python -m braintumor marks again."
        )
    return bundle


def _check_hash(path: Path, expected: str | None) -> None:
    if not path.is_file():
        raise BundleError(f"{path.name} of the model {path.parent.name} is missing; restore it from the repository.")
    if sha256_of(path) != expected:
        raise BundleError(
            f"{path.name} of the model {path.parent.name} is not the file its card was written for; "
            "restore it from the repository."
        )
