"""Heatmaps on demand through tf-keras-vis; Grad-CAM itself leaves the inference graph with every prediction."""

import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from braintumor.bundles import KERAS_FILE, Bundle
from braintumor.inference import scaled_map
from braintumor.taxonomy import CLASSES

METHODS: dict[str, str] = {
    "gradcam": "Grad-CAM",
    "gradcam++": "Grad-CAM++",
    "scorecam": "Score-CAM",
    "saliency": "Saliency",
}
"""Name of each method and its title; the first is at hand at once, the others are computed."""

_MOST_CHANNELS = 24
_SALIENCY_SAMPLES = 12
_SALIENCY_NOISE = 0.1
_SECONDS_ALLOWED = 180
# Each process holds about 700 MB while it runs.
_ONE_AT_A_TIME = threading.Lock()


class ExplanationError(RuntimeError):
    """A heatmap that could not be made; the message says why and what to do instead."""


def explain(model: Any, image: NDArray[np.uint8], class_name: str, method: str) -> NDArray[np.float32]:
    """Compute where a Keras model looks when it scores one class: (h, w) float32 from 0 to 1.

    ``image`` is a prepared uint8 (size, size). Methods: Grad-CAM (Selvaraju et al., ICCV 2017), Grad-CAM++
    (Chattopadhay et al., WACV 2018), Score-CAM (Wang et al., CVPR Workshops 2020, on the 24 channels that vary most)
    and Saliency (Simonyan et al. 2013) smoothed over 12 noisy copies (SmoothGrad, Smilkov et al. 2017). Raises
    ``ValueError`` for an unknown method or class and ``ExplanationError`` when the map comes out flat.
    """
    if method not in METHODS:
        raise ValueError(f"method is {method!r}; it must be one of {', '.join(METHODS)}")
    score = _score(class_name)
    seed = image[np.newaxis, ..., np.newaxis].astype(np.float32)
    heat = np.asarray(_compute(model, score, seed, method)[0], dtype=np.float32)
    if not np.isfinite(heat).all() or np.ptp(heat) == 0:
        raise ExplanationError(f"{METHODS[method]} gives no map for this scan; choose another method.")
    return scaled_map(np.clip(heat, 0, None))


def explain_apart(
    bundle: Bundle,
    image: NDArray[np.uint8],
    class_name: str,
    method: str,
    on_progress: Callable[[float, str], object] | None = None,
) -> NDArray[np.float32]:
    """Run ``explain`` for a bundle's Keras model in a process of its own, so that TensorFlow never enters this one.

    ``on_progress`` is called with a share from 0 to 1 and what is being done. Raises ``ExplanationError`` when the
    process fails or takes over three minutes.
    """
    with _ONE_AT_A_TIME, tempfile.TemporaryDirectory(prefix="braintumor-") as folder:
        source, target = Path(folder) / "image.npy", Path(folder) / "map.npy"
        np.save(source, image)
        task = {
            "model": str(bundle.folder / KERAS_FILE),
            "image": str(source),
            "map": str(target),
            "class_name": class_name,
            "method": method,
        }
        _run_worker(task, on_progress or (lambda share, text: None))
        return np.asarray(np.load(target), dtype=np.float32)


def _score(class_name: str) -> Callable[[Any], Any]:
    if class_name not in CLASSES:
        raise ValueError(f"class is {class_name!r}; it must be one of {', '.join(CLASSES)}")
    number = CLASSES.index(class_name)
    return lambda output: output[:, number]


def _compute(model: Any, score: Callable[[Any], Any], seed: NDArray[np.float32], method: str) -> Any:
    if method == "saliency":
        from tf_keras_vis.saliency import Saliency

        return Saliency(model, clone=False)(score, seed, smooth_samples=_SALIENCY_SAMPLES, smooth_noise=_SALIENCY_NOISE)
    from tf_keras_vis.gradcam import Gradcam
    from tf_keras_vis.gradcam_plus_plus import GradcamPlusPlus
    from tf_keras_vis.scorecam import Scorecam

    from braintumor.networks.registry import FEATURE_LAYER

    kinds: dict[str, Any] = {"gradcam": Gradcam, "gradcam++": GradcamPlusPlus, "scorecam": Scorecam}
    # Left to seek, the library would step back from the features to one of the convolutions inside them.
    options: dict[str, Any] = {"penultimate_layer": FEATURE_LAYER, "seek_penultimate_conv_layer": False}
    if method == "scorecam":
        options["max_N"] = _MOST_CHANNELS
    else:
        options["expand_cam"] = False
    return kinds[method](model, clone=False)(score, seed, **options)


def _run_worker(task: dict[str, str], on_progress: Callable[[float, str], object]) -> None:
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONPATH": str(Path(__file__).parent.parent)}
    on_progress(0.05, "Starting TensorFlow")
    with subprocess.Popen(  # noqa: S603 - the command is this interpreter and a module of ours
        [sys.executable, "-m", "braintumor.explanation", json.dumps(task)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    ) as worker:
        try:
            assert worker.stdout is not None
            for line in worker.stdout:
                if line.startswith("{"):
                    step = json.loads(line)
                    on_progress(step["share"], step["doing"])
            worker.wait(_SECONDS_ALLOWED)
        except subprocess.TimeoutExpired:
            worker.kill()
            raise ExplanationError("The heatmap took too long and was stopped; choose another method.") from None
    if worker.returncode == _FLAT:
        raise ExplanationError(f"{METHODS[task['method']]} gives no map for this scan; choose another method.")
    if worker.returncode:
        raise ExplanationError("The heatmap could not be computed; Grad-CAM is still shown.")


_FLAT = 3


def _work(task: dict[str, str]) -> int:
    _announce(0.2, "Loading TensorFlow")
    import keras

    _announce(0.5, "Loading the network")
    model = keras.saving.load_model(task["model"], compile=False)
    _announce(0.65, f"Computing {METHODS[task['method']]}")
    try:
        heat = explain(model, np.load(task["image"]), task["class_name"], task["method"])
    except ExplanationError:
        return _FLAT
    np.save(task["map"], heat)
    _announce(1.0, "Done")
    return 0


def _announce(share: float, doing: str) -> None:
    sys.stdout.write(json.dumps({"share": share, "doing": doing}) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    raise SystemExit(_work(json.loads(sys.argv[1])))
