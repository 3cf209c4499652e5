"""Heatmaps on demand through tf-keras-vis; Grad-CAM itself leaves the inference graph with every prediction."""

import atexit
import base64
import io
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from braintumor.bundles import KERAS_FILE, Bundle
from braintumor.heatmaps import scaled_map
from braintumor.taxonomy import ANY_TUMOR, CLASSES, NO_TUMOR

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
_SECONDS_ALLOWED = 120
_IDLE_SECONDS = 120
"""So long the process waits for the next map: looking at one takes less, and memory is then free again."""
_SECONDS_TO_END = 5
_MOST_BYTES = 2 * 2**30
"""Memory above which the process ends after a map: measured, the shipped network takes 0.9 to 1.3 GB."""
# Each process holds several hundred megabytes while it runs.
_ONE_AT_A_TIME = threading.Lock()


class ExplanationError(RuntimeError):
    """A heatmap that could not be made; the message says why and what to do instead."""


def methods_for(bundle: Bundle) -> list[str]:
    """Name the methods that a bundle's network can be explained by: without a last feature map, only Saliency."""
    return list(METHODS) if bundle.feature_map else ["saliency"]


def explain(model: Any, image: NDArray[np.uint8], class_name: str, method: str) -> NDArray[np.float32]:
    """Compute where a Keras model looks when it scores one class: (h, w) float32 from 0 to 1.

    The map has the cells of the last feature map, or the picture's pixels for Saliency. ``image`` is a prepared uint8
    (size, size). Methods: Grad-CAM (Selvaraju et al., ICCV 2017), Grad-CAM++ (Chattopadhay et al., WACV 2018),
    Score-CAM (Wang et al., CVPR Workshops 2020, on the 24 channels that vary most) and Saliency (Simonyan et al.
    2013) smoothed over 12 noisy copies (SmoothGrad, Smilkov et al. 2017). A network that tells no kinds has the
    classes "tumor" and "notumor". Raises ``ValueError`` for an unknown method or class and ``ExplanationError`` when
    the map comes out flat.
    """
    if method not in METHODS:
        raise ValueError(f"method is {method!r}; it must be one of {', '.join(METHODS)}")
    model, score = _scored(model, class_name)
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

    Gives (size, size) float32 from 0 to 1 over the prepared image. ``on_progress`` is called with a share from 0 to 1
    and what is being done. Picture and map travel through pipes and never touch the disk. Raises
    ``ExplanationError`` when the process fails, takes over two minutes, or others keep it busy for as long.
    """
    if not _ONE_AT_A_TIME.acquire(timeout=_SECONDS_ALLOWED):
        raise ExplanationError("Others are computing heatmaps just now; try again in a minute.")
    try:
        task = {
            "model": str(bundle.folder / KERAS_FILE),
            "image": _packed(image),
            "class_name": class_name,
            "method": method,
        }
        heat = _run_worker(task, on_progress or (lambda share, doing: None))
    finally:
        _ONE_AT_A_TIME.release()
    return heat if method == "saliency" else bundle.grid.to_square(heat)


def _scored(model: Any, class_name: str) -> tuple[Any, Callable[[Any], Any]]:
    """Give a network that ends where a class is scored, and what to take of its output (n, units)."""
    import keras

    from braintumor.networks.heads import tells_kinds
    from braintumor.networks.registry import CLASSIFIER_LAYER

    layers = {layer.name: layer for layer in model.layers}
    # An ensemble has no classifier of its own.
    output = layers[CLASSIFIER_LAYER].output if CLASSIFIER_LAYER in layers else model.output["logits"]
    names = CLASSES[: int(output.shape[-1])] if tells_kinds(model) else (ANY_TUMOR, NO_TUMOR)
    if class_name not in names:
        raise ValueError(f"class is {class_name!r}; it must be one of {', '.join(names)}")
    if tells_kinds(model):
        number = names.index(class_name)
        return keras.Model(model.input, output), lambda scores: scores[:, number]
    # Score-CAM compares outputs, so one alone would tell it nothing; the three kinds' logits are alike.
    sign = 1 if class_name == ANY_TUMOR else -1
    return keras.Model(model.input, model.output["logits"]), lambda scores: sign * (scores[:, 0] - scores[:, -1])


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
    options: dict[str, Any] = {
        "penultimate_layer": FEATURE_LAYER,
        "seek_penultimate_conv_layer": False,
        "expand_cam": False,
    }
    if method == "scorecam":
        options["max_N"] = min(_MOST_CHANNELS, int(model.get_layer(FEATURE_LAYER).output.shape[-1]))
    return kinds[method](model, clone=False)(score, seed, **options)


def _run_worker(task: dict[str, str], on_progress: Callable[[float, str], object]) -> NDArray[np.float32]:
    process = _WORKER.running(on_progress)
    assert process.stdin is not None
    assert process.stdout is not None
    timer = threading.Timer(_SECONDS_ALLOWED, process.kill)
    timer.start()
    step: dict[str, Any] = {}
    try:
        with suppress(BrokenPipeError):
            process.stdin.write(json.dumps(task) + "\n")
            process.stdin.flush()
        for line in process.stdout:
            step = json.loads(line) if line.startswith("{") else {}
            if "doing" in step:
                on_progress(step["share"], step["doing"])
            if "map" in step or "flat" in step:
                break
    except BaseException:
        # Whoever waited has left the page; the work is for nobody.
        _WORKER.end()
        raise
    finally:
        timer.cancel()
    if "map" not in step and "flat" not in step:
        raise ExplanationError(_failure(_WORKER.ended()))
    if step["full"]:
        _WORKER.end()
    else:
        _WORKER.rest()
    if "flat" in step:
        raise ExplanationError(_flat(task["method"]))
    return _unpacked(step["map"]).astype(np.float32)


class _Worker:
    """The one process that explains: it starts when it is needed, and ends when nobody needs it any longer.

    Only who holds ``_ONE_AT_A_TIME`` may call it. It ends with this process as well, since its input then does.
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._idle: threading.Timer | None = None

    def running(self, on_progress: Callable[[float, str], object]) -> subprocess.Popen[str]:
        """Give the process, and start it first where there is none."""
        if self._idle is not None:
            self._idle.cancel()
        if self._process is None or self._process.poll() is not None:
            self.end()
            on_progress(0.05, "Starting TensorFlow")
            self._process = subprocess.Popen(
                [sys.executable, "-m", "braintumor.explanation"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                env=_environment(),
            )
        return self._process

    def rest(self) -> None:
        """Keep the process for the next one who asks, if they do within ``_IDLE_SECONDS``."""
        self._idle = threading.Timer(_IDLE_SECONDS, self._end_if_idle)
        self._idle.daemon = True
        self._idle.start()

    def ended(self) -> int:
        """Give the exit status of the process, which has closed its output."""
        assert self._process is not None
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_SECONDS_TO_END)
        status = self._process.poll()
        self.end()
        return -signal.SIGKILL if status is None else status

    def end(self) -> None:
        """End the process where there is one."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            with process, suppress(BrokenPipeError):
                pass

    def _end_if_idle(self) -> None:
        if _ONE_AT_A_TIME.acquire(blocking=False):
            try:
                self.end()
            finally:
                _ONE_AT_A_TIME.release()


_WORKER = _Worker()
atexit.register(_WORKER.end)


def _environment() -> dict[str, str]:
    """Pass on what a process needs to start, and no setting: they hold the keys of the server."""
    needed = ("PATH", "HOME", "LANG", "LD_LIBRARY_PATH", "SYSTEMROOT", "TEMP", "TMPDIR", "VIRTUAL_ENV")
    kept = {name: os.environ[name] for name in needed if name in os.environ}
    return {**kept, "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONPATH": str(Path(__file__).parent.parent)}


def _flat(method: str) -> str:
    return f"{METHODS[method]} gives no map for this scan; choose another method."


def _failure(status: int) -> str:
    if status == -signal.SIGKILL:
        return "The heatmap took too long or too much memory and was stopped; choose another method."
    return "The heatmap could not be computed; choose another method."


def _packed(values: NDArray[Any]) -> str:
    file = io.BytesIO()
    np.save(file, values, allow_pickle=False)
    return base64.b64encode(file.getvalue()).decode()


def _unpacked(text: str) -> NDArray[Any]:
    return np.asarray(np.load(io.BytesIO(base64.b64decode(text)), allow_pickle=False))


def _work() -> None:
    """Explain one task a line of the input until it ends; the network of the last one is kept."""
    network, model = "", None
    for line in sys.stdin:
        task = json.loads(line)
        if task["model"] != network:
            network, model = task["model"], _loaded(task["model"])
        _announce(share=0.65, doing=f"Computing {METHODS[task['method']]}")
        try:
            heat = explain(model, _unpacked(task["image"]), task["class_name"], task["method"])
            answer: dict[str, str | bool] = {"map": _packed(heat)}
        except ExplanationError:
            answer = {"flat": True}
        _announce(share=1.0, doing="Done", full=_resident_bytes() > _MOST_BYTES, **answer)


def _loaded(path: str) -> Any:
    _announce(share=0.2, doing="Loading TensorFlow")
    import keras

    _announce(share=0.5, doing="Loading the network")
    # The network's own layers make themselves known to Keras when they are imported.
    import braintumor.networks  # noqa: F401

    return keras.saving.load_model(path, compile=False)


def _resident_bytes() -> int:
    """Memory that this process holds now (Linux); 0 where the system does not tell."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def _announce(**step: float | str) -> None:
    sys.stdout.write(json.dumps(step) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    _work()
