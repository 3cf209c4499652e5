"""How much of a tumor map has a say in whether there is a tumor: chosen on validation groups, after training."""

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from braintumor.decision import fit_calibration
from braintumor.networks.layers import HIGHEST_CELLS, TopMean, highest_mean
from braintumor.taxonomy import NO_TUMOR
from braintumor.training.experiment import ExperimentData

CELLS = tuple(round(HIGHEST_CELLS * 2 ** (step / 2)) for step in range(-2, 4))
"""Numbers of highest cells to choose from, of a map of 96 × 96, from half of what networks are trained with."""

_DIGITS = 6

_BATCH = 16


def choose_cells(model: keras.Model, validation: ExperimentData) -> int | None:
    """Let a network's score be that of ``CELLS`` whose tumor or not has the lowest cross-entropy once calibrated.

    Changes ``model`` and gives the number of cells. Trained on few cells, a map learns to be sure; counted over more, a
    spot that is bright and small, as a false alarm is, weighs less. Without pictures of both sides the score stays as
    it was trained; None for a network whose answer comes from no map.
    """
    scores = [layer for layer in model.layers if isinstance(layer, TopMean)]
    if not scores:
        return None
    (score,) = scores
    is_tumor = (validation.index["label"] != NO_TUMOR).to_numpy()
    if is_tumor.any() and not is_tumor.all():
        located = keras.Model(model.input, model.output["map"])
        maps = located.predict(validation.pictures[..., np.newaxis], batch_size=_BATCH, verbose=0)
        found = {cells: round(_cross_entropy(maps, cells, is_tumor), _DIGITS) for cells in CELLS}
        # On a small map several numbers are as many cells; of these the one nearest to what it was trained with.
        score.cells = min(CELLS, key=lambda cells: (found[cells], abs(cells - HIGHEST_CELLS)))
    return int(score.cells)


def _cross_entropy(maps: NDArray[np.float32], cells: int, is_tumor: NDArray[np.bool_]) -> float:
    """Mean -log of what calibrated probabilities say of the truth; ``maps`` are logits (n, h, w, 1)."""
    score = ops.convert_to_numpy(highest_mean(maps, cells))
    logits, truth = np.column_stack([score, np.zeros_like(score)]), np.column_stack([is_tumor, ~is_tumor])
    stated = fit_calibration(logits, truth).apply(logits)
    return float(-np.log(np.maximum(stated[truth], np.finfo(np.float64).tiny)).mean())
