"""Layers that turn a tumor map and features into the four logits."""

from typing import Any

import keras
from keras import layers, ops

HIGHEST_CELLS = 40
"""How many cells of a map of 96 × 96 speak for a tumor in training, about a square of 13 pixels in a picture of 192."""


def highest_mean(tumor_map: Any, cells: int = HIGHEST_CELLS) -> Any:
    """Mean of the highest cells of a map: (n, h, w, 1) to (n, 1).

    ``cells`` is their number on a map of 96 × 96; other maps take the same share. Between maximum and average pooling,
    for evidence that is small but not a single cell (top-k pooling, Durand et al., CVPR 2017, section 3).
    """
    area = tumor_map.shape[1] * tumor_map.shape[2]
    highest, _ = ops.top_k(ops.reshape(tumor_map, (-1, area)), max(1, round(cells * area / 96**2)))
    return ops.mean(highest, axis=-1, keepdims=True)


@keras.saving.register_keras_serializable("braintumor")
class TopMean(layers.Layer):
    """``highest_mean`` of a map, (n, h, w, 1) to (n, 1), scaled and shifted by two learned numbers."""

    def __init__(self, cells: int = HIGHEST_CELLS, **options: Any) -> None:
        super().__init__(**options)
        self.cells = cells

    def build(self, input_shape: Any) -> None:
        self.scale = self.add_weight(name="scale", shape=(), initializer="ones")
        self.shift = self.add_weight(name="shift", shape=(), initializer="zeros")

    def call(self, inputs: Any) -> Any:
        return highest_mean(inputs, self.cells) * self.scale + self.shift

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "cells": self.cells}


@keras.saving.register_keras_serializable("braintumor")
class RegionPooling(layers.Layer):
    """Mean features of the slice plus those where the map says tumor: (n, h, w, c) and (n, kh, kw, 1) to (n, c).

    The map only says where to look; no gradient flows into it, so a kind cannot be learned by moving the outline.
    ``region`` and ``whole`` switch the two parts on.
    """

    def __init__(self, region: bool = True, whole: bool = True, **options: Any) -> None:
        super().__init__(**options)
        self.region = region
        self.whole = whole

    def build(self, input_shape: Any) -> None:
        features, tumor_map = input_shape
        self._factor = tumor_map[1] // features[1]

    def call(self, inputs: Any) -> Any:
        features, tumor_map = inputs
        parts = []
        if self.whole:
            parts.append(ops.mean(features, axis=(1, 2)))
        if self.region:
            chance = ops.sigmoid(ops.cast(tumor_map, features.dtype))
            share = ops.average_pool(ops.stop_gradient(chance), self._factor, self._factor)
            # Where the map is empty everywhere, the whole slice counts alike.
            share = share + 1e-3
            parts.append(ops.sum(features * share, axis=(1, 2)) / ops.sum(share, axis=(1, 2)))
        return sum(parts[1:], start=parts[0])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "region": self.region, "whole": self.whole}


@keras.saving.register_keras_serializable("braintumor")
class JointLogits(layers.Layer):
    """Join kinds (n, 3) and a tumor's logit (n, 1) to logits (n, 4) whose softmax is P(tumor) × P(kind | tumor)."""

    def call(self, inputs: Any) -> Any:
        kinds, tumor = inputs
        return ops.concatenate([ops.log_softmax(kinds, axis=-1) + tumor, ops.zeros_like(tumor)], axis=-1)
