"""What a network is worth on pictures it was not shown: the tables of a bundle, and the figures made from them."""

import functools
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from braintumor.bundles import Metrics
from braintumor.datasets import HOSPITAL_TEST, HOSPITAL_VALIDATION, at_home, published_test
from braintumor.evaluation import DecidesBy, measured_metrics, pixel_bins, score_masks
from braintumor.inference import Graph, GraphOutput
from braintumor.taxonomy import NO_TUMOR, PROBABILITIES
from braintumor.training.decisions import Decisions, mask_on_square, probability_table, without_tumor
from braintumor.training.experiment import ExperimentData
from braintumor.training.outputs import run_graph
from braintumor.training.sources import foreign_data

MIRRORED = "mirrored_test"
"""Split of test slices beside their own tumor-free selves; those of validation and of other data are named alike."""

DIGITS = 8
"""Decimals of a probability in a bundle's tables."""

_FACTS = ("split", "dataset", "hospital", "sequence", "group", "label", "height", "lesion")
_COLUMNS = (*_FACTS, "in_training", "referred", "distance", *PROBABILITIES)
_BY_FOLDS = ("validation", "test", "external")
_HOSPITALS = (HOSPITAL_VALIDATION, HOSPITAL_TEST)


@dataclass(frozen=True)
class Measured:
    """Tables without any image: ``predictions`` (a row an image), ``foreign`` (a row a picture that is not a brain MRI:
    kind, distance, referred), and for a network that locates tumors ``segmentation`` (a row an outlined image) and
    ``map_bins`` (cells of maps by probability, split and dataset).
    """

    predictions: pd.DataFrame
    foreign: pd.DataFrame
    segmentation: pd.DataFrame | None
    map_bins: pd.DataFrame | None


def measure_splits(graph: Graph, data: ExperimentData, decisions: Decisions) -> Measured:
    """Predict validation, test and published test rows, held-out slices without their tumor, and foreign pictures."""
    trained = set(data.index.loc[data.index["split"] == "train", "group"])
    data = replace(data, index=data.index.assign(height=heights(data.index)))
    predictions, masks, bins = [], [], []
    for name, part in _parts(data, bool(trained)).items():
        output = run_graph(graph, part)
        # What is measured is what the table keeps.
        table = probability_table(part.index, output.logits, decisions.calibration).round(DIGITS)
        distance = decisions.typicality.distance(output.features)
        referred = decisions.referral.refers(table[list(PROBABILITIES)], distance)
        table = table.assign(split=name, in_training=part.index["group"].isin(trained), referred=referred)
        table["distance"] = distance.round(DIGITS)
        table["lesion"] = _lesions(part) if name in _HOSPITALS else np.nan
        predictions.append(table.reindex(columns=list(_COLUMNS), fill_value=""))
        if output.tumor_map is not None and name in _BY_FOLDS:
            outlined = (1 - table[f"p_{NO_TUMOR}"] >= decisions.doubt_from).to_numpy()
            masks.append(_score(part, output, decisions, outlined).assign(split=name))
            bins.append(_bins(part, output).assign(split=name))
    return Measured(
        pd.concat(predictions, ignore_index=True),
        measure_foreign(graph, data, decisions),
        pd.concat(masks, ignore_index=True) if masks else None,
        pd.concat(bins, ignore_index=True) if bins else None,
    )


def heights(index: pd.DataFrame) -> "pd.Series[float]":
    """Give where each slice of an institution lies in its stack, from 0, the first by its path, to 1; NaN for others.

    Lists of institutions number their slices from the neck to the vertex.
    """
    if "hospital" not in index:
        return pd.Series(np.nan, index=index.index)
    stacked = index[~at_home(index)]
    place = stacked.sort_values("path").groupby(["hospital", "group", "sequence"])["path"]
    rank, count = place.cumcount(), place.transform("size")
    return (rank / (count - 1).clip(lower=1)).reindex(index.index)


def measure_foreign(graph: Graph, data: ExperimentData, decisions: Decisions) -> pd.DataFrame:
    """Tell which pictures that are not brain MRI would be referred as such: kind, distance, referred.

    All are gray; that the app refers a picture in color besides is left out.
    """
    foreign = _foreign(data.pictures.shape[1])
    distance = decisions.typicality.distance(run_graph(graph, foreign).features)
    blank = ~foreign.pictures.any(axis=(1, 2))
    referred = blank | decisions.referral.atypical(distance)
    return pd.DataFrame({"kind": foreign.index["kind"], "distance": distance.round(DIGITS), "referred": referred})


def card_metrics(measured: Measured, decisions: Decisions, *, tells_kinds: bool = True) -> Metrics:
    """Compute the figures of each split, and of pictures that are not brain MRI against the distinct test scans."""
    decides_by = DecidesBy(decisions.threshold, decisions.referral, tells_kinds)
    tables = measured.predictions, measured.foreign, measured.segmentation, measured.map_bins
    return measured_metrics(*tables, decides_by)


def _parts(data: ExperimentData, was_trained: bool) -> dict[str, ExperimentData]:
    held_out = (*_BY_FOLDS, HOSPITAL_TEST)
    there = set(data.index["split"])
    parts = {name: data.tested() if name == "test" else data.distinct(name) for name in held_out if name in there}
    published = published_test(data.index).to_numpy()
    if published.any() and was_trained:
        parts["published_test"] = data.chosen(published)
    for name in _BY_FOLDS:
        cleared = without_tumor(parts[name]) if name in parts else None
        if cleared is not None and len(cleared.index):
            chosen = np.zeros(len(parts[name].index), dtype=bool)
            chosen[cleared.index["made_from"]] = True
            parts[f"mirrored_{name}"] = parts[name].chosen(chosen).with_more(cleared)
    return parts


@functools.cache
def _foreign(size: int) -> ExperimentData:
    return foreign_data(size)


def _score(
    part: ExperimentData, output: GraphOutput, decisions: Decisions, outlined: NDArray[np.bool_]
) -> pd.DataFrame:
    """Score the masks as the app draws them: empty where the answer is that there is no tumor."""
    assert output.tumor_map is not None
    size, rows = part.pictures.shape[1], []
    for row in np.flatnonzero(part.index["outline"] >= 0):
        outline = part.outline(int(row))
        assert outline is not None
        found = mask_on_square(output.tumor_map[row], size) & outlined[row]
        facts = {name: part.index[name].iloc[row] for name in ("dataset", "group", "label", "path")}
        rows.append({**facts, **score_masks(found, outline > 127)})
    return pd.DataFrame(rows)


def _lesions(part: ExperimentData) -> NDArray[np.float64]:
    """Give the share of each prepared picture that its outline covers, (n,); NaN where no tumor was outlined."""
    outlined = (part.index["outline"] >= 0) & (part.index["label"] != NO_TUMOR)
    return np.array(
        [_share(part.outline(row)) if drawn else np.nan for row, drawn in enumerate(outlined)], dtype=np.float64
    )


def _share(outline: NDArray[np.uint8] | None) -> float:
    assert outline is not None
    return float((outline > 127).mean())


def _bins(part: ExperimentData, output: GraphOutput) -> pd.DataFrame:
    """Count the cells of all maps whose truth is known, dataset by dataset."""
    assert output.tumor_map is not None
    side = output.tumor_map.shape[1]
    factor = part.pictures.shape[1] // side
    tables = []
    for dataset in sorted(part.index["dataset"].unique()):
        rows = np.flatnonzero(part.index["dataset"] == dataset)
        outlines = {int(row): part.outline(int(row)) for row in rows}
        known = {row: outline for row, outline in outlines.items() if outline is not None}
        if known:
            drawn = np.stack(list(known.values())).reshape(-1, side, factor, side, factor)
            table = pixel_bins(output.tumor_map[list(known)], drawn.mean(axis=(2, 4)) > 127)
            tables.append(table.assign(dataset=dataset))
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()
