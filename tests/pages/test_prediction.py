import re
from pathlib import Path

import numpy as np
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from braintumor.dashboard import gate
from braintumor.inference import Predictor
from braintumor.scans import phantom
from tests.conftest import png_bytes

PAGES = Path(__file__).parents[2] / "pages"


@pytest.fixture
def scored(monkeypatch):
    """Names of the scans that the network was really asked about, in order."""
    names = []
    original = Predictor.predict

    def counting(self, scans):
        names.extend(scan.source for scan in scans)
        return original(self, scans)

    monkeypatch.setattr(Predictor, "predict", counting)
    st.cache_data.clear()
    return names


@pytest.fixture
def page(guest_app):
    page = AppTest.from_file(str(PAGES / "prediction.py"), default_timeout=60)
    page.session_state[gate.GUEST] = True
    return page.run()


def _upload(page, *files):
    page.file_uploader[0].set_value([(name, data, "image/png") for name, data in files])
    page.run()
    assert not page.exception
    return page


def _texts(page):
    kinds = (page.markdown, page.caption, page.error, page.subheader, page.info, page.warning)
    return " ".join(element.value for kind in kinds for element in kind)


def test_a_scan_is_answered_in_words_with_its_confidence(page, scored):
    _upload(page, ("scan.png", png_bytes(phantom())))
    assert scored == ["scan.png"]
    assert "never a diagnosis" in _texts(page)
    assert "nothing you upload is stored" in _texts(page)
    assert any(word in _texts(page) for word in ("The model", "No answer is given"))


def test_a_picture_that_is_no_scan_shows_no_numbers_and_no_heatmap(page, scored):
    noise = np.random.default_rng(0).integers(0, 255, (200, 200), dtype=np.uint8)
    _upload(page, ("noise.png", png_bytes(noise)))
    assert "No answer is given for this picture" in _texts(page)
    assert not page.metric
    assert not page.slider
    assert not page.get("plotly_chart")


def test_a_bad_file_gets_its_sentence_and_the_others_go_on(page, scored):
    files = [("one.png", png_bytes(phantom())), ("bad.png", b"nothing"), ("two.png", png_bytes(phantom(seed=2)))]
    _upload(page, *files)
    assert [error.value for error in page.error] == [
        "**bad\\.png**: This file is not a picture that can be read. Export it again as PNG or JPEG and try once more."
    ]
    assert scored == ["one.png", "two.png"]
    assert "3 files" in _texts(page)
    assert list(page.dataframe[0].value["source"]) == ["one.png", "bad.png", "two.png"]


def test_sliders_methods_and_more_files_never_score_a_scan_again(page, scored):
    first = ("one.png", png_bytes(phantom()))
    _upload(page, first)
    page.slider[0].set_value(20).run()
    page.button_group[0].set_value("saliency").run()
    page.button_group[0].set_value("gradcam").run()
    page.run()
    assert scored == ["one.png"]
    _upload(page, first, ("two.png", png_bytes(phantom(seed=3))))
    assert scored == ["one.png", "two.png"]


def test_the_same_bytes_under_another_name_are_not_scored_again_and_keep_their_name(page, scored):
    same = png_bytes(phantom(seed=4))
    _upload(page, ("mine.png", same))
    _upload(page, ("yours.png", same))
    assert scored == ["mine.png"]
    assert "yours" in _texts(page)
    assert "mine" not in _texts(page)


@pytest.mark.parametrize(
    "name", ["<script>alert(1)</script>.png", "**bold** [x](http://e)", ":red[x] $a$ `b`", "=1+1.png"]
)
def test_names_are_shown_and_never_run(page, scored, name):
    _upload(page, (name, b"bad"), ("ok" + name, png_bytes(phantom())))
    shown = page.error[0].value
    assert not re.search(r"(?<!\\)[<>`$\[\]:_=]", shown.partition("**: ")[0])


def test_more_files_than_allowed_are_named(guest_app, monkeypatch, scored):
    monkeypatch.setenv("BRAINTUMOR_MAX_FILES", "2")
    page = AppTest.from_file(str(PAGES / "prediction.py"), default_timeout=60)
    page.session_state[gate.GUEST] = True
    page.run()
    _upload(page, *[(f"{number}.png", png_bytes(phantom(seed=number))) for number in range(3)])
    assert [error.value for error in page.error] == [
        "**2\\.png**: More than 2 scans were uploaded; the first 2 are answered. Take the others in a second go."
    ]
    assert scored == ["0.png", "1.png"]


def test_the_sample_is_labelled_synthetic(page, scored):
    page.toggle[0].set_value(True).run()
    assert not page.exception
    assert "Synthetic: drawn by this app" in _texts(page)


def test_a_missing_model_is_one_sentence(guest_app, monkeypatch, tmp_path):
    monkeypatch.setenv("BRAINTUMOR_MODELS_DIR", str(tmp_path / "none"))
    st.cache_resource.clear()
    page = AppTest.from_file(str(PAGES / "prediction.py"), default_timeout=60)
    page.session_state[gate.GUEST] = True
    page.run()
    st.cache_resource.clear()
    assert not page.exception
    assert "There is no model at squeezenet" in page.error[0].value


@pytest.mark.parametrize("path", [PAGES.parent / "Home.py", PAGES / "about.py"], ids=lambda path: path.stem)
def test_the_plain_pages_open(guest_app, path):
    page = AppTest.from_file(str(path), default_timeout=60)
    page.session_state[gate.GUEST] = True
    page.run()
    assert not page.exception
    assert "diagnosis" in _texts(page)


@pytest.mark.parametrize("path", sorted(PAGES.glob("*.py")), ids=lambda path: path.stem)
def test_no_page_opens_by_its_own_address(path, tmp_path, monkeypatch):
    from braintumor import settings

    monkeypatch.setenv("BRAINTUMOR_DATA_DIR", str(tmp_path))
    settings.load.cache_clear()
    page = AppTest.from_file(str(path), default_timeout=60).run()
    settings.load.cache_clear()
    assert not page.file_uploader
    assert not page.metric
    assert not page.dataframe
