"""What brain MRI looks like wherever it comes from: limits that hold for sources that nothing was fitted on."""

from collections.abc import Collection
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from braintumor.datasets import HOSPITAL_VALIDATION, foreign_pictures
from braintumor.decision import Typicality
from braintumor.inference import Graph
from braintumor.scans import prepare
from braintumor.training.augmentation import stripped
from braintumor.training.experiment import ExperimentData
from braintumor.training.outputs import run_graph

FOREIGN_SEED = 1
"""Seed of the foreign pictures that are learned from; those of seed 0 are only measured."""

_A_SOURCE = 300
_TWIN_OF_EVERY = 2
_FEWEST = 20
_FEWEST_GROUPS = 5
_AXES = 512
_POWER = 0.5
_INSIDE = 0.98
"""Share of a left-out source that must lie within each of the two margins, so that at most one in 25 is refused."""


def typicality_of_sources(graph: Graph, data: ExperimentData) -> Typicality:
    """Learn what features of brain MRI look like, and how those of other pictures differ.

    Scans are the distinct ones of training and of hospitals held out to choose on, up to 300 of each hospital, every
    second one beside its twin without a skull, since many archives hold brains alone; others are ``foreign_pictures``.
    The two margins are the widest that any source needs when it is left out; those of fewer than five groups, so of a
    few patients, have no say.
    """
    scans = _of_each_source(data)
    features, sources = run_graph(graph, scans).features, scans.index["hospital"].to_numpy(str)
    others = run_graph(graph, foreign_data(data.pictures.shape[1], FOREIGN_SEED)).features
    groups = scans.index.groupby("hospital")["group"].nunique()
    odds, far = left_out_margins(features, sources, others, set(groups.index[groups >= _FEWEST_GROUPS]))
    return _fitted(features, sources, others).with_margins(odds, far)


def foreign_data(size: int, seed: int = 0) -> ExperimentData:
    """Make the pictures that are not brain MRI, prepared for a network; the column ``kind`` says what they are."""
    made = foreign_pictures(seed)
    squares = np.stack([prepare(one.astype(np.float32), size).image for rows in made.values() for one in rows])
    index = pd.DataFrame({"kind": [kind for kind, rows in made.items() for _ in rows]})
    return ExperimentData(squares, squares[:0], index)


def left_out_margins(
    features: NDArray[np.float32],
    sources: NDArray[np.str_],
    others: NDArray[np.float32],
    asked: Collection[str] | None = None,
) -> tuple[float, float]:
    """Give the most log-odds and the largest distance that scans have, (n, d) from ``sources`` (n,), left out in turn.

    Each is the widest margin that any source with 20 scans or more, of those ``asked`` if not all, needs for 98 %;
    where there is none, any source.
    """
    names, counts = np.unique(sources, return_counts=True)
    heard = [name for name in names[counts >= _FEWEST] if asked is None or name in asked]
    reached = []
    for name in heard or names:
        own = sources == name
        model = _fitted(features[~own], sources[~own], others)
        values = (model.foreign_odds(features[own]), model.from_scans(features[own]))
        reached.append([float(np.quantile(found, _INSIDE)) for found in values])
    odds, far = np.max(reached, axis=0)
    return float(odds), float(far)


def _fitted(features: NDArray[np.float32], sources: NDArray[np.str_], others: NDArray[np.float32]) -> Typicality:
    return Typicality.fit(features, components=_AXES, power=_POWER).told_from(others, features, list(sources))


def _of_each_source(data: ExperimentData) -> ExperimentData:
    known = data.distinct("train").with_more(data.distinct(HOSPITAL_VALIDATION))
    random = np.random.default_rng(0)
    places = np.arange(len(known.index))
    chosen = np.zeros(len(places), dtype=bool)
    for _, rows in known.index.groupby("hospital").indices.items():
        chosen[random.permutation(places[rows])[:_A_SOURCE]] = True
    scans = known.chosen(chosen)
    return scans.with_more(_twins(scans.chosen(np.arange(len(scans.index)) % _TWIN_OF_EVERY == 0), random))


def _twins(scans: ExperimentData, random: np.random.Generator) -> ExperimentData:
    """Take the rim off each head, as where its skull was removed; those of which nothing is left go."""
    pictures = np.stack([stripped(picture, None, random)[0] for picture in scans.pictures])
    kept = (pictures != scans.pictures).any(axis=(1, 2)) & (pictures > 0).any(axis=(1, 2))
    return replace(scans, pictures=pictures).chosen(kept)
