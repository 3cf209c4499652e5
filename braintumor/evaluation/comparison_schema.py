"""What ``comparison.json`` holds: each network on each split, with its runs, figures and costs."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from braintumor.evaluation.samples import Interval
from braintumor.taxonomy import CLASSES

LEAK_FREE = "leak_free"
"""Split of all datasets into folds, in which no group is on both sides."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ClassFigures(_Part):
    """How well a network tells one class."""

    precision: Interval
    recall: Interval
    f1: Interval
    auc: Interval
    images: int


class DatasetFigures(_Part):
    """What a network reaches on one dataset: its accuracy, and the Dice of its outlines."""

    accuracy: Interval
    dice: Interval


_Counts = Annotated[list[int], Field(min_length=len(CLASSES), max_length=len(CLASSES))]


class Figures(_Part):
    """What a network reaches on a split, see ``comparison_figures``."""

    images: int
    groups: int
    accuracy: Interval
    balanced_accuracy: Interval
    precision_macro: Interval
    recall_macro: Interval
    f1_macro: Interval
    auc_macro: Interval
    accuracy_tumor: Interval
    f1_tumor: Interval
    auc_tumor: Interval
    sensitivity: Interval
    specificity: Interval
    ece: Interval
    brier: Interval
    classes: dict[str, ClassFigures]
    confusion: Annotated[list[_Counts], Field(min_length=len(CLASSES), max_length=len(CLASSES))]
    datasets: dict[str, DatasetFigures]


class Costs(_Part):
    """What a network takes: pixels a side, weights, operations of a pass, and its time on ``measured_on``."""

    size: int | None = None
    parameters: int | None = None
    flops: int | None = None
    bytes_on_disk: int | None = None
    latency_ms: float | None = None
    measured_on: str | None = None


class Run(Costs):
    """One training: on which split and fold, how long, why it was over, and the operating point chosen after it.

    ``command`` trains it again. ``ended`` is "planned", "patience" or, of one that was stopped, "shortened".
    """

    split: str
    fold: int
    epochs: int
    planned_epochs: int
    best_epoch: int
    ended: Literal["planned", "patience", "shortened"]
    seconds: float
    images: int
    threshold: float
    device: str
    command: str
    initial_weights: str | None = None
    bundle: str | None = None


class McNemar(_Part):
    """How many pictures only one of two networks is right about, and how likely that is by chance."""

    only_this_right: int
    only_default_right: int
    p: float


class Difference(_Part):
    """A network against the default one on the pictures that both were tested on."""

    images: int
    accuracy_difference: Interval
    mcnemar: McNemar


class NetworkRow(Costs):
    """A network with its runs, and its figures by split; ``not_trained`` says why it has none."""

    title: str
    source: str
    reported: str
    not_trained: str | None = None
    initial_weights: str | None = None
    device: str = ""
    runs: list[Run] = []
    figures: dict[str, Figures] = {}
    against_default: Difference | None = None

    def on(self, *splits: str) -> list[Run]:
        """Give the runs on some splits."""
        return [run for run in self.runs if run.split in splits]

    @property
    def folds(self) -> list[int]:
        """Numbers of the leak-free folds that it was run on, from 0."""
        return sorted({run.fold for run in self.on(LEAK_FREE)})


class Split(_Part):
    """Which datasets train and are tested on, all by folds where none is named; see ``datasets.Roles``.

    ``test_in_training`` is the share of test pictures of which a near-duplicate is in training.
    """

    train_on: tuple[str, ...]
    test_on: tuple[str, ...]
    as_published: bool
    test_in_training: float


class Protocol(_Part):
    """What all trainings have in common."""

    folds: int
    seed: int
    sensitivity: float
    task: str


class Report(_Part):
    """All of ``comparison.json``."""

    created: str
    index_sha256: str
    default: str
    protocol: Protocol
    splits: dict[str, Split]
    networks: dict[str, NetworkRow]

    @property
    def published(self) -> str | None:
        """Name of the split into the two parts that a dataset was published in; None where nothing was run on it."""
        return next((name for name, split in self.splits.items() if split.as_published and not split.test_on), None)

    @property
    def across(self) -> tuple[str, str] | None:
        """Names of the two splits that train on one dataset and test on another, with their copies and without.

        None where nothing was run on both.
        """
        parts = {(split.train_on, split.test_on, split.as_published): name for name, split in self.splits.items()}
        for (train_on, test_on, as_published), name in parts.items():
            if test_on and as_published and (train_on, test_on, False) in parts:
                return name, parts[train_on, test_on, False]
        return None

    @property
    def clinical(self) -> list[str]:
        """Names of the datasets that have figures of their own."""
        figures = (figures for row in self.networks.values() for figures in row.figures.values())
        return list(dict.fromkeys(name for one in figures for name in one.datasets))
