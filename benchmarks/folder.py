"""A folder of 500 scans through ``python -m braintumor predict``, start-up included, against Keras one by one."""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import keras
import numpy as np

from benchmarks.pictures import jpegs
from benchmarks.result import Result
from braintumor import settings
from braintumor.bundles import KERAS_FILE, load_bundle
from braintumor.scans import prepare, read

_SCANS = 500
_BASELINE_SCANS = 50


def run() -> Result:
    files = jpegs(_SCANS)
    with tempfile.TemporaryDirectory() as folder:
        for number, data in enumerate(files):
            (Path(folder) / f"{number:03}.jpg").write_bytes(data)
        started = time.perf_counter()
        command = [sys.executable, "-m", "braintumor", "predict", folder, "--json"]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        ours = _SCANS / (time.perf_counter() - started)
    assert len(done.stdout.splitlines()) == _SCANS
    baseline = _keras_rate(files[:_BASELINE_SCANS])
    detail = f"{ours / baseline:.1f} × the {baseline:.1f} scans/s of model.predict, one scan at a time"
    return Result("folder of 500 scans through predict", ours, 60, "scans/s", detail)


def _keras_rate(files: list[bytes]) -> float:
    configured = settings.load()
    bundle = load_bundle(configured.models_dir / configured.model)
    model = keras.saving.load_model(bundle.folder / KERAS_FILE, compile=False)
    model.predict(np.zeros((1, bundle.size, bundle.size, 1), np.float32), verbose=0)
    started = time.perf_counter()
    for data in files:
        image = prepare(read(data, "scan.jpg").pixels[0], bundle.size).image
        model.predict(image[None, ..., None].astype(np.float32), verbose=0)
    return len(files) / (time.perf_counter() - started)
