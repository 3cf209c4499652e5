"""``python -m braintumor evaluate``: a bundle's figures once more, from images."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from braintumor.bundles import Bundle
from braintumor.bundles.schema import HeldOutHospitals
from braintumor.datasets import DatasetError, Hospitals, at_home
from braintumor.inference import Graph
from braintumor.training.decisions import Decisions
from braintumor.training.experiment import index_digest, labelled_index, prepare_pictures, split_again
from braintumor.training.held_out import card_metrics, measure_splits

_DIGITS = 6


def evaluate_bundle(bundle: Bundle, root: Path) -> tuple[dict[str, Any], pd.DataFrame]:
    """Predict every held-out picture under a folder again; gives (report, predictions).

    Where the folder holds the data of the training run, its split is made again and the report says whether the figures
    are the card's. Other data counts in full as the split "external": the report then says that near-duplicates
    of training pictures may be among it. Raises ``DatasetError`` when the folder holds no labeled pictures.
    """
    index, known = split_as_trained(labelled_index(root, bundle.card.modality), bundle)
    data = prepare_pictures(root, index, bundle.size)
    data = data if bundle.kinds else data.without_kinds()
    data = replace(data, as_published=known and bundle.card.split.as_published)
    decisions = Decisions(bundle.calibration, bundle.threshold, bundle.referral, bundle.typicality, [])
    measured = measure_splits(Graph.of(bundle), data, decisions)
    metrics = card_metrics(measured, decisions, tells_kinds=bundle.kinds)
    note = (
        "the training run's own data and split"
        if known
        else "other data than the training run's; near-duplicates of training pictures are not excluded"
    )
    told = {name: found for name, found in metrics.model_dump(mode="json").items() if found is not None}
    report: dict[str, Any] = {"bundle": bundle.name, "data": note, "metrics": told}
    if known:
        report["agrees_with_card"] = _rounded(metrics.model_dump()) == _rounded(bundle.card.metrics.model_dump())
    return report, measured.predictions


def split_as_trained(index: pd.DataFrame, bundle: Bundle) -> tuple[pd.DataFrame, bool]:
    """Split an index as the bundle's training run did and say True, or name all of other data "external" and False."""
    split = bundle.card.split
    institutions = set(index.loc[~at_home(index), "hospital"])
    # What trained on none has seen none of them.
    asked = split.hospitals or HeldOutHospitals(train=(), validation=(), test=tuple(sorted(institutions)))
    there = set(index["hospital"])
    hospitals = Hospitals(*(tuple(name for name in names if name in there) for names in (asked.validation, asked.test)))
    try:
        again = split_again(index, split.model_dump(), hospitals)
    except DatasetError:
        return index.assign(split="external"), False
    known = index_digest(again[at_home(again)]) == split.index_sha256
    return (again, True) if known else (index.assign(split="external"), False)


def held_out(bundle: Bundle, root: Path) -> pd.DataFrame:
    """List the pictures under a folder that a bundle's own split held out for the test.

    Raises ``DatasetError`` where the folder holds other data than the training run's, of which nobody knows what was
    held out.
    """
    index, known = split_as_trained(labelled_index(root, bundle.card.modality), bundle)
    if not known:
        raise DatasetError(
            f"{root} holds other data than {bundle.name} was trained on, so none of it is known to be held out; "
            "name the folder of its training run."
        )
    return index[index["split"] == "test"]


def _rounded(figure: Any) -> Any:
    if isinstance(figure, dict):
        return {str(name): _rounded(value) for name, value in figure.items()}
    if isinstance(figure, list | tuple):
        return [_rounded(value) for value in figure]
    return round(figure, _DIGITS) if isinstance(figure, float) else figure
