"""``python -m braintumor evaluate``: a bundle's figures once more, from images."""

import tempfile
from pathlib import Path
from typing import Any

import pandas as pd

from braintumor.bundles import GRAPH_FILE, Bundle
from braintumor.inference import Graph
from braintumor.training.bundling import Decisions, index_digest, measure, predict_splits
from braintumor.training.experiment import load_data


def evaluate_bundle(bundle: Bundle, root: Path) -> tuple[dict[str, Any], pd.DataFrame]:
    """Predict every held-out picture under a folder again; gives (report, predictions).

    Where the folder holds the data of the training run, its split is made again and the figures must equal the card's.
    Other data counts in full as the split "external": the report then says that near-duplicates of training pictures
    may be among it. Raises ``DatasetError`` when the folder holds no labelled pictures.
    """
    split = bundle.card["split"]
    with tempfile.TemporaryDirectory(prefix="braintumor-") as cache:
        data = load_data(root, bundle.size, Path(cache), folds=split["folds"], fold=split["fold"], seed=split["seed"])
    known = index_digest(data.index) == split["index_sha256"]
    if not known:
        data.index["split"] = "external"
    decisions = Decisions(bundle.temperature, bundle.threshold, bundle.referral, bundle.typicality)
    predictions = predict_splits(Graph(bundle.folder / GRAPH_FILE), data, decisions)
    note = (
        "the training run's own data and split"
        if known
        else "other data than the training run's; near-duplicates of training pictures are not excluded"
    )
    return {"bundle": bundle.name, "data": note, "metrics": measure(predictions, bundle.threshold)}, predictions
