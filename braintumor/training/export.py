"""From a trained Keras model to the one graph that the app runs."""

import tempfile
from pathlib import Path

import keras
import numpy as np

from braintumor.networks.registry import FEATURE_LAYER, LOGIT_LAYER, NETWORKS


def inference_model(model: keras.Model) -> keras.Model:
    """Extend a network so that one pass gives logits (n, 4), Grad-CAM (n, h, w, 4) and mean features (n, channels).

    The mean features are those of the network's early layers and of its last one, averaged over the picture. The
    network must end in global average pooling and one dense layer. There the gradient of a class's logit by
    the last feature map is that class's dense weights over the map's area, so Grad-CAM (Selvaraju et al., ICCV 2017,
    eq. 1 and 2) is the rectified product of features and weights: CAM (Zhou et al., CVPR 2016) without a bias.
    """
    features = model.get_layer(FEATURE_LAYER).output
    weights = model.get_layer(LOGIT_LAYER).kernel
    explain = keras.layers.Conv2D(weights.shape[-1], 1, use_bias=False, activation="relu", name="cam")
    maps = explain(features)
    explain.set_weights([keras.ops.convert_to_numpy(weights)[None, None]])
    early = [model.get_layer(name).output for name in NETWORKS[model.name].early_layers]
    means = [keras.layers.GlobalAveragePooling2D()(layer) for layer in (*early, features)]
    pooled = keras.layers.Concatenate(name="mean_features")(means)
    return keras.Model(model.input, {"logits": model.output, "cam": maps, "features": pooled})


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
    """Copy a network with its weights alone, ready to be shipped."""
    copy = keras.Model.from_config(model.get_config())
    copy.set_weights(model.get_weights())
    return copy
