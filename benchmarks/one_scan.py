"""One scan from bytes to answer with Grad-CAM, against Keras's ``predict`` with tf-keras-vis on the same network."""

import keras
import numpy as np
from tf_keras_vis.gradcam import Gradcam

from benchmarks.alternation import alternate
from benchmarks.pictures import jpegs
from benchmarks.result import Result
from braintumor import settings
from braintumor.bundles import KERAS_FILE
from braintumor.inference import Predictor
from braintumor.networks.registry import CLASSIFIER_LAYER, FEATURE_LAYER
from braintumor.scans import prepare, read
from braintumor.taxonomy import TUMOR_CLASSES


def run() -> Result:
    configured = settings.load()
    predictor = Predictor.load(configured.models_dir / configured.model)
    model = keras.saving.load_model(predictor.bundle.folder / KERAS_FILE, compile=False)
    explainer = Gradcam(keras.Model(model.input, model.get_layer(CLASSIFIER_LAYER).output), clone=False)

    def ours(data: bytes) -> None:
        prediction = predictor.predict([read(data, "scan.jpg")])[0]
        prediction.class_map(max(TUMOR_CLASSES, key=prediction.probabilities.__getitem__))

    def baseline(data: bytes) -> None:
        image = prepare(read(data, "scan.jpg").pixels[0], predictor.bundle.size).image
        batch = image[None, ..., None].astype(np.float32)
        best = int(model.predict(batch, verbose=0)["logits"][0, : len(TUMOR_CLASSES)].argmax())
        explainer(
            lambda output: output[:, best], batch, penultimate_layer=FEATURE_LAYER, seek_penultimate_conv_layer=False
        )

    files = jpegs(30)
    fast, slow = alternate(ours, baseline, files)
    detail = f"median {1000 * fast:.1f} ms against {1000 * slow:.1f} ms for model.predict + tf-keras-vis Gradcam"
    return Result("one scan to answer and Grad-CAM", slow / fast, 10, "× faster", detail)
