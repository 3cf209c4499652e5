"""From a trained Keras model to the one graph that the app runs."""

import shutil
import tempfile
from pathlib import Path
from typing import Any

import keras
import numpy as np

from braintumor.bundles import GRAPH_FILE, KERAS_FILE, Bundle
from braintumor.errors import InputError
from braintumor.networks.registry import CLASSIFIER_LAYER, FEATURE_LAYER, NETWORKS


def inference_model(model: keras.Model) -> keras.Model:
    """Extend a network's outputs, from which one pass then gives everything an answer needs.

    "features" (n, channels) are the means of the network's early layers and of its last feature map; a layer that
    gives a vector is taken as it is. Where Grad-CAM has a closed form "cam" is it: (n, h, w, units of the classifier).
    The classifier is then one dense layer on features averaged with any weights that sum to the same for each picture:
    the gradient of a class's unit by the last feature map, averaged over the map, is that class's dense weights up to a
    factor, so Grad-CAM (Selvaraju et al., ICCV 2017, eq. 1 and 2) is the rectified product of features and weights:
    CAM (Zhou et al., CVPR 2016) without a bias.
    """
    network = NETWORKS[model.name]
    described = [model.get_layer(name).output for name in network.early_layers]
    described += [model.get_layer(FEATURE_LAYER).output] if network.feature_map else []
    vectors = [_mean(output) for output in described]
    outputs = {**model.output, "features": _joined(vectors)}
    # A map's score weighs no features.
    if network.closed_form and hasattr(model.get_layer(CLASSIFIER_LAYER), "kernel"):
        outputs["cam"] = _class_maps(model)
    return keras.Model(model.input, outputs)


def _mean(output: Any) -> Any:
    return keras.layers.GlobalAveragePooling2D()(output) if len(output.shape) > 2 else output


def _joined(vectors: list[Any]) -> Any:
    if len(vectors) == 1:
        return keras.layers.Activation("linear", name="mean_features")(vectors[0])
    return keras.layers.Concatenate(name="mean_features")(vectors)


def _class_maps(model: keras.Model) -> Any:
    weights = model.get_layer(CLASSIFIER_LAYER).kernel
    explain = keras.layers.Conv2D(weights.shape[-1], 1, use_bias=False, activation="relu", name="cam")
    maps = explain(model.get_layer(FEATURE_LAYER).output)
    explain.set_weights([keras.ops.convert_to_numpy(weights)[None, None]])
    return maps


def check_backend() -> None:
    """Raise ``InputError`` where Keras runs on anything but TensorFlow, which alone writes the app's graph."""
    if keras.backend.backend() != "tensorflow":
        raise InputError(
            "The app's graph can only be written on TensorFlow; give the same command again with "
            "KERAS_BACKEND=tensorflow: a finished training is not repeated."
        )


def export_graph(model: keras.Model, path: Path) -> None:
    """Write the extended network as a LiteRT flatbuffer, float32, for batches of any size.

    Raises ``InputError`` where Keras runs on anything but TensorFlow.
    """
    check_backend()
    extended = inference_model(model)
    size = int(model.input.shape[1])
    # A model that was never called exports without its weights.
    extended(np.zeros((1, size, size, 1), np.float32))
    with tempfile.TemporaryDirectory() as folder:
        draft = Path(folder) / "graph.tflite"
        extended.export(draft, format="litert", verbose=False)
        path.write_bytes(draft.read_bytes())


def export_bundle(bundle: Bundle, path: Path) -> None:
    """Write a bundle's network as one file: Keras's .keras or .h5, or .tflite, the graph that the app runs.

    Raises ``InputError`` for another ending.
    """
    kept = {".keras": KERAS_FILE, ".tflite": GRAPH_FILE}
    if path.suffix in kept:
        shutil.copyfile(bundle.folder / kept[path.suffix], path)
    elif path.suffix == ".h5":
        keras.saving.load_model(bundle.folder / KERAS_FILE, compile=False).save(path)
    else:
        raise InputError(f"{path.name} ends in none of .keras, .h5 and .tflite; choose one of them.")


def without_optimizer(model: keras.Model) -> keras.Model:
    """Copy a network with only its weights, computing in float32 whatever it was trained in, ready to be shipped."""
    # The clone of a compiled network would have its optimizer, with three more values for each weight.
    plain = keras.Model(model.input, model.output, name=model.name)
    copy = keras.models.clone_model(plain, clone_function=_in_float32)
    copy.set_weights(model.get_weights())
    return copy


def _in_float32(layer: keras.Layer) -> keras.Layer:
    return layer.__class__.from_config({**layer.get_config(), "dtype": "float32"})
