"""Cards made by hand, their figures computed from tables that a test makes up."""

from dataclasses import replace
from datetime import date

import pandas as pd

from braintumor.bundles import Card, Metrics, read_card
from braintumor.bundles.schema import FittedCalibration, Heatmap, Input, OperatingPoint, Split, TumorMap
from braintumor.decision import ReferralRule
from braintumor.evaluation import DecidesBy, measured_metrics
from braintumor.scans import PREPROCESSING
from braintumor.taxonomy import CLASSES

RULE = ReferralRule(0.3, 0.437, kind_confidence=0.6, distance_limit=1.0)
THRESHOLD = 0.437


def made_card(predictions=None, foreign=None, segmentation=None, map_bins=None, **changes):
    """Give a card with the figures of some tables, whose intervals rest on a few draws."""
    kinds = changes.get("kinds", True)
    point = {
        "threshold": THRESHOLD,
        "chosen_for_sensitivity": 0.9,
        "datasets": ("br35h", "cheng"),
        "least_band": (0.3, 0.437),
        "most_referred_besides": 0.05,
        "fitted_on": "validation",
        "referral": RULE,
    }
    point |= changes.pop("operating_point", {})
    metrics = Metrics()
    if predictions is not None:
        decides_by = DecidesBy(point["threshold"], point["referral"], kinds)
        metrics = measured_metrics(predictions, foreign, segmentation, map_bins, decides_by, resamples=20)
    facts = {
        "name": "Tiny net",
        "version": "1.2.0",
        "created": date(2025, 1, 2),
        "network": "squeezenet",
        "network_source": "Iandola et al. 2016",
        "command": "python -m braintumor train",
        "parameters": 1234,
        "classes": CLASSES,
        "input": Input(size=48, channels=1, range=(0, 255), preprocessing=PREPROCESSING),
        "heatmap": Heatmap(first=8.0, step=16.0),
        "data": {},
        "split": Split(seed=0, folds=5, fold=0, groups={"train": 4, "test": 2}, index_sha256="ab" * 32),
        "calibration": FittedCalibration(
            method="sigmoid", slope=0.75, shift=-0.125, temperature=1.375, fitted_on="validation"
        ),
        "operating_point": OperatingPoint(**point),
        "metrics": metrics,
    }
    return Card(**{**facts, **changes})


def put_card(folder, card):
    """Write a card without the weights that belong to it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "card.json").write_text(card.model_dump_json(), encoding="utf-8")
    return folder


def changed(card, changes):
    """Give a card with other values, named by their path: ``{"operating_point.threshold": 0.5}``."""
    facts = card.model_dump()
    for path, value in changes.items():
        *parents, name = path.split(".")
        part = facts
        for parent in parents:
            part = part[parent]
        part[name] = value
    return Card.model_validate(facts, strict=False)


def with_card(bundle, changes):
    """Give a bundle whose card is ``changed``."""
    return replace(bundle, card=changed(bundle.card, changes))


def rewrite(folder, changes):
    """Change the card of a bundle on disk, and nothing else of it."""
    return put_card(folder, changed(read_card(folder), changes))


def measured(folder, **changes):
    """Write the card of the tables that lie in a folder, and give the folder."""
    tables = {}
    for name in ("predictions", "foreign", "segmentation", "map_bins"):
        path = folder / f"{name}.csv"
        tables[name] = pd.read_csv(path) if path.is_file() else None
    if tables["segmentation"] is not None:
        changes = {"map": TumorMap(size=12, cut="highest expected Dice", score_cells=5), **changes}
    return put_card(folder, made_card(**tables, **changes))
