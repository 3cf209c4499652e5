"""One scan from bytes to answer with Grad-CAM, against Keras's ``predict`` with tf-keras-vis on the same network."""

import statistics
import time
from collections.abc import Callable

import keras
import numpy as np
from tf_keras_vis.gradcam import Gradcam

from benchmarks.pictures import jpegs
from benchmarks.result import Result
from braintumor import settings
from braintumor.bundles import KERAS_FILE
from braintumor.inference import Predictor
from braintumor.networks.registry import FEATURE_LAYER
from braintumor.scans import prepare, read


def run() -> Result:
    configured = settings.load()
    predictor = Predictor.load(configured.models_dir / configured.model)
    model = keras.saving.load_model(predictor.bundle.folder / KERAS_FILE, compile=False)
    explainer = Gradcam(model, clone=False)

    def ours(data: bytes) -> None:
        prediction = predictor.predict([read(data, "scan.jpg")])[0]
        prediction.class_map(prediction.finding or "glioma")

    def baseline(data: bytes) -> None:
        image = prepare(read(data, "scan.jpg").pixels[0], predictor.bundle.size).image
        batch = image[None, ..., None].astype(np.float32)
        best = int(model.predict(batch, verbose=0).argmax())
        explainer(
            lambda output: output[:, best], batch, penultimate_layer=FEATURE_LAYER, seek_penultimate_conv_layer=False
        )

    files = jpegs(30)
    fast, slow = _alternate(ours, baseline, files)
    detail = f"median {1000 * fast:.1f} ms against {1000 * slow:.1f} ms for model.predict + tf-keras-vis Gradcam"
    return Result("one scan to answer and Grad-CAM", slow / fast, 10, "× faster", detail)


def _alternate(
    first: Callable[[bytes], None], second: Callable[[bytes], None], files: list[bytes]
) -> tuple[float, float]:
    for work in (first, second):
        work(files[0])
    taken: tuple[list[float], list[float]] = ([], [])
    for data in files:
        for seconds, work in zip(taken, (first, second), strict=True):
            started = time.perf_counter()
            work(data)
            seconds.append(time.perf_counter() - started)
    return statistics.median(taken[0]), statistics.median(taken[1])
