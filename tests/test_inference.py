import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import keras
import numpy as np
import pytest
from PIL import Image

from braintumor.bundles import load_bundle
from braintumor.evaluation import apply_temperature
from braintumor.inference import DECISIONS, Graph, Predictor
from braintumor.scans import Scan, prepare, read
from braintumor.taxonomy import CLASSES
from tests.conftest import ROOT, SHIPPED, phantom_scan, png_bytes


@pytest.fixture(scope="module")
def predictor():
    return Predictor.load(SHIPPED)


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
        assert item.decision in DECISIONS
        assert (item.decision == "refer") == bool(item.reasons)
        assert item.cam.ndim == 3
        assert item.cam.shape[2] == len(CLASSES)
        assert item.cam.min() >= 0
        assert item.seconds > 0
        assert item.bundle == predictor.bundle.name


def test_the_graph_answers_as_the_keras_model_does(predictor, scans):
    model = keras.saving.load_model(SHIPPED / "model.keras", compile=False)
    images = np.stack([prepare(scan.pixels[0], predictor.bundle.size).image for scan in scans])
    logits = keras.ops.convert_to_numpy(model(images[..., None].astype(np.float32)))
    expected = apply_temperature(logits, predictor.bundle.temperature)
    found = [[item.probabilities[name] for name in CLASSES] for item in predictor.predict(scans)]
    np.testing.assert_allclose(found, expected, atol=1e-4)


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
        (_noise(), "does not look like"),
        (_text_page(), "does not look like"),
        (_photo(), "color"),
    ],
)
def test_what_is_no_brain_scan_is_referred_without_a_finding(predictor, picture, reason):
    found = predictor.predict([read(png_bytes(picture), "x.png")])[0]
    assert found.decision == "refer"
    assert found.finding is None
    assert any(reason in text for text in found.reasons)


def test_doubt_is_said_in_words(predictor):
    rule = predictor.bundle.referral
    wary = Predictor(
        replace(
            predictor.bundle,
            card={
                **predictor.bundle.card,
                "operating_point": {
                    "threshold": 0.5,
                    "referral": {
                        "tumor_low": 0.0,
                        "tumor_high": 1.0,
                        "kind_confidence": rule.kind_confidence,
                        "distance_limit": None,
                    },
                },
            },
        )
    )
    found = wary.predict([phantom_scan()])[0]
    assert found.decision == "refer"
    assert found.finding is not None
    assert "too close to the line" in found.reasons[0]


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


def test_a_tiny_bundle_of_another_size_works_too(tiny_bundle):
    graph = Graph(tiny_bundle / "graph.tflite")
    size = load_bundle(tiny_bundle).size
    assert graph.run(np.zeros((3, size, size), np.uint8)).logits.shape == (3, len(CLASSES))
