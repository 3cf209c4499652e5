"""A round of ten simulated sites against the same steps and measurements without Flower, and the memory of both."""

import logging
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.result import Result
from braintumor.federated.options import FederatedOptions
from braintumor.federated.simulation import simulate
from braintumor.federated.site_training import Site, Trainer
from braintumor.scans import phantom
from braintumor.training.experiment import ExperimentData

_SITES = 10
_SIZE = 96
_PICTURES = 40
_GIB = 2**20
"""Kilobytes, in which Linux counts the largest memory of a process."""


def run() -> list[Result]:
    logging.getLogger("flwr").setLevel(logging.WARNING)
    options = FederatedOptions(
        network="squeezenet", size=_SIZE, recipe="zoom_flip", rounds=3, epoch_images=320, sites=_SITES, patience=3
    )
    trainer = Trainer(options)
    sites = {f"site {number}": Site(_pictures(number), options) for number in range(_SITES)}
    start = trainer.arrays
    # The first turn compiles.
    _plain(trainer, sites, start, 1)
    plain = _seconds(lambda: _plain(trainer, sites, start, options.rounds))
    with tempfile.TemporaryDirectory() as folder:
        federated = _seconds(lambda: simulate(trainer, sites, Path(folder)))
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / _GIB
    detail = (
        f"{federated / options.rounds:.1f} s of processor time a round of {_SITES} sites, SqueezeNet at {_SIZE} pixels"
    )
    return [
        Result("federated round against plain training", federated / plain, 1.3, "×", detail, at_most=True),
        Result(f"memory of {_SITES} simulated sites", memory, 16, "GiB", "largest of the process", at_most=True),
    ]


def _plain(trainer: Trainer, sites: dict[str, Site], start: dict[str, np.ndarray], turns: int) -> None:
    for turn in range(turns):
        for site in sites.values():
            arrays, _ = trainer.train(site, start, turn)
            trainer.measure(site, arrays)


def _pictures(seed: int) -> ExperimentData:
    pictures = np.stack(
        [phantom(_SIZE, tumor=bool(number % 2), seed=100 * seed + number) for number in range(_PICTURES)]
    )
    index = pd.DataFrame(
        {
            "dataset": "a",
            "label": ["notumor", "glioma"] * (_PICTURES // 2),
            "picture": [f"p{number}" for number in range(_PICTURES)],
            "outline": -1,
            "split": ["train"] * 32 + ["validation"] * (_PICTURES - 32),
            "sequence": "",
        }
    )
    return ExperimentData(pictures, np.zeros((0, _SIZE, _SIZE), np.uint8), index)


def _seconds(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started
