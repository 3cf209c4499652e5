"""The card of a trained model: what it is, how it came about, what it decides by, and how good it is."""

from datetime import date
from typing import Annotated, Literal, Self

import numpy as np
from pydantic import Field, JsonValue, model_validator

from braintumor.bundles.figures import CopyFigures, Counts, HospitalStacks, MarkFigures, Metrics, Record
from braintumor.decision import Calibration, ReferralRule, VolumeRule

SCHEMA: Literal[2] = 2
"""Version of the card's shape; the cards of versions up to 5.2 had no such number."""

Share = Annotated[float, Field(ge=0, le=1)]


class HeldOutHospitals(Record):
    """Institutions that were trained on, chosen on, and only measured."""

    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]


class Split(Record):
    """How the data was split into groups; the digests identify the data, its groups and the hospitals' pictures.

    ``train_on`` and ``test_on`` name datasets where only some were trained or tested on; ``as_published`` leaves copies
    of test pictures in training, as others have it.
    """

    seed: int
    folds: int
    fold: int
    groups: Counts
    index_sha256: str
    train_on: tuple[str, ...] = ()
    test_on: tuple[str, ...] = ()
    as_published: bool = False
    hospitals: HeldOutHospitals | None = None
    hospitals_sha256: str | None = None


class Training(Record):
    """On what, with which software and with which options each network of the model was trained."""

    device: str
    software: dict[str, str]
    options: dict[str, dict[str, JsonValue]]


class FederatedTraining(Record):
    """How sites trained the model together: pictures of each label at every site, and the privacy that was spent.

    ``strategy``, ``norms`` and ``privacy`` are those of ``braintumor.federated.options``; the served weights are those
    of ``best_round``. ``epsilon`` and ``delta`` are None without differential privacy.
    """

    strategy: str
    norms: str
    privacy: str
    epsilon: float | None = None
    delta: float | None = None
    sites: dict[str, Counts]
    rounds: int
    best_round: int


class StartedFrom(Record):
    """The model whose network training started from, and the commands that made that one, in order."""

    name: str
    version: str
    initial_weights: str | None
    initial_weights_sha256: str | None = None
    commands: tuple[str, ...]
    device: str
    epochs: int


class Heatmap(Record):
    """Where the cells of Grad-CAM lie on the input, in pixels: the first center, and the step between centers.

    ``feature_map`` is False where the network has no cells.
    """

    first: float
    step: float
    feature_map: bool = True


class Input(Record):
    """What the network takes: side in pixels, channels, range of the values, and the version of what prepares them."""

    size: int
    channels: int
    range: tuple[float, float]
    preprocessing: str


class SourceData(Record):
    """A dataset: where it is from, and its images by label and split."""

    title: str | None = None
    source: str | None = None
    license: str | None = None
    images: dict[str, Counts]


class TumorMap(Record):
    """Cells a side, how an outline follows from them, and how many of the highest cells make the score."""

    size: int
    cut: str
    score_cells: int


class FittedCalibration(Record):
    """A calibration, and the split that it was fitted on; see ``braintumor.decision.Calibration``."""

    method: str
    slope: float
    shift: float
    temperature: float
    map_temperature: float = 1.0
    kind_bias: tuple[float, ...] = ()
    fitted_on: str

    @model_validator(mode="after")
    def _must_calibrate(self) -> Self:
        _ = self.values
        return self

    @property
    def values(self) -> Calibration:
        """What turns logits into probabilities."""
        return Calibration(self.slope, self.shift, self.temperature, self.map_temperature, self.kind_bias)


class OperatingPoint(Record):
    """The threshold on P(tumor) and the referral rule, with what they were chosen for.

    ``threshold`` finds at least ``chosen_for_sensitivity`` of the tumors in each of ``datasets``; every band holds
    ``least_band``, and at most ``most_referred_besides`` of the images are referred beyond it.
    """

    threshold: Share
    chosen_for_sensitivity: Share
    datasets: tuple[str, ...]
    least_band: tuple[float, float]
    most_referred_besides: Share
    fitted_on: str
    referral: ReferralRule


class FittedOn(Record):
    """Patients of one hospital and their stacks, with a tumor and without."""

    patients: int
    with_tumor: int
    without: int


class FittedVolumeRule(Record):
    """A rule for volumes, how often its answers were right on patients left out, and the hospitals it was fitted on."""

    names: tuple[str, ...]
    mean: tuple[float, ...]
    spread: tuple[float, ...]
    weights: tuple[float, ...]
    intercept: float
    tumor_low: float
    tumor_high: float
    distance_limit: float | None = None
    low_by_sequence: dict[str, float] = Field(default_factory=dict)
    least_npv: Share
    least_ppv: Share
    fitted_on: dict[str, FittedOn]

    @model_validator(mode="after")
    def _must_judge(self) -> Self:
        _ = self.rule
        return self

    @property
    def rule(self) -> VolumeRule:
        """What judges a volume by all of its slices."""
        limits = self.tumor_low, self.tumor_high, np.inf if self.distance_limit is None else self.distance_limit
        figures = self.names, self.mean, self.spread, self.weights, self.intercept
        return VolumeRule(*figures, *limits, self.low_by_sequence)


class Card(Record):
    """A model's card; ``docs/model-bundles.md`` says what each key means.

    ``modality`` is DICOM's code of the images it reads. Without ``map`` the network does not locate tumors; ``kinds``
    is False for one that tells tumor or not only. ``sha256`` is of each other file of the bundle, and filled in when
    the card is written.
    """

    schema_version: Literal[2] = SCHEMA
    name: str
    version: str
    created: date
    modality: str = "MR"
    network: str
    network_source: str
    initial_weights: str | None = None
    initial_weights_sha256: str | None = None
    command: str
    refitted_by: str | None = None
    started_from: StartedFrom | None = None
    training: Training | None = None
    federated: FederatedTraining | None = None
    kept_epochs: tuple[int, ...] = ()
    parameters: int
    classes: tuple[str, ...]
    kinds: bool = True
    input: Input
    heatmap: Heatmap
    map: TumorMap | None = None
    data: dict[str, SourceData]
    split: Split
    calibration: FittedCalibration
    operating_point: OperatingPoint
    volume_rule: FittedVolumeRule | None = None
    metrics: Metrics
    stacks: dict[str, dict[str, HospitalStacks]] = Field(default_factory=dict)
    marks: MarkFigures | None = None
    copies: CopyFigures | None = None
    sha256: dict[str, str] = Field(default_factory=dict)

    @property
    def full_name(self) -> str:
        """Name and version, as predictions carry them."""
        return f"{self.name}-{self.version}"
