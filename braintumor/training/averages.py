"""Means of several states of a network, and the statistics that fit them."""

from collections.abc import Callable, Sequence

import keras
import numpy as np
from numpy.typing import NDArray

Weights = list[NDArray[np.float32]]


def settle(model: keras.Model, batches: Sequence[NDArray[np.float32]]) -> None:
    """Estimate the statistics of batch normalization anew, as the mean over batches (n, size, size, 1) of 0 to 255.

    Weights that were averaged over many steps never met the statistics that were gathered on the way (Izmailov et al.
    2018, arXiv:1803.05407, section 3.2). Layers that are not trained keep theirs.
    """
    norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization) and layer.trainable]
    momenta = [layer.momentum for layer in norms]
    for number, batch in enumerate(batches):
        for layer in norms:
            layer.momentum = number / (number + 1)
        model(batch, training=True)
    for layer, momentum in zip(norms, momenta, strict=True):
        layer.momentum = momentum


def blend(model: keras.Model, states: Sequence[Weights], loss: Callable[[keras.Model], float]) -> list[int]:
    """Set a network to the mean of those states that make each other better, and give their places among ``states``.

    ``states`` are as ``get_weights`` gives them, the best first. To it each other one is added in turn, if ``loss`` of
    the mean falls by that; ``loss`` may settle the network that it is given. Greedy soup (Wortsman et al., ICML 2022,
    arXiv:2203.05482, section 2).
    """
    chosen = [0]
    lowest = loss(_set_mean(model, states, chosen))
    for number in range(1, len(states)):
        found = loss(_set_mean(model, states, [*chosen, number]))
        if found < lowest:
            lowest = found
            chosen.append(number)
    loss(_set_mean(model, states, chosen))
    return chosen


def _set_mean(model: keras.Model, states: Sequence[Weights], chosen: Sequence[int]) -> keras.Model:
    parts = zip(*(states[number] for number in chosen), strict=True)
    model.set_weights([np.mean(values, axis=0) for values in parts])
    return model
