"""What a network costs: its operations, its size, and its time on this machine."""

import os
import platform
import statistics
import time
from importlib import import_module
from pathlib import Path
from typing import Any

import keras
import numpy as np

from braintumor.inference import Graph

RUNS = 30
"""Passes of which the median is a network's latency; as many go before, unmeasured, up to a tenth."""


NOT_RECORDED = "not recorded"
"""Device of a training that does not say on what it ran."""


def operations(model: keras.Model) -> int:
    """Count the floating-point operations of one pass on one picture, a multiplication and an addition being two.

    Counted by TensorFlow's profiler, which knows convolutions, dense layers, poolings and element-wise arithmetic; what
    it has no count for, as sorting and resizing, is left out. Needs TensorFlow.
    """
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    shape = (1, *model.input.shape[1:])
    answer = tf.function(lambda image: model(image, training=False))
    # As constants, or weights that are read would count as operations that the graph does not have.
    graph = convert_variables_to_constants_v2(answer.get_concrete_function(tf.TensorSpec(shape, tf.float32))).graph
    builder = tf.compat.v1.profiler.ProfileOptionBuilder
    options = builder(builder.float_operation()).with_empty_output().build()
    return int(tf.compat.v1.profiler.profile(graph, options=options).total_float_ops)


def latency(path: Path, size: int, threads: int = 2) -> float:
    """Time the exported graph on one picture of ``size`` pixels a side: median of ``RUNS`` passes, in milliseconds."""
    graph = Graph(path, threads)
    picture = np.random.default_rng(0).integers(0, 256, (1, size, size), dtype=np.uint8)
    seconds = []
    for run in range(-RUNS // 10, RUNS):
        started = time.perf_counter()
        graph.run(picture)
        if run >= 0:
            seconds.append(time.perf_counter() - started)
    return 1000 * statistics.median(seconds)


def device() -> str:
    """Name the processor and its cores, and the accelerators that Keras sees on TensorFlow or JAX."""
    return ", ".join([f"{_processor()}, {os.cpu_count()} cores", *_accelerators(keras.backend.backend())])


def software() -> dict[str, str]:
    """Give the versions of Python, Keras and the backend that it runs on."""
    backend = keras.backend.backend()
    # Under another name, as tensorflow-cpu, a package's own version is all there is.
    return {
        "keras": keras.__version__,
        backend: str(import_module(backend).__version__),
        "python": platform.python_version(),
    }


def _accelerators(backend: str) -> list[str]:
    if backend == "jax":
        return [str(one.device_kind) for one in import_module(backend).devices() if one.platform != "cpu"]
    if backend != "tensorflow":
        return []
    import tensorflow as tf

    found: list[dict[str, Any]] = [
        tf.config.experimental.get_device_details(one) for one in tf.config.list_physical_devices("GPU")
    ]
    return [str(details.get("device_name", "GPU")) for details in found]


def _processor() -> str:
    # Linux only says it in a file; what platform knows there is the architecture.
    facts = Path("/proc/cpuinfo")
    if facts.is_file():
        for line in facts.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
