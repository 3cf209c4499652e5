"""From a trained Keras model to the one graph that the app runs."""

import tempfile
from pathlib import Path

import keras
import numpy as np

from braintumor.networks.registry import CLASSIFIER_LAYER, FEATURE_LAYER, NETWORKS


def inference_model(model: keras.Model) -> keras.Model:
    """Extend a network's outputs, from which one pass then gives everything an answer needs.

    "cam" is Grad-CAM (n, h, w, units of the classifier), "features" (n, channels) the mean of the network's early
    layers and of its last one. The classifier is one dense layer on features averaged with any weights that sum to the
    same for each picture: the gradient of a class's unit by the last feature map, averaged over the map, is then that
    class's dense weights up to a factor, so Grad-CAM (Selvaraju et al., ICCV 2017, eq. 1 and 2) is the rectified
    product of features and weights: CAM (Zhou et al., CVPR 2016) without a bias.
    """
    features = model.get_layer(FEATURE_LAYER).output
    weights = model.get_layer(CLASSIFIER_LAYER).kernel
    explain = keras.layers.Conv2D(weights.shape[-1], 1, use_bias=False, activation="relu", name="cam")
    maps = explain(features)
    explain.set_weights([keras.ops.convert_to_numpy(weights)[None, None]])
    early = [model.get_layer(name).output for name in NETWORKS[model.name].early_layers]
    means = [keras.layers.GlobalAveragePooling2D()(layer) for layer in (*early, features)]
    pooled = keras.layers.Concatenate(name="mean_features")(means)
    return keras.Model(model.input, {**model.output, "cam": maps, "features": pooled})


def export_graph(model: keras.Model, path: Path) -> None:
    """Write the extended network as a LiteRT flatbuffer, float32, for batches of any size; needs TensorFlow."""
    extended = inference_model(model)
    size = int(model.input.shape[1])
    # A model that was never called exports without its weights.
    extended(np.zeros((1, size, size, 1), np.float32))
    with tempfile.TemporaryDirectory() as folder:
        draft = Path(folder) / "graph.tflite"
        extended.export(draft, format="litert", verbose=False)
        path.write_bytes(draft.read_bytes())


def without_optimizer(model: keras.Model) -> keras.Model:
    """Copy a network with its weights alone, computing in float32 whatever it was trained in, ready to be shipped."""
    # The clone of a compiled network would have its optimizer, with three more values for each weight.
    plain = keras.Model(model.input, model.output, name=model.name)
    copy = keras.models.clone_model(plain, clone_function=_in_float32)
    copy.set_weights(model.get_weights())
    return copy


def _in_float32(layer: keras.Layer) -> keras.Layer:
    return layer.__class__.from_config({**layer.get_config(), "dtype": "float32"})
