import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from braintumor.dashboard import charts
from braintumor.dashboard.charts import style
from braintumor.evaluation import map_calibration, pixel_bins, reliability, risk_coverage
from braintumor.taxonomy import CLASSES, LABELS

HISTORY = pd.DataFrame(
    {
        "epoch": [1, 2, 3],
        "loss": [1.0, 0.5, 0.2],
        "accuracy": [0.5, 0.7, 0.9],
        "val_loss": [1.1, 0.6, 0.8],
        "val_accuracy": [0.4, 0.8, 0.7],
        "val_dice": [0.1, 0.3, 0.2],
    }
)
COUNTS = [[8, 2, 0, 0], [0, 5, 0, 0], [0, 0, 0, 0], [1, 0, 0, 3]]
HEADLINES = pd.DataFrame(
    {
        "figure": ["Accuracy", "Accuracy", "AUC", "AUC"],
        "split": ["Clean", "Leaky"] * 2,
        "value": [0.8, 0.95, 0.9, np.nan],
        "low": [0.7, 0.9, 0.85, np.nan],
        "high": [0.85, 0.99, np.nan, np.nan],
        "is_share": [True, True, False, False],
    }
)


def table(count=200, seed=0):
    random = np.random.default_rng(seed)
    label = random.choice(LABELS, count)
    logits = random.normal(0, 1, (count, 4)) + 2 * (label[:, None] == np.array(CLASSES))
    chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return pd.DataFrame(chances, columns=[f"p_{name}" for name in CLASSES]).assign(label=label)


def outlined(count=60, seed=0):
    """Scores of outlines as ``segmentation.csv`` has them; every fifth tumor is missed."""
    random = np.random.default_rng(seed)
    dice = np.where(np.arange(count) % 5, random.uniform(0.2, 1, count), 0.0)
    return pd.DataFrame(
        {
            "dataset": np.where(np.arange(count) % 3, "cheng", "br35h"),
            "label": [random.choice(["glioma", "pituitary"]) if row % 3 else "tumor" for row in range(count)],
            "dice": dice,
            "iou": dice / (2 - dice),
            "hausdorff95_percent": np.where(dice > 0, 100 * (1 - dice), np.nan),
            "tumor_share": random.uniform(0.002, 0.1, count),
        }
    )


def cells(seed=0):
    random = np.random.default_rng(seed)
    stated = random.beta(0.3, 3, (40, 40))
    return pixel_bins(stated, random.random(stated.shape) < stated)


NETWORKS = pd.DataFrame(
    {
        "title": ["LeNet", "LeNet", "<b>Net", "<b>Net"],
        "split": ["Clean", "Leaky"] * 2,
        "value": [0.8, 0.95, 0.9, np.nan],
        "low": [0.7, 0.9, 0.85, np.nan],
        "high": [0.85, 0.99, np.nan, np.nan],
    }
)
SIZES = pd.DataFrame({"size": ["1", "2–4"], "number": [1200, 3], "images": [1200, 8]})


def every_chart():
    rows = table()
    p_tumor, is_tumor = 1 - rows["p_notumor"], rows["label"] != "notumor"
    return {
        "accuracy": charts.learning_curves(HISTORY, "accuracy"),
        "loss": charts.learning_curves(HISTORY, "loss"),
        "dice": charts.learning_curves(HISTORY, "dice"),
        "confusion": charts.confusion_matrix(COUNTS),
        "roc": charts.roc_curves(rows),
        "precision": charts.precision_recall_curves(rows),
        "operating": charts.operating_curve(p_tumor, is_tumor, 0.4),
        "reliability": charts.reliability_diagram(reliability(p_tumor, is_tumor), 0.1),
        "risk": charts.risk_coverage_curve(risk_coverage(p_tumor, is_tumor)),
        "headlines": charts.headline_intervals(HEADLINES),
        "networks": charts.network_intervals(NETWORKS, "Accuracy", True),
        "sizes": charts.size_bars(SIZES, "Copies of a picture", "copies", "pictures"),
        "copies": charts.copies_matrix(["train", "test"], [[0, 0.25], [0.5, 1]]),
        "overlap": charts.overlap_boxes(outlined(), "dice"),
        "iou": charts.overlap_boxes(outlined(), "iou"),
        "size": charts.overlap_by_size(outlined()),
        "distance": charts.distance_curves(outlined()),
        "map": charts.map_reliability_diagram(*map_calibration(cells())),
        "reliability of P(tumor)": charts.reliability_diagram(reliability(p_tumor, is_tumor), 0.1, of_tumor=True),
        "risk with a rule": charts.risk_coverage_curve(risk_coverage(p_tumor, is_tumor), (0.8, 0.05)),
        "foreign": charts.distance_boxes({"Real scans": [0.9, 1.1], "Noise": [5.0, np.inf, 7.0]}, 2.0),
        "deletion": charts.erasing_curves([0, 0.5, 1], {"Grad-CAM": [1, 0.2, 0]}, "deletion"),
    }


@pytest.mark.parametrize(("name", "figure"), every_chart().items())
def test_every_chart_fits_both_themes_and_is_told_in_words(name, figure):
    assert figure.layout.title.text
    assert figure.layout.xaxis.title.text
    assert figure.layout.yaxis.title.text or name in ("headlines", "networks", "overlap", "iou", "foreign")
    assert len(charts.alt_text(figure)) > 20
    assert figure.layout.paper_bgcolor == figure.layout.plot_bgcolor == "rgba(0,0,0,0)"
    assert figure.layout.dragmode is False
    figure.to_json()


def test_every_label_has_one_color_of_the_palette():
    palette = {style.ORANGE, style.SKY, style.GREEN, style.BLUE, style.VERMILION, style.PURPLE}
    assert set(charts.CLASS_COLORS) == set(charts.CURVE_TITLES) == set(charts.CLASS_SYMBOLS) == set(LABELS)
    assert len(set(charts.CLASS_COLORS.values())) == len(LABELS)
    assert set(charts.CLASS_COLORS.values()) <= palette


@pytest.mark.parametrize(("quantity", "best"), [("accuracy", "0.800 at epoch 2"), ("loss", "0.600 at epoch 2")])
def test_learning_curves_hold_the_history(quantity, best):
    figure = charts.learning_curves(HISTORY, quantity)
    assert list(figure.data[0].y) == HISTORY[quantity].tolist()
    assert list(figure.data[1].y) == HISTORY[f"val_{quantity}"].tolist()
    assert best in charts.alt_text(figure)


def test_what_is_measured_on_validation_scans_alone_has_one_line():
    figure = charts.learning_curves(HISTORY, "dice")
    assert [trace.name for trace in figure.data] == ["Validation"]
    assert "for validation scans; best on validation 0.300 at epoch 2" in charts.alt_text(figure)


def test_learning_curves_without_validation_values_are_drawn():
    figure = charts.learning_curves(HISTORY.assign(val_loss=np.nan), "loss")
    assert "best" not in charts.alt_text(figure)


def test_confusion_matrix_as_counts_and_as_shares():
    counts, shares = (charts.confusion_matrix(COUNTS, shares=way).data[0] for way in (False, True))
    assert list(counts.text[0]) == ["8", "2", "0", "0"]
    assert list(shares.text[0]) == ["80%", "20%", "0%", "0%"]
    assert list(shares.text[2]) == ["0%", "0%", "0%", "0%"]
    assert "16 of 19 images" in charts.alt_text(charts.confusion_matrix(COUNTS))


def test_confusion_matrix_of_another_size_is_refused():
    with pytest.raises(ValueError, match="3, 3"):
        charts.confusion_matrix(np.eye(3))


def test_curves_state_the_areas_of_scikit_learn():
    rows = table()
    known = rows[rows["label"] != "tumor"]
    for figure, area in (
        (charts.roc_curves(rows), roc_auc_score),
        (charts.precision_recall_curves(rows), average_precision_score),
    ):
        names = [trace.name for trace in figure.data]
        of_glioma = area(known["label"] == "glioma", known["p_glioma"])
        of_tumor = area(rows["label"] != "notumor", 1 - rows["p_notumor"])
        assert any("Glioma" in name and f"{of_glioma:.3f}" in name for name in names)
        assert any("Tumor or not" in name and f"{of_tumor:.3f}" in name for name in names)
        assert [trace.line.color for trace in figure.data[:4]] == [charts.CLASS_COLORS[name] for name in CLASSES]


def test_a_class_that_is_alone_or_absent_has_no_curve():
    rows = table()
    assert len(charts.roc_curves(rows[rows["label"] == "glioma"]).data) == 1
    two = charts.precision_recall_curves(rows[rows["label"].isin(["glioma", "notumor"])])
    assert [trace.name.split(" (")[0] for trace in two.data] == ["Glioma", "No tumor", "Tumor or not"]


def test_marker_stands_at_the_rates_of_the_threshold():
    figure = charts.operating_curve([0.9, 0.6, 0.4, 0.7, 0.1], [True, True, True, False, False], 0.5)
    marker = figure.data[-1]
    assert (marker.x[0], marker.y[0]) == (0.5, pytest.approx(2 / 3))
    assert marker.name == "Threshold 0.500"


def test_operating_curve_of_one_kind_alone_is_empty():
    assert len(charts.operating_curve([0.5], [True], 0.5).data) == 0


def test_reliability_leaves_out_empty_bins():
    figure = charts.reliability_diagram(reliability([0.1, 0.12, 0.9], [False, True, True], bins=10), None)
    assert list(figure.data[0].y) == [0.5, 1.0]
    assert list(figure.data[0].x) == pytest.approx([0.15, 0.95])
    assert "not defined" in figure.layout.title.text


def test_risk_coverage_is_in_percent():
    figure = charts.risk_coverage_curve(risk_coverage([0.9, 0.5], [True, False]))
    assert list(figure.data[0].x) == [50, 100]
    assert list(figure.data[0].y) == [0, 50]
    assert "50.0% are wrong" in charts.alt_text(figure)
    assert "without any answer" in charts.alt_text(charts.risk_coverage_curve(risk_coverage([], [])))


def test_headline_intervals_leave_out_what_is_undefined():
    figure = charts.headline_intervals(HEADLINES)
    clean, leaky = figure.data
    assert list(clean.x) == [80, 90]
    assert list(clean.error_x.array) == pytest.approx([5, 0])
    assert list(clean.error_x.arrayminus) == pytest.approx([10, 5])
    assert list(leaky.x) == [95]
    assert [note.text for note in figure.layout.annotations] == ["Accuracy", "AUC"]


def test_every_class_of_every_source_has_its_box_with_all_its_images():
    rows = outlined()
    figure = charts.overlap_boxes(rows, "iou")
    assert [trace.name for trace in figure.data] == [
        "Glioma, Cheng",
        "Pituitary tumor, Cheng",
        "Tumor, kind unknown, Br35H",
    ]
    assert list(figure.data[0].x) == rows.query("label == 'glioma'")["iou"].tolist()
    assert [trace.line.color for trace in figure.data] == [
        charts.CLASS_COLORS[name] for name in ("glioma", "pituitary", "tumor")
    ]
    assert [note.text for note in figure.layout.annotations] == [
        f"{trace.name} ({len(trace.x)})" for trace in figure.data
    ]


def test_an_unknown_source_is_called_as_it_is():
    figure = charts.overlap_boxes(outlined().assign(dataset="ours"), "dice")
    assert figure.data[0].name == "Glioma, ours"


@pytest.mark.parametrize("count", [3, 60])
def test_dice_by_size_has_medians_where_there_are_enough_images(count):
    rows = outlined(count)
    figure = charts.overlap_by_size(rows)
    medians = [trace for trace in figure.data if "Median" in trace.name]
    assert len(medians) == (count >= 20)
    assert sum(len(trace.x) for trace in figure.data) == count + sum(len(trace.x) for trace in medians)
    if medians:
        smallest = rows.nsmallest(10, "tumor_share")
        assert medians[0].x[0] == pytest.approx(100 * smallest["tumor_share"].median())
        assert medians[0].y[0] == pytest.approx(smallest["dice"].median())


def test_a_distance_that_is_not_defined_is_never_within():
    rows = pd.DataFrame(
        {
            "dataset": "cheng",
            "label": ["glioma"] * 4 + ["pituitary"],
            "hausdorff95_percent": [30.0, np.nan, 10.0, 20.0, np.nan],
        }
    )
    figure = charts.distance_curves(rows)
    assert list(figure.data[0].x) == [0, 10, 20, 30, 30]
    assert list(figure.data[0].y) == [0, 25, 50, 75, 75]
    assert list(figure.data[1].y) == [0, 0]
    assert "Glioma, Cheng median 20.0%, 1 of 4 without an outline" in charts.alt_text(figure)


def test_map_reliability_counts_its_cells_by_log():
    bins = cells()
    figure = charts.map_reliability_diagram(*map_calibration(bins))
    used = bins[bins["pixels"] > 0]
    share, _, _, counted = figure.data
    assert list(share.y) == pytest.approx((used["tumor_pixels"] / used["pixels"]).tolist())
    assert list(counted.y) == used["pixels"].tolist()
    assert (counted.yaxis, figure.layout.yaxis2.type) == ("y2", "log")
    assert figure.layout.yaxis2.domain[1] < figure.layout.yaxis.domain[0]
    assert "1,600 cells" in charts.alt_text(figure)


def test_map_reliability_of_no_cell_is_not_defined():
    figure = charts.map_reliability_diagram(*map_calibration(pixel_bins([], [])))
    assert "not defined" in figure.layout.title.text


@pytest.mark.parametrize(("is_share", "scale"), [(True, 100), (False, 1)])
def test_networks_are_joined_from_clean_to_leaky(is_share, scale):
    figure = charts.network_intervals(NETWORKS, "Brier score", is_share)
    line, clean, leaky = figure.data
    assert list(line.x) == pytest.approx([scale * 0.8, scale * 0.95])
    assert list(clean.x) == pytest.approx([scale * 0.8, scale * 0.9])
    assert list(leaky.x) == pytest.approx([scale * 0.95])
    assert list(line.y) == pytest.approx([clean.y[0], leaky.y[0]])
    assert [note.text for note in figure.layout.annotations] == ["LeNet", "&lt;b&gt;Net"]
    assert [title for title, _ in clean.customdata] == ["LeNet", "&lt;b&gt;Net"]
    assert "<b>Net, clean" in charts.alt_text(figure)
    assert ("(%)" in figure.layout.xaxis.title.text) is is_share


def test_sizes_are_words_with_their_numbers():
    figure = charts.size_bars(SIZES, "Copies of a picture", "copies", "pictures")
    assert figure.layout.xaxis.type == "category"
    assert list(figure.data[0].text) == ["1,200", "3"]
    assert "2–4 copies 3" in charts.alt_text(figure)


def test_copies_are_in_percent_of_a_row():
    figure = charts.copies_matrix(["train", "test"], [[0, 0.25], [0.5, 0.001]])
    assert [list(row) for row in figure.data[0].text] == [["", "25"], ["50", "<1"]]
    assert "25% of train in test, 50% of test in train" in charts.alt_text(figure)
    with pytest.raises(ValueError, match="2, 2"):
        charts.copies_matrix(["train"], [[0, 0.25], [0.5, 1]])


def test_the_models_own_referral_is_marked_on_the_risk_coverage_curve():
    figure = charts.risk_coverage_curve(risk_coverage([0.9, 0.5], [True, False]), (0.75, 0.125))
    assert (figure.data[-1].x, figure.data[-1].y) == ((75.0,), (12.5,))
    assert "keeps 75.0%, of which 12.5% are wrong" in charts.alt_text(figure)


def test_distances_that_are_not_finite_are_left_out_and_the_limit_is_told():
    figure = charts.distance_boxes({"Real scans": [0.9, 1.1], "Noise": [5.0, np.inf, 7.0]}, 2.0)
    assert [list(box.x) for box in figure.data] == [[0.9, 1.1], [5.0, 7.0]]
    assert "Noise 6.00; referred beyond 2.00" in charts.alt_text(figure)


def test_the_area_under_an_erasing_curve_is_told():
    figure = charts.erasing_curves([0, 0.5, 1], {"Grad-CAM": [1, 0.5, 0], "Random": [1, 1, 1]}, "insertion")
    assert "Grad-CAM 0.500, Random 1.000" in charts.alt_text(figure)


def test_a_name_on_an_erasing_curve_is_neither_markup_nor_template():
    (line,) = charts.erasing_curves([0, 1], {"<a href='x'>%{x}</a>": [1, 0]}, "deletion").data
    assert line.name == "&lt;a href=&#x27;x&#x27;&gt;%{x}&lt;/a&gt;"
    assert line.hovertemplate.startswith("%{fullData.name}: %{y")
