"""From a trained network to a bundle: calibration, operating point, referral, and figures on held-out groups."""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from braintumor import bundles
from braintumor.datasets import CATALOGUE
from braintumor.evaluation import (
    ReferralRule,
    Typicality,
    apply_temperature,
    choose_threshold,
    figures,
    fit_referral,
    fit_temperature,
)
from braintumor.evaluation.metrics import PROBABILITIES
from braintumor.inference import Graph, GraphOutput
from braintumor.scans import PREPROCESSING
from braintumor.taxonomy import CLASSES, NO_TUMOR
from braintumor.training.experiment import ExperimentData
from braintumor.training.export import export_graph, without_optimizer
from braintumor.training.sampling import allowed_classes

SENSITIVITY = 0.95
_FEWEST_TUMORS = 20
_TYPICAL_SHARE = 0.985
_TYPICALITY_AXES = 128
_BATCH = 32


@dataclass(frozen=True)
class Decisions:
    """What turns raw outputs into answers, all of it chosen on validation groups."""

    temperature: float
    threshold: float
    referral: ReferralRule
    typicality: Typicality


def write_bundle(
    model: keras.Model, data: ExperimentData, history: Path, folder: Path, facts: Mapping[str, Any]
) -> dict[str, Any]:
    """Write every file of a bundle into ``folder`` and give its card.

    Temperature, operating point (sensitivity 0.95 in each dataset) and referral come from the validation split, the
    typicality model from training features with its limit from validation; the test split is only measured. ``facts``
    adds name, version, network, source, command and split to the card.
    """
    folder.mkdir(parents=True, exist_ok=True)
    plain = without_optimizer(model)
    plain.save(folder / bundles.KERAS_FILE)
    export_graph(plain, folder / bundles.GRAPH_FILE)
    graph = Graph(folder / bundles.GRAPH_FILE)
    decisions = decide(graph, data)
    decisions.typicality.save(folder / bundles.TYPICALITY_FILE)
    predictions = predict_splits(graph, data, decisions)
    predictions.to_csv(folder / bundles.PREDICTIONS_FILE, index=False, float_format="%.8f")
    (folder / bundles.HISTORY_FILE).write_bytes(history.read_bytes())
    card = {
        **facts,
        "created": datetime.now(UTC).date().isoformat(),
        "classes": list(CLASSES),
        "input": {"size": int(plain.input.shape[1]), "channels": 1, "range": [0, 255], "preprocessing": PREPROCESSING},
        "parameters": int(plain.count_params()),
        "data": data_counts(data.index),
        "calibration": {"method": "temperature", "temperature": decisions.temperature, "fitted_on": "validation"},
        "operating_point": {
            "threshold": decisions.threshold,
            "chosen_for_sensitivity": SENSITIVITY,
            "fitted_on": "validation",
            "referral": asdict(decisions.referral),
        },
        "metrics": measure(predictions, decisions.threshold),
    }
    bundles.write_card(folder, card)
    return bundles.read_card(folder)


def decide(graph: Graph, data: ExperimentData) -> Decisions:
    """Fit everything between raw outputs and answers, on training features and validation rows alone."""
    pictures, _ = data.distinct("train")
    typicality = Typicality.fit(run_graph(graph, pictures).features, components=_TYPICALITY_AXES)
    pictures, index = data.distinct("validation")
    output = run_graph(graph, pictures)
    typicality = typicality.with_limit(output.features, _TYPICAL_SHARE)
    temperature = fit_temperature(output.logits, allowed_classes(index["label"]) > 0)
    table = _table(index, output, temperature)
    p_tumor = 1 - table[f"p_{NO_TUMOR}"].to_numpy()
    threshold = _threshold(p_tumor, index)
    referral = fit_referral(
        table,
        threshold=threshold,
        distance=typicality.distance(output.features),
        distance_limit=typicality.limit,
    )
    return Decisions(temperature, threshold, _widened(referral), typicality)


def predict_splits(graph: Graph, data: ExperimentData, decisions: Decisions) -> pd.DataFrame:
    """Predict validation, test and published test rows: the table that ``figures`` reads, without any image."""
    trained = set(data.index.loc[data.index["split"] == "train", "group"])
    parts = {
        name: data.distinct(name) for name in ("validation", "test", "external") if name in set(data.index["split"])
    }
    published = published_test(data.index)
    if published.any() and trained:
        parts["published_test"] = data.pictures[published], data.index[published].reset_index(drop=True)
    tables = []
    for name, (pictures, index) in parts.items():
        output = run_graph(graph, pictures)
        table = _table(index, output, decisions.temperature)
        distance = decisions.typicality.distance(output.features)
        referred = decisions.referral.refers(table[list(PROBABILITIES)], distance)
        tables.append(table.assign(split=name, in_training=index["group"].isin(trained), referred=referred))
    columns = ["split", "dataset", "group", "label", "in_training", "referred", *PROBABILITIES]
    return pd.concat(tables, ignore_index=True)[columns]


def measure(predictions: pd.DataFrame, threshold: float) -> dict[str, Any]:
    """Compute the figures of each split in a table of predictions."""
    return {str(name): figures(rows, threshold=threshold) for name, rows in predictions.groupby("split")}


def run_graph(graph: Graph, pictures: NDArray[np.uint8]) -> GraphOutput:
    """Run prepared pictures, uint8 (n, size, size), batch by batch; the maps are left out to spare memory."""
    outputs = [graph.run(pictures[start : start + _BATCH]) for start in range(0, len(pictures), _BATCH)]
    logits = np.concatenate([output.logits for output in outputs])
    features = np.concatenate([output.features for output in outputs])
    return GraphOutput(logits, np.empty((0, 0, 0, len(CLASSES)), np.float32), features)


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


def index_digest(index: pd.DataFrame) -> str:
    """Identify a grouped index, so that an evaluation can tell whether it sees the data of the training run."""
    text = index[["path", "dataset", "label", "group"]].sort_values("path").to_csv(index=False)
    return hashlib.sha256(text.encode()).hexdigest()


def published_test(index: pd.DataFrame) -> NDArray[np.bool_]:
    """Mark the test part as its authors published it, (n,) bool, of datasets whose test part has several labels."""
    test = index["published_split"] == "test"
    labels = index["label"].where(test).groupby(index["dataset"]).transform("nunique")
    return np.asarray(test & (labels > 1))


def _widened(rule: ReferralRule) -> ReferralRule:
    """Refer at least where the odds for and against a tumor are below two to one, however few the errors there."""
    return replace(rule, tumor_low=min(rule.tumor_low, 1 / 3), tumor_high=max(rule.tumor_high, 2 / 3))


def _threshold(p_tumor: NDArray[np.float64], index: pd.DataFrame) -> float:
    """Give the largest threshold, 0.5 at most, with the sensitivity asked for in each dataset alone.

    Over all rows together the largest dataset would set it and the tumors of the others be missed.
    """
    is_tumor = (index["label"] != NO_TUMOR).to_numpy()
    sources = [rows.to_numpy() for _, rows in index.assign(row=range(len(index))).groupby("dataset")["row"]]
    found = [
        choose_threshold(p_tumor[rows], is_tumor[rows], SENSITIVITY)
        for rows in sources
        if is_tumor[rows].sum() >= _FEWEST_TUMORS
    ]
    # Rounded down, so that rows stored with fewer digits stay on their side of it.
    return math.floor(min([0.5, *found]) * 1e6) / 1e6


def _table(index: pd.DataFrame, output: GraphOutput, temperature: float) -> pd.DataFrame:
    probabilities = pd.DataFrame(apply_temperature(output.logits, temperature), columns=list(PROBABILITIES))
    return pd.concat([index, probabilities], axis=1)
