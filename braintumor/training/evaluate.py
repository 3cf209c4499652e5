"""``python -m braintumor evaluate``: a bundle's figures once more, from images."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from braintumor.bundles import Bundle
from braintumor.datasets import DatasetError, Hospitals, at_home
from braintumor.inference import Graph
from braintumor.training.decisions import Decisions
from braintumor.training.experiment import index_digest, labelled_index, prepare_pictures, split_again
from braintumor.training.held_out import card_metrics, measure_splits

_DIGITS = 6
_HELD_OUT = ("validation", "test")


def evaluate_bundle(bundle: Bundle, root: Path) -> tuple[dict[str, Any], pd.DataFrame]:
    """Predict every held-out picture under a folder again; gives (report, predictions).

    Where the folder holds the data of the training run, its split is made again and the report says whether the figures
    are the card's. Other data counts in full as the split "external": the report then says that near-duplicates
    of training pictures may be among it. Raises ``DatasetError`` when the folder holds no labelled pictures.
    """
    index, known = split_as_trained(labelled_index(root), bundle)
    data = prepare_pictures(root, index, bundle.size)
    data = data if bundle.kinds else data.without_kinds()
    data = replace(data, as_published=known and bool(bundle.card["split"].get("as_published")))
    decisions = Decisions(bundle.calibration, bundle.threshold, bundle.referral, bundle.typicality, [])
    measured = measure_splits(Graph.of(bundle), data, decisions)
    metrics = card_metrics(measured, decisions)
    note = (
        "the training run's own data and split"
        if known
        else "other data than the training run's; near-duplicates of training pictures are not excluded"
    )
    report: dict[str, Any] = {"bundle": bundle.name, "data": note, "metrics": metrics}
    if known:
        report["agrees_with_card"] = _rounded(metrics) == _rounded(bundle.card["metrics"])
    return report, measured.predictions


def split_as_trained(index: pd.DataFrame, bundle: Bundle) -> tuple[pd.DataFrame, bool]:
    """Split an index as the bundle's training run did and say True, or name all of other data "external" and False."""
    split = bundle.card["split"]
    institutions = set(index.loc[~at_home(index), "hospital"])
    # What trained on none has seen none of them.
    told = split.get("hospitals") or {"validation": (), "test": sorted(institutions)}
    hospitals = Hospitals(*(tuple(name for name in told[part] if name in set(index["hospital"])) for part in _HELD_OUT))
    try:
        again = split_again(index, split, hospitals)
    except DatasetError:
        return index.assign(split="external"), False
    known = index_digest(again[at_home(again)]) == split["index_sha256"]
    return (again, True) if known else (index.assign(split="external"), False)


def held_out(bundle: Bundle, root: Path) -> pd.DataFrame:
    """List the pictures under a folder that a bundle's own split held out for the test.

    Raises ``DatasetError`` where the folder holds other data than the training run's, of which nobody knows what was
    held out.
    """
    index, known = split_as_trained(labelled_index(root), bundle)
    if not known:
        raise DatasetError(
            f"{root} holds other data than {bundle.name} was trained on, so none of it is known to be held out; "
            "name the folder of its training run."
        )
    return index[index["split"] == "test"]


def _rounded(figure: Any) -> Any:
    if isinstance(figure, dict):
        return {str(name): _rounded(value) for name, value in figure.items()}
    if isinstance(figure, list):
        return [_rounded(value) for value in figure]
    return round(figure, _DIGITS) if isinstance(figure, float) else figure
