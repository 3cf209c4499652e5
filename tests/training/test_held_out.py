from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from braintumor.datasets import foreign_pictures, published_test
from braintumor.datasets.foreign import PICTURES
from braintumor.evaluation import figures, foreign_figures, segmentation_figures
from braintumor.evaluation.segmentation import dice
from braintumor.scans import prepare
from braintumor.segmentation import dice_threshold
from braintumor.taxonomy import NO_TUMOR, PROBABILITIES
from braintumor.training.decisions import decide
from braintumor.training.held_out import MIRRORED, card_metrics, heights, measure_foreign, measure_splits
from braintumor.training.outputs import run_graph
from tests.conftest import flat
from tests.training.glass import ROWS, glass_data, glass_graph

COLUMNS = [
    *("split", "dataset", "hospital", "sequence", "group", "label", "height", "lesion"),
    *("in_training", "referred", "distance"),
    *PROBABILITIES,
]


@pytest.fixture(scope="module")
def graph(tmp_path_factory):
    return glass_graph(tmp_path_factory.mktemp("graph"))


@pytest.fixture(scope="module")
def data():
    return glass_data(ROWS)


@pytest.fixture(scope="module")
def decisions(graph, data):
    return decide(graph, data)


@pytest.fixture(scope="module")
def measured(graph, data, decisions):
    return measure_splits(graph, data, decisions)


def test_every_held_out_row_is_predicted_once_and_the_mirrored_ones_beside(measured, data):
    rows = measured.predictions
    assert list(rows.columns) == COLUMNS
    assert rows.groupby("split").size().to_dict() == {"validation": 12, "test": 10, MIRRORED: 8}
    for split in ("validation", "test"):
        assert rows.loc[rows["split"] == split, "group"].tolist() == data.part(split).index["group"].tolist()
    assert rows[list(PROBABILITIES)].sum(axis=1).to_numpy() == pytest.approx(1)
    assert not rows["in_training"].any()
    assert rows["referred"].dtype == bool


def test_each_mirrored_row_has_its_counterpart_without_tumor(measured):
    rows = measured.predictions[measured.predictions["split"] == MIRRORED]
    pairs = rows.assign(clear=rows["label"] == NO_TUMOR).groupby("group")["clear"].agg(["size", "sum"])
    assert (pairs["size"] == 2).all()
    assert (pairs["sum"] == 1).all()
    # The three gliomas and the one that the network misses; what crosses the axis or has no outline is left out.
    assert rows.loc[rows["label"] != NO_TUMOR, "label"].tolist() == ["glioma"] * 3 + ["tumor"]
    assert rows.groupby("group")["dataset"].nunique().max() == 1
    p_tumor = 1 - rows["p_notumor"]
    assert p_tumor[rows["label"] == "glioma"].min() > 0.8
    assert p_tumor[rows["label"] == NO_TUMOR].max() < 0.2


def test_probabilities_are_the_calibrated_ones_and_referrals_follow_the_rule(measured, graph, data, decisions):
    part = data.distinct("test")
    output = run_graph(graph, part)
    rows = measured.predictions[measured.predictions["split"] == "test"]
    np.testing.assert_allclose(rows[list(PROBABILITIES)], decisions.calibration.apply(output.logits), atol=1e-8)
    distance = decisions.typicality.distance(output.features)
    assert rows["distance"].to_numpy() == pytest.approx(distance, abs=1e-8)
    assert rows["referred"].tolist() == decisions.referral.refers(rows[list(PROBABILITIES)], distance).tolist()


def test_a_foreign_picture_is_referred_where_it_lies_too_far_or_is_blank(measured, decisions, graph, data):
    kinds = foreign_pictures(count=1)
    rows = measured.foreign
    assert rows["kind"].tolist() == [kind for kind in kinds for _ in range(PICTURES)]
    first = prepare(kinds["text page"][0].astype(np.float32), 48).image[None]
    distance = decisions.typicality.distance(graph.run(first).features)
    assert rows.loc[rows["kind"] == "text page", "distance"].iloc[0] == pytest.approx(distance[0], rel=1e-4)
    far = rows["distance"] > decisions.typicality.limit
    assert rows["referred"].tolist() == (far | (rows["kind"] == "plain grey")).tolist()
    lenient = replace(decisions, referral=replace(decisions.referral, distance_limit=None))
    assert set(measure_foreign(graph, data, lenient).query("referred")["kind"]) == {"plain grey"}


def test_masks_are_scored_as_the_app_draws_them(measured, data):
    rows = measured.segmentation[measured.segmentation["split"] == "test"].reset_index(drop=True)
    outlined = data.part("test").index.query("outline >= 0")
    assert rows[["dataset", "group", "label", "path"]].equals(
        outlined[["dataset", "group", "label", "path"]].reset_index(drop=True)
    )
    assert (rows["dice"].iloc[:4] > 0.8).all()
    assert rows["lesions_found"].tolist() == [1, 1, 1, 1, 0]
    # Where no tumor is called, no mask is drawn.
    missed = rows.iloc[4]
    assert (missed["dice"], missed["found_share"], missed["lesions"]) == (0, 0, 1)
    assert rows["tumor_share"].to_numpy() == pytest.approx((data.outlines[-5:] > 127).mean(axis=(1, 2)))


@pytest.mark.parametrize(
    ("low", "threshold", "drawn"), [(0.0, 1.0, True), (1.0, 0.0, True), (0.0, 0.0, True), (1.0, 1.0, False)]
)
def test_a_slice_without_even_a_doubt_has_an_empty_mask(low, threshold, drawn, graph, data, decisions):
    referral = replace(decisions.referral, tumor_low=low, tumor_high=1.0)
    rows = measure_splits(graph, data, replace(decisions, threshold=threshold, referral=referral)).segmentation
    sure = rows["label"] == "glioma"
    assert ((rows.loc[sure, "found_share"] > 0) == drawn).all()
    assert ((rows.loc[sure, "dice"] > 0.7) == drawn).all()


def test_a_score_is_that_of_the_thresholded_map(measured, graph, data, decisions):
    part = data.distinct("validation")
    output = run_graph(graph, part)
    rows = measured.segmentation[measured.segmentation["split"] == "validation"]
    for number, (_, row) in enumerate(rows.iterrows()):
        # Each cell covers two by two pixels of the picture.
        cells = np.kron(output.tumor_map[number] >= dice_threshold(output.tumor_map[number]), np.ones((2, 2), bool))
        assert row["dice"] == pytest.approx(dice(cells, part.outline(number) > 127), abs=0.1)


def test_every_cell_whose_truth_is_known_is_counted(measured, data):
    for split, known in (("validation", {"a": 6, "b": 6}), ("test", {"a": 4, "b": 5})):
        bins = measured.map_bins[measured.map_bins["split"] == split]
        assert bins.groupby("dataset")["pixels"].sum().to_dict() == {name: n * 24 * 24 for name, n in known.items()}
        part = data.part(split)
        drawn = [part.outline(row) for row in range(len(part.index)) if part.outline(row) is not None]
        cells = np.stack(drawn).reshape(-1, 24, 2, 24, 2).mean(axis=(2, 4)) > 127
        assert bins["tumor_pixels"].sum() == cells.sum()


def _told(measured, decisions):
    return _plain(card_metrics(measured, decisions))


def _plain(model):
    return model.model_dump(mode="json", exclude_none=True)


def test_figures_of_the_card_follow_from_the_tables(measured, decisions, tmp_path):
    for name in ("predictions", "foreign", "segmentation", "map_bins"):
        getattr(measured, name).to_csv(tmp_path / f"{name}.csv", index=False)
    predictions, segmentation, bins = (
        pd.read_csv(tmp_path / f"{name}.csv") for name in ("predictions", "segmentation", "map_bins")
    )
    metrics = _told(measured, decisions)
    assert set(metrics) == {"validation", "test", MIRRORED, "foreign"}
    real = predictions.loc[predictions["split"] == "test"]
    again = foreign_figures(real, pd.read_csv(tmp_path / "foreign.csv"), decisions.typicality.limit)
    assert flat(metrics.pop("foreign")) == pytest.approx(flat(_plain(again)), abs=1e-6)
    for split, report in metrics.items():
        parts = [table[table["split"] == split] for table in (predictions, segmentation, bins)]
        again = figures(parts[0].reset_index(drop=True), threshold=decisions.threshold).model_dump(
            mode="json", exclude_none=True
        )
        assert flat({name: report[name] for name in again}) == pytest.approx(flat(again), abs=1e-6)
        assert ("segmentation" in report) == (split != MIRRORED)
        if split != MIRRORED:
            wanted = _plain(segmentation_figures(parts[1], parts[2]))
            assert flat(report["segmentation"]) == pytest.approx(flat(wanted), abs=1e-6)


def test_a_network_without_a_map_leaves_no_tables_of_masks(tmp_path, data):
    graph = glass_graph(tmp_path, "squeezenet")
    decisions = decide(graph, data)
    measured = measure_splits(graph, data, decisions)
    assert measured.segmentation is None
    assert measured.map_bins is None
    assert set(measured.predictions["split"]) == {"validation", "test", MIRRORED}
    assert not any("segmentation" in report for report in _told(measured, decisions).values())


@pytest.mark.parametrize(
    ("rows", "splits", "masks"),
    [
        (ROWS[:1] + ROWS[6:7], {"external", "mirrored_external"}, 1),
        ([ROWS[-1]], {"external"}, 0),
        ([ROWS[-5]], {"external"}, 0),
    ],
    ids=["an outlined tumor and none", "no tumor", "a tumor without outline"],
)
def test_other_data_counts_in_full(graph, decisions, rows, splits, masks):
    data = glass_data([("external", *row[1:]) for row in rows])
    measured = measure_splits(graph, data, decisions)
    assert set(measured.predictions["split"]) == splits
    assert len(measured.segmentation) == masks
    assert not measured.predictions["in_training"].any()
    metrics = _told(measured, decisions)
    assert metrics["external"]["images"] == len(rows)
    assert ("segmentation" in metrics["external"]) == bool(masks)


def test_the_published_test_part_tells_what_was_trained_on(graph, data, decisions):
    # A trained tumor-free slice, a validation and a test tumor.
    published = data.index.index.isin([8, 12, 24])
    data = replace(data, index=data.index.assign(published_split=np.where(published, "test", "train")))
    rows = measure_splits(graph, data, decisions).predictions.query("split == 'published_test'")
    assert rows["group"].tolist() == ["g8", "g12", "g24"]
    assert rows["in_training"].tolist() == [True, False, False]


def test_without_the_training_data_nothing_is_known_of_a_published_test_part(graph, decisions):
    data = glass_data([("external", *row[1:]) for row in ROWS[:8]])
    data = replace(data, index=data.index.assign(published_split="test"))
    assert "published_test" not in set(measure_splits(graph, data, decisions).predictions["split"])


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([("a", "test", "glioma"), ("a", "test", "notumor"), ("a", "train", "glioma")], [True, True, False]),
        ([("a", "test", "tumor"), ("a", "test", "tumor"), ("a", "", "notumor")], [False, False, False]),
        ([("a", "test", "glioma"), ("a", "test", "notumor"), ("b", "test", "tumor")], [True, True, False]),
    ],
)
def test_a_published_test_part_needs_more_than_one_label(rows, expected):
    index = pd.DataFrame(rows, columns=["dataset", "published_split", "label"])
    assert published_test(index).tolist() == expected


def test_slices_of_an_institution_lie_from_the_first_of_their_stack_to_the_last():
    rows = [("X", "a", 3), ("X", "a", 1), ("X", "a", 2), ("X", "b", 1), ("home", "g", 1)]
    index = pd.DataFrame(
        [{"dataset": "home", "hospital": where, "group": who, "sequence": "", "path": f"{n}"} for where, who, n in rows]
    )
    assert heights(index).tolist() == pytest.approx([1.0, 0.0, 0.5, 0.0, np.nan], nan_ok=True)
