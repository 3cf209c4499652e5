"""Self-attention over the cells of a feature map, so that each place is judged by what the whole slice shows."""

from typing import Any

import keras
from keras import layers


@keras.saving.register_keras_serializable("braintumor")
class Positions(layers.Layer):
    """Add to each cell of a map (n, h, w, c) what was learned of its place, (h, w, c), zero at the start."""

    def build(self, input_shape: Any) -> None:
        self.places = self.add_weight(name="places", shape=tuple(input_shape[1:]), initializer="zeros")

    def call(self, inputs: Any) -> Any:
        return inputs + self.places


def attend(x: Any, heads: int, name: str) -> Any:
    """Let every cell of a map (n, h, w, c) look at all others: the same shape again.

    One pre-norm encoder block of a vision transformer (Dosovitskiy et al. 2021, arXiv:2010.11929, section 3.1), its
    perceptron twice as wide as the map. ``heads`` divides c.
    """
    height, width, channels = x.shape[1:]
    tokens = layers.Reshape((height * width, channels), name=f"{name}_tokens")(Positions(name=f"{name}_places")(x))
    seen = layers.LayerNormalization(name=f"{name}_norm1")(tokens)
    seen = layers.MultiHeadAttention(heads, channels // heads, dropout=0.1, name=name)(seen, seen)
    tokens = layers.Add(name=f"{name}_seen")([tokens, seen])
    thought = layers.LayerNormalization(name=f"{name}_norm2")(tokens)
    thought = layers.Dense(2 * channels, activation="gelu", name=f"{name}_dense1")(thought)
    thought = layers.Dense(channels, name=f"{name}_dense2")(thought)
    tokens = layers.Add(name=f"{name}_thought")([tokens, layers.Dropout(0.1, name=f"{name}_dropout")(thought)])
    return layers.Reshape((height, width, channels), name=f"{name}_map")(tokens)
