"""What is measured of a model, as its card holds it; ``braintumor.evaluation`` makes these figures.

A share, an area or an error is a number from 0 to 1, and None where it is undefined.
"""

import math
from typing import TypeAlias

from pydantic import BaseModel, ConfigDict

Counts: TypeAlias = dict[str, int]
Floats3: TypeAlias = tuple[float, float, float]


class Record(BaseModel):
    """A frozen record of JSON that refuses unknown keys, values of another type and numbers that are not finite."""

    model_config = ConfigDict(
        frozen=True,
        strict=True,
        extra="forbid",
        allow_inf_nan=False,
        protected_namespaces=(),
    )


class Estimate(Record):
    """A figure with its 95 % interval; bounds are None where nothing can be said of them."""

    value: float | None
    low: float | None = None
    high: float | None = None

    @property
    def floats(self) -> Floats3:
        """Value, low and high, NaN for what is None."""
        value, low, high = (math.nan if one is None else one for one in (self.value, self.low, self.high))
        return value, low, high


class Proportion(Estimate):
    """``count`` of ``of``, with the share that it is."""

    count: int
    of: int


class ClassFigures(Record):
    """How one class is told from the others; ``support`` images in ``groups``."""

    recall: Estimate
    precision: Estimate
    f1: Estimate
    support: int
    groups: int


class ConfusionMatrix(Record):
    """Images by true class (down) and likeliest class (across), in the order of ``classes``."""

    classes: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]


class FourClass(Record):
    """Figures over the four classes, on images whose class is known."""

    images: int
    accuracy: Estimate
    balanced_accuracy: Estimate
    macro_precision: float | None
    macro_recall: float | None
    macro_f1: Estimate
    per_class: dict[str, ClassFigures]
    confusion_matrix: ConfusionMatrix


class DetectionCounts(Record):
    """Images by what they show and what was called."""

    true_positive: int
    false_negative: int
    true_negative: int
    false_positive: int


class Detection(Record):
    """Tumor or not, at the operating point where a threshold counts."""

    images: int
    tumors: int
    roc_auc: Estimate
    average_precision: float | None
    sensitivity: Estimate
    specificity: Estimate
    counts: DetectionCounts


class CalibrationFigures(Record):
    """How well stated probabilities match what happens, in ``bins`` bins; of all these less is better."""

    bins: int
    ece: Estimate
    detection_ece: Estimate
    brier: float | None
    detection_brier: float | None
    nll: float | None


class Answered(Record):
    """What is answered and not referred, and how often it is right."""

    images: int
    share: Estimate
    accuracy: Estimate
    error: Estimate
    error_of_referred: Estimate
    sensitivity: Estimate
    specificity: Estimate


class LabelFigures(Record):
    """Images of one dataset and label: shares that get their class, are rightly called tumor or not, are answered.

    ``right`` is undefined where the class is not known; ``p_tumor`` is the mean P(tumor).
    """

    images: int
    groups: int
    right: Estimate
    detected: Estimate
    answered: Estimate
    p_tumor: float


class DatasetFigures(Record):
    """Images of one dataset; ``accuracy_given_tumor`` is that of the kind where one knows that there is a tumor."""

    images: int
    groups: int
    accuracy: Estimate
    accuracy_given_tumor: Estimate
    labels: dict[str, LabelFigures]


class MaskFigures(Record):
    """How masks match those drawn by hand; ``false_share`` is that of images with a region that touches no lesion."""

    images: int
    groups: int
    dice: Estimate
    dice_median: float
    dice_quartiles: tuple[float, float]
    iou: float
    hausdorff95_percent_median: float | None
    hausdorff95_undefined_share: float
    lesions: int
    lesions_found: int
    lesion_sensitivity: float | None
    false_lesions_per_image: float
    false_share: float


class DatasetMasks(MaskFigures):
    """Masks of one dataset, and of each of its labels."""

    labels: dict[str, MaskFigures]


class SizedMasks(Record):
    """Masks of tumors whose share of the picture lies from ``smallest`` to ``largest``."""

    smallest: float
    largest: float
    images: int
    groups: int
    dice_median: float
    nothing: float
    missed: float | None


class MissedTumor(Record):
    """The largest tumor with nothing outlined: its share of the picture, and its label."""

    tumor_share: float
    label: str


class Segmentation(Record):
    """Masks of a split by dataset and by size of the tumor; ``map_ece`` is the calibration error of the map's cells."""

    images: int
    groups: int
    datasets: dict[str, DatasetMasks]
    by_size: tuple[SizedMasks, ...]
    largest_missed: MissedTumor | None
    map_ece: float | None


class Confusion(Record):
    """A class taken for another: images, their share of the class, median stated probability, share referred."""

    label: str
    answered: str
    images: int
    share: float
    stated: float
    referred: float
    datasets: Counts


class SureError(Record):
    """A wrong answer that was given, and the probability that was stated for it."""

    dataset: str
    label: str
    answered: str
    stated: float


class MissedAndFalse(Record):
    """Tumors below the operating point and tumor-free images at or above it, and how many of each are answered."""

    tumors: int
    missed: int
    missed_answered: int
    tumor_free: int
    called: int
    called_answered: int


class ReferralFigures(Record):
    """How many are referred for a reason, and which share of these answers would be wrong."""

    images: int
    share: float
    wrong: float | None


class Failures(Record):
    """How a model fails on a split.

    ``wrong`` of ``known`` images of known class are wrong, half of them in ``groups_of_half`` of ``groups`` groups;
    ``given`` of the wrong answers are not referred, ``sure`` of them stated with ``sure_from`` or more, of which
    ``examples`` are the surest of different groups. ``referrals`` goes by the first reason that holds.
    """

    known: int
    wrong: int
    groups: int
    groups_of_half: int
    confusions: tuple[Confusion, ...]
    given: int
    sure: int
    sure_from: float
    examples: tuple[SureError, ...]
    datasets: dict[str, MissedAndFalse]
    referrals: dict[str, ReferralFigures]


class HospitalFigures(Record):
    """Single slices of one hospital: what is called, cleared, answered and refused as not a brain MRI."""

    patients: int
    images: int
    tumors: int
    roc_auc: Estimate
    called_tumor_free: Estimate
    cleared_tumors: Estimate
    answered: Estimate
    refused: Estimate


class SeenPart(Record):
    """Images that were in the training set, or the others: accuracy on the ``known`` of ``images``."""

    images: int
    known: int
    accuracy: Estimate


class Seen(Record):
    """A split that was trained on in part."""

    trained: SeenPart
    others: SeenPart


class SplitFigures(Record):
    """Every figure of one split.

    ``threshold`` is the operating point in force, ``in_training_share`` the share of images that were themselves in the
    training set; ``web_detection`` is of images gathered from web pages. ``hospitals`` has the figures of each held-out
    hospital by sequence, "" for all of them, ``hospital_parts`` those by height in the head and by lesion size;
    ``failures`` is there of the leak-free test.
    """

    images: int
    groups: int
    in_training_share: float | None
    threshold: float
    datasets: dict[str, DatasetFigures]
    four_class: FourClass
    detection: Detection
    web_detection: Detection
    calibration: CalibrationFigures
    answered: Answered | None = None
    segmentation: Segmentation | None = None
    failures: Failures | None = None
    seen: Seen | None = None
    hospitals: dict[str, dict[str, HospitalFigures]] | None = None
    hospital_parts: dict[str, dict[str, HospitalFigures]] | None = None


class ForeignKind(Record):
    """Pictures of one kind that are not brain MRI."""

    images: int
    referred: float
    auroc: float | None


class ForeignFigures(Record):
    """Pictures that are not brain MRI against real scans, by their distance from the training scans.

    ``auroc`` is the chance that such a picture lies farther than a scan; shares are of pictures that are referred.
    """

    auroc: float | None
    real_referred: float | None
    real_referred_by_dataset: dict[str, float]
    foreign_referred: float | None
    kinds: dict[str, ForeignKind]


class Metrics(Record):
    """Figures of each split that was measured; "mirrored" ones hold slices beside their own tumor-free selves."""

    validation: SplitFigures | None = None
    test: SplitFigures | None = None
    published_test: SplitFigures | None = None
    hospital_validation: SplitFigures | None = None
    hospital_test: SplitFigures | None = None
    external: SplitFigures | None = None
    mirrored_validation: SplitFigures | None = None
    mirrored_test: SplitFigures | None = None
    mirrored_external: SplitFigures | None = None
    foreign: ForeignFigures | None = None

    def split(self, name: str) -> SplitFigures | None:
        """Give the figures of a split by its name; None where it was not measured."""
        found = getattr(self, name)
        return found if isinstance(found, SplitFigures) else None


class StackAnswers(Record):
    """How many stacks there are, and what they are answered."""

    stacks: int
    tumor: int
    no_tumor: int
    refer: int


class SequenceStacks(Record):
    """Whole stacks of slices: answers with a tumor and without, and of how many with one the key slice shows it."""

    patients: int
    with_tumor: StackAnswers
    without: StackAnswers
    auroc: float | None
    key_in_tumor: int


class HospitalStacks(SequenceStacks):
    """Stacks of one hospital, and of each sequence."""

    sequences: dict[str, SequenceStacks]


class MarkFigures(Record):
    """How well drawn marks are noticed: plain images taken for marked by dataset, and marked ones found."""

    false_alarms: dict[str, Proportion]
    found: Proportion


class CopyFigures(Record):
    """How well copies of training pictures are known again.

    ``signatures`` is their number, ``known_again`` the share of changed training pictures that match by change,
    ``matches`` that of left-out pictures by split and dataset. ``rebuilt`` is the correlation of a picture with what
    the best linear map makes of its signature, once the usual head is taken from both.
    """

    signatures: int
    known_again: dict[str, Proportion]
    matches: dict[str, Proportion]
    rebuilt: float


class MethodFigures(Record):
    """How faithful the heatmaps of a method are, and the seconds that one takes."""

    inside: Estimate
    pointing: Estimate
    deletion: Estimate
    insertion: Estimate
    randomized_correlation: Estimate
    seconds: float | None = None


class Curves(Record):
    """Mean score while the hottest pixels are taken away, or put in, over ``HeatmapFigures.share``."""

    deletion: tuple[float, ...] = ()
    insertion: tuple[float, ...] = ()


class Chance(Record):
    """The share of heat inside a tumor that even heat over the head would have."""

    inside: float | None = None


class HeatmapFigures(Record):
    """What ``python -m braintumor heatmaps`` measured, in a file of its own beside the card.

    ``model_sha256`` names the weights that were measured.
    """

    model_sha256: str
    images: int
    groups: int
    methods: dict[str, MethodFigures]
    curves: dict[str, Curves] = {}
    share: tuple[float, ...] = ()
    chance: Chance = Chance()
