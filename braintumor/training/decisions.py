"""From a network's raw outputs to answers: everything that is chosen, and chosen only on validation groups."""

import math
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import norm

from braintumor.datasets import HOSPITAL_VALIDATION
from braintumor.decision import (
    Calibration,
    ReferralRule,
    Typicality,
    choose_threshold,
    fit_calibration,
    fit_map_temperature,
    fit_referral,
    predictive_limits,
)
from braintumor.inference import Graph, GraphOutput
from braintumor.scans import Prepared
from braintumor.segmentation import dice_threshold, tumor_mask
from braintumor.taxonomy import NO_TUMOR, PROBABILITIES, TUMOR_CLASSES
from braintumor.training.counterfactuals import Example, mirror_axis, mirrored_half
from braintumor.training.experiment import ExperimentData
from braintumor.training.options import SENSITIVITY
from braintumor.training.outputs import run_graph
from braintumor.training.sampling import allowed_classes, target_maps
from braintumor.training.sources import typicality_of_sources

EVEN_ODDS = 0.5
"""Threshold where no dataset has enough tumors in validation to choose one."""

LEAST_BAND = (1 / 3, 2 / 3)
"""P(tumor) at which odds for and against a tumor are below two to one; never answered, however few the errors there."""

_FEWEST_TUMORS = 20
_FEWEST_SCANS = 20
_TYPICAL_SHARE = 0.97
_TYPICALITY_AXES = 512
_TYPICALITY_POWER = 0.5


@dataclass(frozen=True)
class Decisions:
    """What turns raw outputs into answers.

    ``threshold`` is on P(tumor) of a slice; ``datasets`` names those that had enough tumors to have a say in it.
    ``least_band`` is what is referred in any case, and ``fitted_on`` names the rows behind it and the calibration.
    """

    calibration: Calibration
    threshold: float
    referral: ReferralRule
    typicality: Typicality
    datasets: list[str]
    least_band: tuple[float, float] = LEAST_BAND
    fitted_on: str = "validation"

    @property
    def doubt_from(self) -> float:
        """P(tumor) from which a tumor is not ruled out and so outlined."""
        return min(self.referral.tumor_low, self.threshold)


def decide(graph: Graph, data: ExperimentData, sensitivity: float = SENSITIVITY) -> Decisions:
    """Fit everything between raw outputs and answers.

    Typicality comes from training features, its limit and all else from validation rows. The threshold is the highest
    with the sensitivity asked for in every dataset that has enough tumors, even where that is above even odds: in these
    sets a picture's source alone speaks for a tumor, so elsewhere less evidence than here would be a false alarm.
    Where hospitals are held out to choose on, typicality comes from them too, see ``typicality_of_sources``; P(tumor)
    is calibrated on their rows and those of validation together, and answered only where ``predictive_limits`` allows
    it on theirs.
    """
    validation = data.distinct("validation")
    output = run_graph(graph, validation)
    calibration, least_band, fitted_on = calibrated(output, validation), LEAST_BAND, "validation"
    if (data.index["split"] == HOSPITAL_VALIDATION).any():
        typicality = typicality_of_sources(graph, data)
        elsewhere = data.distinct(HOSPITAL_VALIDATION)
        calibration, least_band = _chosen_elsewhere(
            calibration, output, validation, run_graph(graph, elsewhere), elsewhere
        )
        fitted_on += f" and {', '.join(sorted(elsewhere.index['hospital'].unique()))}"
    else:
        features = run_graph(graph, data.distinct("train")).features
        typicality = Typicality.fit(features, components=_TYPICALITY_AXES, power=_TYPICALITY_POWER)
        typicality = _limited(typicality, output.features, validation.index["dataset"])
    table = probability_table(validation.index, output.logits, calibration)
    threshold, datasets = operating_point(table, sensitivity)
    referral = fit_referral(
        table,
        threshold=threshold,
        least_band=least_band,
        distance=typicality.distance(output.features),
        distance_limit=typicality.limit,
    )
    if not validation.index["label"].isin(TUMOR_CLASSES).any():
        # Nobody knows a kind, so none can have been told wrongly.
        referral = replace(referral, kind_confidence=0.0)
    return Decisions(calibration, threshold, referral, typicality, datasets, least_band, fitted_on)


def _chosen_elsewhere(
    at_home: Calibration,
    output: GraphOutput,
    validation: ExperimentData,
    seen_elsewhere: GraphOutput,
    elsewhere: ExperimentData,
) -> tuple[Calibration, tuple[float, float]]:
    """Fit P(tumor) anew on validation rows and those of left-out hospitals, and find the band that the latter need.

    The kinds and the map stay as at home: the left-out hospitals may know one kind only. The band is ``LEAST_BAND``
    where they lack tumors or scans without.
    """
    labels = pd.concat([validation.index["label"], elsewhere.index["label"]], ignore_index=True)
    joined = fit_calibration(np.concatenate([output.logits, seen_elsewhere.logits]), allowed_classes(labels) > 0)
    calibration = replace(at_home, slope=joined.slope, shift=joined.shift)
    is_tumor = (elsewhere.index["label"] != NO_TUMOR).to_numpy()
    if is_tumor.all() or not is_tumor.any():
        return calibration, LEAST_BAND
    low, high = predictive_limits(1 - calibration.apply(seen_elsewhere.logits)[:, -1], is_tumor)
    return calibration, (min(low, LEAST_BAND[0]), max(high, LEAST_BAND[1]))


def calibrated(output: GraphOutput, validation: ExperimentData) -> Calibration:
    """Fit a calibration on what a graph, its map as it is, says of validation pictures.

    Cells have a say where the outline is known, or that there is none.
    """
    calibration = fit_calibration(output.logits, allowed_classes(validation.index["label"]) > 0)
    if output.tumor_map is None:
        return calibration
    outlines = {
        row: outline for row in range(len(validation.index)) if (outline := validation.outline(row)) is not None
    }
    truth = target_maps(list(outlines.values()), output.tumor_map.shape[1])[..., 0]
    return replace(calibration, map_temperature=fit_map_temperature(output.tumor_map[list(outlines)], truth))


def operating_point(validation: pd.DataFrame, sensitivity: float = SENSITIVITY) -> tuple[float, list[str]]:
    """Choose the threshold on P(tumor), for ``decide``, from a validation table with calibrated probabilities.

    Gives it with the datasets that had a say; ``EVEN_ODDS`` where none had.
    """
    p_tumor = 1 - validation[f"p_{NO_TUMOR}"].to_numpy()
    thresholds = _thresholds(p_tumor, validation, sensitivity)
    # Rounded down, so that rows stored with fewer digits stay on their side of it.
    return math.floor(min(thresholds.values(), default=EVEN_ODDS) * 1e6) / 1e6, list(thresholds)


def without_tumor(data: ExperimentData) -> ExperimentData:
    """Give the outlined slices whose tumor's half can be replaced by the mirrored other half, with it replaced.

    The rows keep their dataset and group and are labeled "notumor"; ``outline`` holds the number of the row they were
    made from, since they have none of their own.
    """
    pictures, rows = [], []
    for row in np.flatnonzero(data.index["outline"] >= 0):
        outline = data.outline(int(row))
        axis = mirror_axis(data.pictures[row], outline)
        example = Example(data.pictures[row], outline, data.index["label"].iloc[row])
        changed = None if axis is None else mirrored_half(example, axis, keep_tumor=False)
        if changed is not None:
            pictures.append(changed.picture)
            rows.append(int(row))
    index = data.index.iloc[rows].reset_index(drop=True).assign(label=NO_TUMOR, outline=-1, made_from=rows)
    kept = np.stack(pictures) if pictures else data.pictures[:0]
    return replace(data, pictures=kept, index=index)


def probability_table(index: pd.DataFrame, logits: NDArray[np.float32], calibration: Calibration) -> pd.DataFrame:
    """Put calibrated probabilities beside the rows of an index."""
    probabilities = pd.DataFrame(calibration.apply(logits), columns=list(PROBABILITIES))
    return pd.concat([index, probabilities], axis=1)


def mask_on_square(tumor_map: NDArray[np.float32], size: int) -> NDArray[np.bool_]:
    """Give the mask that an app would draw, over the prepared square itself: bool (size, size)."""
    square = Prepared(np.zeros((size, size), np.uint8), 0, 0, size)
    return tumor_mask(tumor_map, square, (size, size), dice_threshold(tumor_map))


def _limited(typicality: Typicality, features: NDArray[np.float32], datasets: "pd.Series[str]") -> Typicality:
    """Set the limit within which most scans like the validation ones lie, of whichever dataset with enough of them.

    One for all of them together would be that of the largest dataset, and refer the scans of the others. A dataset's
    distances are taken for log-normal, since a few dozen have no tail to count in.
    """
    logarithms = pd.Series(np.log(typicality.distance(features)), index=datasets.index).groupby(datasets)
    spread = logarithms.agg(["size", "mean", "std"]).query("size >= @_FEWEST_SCANS")
    if spread.empty:
        return typicality.with_limit(features, _TYPICAL_SHARE)
    reached = spread["mean"] + norm.ppf(_TYPICAL_SHARE) * spread["std"]
    return replace(typicality, limit=float(np.exp(reached.max())), quantile=_TYPICAL_SHARE)


def _thresholds(p_tumor: NDArray[np.float64], index: pd.DataFrame, sensitivity: float) -> dict[str, float]:
    """Give, for each dataset with enough tumors, the largest threshold with the sensitivity asked for.

    Over all rows together the largest dataset would set it and the tumors of the others be missed.
    """
    is_tumor = (index["label"] != NO_TUMOR).to_numpy()
    rows = {str(name): (index["dataset"] == name).to_numpy() for name in sorted(index["dataset"].unique())}
    return {
        name: choose_threshold(p_tumor[chosen], is_tumor[chosen], sensitivity)
        for name, chosen in rows.items()
        if is_tumor[chosen].sum() >= _FEWEST_TUMORS
    }
