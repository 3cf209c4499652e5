"""The exported network in LiteRT; neither TensorFlow nor Keras is imported."""

import threading
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from braintumor.bundles import GRAPH_FILE, Bundle


@dataclass(frozen=True)
class GraphOutput:
    """One pass, all float32: ``logits`` (n, 4), ``cam`` (n, h, w, classes explained), ``features`` (n, channels).

    ``tumor_map`` (n, h, w) holds probabilities from 0 to 1; None from a network that does not locate. ``cam`` is None
    from one whose Grad-CAM has no closed form.
    """

    logits: NDArray[np.float32]
    cam: NDArray[np.float32] | None
    features: NDArray[np.float32]
    tumor_map: NDArray[np.float32] | None


class Graph:
    """The exported network in LiteRT; may be called from many threads, which take turns.

    ``map_temperature`` is that of ``Calibration``.
    """

    def __init__(self, path: Path, threads: int = 2, map_temperature: float = 1.0) -> None:
        from ai_edge_litert.interpreter import Interpreter

        # Memory-mapped weights stay with the file instead of being copied for each process.
        self._interpreter = Interpreter(model_path=str(path), num_threads=threads)
        self._lock = threading.Lock()
        self._map_temperature = np.float32(map_temperature)
        self._input = self._interpreter.get_input_details()[0]["index"]
        named = self._interpreter.get_signature_runner().get_output_details()
        self._outputs = {name: details["index"] for name, details in named.items()}
        self._batch = 0

    @classmethod
    def of(cls, bundle: Bundle, threads: int = 2) -> "Graph":
        """Load a bundle's graph, its map calibrated."""
        return cls(bundle.folder / GRAPH_FILE, threads, bundle.calibration.map_temperature)

    def run(self, images: NDArray[np.uint8]) -> GraphOutput:
        """Run prepared images, uint8 (n, size, size), in one pass."""
        batch = np.ascontiguousarray(images[..., np.newaxis], dtype=np.float32)
        with self._lock:
            if len(batch) != self._batch:
                self._interpreter.resize_tensor_input(self._input, batch.shape)
                self._interpreter.allocate_tensors()
                self._batch = len(batch)
            self._interpreter.set_tensor(self._input, batch)
            self._interpreter.invoke()
            found = {name: self._interpreter.get_tensor(index) for name, index in self._outputs.items()}
        tumor_map = expit(found["map"][..., 0] / self._map_temperature) if "map" in found else None
        return GraphOutput(found["logits"], found.get("cam"), found["features"], tumor_map)
