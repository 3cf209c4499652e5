import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace

import keras
import numpy as np
import pytest
from PIL import Image
from scipy.special import expit, logit

from braintumor.bundles import load_bundle
from braintumor.decision import Outcome, ReasonCode, ReferralRule
from braintumor.inference import Graph, Predictor, SliceAnswer
from braintumor.scans import Placement, Prepared, Scan, prepare, read
from braintumor.segmentation import dice_threshold, measure, tumor_mask
from braintumor.taxonomy import CLASSES, TUMOR_CLASSES
from braintumor.training.write_bundle import write_bundle
from tests.bundles.made_card import rewrite, with_card
from tests.conftest import ROOT, SHIPPED, phantom_scan, png_bytes
from tests.training.glass import ROWS, SPLIT, build_glass, glass_data


@pytest.fixture(scope="module")
def predictor():
    return Predictor.load(SHIPPED)


@pytest.fixture(scope="module")
def plain_bundle(tmp_path_factory):
    """A bundle of the kind of network that does not locate tumors."""
    folder = tmp_path_factory.mktemp("models") / "plain"
    history = folder.with_name("history.csv")
    history.write_text("epoch,loss\n1,0.5\n")
    facts = {
        **dict.fromkeys(("network_source", "command"), "made up"),
        **{"name": "plain", "version": "1.0.0", "network": "squeezenet", "split": SPLIT},
        "heatmap": {"first": 8.0, "step": 16.0},
    }
    write_bundle(build_glass("squeezenet"), glass_data(ROWS), history, folder, facts)
    return folder


@pytest.fixture(scope="module")
def scans():
    return [phantom_scan(f"{seed}.png", tumor=bool(seed % 2), seed=seed) for seed in range(20)]


def test_answers_come_in_order_and_add_up(predictor, scans):
    found = predictor.predict(scans)
    assert [item.source for item in found] == [scan.source for scan in scans]
    for item in found:
        assert tuple(item.probabilities) == CLASSES
        assert sum(item.probabilities.values()) == pytest.approx(1, abs=1e-6)
        assert item.p_tumor == pytest.approx(1 - item.probabilities["notumor"], abs=1e-9)
        assert item.decision in list(Outcome)
        assert (item.decision == "refer") == bool(item.reasons)
        assert item.cam.ndim == 3
        assert item.cam.shape[2] == len(TUMOR_CLASSES)
        assert item.cam.min() >= 0
        assert 0 <= item.tumor_map.min() <= item.tumor_map.max() <= 1
        assert item.seconds > 0
        assert item.bundle == predictor.bundle.name


def test_the_graph_answers_as_the_keras_model_does(predictor, scans):
    model = keras.saving.load_model(SHIPPED / "model.keras", compile=False)
    images = np.stack([prepare(scan.pixels[0], predictor.bundle.size).image for scan in scans])
    wanted = model(images[..., None].astype(np.float32))
    expected = predictor.bundle.calibration.apply(keras.ops.convert_to_numpy(wanted["logits"]))
    answers = predictor.predict(scans)
    np.testing.assert_allclose(
        [[item.probabilities[name] for name in CLASSES] for item in answers], expected, atol=1e-4
    )
    cooled = keras.ops.convert_to_numpy(wanted["map"]) / predictor.bundle.calibration.map_temperature
    maps = expit(cooled)[..., 0]
    np.testing.assert_allclose([item.tumor_map for item in answers], maps, atol=1e-4)


def test_a_batch_says_what_single_scans_say(predictor, scans):
    together = predictor.predict(scans)
    for scan, expected in zip(scans, together, strict=True):
        assert predictor.predict([scan])[0].probabilities == pytest.approx(expected.probabilities, abs=1e-5)


def test_threads_share_one_graph_without_mixing_answers(predictor, scans):
    expected = [item.probabilities for item in predictor.predict(scans)]
    jobs = [(number, scans[number : number + 1 + number % 3]) for number in range(len(scans) - 3)] * 4
    with ThreadPoolExecutor(8) as pool:
        answers = pool.map(lambda job: (job[0], predictor.predict(job[1])), jobs)
    for start, found in answers:
        for offset, item in enumerate(found):
            assert item.probabilities == pytest.approx(expected[start + offset], abs=1e-5)


def test_of_a_volume_the_most_suspicious_slice_answers(predictor, scans):
    single = predictor.predict(scans)
    volume = Scan(np.concatenate([scan.pixels for scan in scans]), "volume", "0" * 64)
    found = predictor.predict([volume])[0]
    best = int(np.argmax([item.p_tumor for item in single]))
    assert found.slice_number == best
    assert found.p_tumor == pytest.approx(single[best].p_tumor, abs=1e-5)
    assert len(found.slices) == len(scans)
    for answer, alone in zip(found.slices, single, strict=True):
        assert answer.p_tumor == pytest.approx(alone.p_tumor, abs=1e-5)
        np.testing.assert_allclose(answer.tumor_map, alone.tumor_map, atol=1e-4)
        np.testing.assert_array_equal(answer.prepared.image, alone.prepared.image)
    assert found.prepared is found.slices[best].prepared
    assert found.tumor_map is found.slices[best].tumor_map


IDENTITY = tuple(tuple(row) for row in np.eye(4))


@pytest.fixture(scope="module")
def by_slices(predictor):
    """The shipped model without its rule for volumes, as models were made before."""
    return Predictor(with_card(predictor.bundle, {"volume_rule": None}))


def test_the_slices_of_a_volume_that_lies_in_space_have_a_say_in_each_other(by_slices, scans):
    predictor = by_slices
    pixels = np.concatenate([scan.pixels for scan in scans])
    plain, placed = predictor.predict([Scan(pixels, "a", "0" * 64), Scan(pixels, "b", "0" * 64, affine=IDENTITY)])
    alone = np.array([item.p_tumor for item in plain.slices])
    own = logit(alone)
    before, after = np.r_[own[0], own[:-1]], np.r_[own[1:], own[-1]]
    expected = expit((before + 2 * own + after) / 4)
    # What shows a tumor by itself is never ruled out.
    expected = np.where(alone >= 0.5, np.maximum(expected, plain.doubt_from), expected)
    assert [item.p_tumor for item in placed.slices] == pytest.approx(expected.tolist(), abs=1e-6)
    assert placed.slice_number == expected.argmax()
    assert placed.p_tumor == pytest.approx(expected.max(), abs=1e-6)
    assert sum(placed.probabilities.values()) == pytest.approx(1)
    (single,) = predictor.predict([Scan(pixels[[placed.slice_number]], "c", "0" * 64, affine=IDENTITY)])
    assert single.p_tumor == pytest.approx(alone[placed.slice_number], abs=1e-5)
    for name in TUMOR_CLASSES:
        share = placed.probabilities[name] / placed.p_tumor
        assert share == pytest.approx(single.probabilities[name] / single.p_tumor, abs=1e-4)


def test_empty_slices_have_no_say_in_their_neighbors(predictor, scans):
    pixels = np.pad(scans[0].pixels, ((1, 1), (0, 0), (0, 0)))
    (placed,) = predictor.predict([Scan(pixels, "a", "0" * 64, affine=IDENTITY)])
    assert placed.slices[1].p_tumor == pytest.approx(predictor.predict([scans[0]])[0].p_tumor, abs=1e-5)


def test_a_prediction_carries_what_its_scan_and_model_say(predictor):
    placement = Placement(b"", ((0, 1), (1, 1), (2, 1)))
    scan = replace(phantom_scan("head.png"), spacing=(2.0, 0.5, 0.75), placement=placement)
    found = predictor.predict([scan])[0]
    assert (found.shape, found.spacing, found.placement) == (scan.shape, scan.spacing, placement)
    bundle = predictor.bundle
    assert (found.threshold, found.doubt_from) == (bundle.threshold, bundle.doubt_from)
    assert found.sure_from == bundle.sure_from >= bundle.threshold


def test_the_finding_of_a_doubtful_scan_is_its_likeliest_class(predictor):
    # A drawn head is not a scan, and may pass for one with marks.
    wary = Predictor(
        with_card(predictor.bundle, {"marks": None, "operating_point.referral": asdict(ReferralRule(0, 1))})
    )
    for found in wary.predict([phantom_scan(tumor=tumor, seed=seed) for tumor in (True, False) for seed in range(4)]):
        assert found.decision == "refer"
        assert found.finding == max(CLASSES, key=found.probabilities.__getitem__)


@pytest.mark.parametrize(
    ("p_tumors", "outlined"),
    [
        # Below the threshold of 0.8 a doubt is outlined, but not beside a slice that surely shows a tumor.
        ((0.5,), [True]),
        ((0.2,), [False]),
        ((0.9,), [True]),
        ((0.5, 0.2, 0.4), [True, False, True]),
        ((0.9, 0.5, 0.2, 0.85), [True, False, False, True]),
    ],
)
def test_slices_are_outlined_where_a_tumor_is_found_or_in_doubt(predictor, p_tumors, outlined):
    found = predictor.predict([phantom_scan()])[0]
    seen = np.full((8, 8), 0.99, np.float32)
    slices = tuple(SliceAnswer(p_tumor, found.prepared, seen) for p_tumor in p_tumors)
    changed = replace(
        found,
        finding="glioma",
        p_tumor=max(p_tumors),
        slices=slices,
        shape=(len(slices), *found.shape[1:]),
        threshold=0.8,
        doubt_from=0.3,
    )
    assert changed.mask().any(axis=(1, 2)).tolist() == outlined


@pytest.mark.parametrize("name", CLASSES)
def test_a_class_map_is_there_for_every_kind_and_not_for_health(predictor, name):
    found = predictor.predict([phantom_scan()])[0]
    assert found.explains(name) == (name in TUMOR_CLASSES)
    if found.explains(name):
        drawn = found.class_map(name)
        assert drawn.shape == (predictor.bundle.size,) * 2
        assert drawn.max() in (0, pytest.approx(1))


def _located(predictor, p_tumors=(0.9,), shape=(120, 120), **changes):
    """A prediction whose maps show a sure tumor in rows 6 to 11 and columns 2 to 5 of 24 by 24 cells."""
    tumor_map = np.zeros((24, 24), np.float32)
    tumor_map[6:12, 2:6] = 0.9
    square = np.zeros((96, 96), np.uint8)
    square[8:88, 8:88] = 200
    prepared = Prepared(square, 12, 12, 96)
    settings = {
        "slices": tuple(SliceAnswer(p_tumor, prepared, tumor_map) for p_tumor in p_tumors),
        "slice_number": int(np.argmax(p_tumors)),
        "shape": (len(p_tumors), *shape),
        "finding": "glioma",
        "threshold": 0.5,
        **changes,
    }
    return replace(predictor.predict([phantom_scan()])[0], **settings)


def test_the_mask_lies_on_the_scan_where_the_map_says_tumor(predictor):
    mask = _located(predictor).mask()
    assert (mask.shape, mask.dtype) == ((1, 120, 120), bool)
    wanted = np.zeros((120, 120), bool)
    # Four pixels a cell, from pixel 12 on.
    wanted[12 + 24 : 12 + 48, 12 + 8 : 12 + 24] = True
    assert 2 * (mask[0] & wanted).sum() / (mask[0].sum() + wanted.sum()) > 0.95


@pytest.mark.parametrize(
    ("p_tumors", "changes", "drawn"),
    [
        ((0.9,), {}, [True]),
        ((0.5,), {}, [True]),
        ((0.49,), {}, [False]),
        ((0.1, 0.9, 0.4, 0.6), {}, [False, True, False, True]),
        ((0.9, 0.9), {"threshold": 0.95}, [False, False]),
        ((0.9,), {"finding": None}, [False]),
        ((0.6,), {"finding": "notumor", "threshold": 0.7}, [False]),
    ],
)
def test_slices_without_a_tumor_have_no_mask(predictor, p_tumors, changes, drawn):
    mask = _located(predictor, p_tumors, **changes).mask()
    assert mask.any(axis=(1, 2)).tolist() == drawn


def test_measurements_are_those_of_the_mask_against_the_head(predictor):
    found = _located(predictor, (0.2, 0.9, 0.8), spacing=(5.0, 0.5, 0.25))
    head = np.zeros((3, 120, 120), bool)
    head[1:, 20:100, 20:100] = True
    measured, expected = found.measurements(), measure(found.mask(), head, found.spacing)
    assert replace(measured, head_share=None, largest_diameter_head=None) == replace(
        expected, head_share=None, largest_diameter_head=None
    )
    assert measured.head_share == pytest.approx(expected.head_share, rel=0.05)
    assert measured.largest_diameter_head == pytest.approx(expected.largest_diameter_head, rel=0.05)
    assert (measured.slice_number, measured.lesions) == (1, 1)
    assert measured.volume_ml == pytest.approx(found.mask().sum() * 5 * 0.5 * 0.25 / 1000)


def test_a_head_is_judged_at_its_true_proportions(predictor, scans):
    thinned = [replace(scan, pixels=np.ascontiguousarray(scan.pixels[:, :, ::2])) for scan in scans]
    told = [replace(scan, spacing=(5.0, 1.0, 2.0)) for scan in thinned]
    whole, narrow, squeezed = (
        np.stack([found.prepared.image.astype(float) for found in predictor.predict(given)])
        for given in (scans[:4], told[:4], thinned[:4])
    )
    assert abs(narrow - whole).mean() < 0.25 * abs(squeezed - whole).mean()


def test_without_spacing_nothing_is_said_in_millimeters(predictor):
    measured = _located(predictor, spacing=None).measurements()
    assert (measured.area_mm2, measured.largest_diameter_mm, measured.volume_ml) == (None, None, None)
    assert 0 < measured.head_share < 1


def test_a_scan_without_a_tumor_measures_nothing(predictor):
    measured = _located(predictor, (0.1,), spacing=(1.0, 1.0, 1.0)).measurements()
    assert (measured.lesions, measured.area_mm2, measured.largest_diameter_mm) == (0, 0, 0)
    assert measured.head_share is None


def test_a_predicted_mask_is_that_of_its_own_map(tiny_bundle, scans):
    bundle = load_bundle(tiny_bundle)
    # A bundle that knows nothing is made to see tumors everywhere.
    always = {"operating_point.threshold": 0.0, "operating_point.referral": asdict(ReferralRule(0, 0))}
    found = Predictor(with_card(bundle, always)).predict(scans[:4])
    for drawn, scan in zip(found, scans, strict=False):
        sure = drawn.tumor_map / drawn.tumor_map.max()
        item = replace(drawn, slices=(replace(drawn.slices[0], tumor_map=sure),))
        expected = tumor_mask(item.tumor_map, item.prepared, scan.shape[1:], dice_threshold(item.tumor_map))
        np.testing.assert_array_equal(item.mask()[0], expected)
        assert expected.any()


def test_a_network_that_does_not_locate_has_neither_mask_nor_measurements(plain_bundle, scans):
    found = Predictor.load(plain_bundle).predict(scans[:2])
    for item in found:
        assert item.tumor_map is None
        assert not item.locates
        assert item.mask() is None
        assert item.measurements() is None
        assert all(item.explains(name) for name in CLASSES)
        assert item.cam.shape[2] == len(CLASSES)
        assert sum(item.probabilities.values()) == pytest.approx(1)


def _noise():
    return np.random.default_rng(0).integers(0, 255, (200, 200), dtype=np.uint8)


def _text_page():
    page = np.full((300, 220), 255, np.uint8)
    page[20:280:12, 20:200] = np.where(np.random.default_rng(1).random((22, 180)) < 0.6, 0, 255)
    return page


def _photo():
    y, x = np.mgrid[0:200, 0:200]
    return np.stack([x, y, 255 - x], axis=-1).astype(np.uint8)


@pytest.mark.parametrize(
    ("picture", "reason"),
    [
        (np.zeros((128, 128), np.uint8), "blank"),
        (np.full((128, 128), 200, np.uint8), "blank"),
        (_noise(), "atypical"),
        (_text_page(), "atypical"),
        (_photo(), "color"),
    ],
)
def test_what_is_no_brain_scan_is_referred_without_a_finding(predictor, picture, reason):
    found = predictor.predict([read(png_bytes(picture), "x.png")])[0]
    assert found.decision == "refer"
    assert found.finding is None
    assert [one.code for one in found.reasons] == [reason]


def test_doubt_is_a_reason_with_its_numbers(predictor):
    rule = replace(predictor.bundle.referral, tumor_low=0.0, tumor_high=1.0, distance_limit=None)
    point = {"operating_point.threshold": 0.5, "operating_point.referral": asdict(rule)}
    wary = Predictor(with_card(predictor.bundle, point))
    found = wary.predict([phantom_scan()])[0]
    assert found.decision == "refer"
    assert found.finding is not None
    doubt = found.reasons[0]
    assert (doubt.code, doubt.value, doubt.low, doubt.high) == (ReasonCode.TUMOR_UNCERTAIN, found.p_tumor, 0.0, 1.0)


def test_no_scans_no_answers(predictor):
    assert predictor.predict([]) == []


def test_answering_never_loads_tensorflow(tmp_path):
    Image.fromarray(phantom_scan().pixels[0].astype(np.uint8)).save(tmp_path / "scan.png")
    code = (
        "import sys, pathlib\n"
        "from braintumor.inference import Predictor\n"
        "from braintumor.scans import read\n"
        f"Predictor.load(pathlib.Path({str(SHIPPED)!r})).predict([read(open(sys.argv[1], 'rb').read(), 'x')])\n"
        "assert not {'tensorflow', 'keras', 'streamlit'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "scan.png")], check=True, cwd=ROOT)


def test_a_map_is_cooled_as_the_card_says(tiny_bundle, tmp_path):
    bundle = shutil.copytree(tiny_bundle, tmp_path / "cooled")
    rewrite(bundle, {"calibration.map_temperature": 2.0})
    images = np.random.default_rng(0).integers(0, 255, (2, 48, 48)).astype(np.uint8)
    plain = Graph(bundle / "graph.tflite").run(images)
    cooled = Graph.of(load_bundle(bundle)).run(images)
    np.testing.assert_allclose(cooled.tumor_map, expit(logit(plain.tumor_map) / 2), rtol=1e-4)
    np.testing.assert_array_equal(cooled.logits, plain.logits)


def test_a_tiny_bundle_of_another_size_works_too(tiny_bundle):
    graph = Graph(tiny_bundle / "graph.tflite")
    size = load_bundle(tiny_bundle).size
    output = graph.run(np.zeros((3, size, size), np.uint8))
    assert output.logits.shape == (3, len(CLASSES))
    assert output.tumor_map.shape == (3, size // 2, size // 2)


RULE = {
    "names": ["highest", "lasting", "above", "volume", "extent"],
    **{"mean": [0.0] * 5, "spread": [1.0] * 5, "weights": [0.0, 1.0, 0.0, 0.0, 0.0], "intercept": 0.0},
    **{"tumor_low": 0.2, "tumor_high": 0.9, "least_npv": 0.98, "least_ppv": 0.95, "fitted_on": {}},
}


@pytest.fixture(scope="module")
def judging(predictor):
    """The shipped model with a rule for volumes that looks at the lowest of three neighbors only."""
    return Predictor(with_card(predictor.bundle, {"volume_rule": RULE}))


def _odds_of(predictor, pixels):
    alone = predictor.predict([Scan(layer[np.newaxis], str(number), "0" * 64) for number, layer in enumerate(pixels)])
    return logit([item.p_tumor for item in alone])


def test_a_volume_is_judged_by_all_of_its_slices(judging, scans):
    pixels = np.concatenate([scan.pixels for scan in scans[:8]])
    (whole,) = judging.predict([Scan(pixels, "a", "0" * 64, affine=IDENTITY)])
    odds = _odds_of(judging, pixels)
    lasting = max(odds[start : start + 3].min() for start in range(6))
    assert whole.p_tumor == pytest.approx(expit(lasting), abs=1e-4)
    assert sum(whole.probabilities.values()) == pytest.approx(1)
    assert (whole.threshold, whole.doubt_from, whole.sure_from) == (0.9, 0.2, 0.9)
    assert whole.slice_limits == (judging.bundle.threshold, judging.bundle.doubt_from)
    assert set(whole.rests_on) <= set(range(8))
    if whole.rests_on:
        assert whole.slice_number in whole.rests_on


@pytest.mark.parametrize(
    ("low", "high", "decision"), [(0.0, 0.0, "tumor"), (1.0, 1.0, "no_tumor"), (0.0, 1.0, "refer")]
)
def test_limits_of_the_rule_decide_and_a_called_volume_is_outlined_where_it_rests(judging, scans, low, high, decision):
    rule = {**RULE, "tumor_low": low, "tumor_high": high}
    changes = {"volume_rule": rule, "operating_point.referral": asdict(ReferralRule(0.3, 0.9))}
    pixels = np.concatenate([scans[1].pixels] * 3 + [scans[0].pixels] * 3)
    (found,) = Predictor(with_card(judging.bundle, changes)).predict([Scan(pixels, "a", "0" * 64, affine=IDENTITY)])
    assert found.decision == decision
    if decision == "tumor":
        assert found.rests_on
        assert all(found.outlines(number) for number in found.rests_on)
        assert found.mask()[list(found.rests_on)].any(axis=(1, 2)).all()


@pytest.mark.parametrize(("weighting", "low"), [("flair", 0.4), ("t1", 0.2), ("unknown", 0.2)])
def test_a_volume_is_cleared_by_the_limit_of_its_sequence(predictor, scans, weighting, low):
    judging = Predictor(with_card(predictor.bundle, {"volume_rule": {**RULE, "low_by_sequence": {"flair": 0.4}}}))
    pixels = np.concatenate([scan.pixels for scan in scans[:6]])
    (found,) = judging.predict([Scan(pixels, "a", "0" * 64, affine=IDENTITY, facts={"weighting": weighting})])
    assert (found.doubt_from, found.sure_from) == (low, 0.9)


def test_pictures_without_a_place_in_space_and_short_volumes_are_judged_by_slices(judging, predictor, scans):
    pixels = np.concatenate([scan.pixels for scan in scans[:6]])
    for scan in (Scan(pixels, "a", "0" * 64), Scan(pixels[:4], "b", "0" * 64, affine=IDENTITY)):
        (with_rule,), (without,) = judging.predict([scan]), predictor.predict([scan])
        assert with_rule.p_tumor == pytest.approx(without.p_tumor, abs=1e-6)
        assert with_rule.slice_limits is None
        assert with_rule.rests_on == ()
