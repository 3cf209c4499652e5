"""From a trained network to a bundle: calibration, operating point, referral, and figures on held-out groups."""

import math
import shutil
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
THRESHOLD_CAP = 0.5
"""P(tumor) above this always counts as a tumor, however few tumors validation holds."""

LEAST_BAND = (1 / 3, 2 / 3)
"""P(tumor) at which odds for and against a tumor are below two to one; never answered, however few the errors there."""

_FEWEST_TUMORS = 20
_TYPICAL_SHARE = 0.985
_TYPICALITY_AXES = 128
_BATCH = 32


@dataclass(frozen=True)
class Decisions:
    """What turns raw outputs into answers, all of it chosen on validation groups.

    ``datasets`` names those that had enough tumors there to have a say in the threshold.
    """

    temperature: float
    threshold: float
    referral: ReferralRule
    typicality: Typicality
    datasets: list[str]


def write_bundle(
    model: keras.Model, data: ExperimentData, history: Path, folder: Path, facts: Mapping[str, Any]
) -> dict[str, Any]:
    """Write every file of a bundle into ``folder`` and give its card.

    Temperature, operating point (sensitivity 0.95 in each dataset) and referral come from the validation split, the
    typicality model from training features with its limit from validation; the test split is only measured. ``facts``
    adds name, version, network, source, command and split to the card.
    """
    draft = folder.with_name(f".{folder.name}-draft")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    plain = without_optimizer(model)
    plain.save(draft / bundles.KERAS_FILE)
    export_graph(plain, draft / bundles.GRAPH_FILE)
    graph = Graph(draft / bundles.GRAPH_FILE)
    decisions = decide(graph, data)
    decisions.typicality.save(draft / bundles.TYPICALITY_FILE)
    predictions = predict_splits(graph, data, decisions)
    predictions.to_csv(draft / bundles.PREDICTIONS_FILE, index=False, float_format="%.8f")
    (draft / bundles.HISTORY_FILE).write_bytes(history.read_bytes())
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
            "datasets": decisions.datasets,
            "threshold_cap": THRESHOLD_CAP,
            "least_band": list(LEAST_BAND),
            "fitted_on": "validation",
            "referral": asdict(decisions.referral),
        },
        "metrics": measure(predictions, decisions.threshold),
    }
    bundles.write_card(draft, card)
    _put_in_place(draft, folder)
    return bundles.read_card(folder)


def _put_in_place(draft: Path, folder: Path) -> None:
    """Swap whole folders: a server that holds the old graph mapped in memory would crash if the file itself changed."""
    old = folder.with_name(f".{folder.name}-old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.rename(old)
    draft.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


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
    thresholds = _thresholds(p_tumor, index)
    # Rounded down, so that rows stored with fewer digits stay on their side of it.
    threshold = math.floor(min([THRESHOLD_CAP, *thresholds.values()]) * 1e6) / 1e6
    referral = fit_referral(
        table,
        threshold=threshold,
        distance=typicality.distance(output.features),
        distance_limit=typicality.limit,
    )
    return Decisions(temperature, threshold, _widened(referral), typicality, list(thresholds))


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


def published_test(index: pd.DataFrame) -> NDArray[np.bool_]:
    """Mark the test part as its authors published it, (n,) bool, of datasets whose test part has several labels."""
    test = index["published_split"] == "test"
    labels = index["label"].where(test).groupby(index["dataset"]).transform("nunique")
    return np.asarray(test & (labels > 1))


def _widened(rule: ReferralRule) -> ReferralRule:
    low, high = LEAST_BAND
    return replace(rule, tumor_low=min(rule.tumor_low, low), tumor_high=max(rule.tumor_high, high))


def _thresholds(p_tumor: NDArray[np.float64], index: pd.DataFrame) -> dict[str, float]:
    """Give, for each dataset with enough tumors, the largest threshold with the sensitivity asked for.

    Over all rows together the largest dataset would set it and the tumors of the others be missed.
    """
    is_tumor = (index["label"] != NO_TUMOR).to_numpy()
    rows = {str(name): (index["dataset"] == name).to_numpy() for name in sorted(index["dataset"].unique())}
    return {
        name: choose_threshold(p_tumor[chosen], is_tumor[chosen], SENSITIVITY)
        for name, chosen in rows.items()
        if is_tumor[chosen].sum() >= _FEWEST_TUMORS
    }


def _table(index: pd.DataFrame, output: GraphOutput, temperature: float) -> pd.DataFrame:
    probabilities = pd.DataFrame(apply_temperature(output.logits, temperature), columns=list(PROBABILITIES))
    return pd.concat([index, probabilities], axis=1)
