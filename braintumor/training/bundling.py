"""From a trained network to a bundle: every file of it, and the card."""

import shutil
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import keras
import pandas as pd

from braintumor import bundles
from braintumor.datasets import CATALOGUE
from braintumor.evaluation import MOST_REFERRED
from braintumor.inference import Graph
from braintumor.scans import PREPROCESSING
from braintumor.taxonomy import CLASSES
from braintumor.training.deciding import LEAST_BAND, SENSITIVITY, Decisions, decide
from braintumor.training.experiment import ExperimentData
from braintumor.training.export import check_backend, export_graph, without_optimizer
from braintumor.training.measuring import DIGITS, Measured, card_metrics, measure_splits
from braintumor.training.scoring import choose_cells


def write_bundle(
    model: keras.Model,
    data: ExperimentData,
    history: Path,
    folder: Path,
    facts: Mapping[str, Any],
    sensitivity: float = SENSITIVITY,
) -> dict[str, Any]:
    """Write every file of a bundle into ``folder`` and give its card.

    What ``decide`` chooses comes from the training and validation splits; the test split is only measured. ``facts``
    adds name, version, network, source, command and split to the card; ``sensitivity`` in (0, 1] is what the operating
    point is chosen for. Raises ``InputError`` where Keras does not run on TensorFlow.
    """
    check_backend()
    draft = folder.with_name(f".{folder.name}-draft")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    plain = without_optimizer(model)
    cells = choose_cells(plain, data.distinct("validation"))
    plain.save(draft / bundles.KERAS_FILE)
    export_graph(plain, draft / bundles.GRAPH_FILE)
    decisions = decide(Graph(draft / bundles.GRAPH_FILE), data, sensitivity)
    graph = Graph(draft / bundles.GRAPH_FILE, map_temperature=decisions.calibration.map_temperature)
    decisions.typicality.save(draft / bundles.TYPICALITY_FILE)
    measured = measure_splits(graph, data, decisions)
    _write_tables(measured, draft)
    (draft / bundles.HISTORY_FILE).write_bytes(history.read_bytes())
    card = {
        **facts,
        "created": datetime.now(UTC).date().isoformat(),
        "classes": list(CLASSES),
        "input": {"size": int(plain.input.shape[1]), "channels": 1, "range": [0, 255], "preprocessing": PREPROCESSING},
        "parameters": int(plain.count_params()),
        "data": data_counts(data.index),
        **_decided(decisions, plain, cells, sensitivity),
        "metrics": card_metrics(measured, decisions),
    }
    bundles.write_card(draft, card)
    _put_in_place(draft, folder)
    return bundles.read_card(folder)


def _write_tables(measured: Measured, folder: Path) -> None:
    tables = {
        bundles.PREDICTIONS_FILE: measured.predictions,
        bundles.FOREIGN_FILE: measured.foreign,
        bundles.SEGMENTATION_FILE: measured.segmentation,
        bundles.MAP_BINS_FILE: measured.map_bins,
    }
    for name, table in tables.items():
        if table is not None:
            table.to_csv(folder / name, index=False, float_format=f"%.{DIGITS}f")


def _decided(decisions: Decisions, model: keras.Model, cells: int | None, sensitivity: float) -> dict[str, Any]:
    parts: dict[str, Any] = {
        "calibration": {
            "method": "sigmoid for tumor or not, temperature for the kind",
            **asdict(decisions.calibration),
            "fitted_on": "validation",
        },
        "operating_point": {
            "threshold": decisions.threshold,
            "chosen_for_sensitivity": sensitivity,
            "datasets": decisions.datasets,
            "least_band": list(LEAST_BAND),
            "most_referred_besides": MOST_REFERRED,
            "fitted_on": "validation",
            "referral": asdict(decisions.referral),
        },
    }
    if "map" in model.output:
        side = int(model.output["map"].shape[1])
        parts["map"] = {"size": side, "cut": "highest expected Dice", "score_cells": cells}
    return parts


def _put_in_place(draft: Path, folder: Path) -> None:
    """Swap whole folders: a server that holds the old graph mapped in memory would crash if the file itself changed."""
    old = folder.with_name(f".{folder.name}-old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.rename(old)
    draft.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def data_counts(index: pd.DataFrame) -> dict[str, Any]:
    """Count pictures by dataset, label and split, with each dataset's title, source and license."""
    counts: dict[str, Any] = {}
    for name, rows in index.groupby("dataset"):
        known = CATALOGUE.get(str(name))
        about = {"title": known.title, "source": known.source, "license": known.license} if known else {}
        table = rows.groupby(["label", "split"]).size().unstack(fill_value=0)
        images = {str(label): {str(key): int(value) for key, value in row.items()} for label, row in table.iterrows()}
        counts[str(name)] = {**about, "images": images}
    return counts
