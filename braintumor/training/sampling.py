"""Batches in which every distinct picture and every class has its say, however often it was copied."""

from typing import Any

import keras
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from braintumor.taxonomy import members
from braintumor.training.augmentation import Augmentation


def allowed_classes(labels: pd.Series) -> NDArray[np.float32]:
    """Turn labels into (n, classes) with 1 for every class a label allows."""
    return np.array([members(label) for label in labels], dtype=np.float32)


def row_weights(index: pd.DataFrame) -> NDArray[np.float64]:
    """Give each training row its chance to be drawn: (n,), summing to 1.

    Copies of one picture share the chance of the square root of their number, and classes are drawn in proportion
    to the square root of what they hold, so that neither copies nor a common class drown the rest.
    """
    copies = index.groupby("picture")["picture"].transform("size").to_numpy()
    weights = pd.Series(1 / np.sqrt(copies), index=index.index)
    held = weights.groupby(index["label"]).transform("sum")
    balanced = (weights / np.sqrt(held)).to_numpy()
    return np.asarray(balanced / balanced.sum())


class PictureBatches(keras.utils.PyDataset):
    """Batches of augmented pictures, drawn anew each epoch by ``row_weights``.

    ``pictures`` is uint8 (n, size, size), ``index`` has a row for each with ``label`` and ``picture``. Yields float32
    (batch, size, size, 1) from 0 to 255 and allowed classes (batch, classes). Epoch ``k`` of a seed is always the same,
    so that a resumed run goes on as if it had not stopped.
    """

    def __init__(
        self,
        pictures: NDArray[np.uint8],
        index: pd.DataFrame,
        augmentation: Augmentation,
        *,
        batch_size: int,
        epoch_images: int,
        seed: int,
        epoch: int = 0,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self._pictures = pictures
        self._allowed = allowed_classes(index["label"])
        self._weights = row_weights(index)
        self._augmentation = augmentation
        self._batch_size = batch_size
        self._batches = max(1, epoch_images // batch_size)
        self._seed = seed
        self._epoch = epoch
        self._draw()

    def __len__(self) -> int:
        return self._batches

    def __getitem__(self, batch: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        rows = self._rows[batch]
        random = np.random.default_rng((self._seed, self._epoch, batch))
        pictures = np.stack([self._augmentation.apply(self._pictures[row], random) for row in rows])
        return pictures[..., np.newaxis].astype(np.float32), self._allowed[rows]

    def on_epoch_end(self) -> None:
        self._epoch += 1
        self._draw()

    def _draw(self) -> None:
        random = np.random.default_rng((self._seed, self._epoch))
        size = (self._batches, self._batch_size)
        self._rows = random.choice(len(self._weights), size, p=self._weights)
