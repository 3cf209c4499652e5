"""Batches in which every distinct picture, class and source has its say, however often it was copied."""

from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from braintumor.datasets import at_home, known_or_any
from braintumor.errors import InputError
from braintumor.taxonomy import ANY_TUMOR, NO_TUMOR, TUMOR_CLASSES, members
from braintumor.training.augmentation import Augmentation
from braintumor.training.counterfactuals import Counterfactuals, Example, mirror_axis
from braintumor.training.experiment import ExperimentData

Named = dict[str, NDArray[np.float32]]


@dataclass(frozen=True)
class Sampling:
    """How training pictures are drawn and changed.

    ``by_source`` balances the labels of each dataset instead of those of all. With ``outlined_copies`` a tumor that was
    outlined in one copy of its picture is drawn from outlined copies only, so that what is known of its place is used.
    ``institutions`` is the share of draws from rows that name an institution, where there are any; these are balanced
    by hospital, sequence and label.
    """

    augmentation: Augmentation = field(default_factory=Augmentation)
    counterfactuals: Counterfactuals = field(default_factory=Counterfactuals)
    by_source: bool = True
    outlined_copies: bool = True
    institutions: float = 1 / 3


def allowed_classes(labels: "pd.Series[str] | list[str]") -> NDArray[np.float32]:
    """Turn labels into (n, classes) with 1 for every class a label allows."""
    return np.array([members(label) for label in labels], dtype=np.float32)


def taught_labels(index: pd.DataFrame) -> "pd.Series[str]":
    """Give what each row teaches: a hospital that sent one kind of tumor alone teaches that it is a tumor, not which.

    Otherwise the look of that hospital would count as evidence for the one kind, and tumors of another kind follow it.
    """
    if "hospital" not in index:
        return index["label"]
    kinds = index["label"].where(index["label"].isin(TUMOR_CLASSES)).groupby(index["hospital"]).transform("nunique")
    return index["label"].where(at_home(index) | (kinds != 1) | (index["label"] == NO_TUMOR), ANY_TUMOR)


def target_maps(outlines: list[NDArray[np.uint8] | None], side: int) -> NDArray[np.float32]:
    """Turn outlines into what a map (n, side, side, 1) should show: each cell's share, -1 where nobody drew one."""
    maps = np.full((len(outlines), side, side, 1), -1, np.float32)
    for row, outline in enumerate(outlines):
        if outline is not None:
            small = Image.fromarray(outline).resize((side, side), Image.Resampling.BOX)
            maps[row, ..., 0] = np.asarray(small, np.float32) / 255
    return maps


def row_weights(
    index: pd.DataFrame,
    *,
    by_source: bool = False,
    outlined_copies: bool = False,
    kinds_only: bool = False,
    institutions: float = 0.0,
) -> NDArray[np.float64]:
    """Give each training row its chance to be drawn: (n,), summing to 1.

    Copies of one picture share the chance of the square root of their number, and classes (``by_source``: the classes
    of each dataset) are drawn in proportion to the square root of what they hold, so that neither copies nor a common
    class drown the rest. For ``outlined_copies`` and ``institutions`` see ``Sampling``; the index then needs
    ``outline``, and ``hospital`` and ``sequence``. With
    ``kinds_only`` tumors of unknown kind are never drawn; raises ``InputError`` where there is no other tumor.
    """
    drawn = pd.Series(True, index=index.index)
    if kinds_only:
        drawn = index["label"] != ANY_TUMOR
        if not index["label"].isin(TUMOR_CLASSES).any():
            raise InputError("No tumor in training has a known kind; choose the loss marginal, or add --task binary.")
    if outlined_copies:
        outlined = drawn & (index["outline"] >= 0) & (index["label"] != NO_TUMOR)
        drawn &= outlined | ~outlined.groupby(index["picture"]).transform("any")
    copies = drawn.groupby(index["picture"]).transform("sum").clip(lower=1)
    weights = drawn / np.sqrt(copies)
    strata = index["dataset"] + "/" + index["label"] if by_source else index["label"]
    if not institutions or at_home(index).all():
        return _balanced(weights, strata)
    home = at_home(index).to_numpy()
    strata = strata.where(home, index["hospital"] + "/" + index["sequence"] + "/" + index["label"])
    found = np.zeros(len(index))
    for rows, share in ((home, 1 - institutions), (~home, institutions)):
        if rows.any():
            found[rows] = share * _balanced(weights[rows], strata[rows])
    return np.asarray(found / found.sum())


def _balanced(weights: "pd.Series[float]", strata: "pd.Series[str]") -> NDArray[np.float64]:
    held = weights.groupby(strata).transform("sum")
    balanced = (weights / np.sqrt(held.clip(lower=1e-9))).to_numpy()
    return np.asarray(balanced / balanced.sum())


class PictureBatches(keras.utils.PyDataset):
    """Batches of augmented pictures, drawn anew each epoch by ``row_weights``.

    Yields float32 (batch, size, size, 1) from 0 to 255 and two dictionaries: of targets, "logits" the allowed classes
    (batch, classes) and, for a network with a map of ``map_side`` cells a side, "map" as ``target_maps`` gives it; and
    of their weights, (batch,) each, see ``ExperimentData.outline_weights``. Epoch ``k`` of a
    seed is always the same, so that a resumed run goes on as if it had not stopped. ``kinds_only`` is for losses that
    a tumor of unknown kind cannot teach, see ``row_weights``.
    """

    def __init__(
        self,
        data: ExperimentData,
        sampling: Sampling,
        *,
        batch_size: int,
        epoch_images: int,
        seed: int,
        map_side: int | None = None,
        kinds_only: bool = False,
        epoch: int = 0,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self._data = data
        self._labels = list(data.index["label"] if kinds_only else taught_labels(data.index))
        self._weights = row_weights(
            data.index,
            by_source=sampling.by_source,
            outlined_copies=sampling.outlined_copies,
            kinds_only=kinds_only,
            institutions=sampling.institutions if "hospital" in data.index else 0.0,
        )
        self._sampling = sampling
        self._kinds_only = kinds_only
        self._map_side = map_side
        self._batch_size = batch_size
        self._batches = max(1, epoch_images // batch_size)
        self._seed = seed
        self._epoch = epoch
        self._outline_weights = data.outline_weights
        self._exact = [not known_or_any(name).outline_weights for name in data.index["dataset"]]
        outlined = np.flatnonzero(data.index["outline"] >= 0)
        self._donors = [int(row) for row in outlined if self._labels[row] != NO_TUMOR and self._exact[row]]
        self._axes: dict[int, float | None] = {}
        self._draw()

    def __len__(self) -> int:
        return self._batches

    def __getitem__(self, batch: int) -> tuple[NDArray[np.float32], Named, Named]:
        random = np.random.default_rng((self._seed, self._epoch, batch))
        examples = [self._example(int(row), random) for row in self._rows[batch]]
        pictures = np.stack([example.picture for example in examples])[..., np.newaxis].astype(np.float32)
        targets = {"logits": allowed_classes([example.label for example in examples])}
        weights = {"logits": np.ones(len(examples), np.float32)}
        if self._map_side:
            targets["map"] = target_maps([example.outline for example in examples], self._map_side)
            weights["map"] = self._outline_weights[self._rows[batch]]
        return pictures, targets, weights

    def on_epoch_end(self) -> None:
        self._epoch += 1
        self._draw()

    def _draw(self) -> None:
        random = np.random.default_rng((self._seed, self._epoch))
        size = (self._batches, self._batch_size)
        self._rows = random.choice(len(self._weights), size, p=self._weights)

    def _example(self, row: int, random: np.random.Generator) -> Example:
        example = self._stored(row)
        donor = self._stored(self._donors[random.integers(len(self._donors))]) if self._donors else None
        changed = self._sampling.counterfactuals.apply(example, self._axis(row), donor, random)
        # A grafted tumor has no kind.
        example = example if self._kinds_only and changed.label == ANY_TUMOR else changed
        picture, outline = self._sampling.augmentation.apply(example.picture, random, example.outline)
        return Example(picture, outline, example.label)

    def _stored(self, row: int) -> Example:
        return Example(self._data.pictures[row], self._data.outline(row), self._labels[row], self._exact[row])

    def _axis(self, row: int) -> float | None:
        if self._data.index["outline"].iloc[row] < 0 or not self._sampling.counterfactuals.mirrors:
            return None
        if row not in self._axes:
            self._axes[row] = mirror_axis(self._data.pictures[row], self._data.outline(row))
        return self._axes[row]
