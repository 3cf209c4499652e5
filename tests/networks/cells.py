"""How far the cells of an encoder see."""

import keras
import numpy as np
from keras import layers


def make_even(model):
    """Let every convolution of a network weigh all that it sees alike, so that no cell prefers a side."""
    for layer in model.layers:
        if isinstance(layer, layers.Conv2D | layers.DepthwiseConv2D):
            kernel, *bias = layer.get_weights()
            even = np.full_like(kernel, 1 / kernel[..., 0].size)
            layer.set_weights([even, *(np.zeros_like(values) for values in bias)])


def seen_by_a_cell(encode, cell, axis, length):
    """Give the lines of a black picture, made bright one by one, that move a cell at all.

    ``encode`` turns an input into one stage. No weight of the network is negative, so that nothing cancels out. All
    lines between the outermost ones are seen, and these lie within the picture.
    """
    shape = (length, 48, 1) if axis == 0 else (48, length, 1)
    image = keras.Input(shape)
    encoder = keras.Model(image, encode(image))
    make_even(encoder)
    pictures = np.zeros((length, *shape), np.float32)
    for line in range(length):
        pictures[line].swapaxes(0, axis)[line] = 255
    cells = np.take(encoder.predict(pictures, batch_size=24, verbose=0), cell, axis=1 + axis)
    seen = np.flatnonzero(cells.max(axis=(1, 2)))
    assert len(seen) == seen[-1] + 1 - seen[0], "all between the ends"
    assert 0 < seen[0] < seen[-1] < length - 1, "neither end beyond the picture"
    return seen
