"""What travels between the server and the sites, and nothing else: a schema that both sides check."""

from collections.abc import Iterable, Mapping

import numpy as np
from flwr.app import Array, ArrayRecord, MetricRecord, RecordDict
from numpy.typing import NDArray

from braintumor.errors import InputError
from braintumor.taxonomy import LABELS

Arrays = dict[str, NDArray[np.float32]]

ARRAYS, STATISTICS, METRICS, CONFIG = "arrays", "statistics", "metrics", "config"
"""Records of a message."""

EXAMPLES, WEIGHT, NUMBER = "num-examples", "weight", "site"
"""Metrics of every answer: pictures it stands for, its weight in means, and the number that the site was given."""

TRAIN_METRICS = (EXAMPLES, WEIGHT, NUMBER, "loss", "accuracy", *(f"count-{label}" for label in LABELS))
EVALUATE_METRICS = (EXAMPLES, WEIGHT, NUMBER, "val_loss", "val_accuracy", "val_dice")
"""All numbers that may leave a site; the counts say how many distinct pictures of each label it trains on."""


class MessageError(InputError):
    """An answer that may not leave a site, or that the server does not take; the message says why."""


def packed(arrays: Mapping[str, NDArray[np.float32]]) -> ArrayRecord:
    """Pack named arrays."""
    return ArrayRecord({name: Array(np.asarray(values, np.float32)) for name, values in arrays.items()})


def unpacked(record: ArrayRecord) -> Arrays:
    """Unpack named arrays."""
    return {name: array.numpy() for name, array in record.items()}


def check(content: RecordDict, shapes: Mapping[str, tuple[int, ...]], statistics: Iterable[str], train: bool) -> None:
    """Raise ``MessageError`` unless an answer holds the weights of known names and shapes and the listed metrics only.

    ``shapes`` are those of the common weights; ``statistics`` name those of batch normalization, which an answer to
    "evaluate" may hold. Values that are not finite are refused.
    """
    allowed = {ARRAYS if train else STATISTICS, METRICS}
    extra = sorted(set(content) - allowed)
    if extra:
        raise MessageError(f"it holds the record {extra[0]!r}, which is not on the list of what may leave a site")
    _check_metrics(content.metric_records.get(METRICS), TRAIN_METRICS if train else EVALUATE_METRICS)
    if train:
        _check_arrays(content.array_records.get(ARRAYS), shapes)
    elif STATISTICS in content:
        _check_statistics(content.array_records[STATISTICS], set(statistics))


def _check_metrics(metrics: MetricRecord | None, listed: tuple[str, ...]) -> None:
    if metrics is None or not {EXAMPLES, WEIGHT, NUMBER} <= set(metrics):
        raise MessageError(f"it lacks {EXAMPLES}, {WEIGHT} or {NUMBER}")
    for name, value in metrics.items():
        if name not in listed:
            raise MessageError(f"it holds the metric {name!r}, which is not on the list of what may leave a site")
        if isinstance(value, list) or not np.isfinite(value):
            raise MessageError(f"its {name} is not a finite number")


def _check_arrays(record: ArrayRecord | None, shapes: Mapping[str, tuple[int, ...]]) -> None:
    if record is None or list(record) != list(shapes):
        raise MessageError("its weights are not those of the network")
    for name, array in record.items():
        if tuple(array.shape) != tuple(shapes[name]):
            raise MessageError(f"its weights {name} have the shape {tuple(array.shape)}, not {tuple(shapes[name])}")
        if not np.isfinite(array.numpy()).all():
            raise MessageError(f"its weights {name} hold a value that is not finite")


def _check_statistics(record: ArrayRecord, names: set[str]) -> None:
    if set(record) != names:
        raise MessageError("its statistics are not those of the network's batch normalization")
    if not all(np.isfinite(array.numpy()).all() for array in record.values()):
        raise MessageError("its statistics hold a value that is not finite")


def megabytes(content: RecordDict) -> float:
    """Size of the arrays of a message in 10**6 bytes."""
    return sum(len(array.data) for record in content.array_records.values() for array in record.values()) / 1e6


def update_length(arrays: Mapping[str, NDArray[np.float32]], start: Mapping[str, NDArray[np.float32]]) -> float:
    """Euclidean length of what a site changed of the common weights."""
    return float(np.sqrt(sum(np.square(arrays[name] - start[name], dtype=np.float64).sum() for name in start)))
