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
from braintumor.datasets import CATALOGUE, HOSPITAL_TEST, HOSPITAL_VALIDATION
from braintumor.decision import LEAST_NPV, LEAST_PPV, MOST_REFERRED, VolumeRule
from braintumor.inference import Graph
from braintumor.scans import PREPROCESSING
from braintumor.taxonomy import CLASSES
from braintumor.training.decisions import Decisions, decide
from braintumor.training.experiment import ExperimentData
from braintumor.training.export import check_backend, export_graph, without_optimizer
from braintumor.training.files import deflate
from braintumor.training.held_out import DIGITS, Measured, card_metrics, measure_splits
from braintumor.training.options import SENSITIVITY
from braintumor.training.score_cells import choose_cells
from braintumor.training.stacks import StackSource, judge_stacks, stack_figures

_OF_THE_NETWORK = (
    bundles.KERAS_FILE,
    bundles.GRAPH_FILE,
    bundles.HISTORY_FILE,
    bundles.MARKS_FILE,
    bundles.COPIES_FILE,
    bundles.HEATMAPS_FILE,
    bundles.HEATMAP_FIGURES_FILE,
)
_SPLITS = ("train", "validation", "test")
_DECIDED = {"calibration", "operating_point", "volume_rule", "stacks", "metrics", "sha256"}


def write_bundle(
    model: keras.Model,
    data: ExperimentData,
    history: Path,
    folder: Path,
    facts: Mapping[str, Any],
    sensitivity: float = SENSITIVITY,
    stacks: StackSource | None = None,
) -> bundles.Card:
    """Write every file of a bundle into ``folder`` and give its card.

    What ``decide`` chooses comes from the training and validation splits and from hospitals held out to choose on; the
    test split and hospital are only measured. ``facts`` adds name, version, network, source, command and split to the
    card; ``sensitivity`` in (0, 1] is what the operating point is chosen for, and ``stacks`` what the rule for volumes
    is fitted on. Raises ``InputError`` where Keras does not run on TensorFlow.
    """
    check_backend()
    draft = _draft(folder)
    plain = without_optimizer(model)
    cells = choose_cells(plain, data.distinct("validation"))
    plain.save(draft / bundles.KERAS_FILE)
    deflate(draft / bundles.KERAS_FILE)
    export_graph(plain, draft / bundles.GRAPH_FILE)
    (draft / bundles.HISTORY_FILE).write_bytes(history.read_bytes())
    about = {
        "input": {"size": int(plain.input.shape[1]), "channels": 1, "range": [0, 255], "preprocessing": PREPROCESSING},
        "parameters": int(plain.count_params()),
    }
    if "map" in plain.output:
        side = int(plain.output["map"].shape[1])
        about["map"] = {"size": side, "cut": "highest expected Dice", "score_cells": cells}
    return _complete(draft, folder, data, {**facts, **about}, sensitivity, stacks)


def refit_bundle(
    bundle: bundles.Bundle,
    data: ExperimentData,
    folder: Path,
    facts: Mapping[str, Any],
    sensitivity: float = SENSITIVITY,
    stacks: StackSource | None = None,
) -> bundles.Card:
    """Write a bundle's network once more with all that is decided after training decided again; gives its card.

    ``facts`` change the card; what was measured of its heatmaps stays. The rest is as for ``write_bundle``.
    """
    draft = _draft(folder)
    for name in _OF_THE_NETWORK:
        if (bundle.folder / name).is_file():
            shutil.copyfile(bundle.folder / name, draft / name)
    kept = bundle.card.model_dump(exclude=_DECIDED)
    return _complete(draft, folder, data, {**kept, **facts}, sensitivity, stacks)


def _draft(folder: Path) -> Path:
    draft = folder.with_name(f".{folder.name}-draft")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    return draft


def _complete(
    draft: Path,
    folder: Path,
    data: ExperimentData,
    facts: Mapping[str, Any],
    sensitivity: float,
    stacks: StackSource | None,
) -> bundles.Card:
    """Decide, measure, write card and tables beside the network in ``draft``, and put it in place."""
    decisions = decide(Graph(draft / bundles.GRAPH_FILE), data, sensitivity)
    graph = Graph(draft / bundles.GRAPH_FILE, map_temperature=decisions.calibration.map_temperature)
    decisions.typicality.save(draft / bundles.TYPICALITY_FILE)
    measured = measure_splits(graph, data, decisions)
    _write_tables(measured, draft)
    card = {
        **facts,
        "created": datetime.now(UTC).date(),
        "classes": list(CLASSES),
        "data": data_counts(data.index),
        **_decided(decisions, sensitivity),
        "metrics": card_metrics(measured, decisions, tells_kinds=facts.get("kinds", True)),
    }
    if stacks is not None:
        table = stacks.table(graph, decisions.calibration, decisions.typicality, data.pictures.shape[1], data.index)
        rule, table = judge_stacks(table)
        if rule is not None:
            table.to_csv(draft / bundles.STACKS_FILE, index=False, float_format=f"%.{DIGITS}f")
            card["volume_rule"] = _volume_rule(rule, table)
            card["stacks"] = stack_figures(table, rule)
    # What a run tells of itself holds lists where a card has tuples.
    written = bundles.write_card(draft, bundles.Card.model_validate(card, strict=False))
    _put_in_place(draft, folder)
    return written


def _volume_rule(rule: VolumeRule, table: pd.DataFrame) -> dict[str, Any]:
    fitted = table[table["split"] == HOSPITAL_VALIDATION]
    counts = {
        str(hospital): {
            "patients": int(rows["patient"].nunique()),
            "with_tumor": int(rows["is_tumor"].sum()),
            "without": int((~rows["is_tumor"]).sum()),
        }
        for hospital, rows in fitted.groupby("hospital")
    }
    told = {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(rule).items()}
    return {**told, "least_npv": LEAST_NPV, "least_ppv": LEAST_PPV, "fitted_on": counts}


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


def _decided(decisions: Decisions, sensitivity: float) -> dict[str, Any]:
    return {
        "calibration": {
            "method": "sigmoid for tumor or not, temperature and bias for the kind",
            **asdict(decisions.calibration),
            "fitted_on": decisions.fitted_on,
        },
        "operating_point": {
            "threshold": decisions.threshold,
            "chosen_for_sensitivity": sensitivity,
            "datasets": decisions.datasets,
            "least_band": list(decisions.least_band),
            "most_referred_besides": MOST_REFERRED,
            "fitted_on": "validation",
            "referral": asdict(decisions.referral),
        },
    }


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
        if set(table) & {HOSPITAL_VALIDATION, HOSPITAL_TEST}:
            table = table.reindex(columns=list(dict.fromkeys([*_SPLITS, *table])), fill_value=0)
        images = {str(label): {str(key): int(value) for key, value in row.items()} for label, row in table.iterrows()}
        counts[str(name)] = {**about, "images": images}
    return counts
