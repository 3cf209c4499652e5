import re
from pathlib import Path

import nibabel
import numpy as np
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from braintumor import settings
from braintumor.bundles import read_card
from braintumor.dashboard import gate
from braintumor.scans import phantom
from tests.bundles.made_card import changed, put_card
from tests.conftest import SHIPPED, png_bytes

PAGES = Path(__file__).parents[2] / "pages"
REPORTS = ["Report (PDF)", "Report (FHIR)"]
CERTAIN = {"slope": 1e-4, "shift": 6.0, "temperature": 1.0}
TRUSTING = {"tumor_low": 0.5, "tumor_high": 0.5, "kind_confidence": 0.0, "distance_limit": None}


@pytest.fixture
def scored(scored):
    st.cache_data.clear()
    return scored


@pytest.fixture
def page(guest_app):
    return _open()


def _open():
    page = AppTest.from_file(str(PAGES / "prediction.py"), default_timeout=60)
    page.session_state[gate.GUEST] = True
    return page.run()


@pytest.fixture
def models(guest_app, tmp_path, monkeypatch):
    """Writes the shipped model with another card, so that what it answers is certain however good it is."""
    folder = tmp_path / "models" / SHIPPED.name
    folder.mkdir(parents=True)
    for file in SHIPPED.iterdir():
        (folder / file.name).symlink_to(file)
    card = read_card(SHIPPED)

    def write(calibration=CERTAIN, referral=TRUSTING):
        (folder / "card.json").unlink()
        told = {f"calibration.{name}": value for name, value in calibration.items()}
        put_card(
            folder, changed(card, {"operating_point.threshold": 0.5, "operating_point.referral": referral, **told})
        )

    monkeypatch.setenv("BRAINTUMOR_MODELS_DIR", str(folder.parent))
    settings.load.cache_clear()
    st.cache_resource.clear()
    st.cache_data.clear()
    yield write
    st.cache_resource.clear()
    st.cache_data.clear()


@pytest.fixture
def seeing(models):
    """A page whose model sees a tumor everywhere."""
    models()
    return _open()


@pytest.fixture
def blind(models):
    """A page whose model never sees a tumor."""
    models({**CERTAIN, "shift": -6.0})
    return _open()


@pytest.fixture
def unsure(models):
    """A page whose model sees a tumor everywhere and is never sure of it."""
    models(referral={**TRUSTING, "tumor_low": 0.0, "tumor_high": 1.0})
    return _open()


@pytest.fixture
def estranged(models):
    """A page whose model takes nothing for a brain scan."""
    models(referral={**TRUSTING, "distance_limit": 0.0})
    return _open()


def _volume(slices=3):
    pixels = np.stack([phantom(64, seed=seed) for seed in range(slices)], axis=-1)
    return nibabel.Nifti1Image(pixels[::-1].transpose(1, 0, 2), np.diag([2.0, 2.0, 5.0, 1.0])).to_bytes()


def _captions(page):
    return [caption for image in page.image for caption in image.captions]


def _downloads(page):
    return [button.label for button in page.download_button]


def _upload(page, *files):
    page.file_uploader[0].set_value([(name, data, "image/png") for name, data in files])
    return _settled(page)


def _settled(page):
    """Run the page and, once the job has ended, again with all answers."""
    page.run()
    page.session_state["_desk"].wait()
    page.run()
    assert not page.exception
    return page


def _press(page, label):
    next(button for button in page.button if button.label == label).click()
    return _settled(page)


def _toggle(page, label):
    return next(toggle for toggle in page.toggle if toggle.label == label)


def _plain(page):
    """Ask for plain pictures instead of the viewer, which runs in a browser only."""
    _toggle(page, "Plain pictures").set_value(True).run()
    assert not page.exception
    return page


def _choose(page, label, value):
    next(group for group in page.button_group if group.label == label).set_value(value).run()
    assert not page.exception
    return page


def _texts(page):
    kinds = (page.markdown, page.caption, page.error, page.header, page.subheader, page.info, page.warning)
    return " ".join(element.value for kind in kinds for element in kind)


def test_a_scan_is_answered_in_words_with_its_confidence(page, scored):
    _upload(page, ("scan.png", png_bytes(phantom())))
    assert scored == ["scan.png"]
    assert "never a diagnosis" in _texts(page)
    assert "nothing you upload is stored" in _texts(page)
    assert any(word in _texts(page) for word in ("The model", "No answer is given"))


@pytest.mark.parametrize("scan", [png_bytes(phantom()), _volume()], ids=["picture", "volume"])
def test_what_is_no_scan_shows_no_numbers_no_outline_and_no_heatmap(estranged, scan):
    page = _upload(estranged, ("noise", scan))
    assert "No answer is given for this picture" in _texts(page)
    assert not [*page.metric, *page.slider, *page.get("plotly_chart")]
    _plain(page)
    assert _captions(page) == ["Not assessed."]
    assert not [*page.metric, *page.slider, *page.get("plotly_chart")]
    assert _downloads(page) == ["Answers (CSV)", *REPORTS]


def test_a_tumor_is_outlined_and_measured_beside_the_heatmap_of_its_kind(seeing):
    page = _plain(_upload(seeing, ("scan.png", png_bytes(phantom()))))
    outlined, placed = _captions(page)
    assert outlined == "Outline: where the model places the tumor."
    assert placed.startswith("Heatmap: how likely the model holds a tumor at each place")
    explained = _captions(_choose(page, "Heatmap", "kind"))[1]
    assert "It explains the kind and is no outline of a tumor." in explained
    assert "of the head · Largest diameter: **" in _texts(page)
    assert "of the readers' areas lay within it" in _texts(page)
    assert _downloads(page) == ["Answers (CSV)", "Masks (ZIP)", "Download mask (PNG)", *REPORTS]
    _toggle(page, "Outline").set_value(False).run()
    assert _captions(page)[0] == "The scan without the outline."


def test_an_outline_in_doubt_is_called_unsure(unsure):
    page = _plain(_upload(unsure, ("scan.png", png_bytes(phantom()))))
    assert _captions(page)[0] == "Outline, unsure: where the model would place a tumor. The answer is withheld."
    assert _toggle(page, "Outline").value
    assert "Download mask (PNG)" in _downloads(page)


def test_without_a_tumor_the_map_itself_is_shown(blind):
    page = _plain(_upload(blind, ("scan.png", png_bytes(phantom()))))
    outlined, explained = _captions(page)
    assert outlined == "No outline: P(tumor) of this slice is below the line."
    assert explained.startswith("Heatmap: how likely the model holds a tumor at each place")
    assert re.search(r"The brightest is (under |over )?\d+%\.$", explained)
    assert [group.key for group in page.button_group] == ["of_mark"]
    assert [toggle.label for toggle in page.toggle] == ["Plain pictures"]
    assert [slider.label for slider in page.slider] == ["Heatmap opacity"]
    assert _downloads(page) == ["Answers (CSV)", "Masks (ZIP)", *REPORTS]


def test_a_volume_is_looked_through_slice_by_slice(seeing, scored):
    page = _plain(_upload(seeing, ("volume.nii", _volume(4))))
    assert scored == ["volume.nii"]
    assert "Volume: **" in _texts(page)
    assert "Download mask (NIfTI)" in _downloads(page)
    slider = page.select_slider[0]
    own = slider.value
    assert f"Slice {own + 1} of 4, the most suspicious" in _texts(page)
    assert "It explains the kind" in _captions(_choose(page, "Heatmap", "kind"))[1]
    slider.set_value((own + 1) % 4).run()
    assert not page.exception
    assert f"The answer is that of slice {own + 1}, the most suspicious." in _texts(page)
    outlined, explained = _captions(page)
    assert outlined == "Outline: where the model places the tumor."
    assert explained.startswith("Heatmap: how likely")
    assert [group.key for group in page.button_group] == ["of_mark"]
    assert scored == ["volume.nii"]


def test_no_click_makes_a_mask_again(seeing, masked):
    page = _plain(_upload(seeing, *[(f"{number}.png", png_bytes(phantom(96, seed=number))) for number in range(3)]))
    # Each is measured once, and the mask of the one that is open is made once for the picture shown.
    assert masked.count((96, 96)) == 3
    made = len(masked)
    page.slider[0].set_value(35).run()
    _toggle(page, "Outline").set_value(False).run()
    page.run()
    assert len(masked) == made


def _listed(page):
    return list(page.dataframe[0].value["scan"])


def _opened(page):
    table = page.dataframe[0].value
    return list(table["scan"][table["mark"] == "▶"])


def test_the_list_has_the_most_urgent_first_and_counts_all(page):
    files = [("bad.png", b"nothing"), *[(f"{seed}.png", png_bytes(phantom(seed=seed))) for seed in range(4)]]
    _upload(page, *files)
    table = page.dataframe[0].value
    words = ["Referred", "Glioma", "Meningioma", "Pituitary tumor", "No tumor", "Not readable"]
    ranks = [0 if word == "Referred" else 2 if word in words[4:] else 1 for word in table["answer"]]
    assert ranks == sorted(ranks)
    assert table["answer"].iloc[-1] == "Not readable"
    assert (
        sum(int(number) for number in re.findall(r"(\d+) (?:referred|tumor|no tumor|not readable)", _texts(page))) == 5
    )
    assert all(address.startswith("data:image/jpeg;base64,") for address in table["picture"][:-1])


def test_next_and_previous_open_cases_and_mark_them_as_read(seeing):
    _upload(seeing, *[(f"{seed}.png", png_bytes(phantom(seed=seed))) for seed in range(3)])
    order = _listed(seeing)
    assert _opened(seeing) == order[:1]
    assert list(seeing.dataframe[0].value["mark"]) == ["▶", "●", "●"]
    assert _opened(_press(seeing, "Next")) == order[1:2]
    assert list(seeing.dataframe[0].value["mark"]) == ["", "▶", "●"]
    assert _opened(_press(_press(seeing, "Next"), "Next")) == order[2:]
    assert _opened(_press(seeing, "Previous")) == order[1:2]
    _press(seeing, "Mark as new")
    assert list(seeing.dataframe[0].value["mark"]) == ["●", "▶", "●"]


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("of_status", ["tumor"], ["0.png", "4.png"]),
        ("of_status", ["not readable"], ["bad.png"]),
        ("of_status", ["no tumor"], []),
        ("of_type", ["glioma", "meningioma", "pituitary"], ["0.png", "4.png"]),
        ("of_sequence", ["t1"], []),
        ("of_mark", "new", None),
        ("of_mark", "read", None),
        ("sorted_by", "Name", ["0.png", "4.png", "bad.png"]),
    ],
)
def test_filters_and_orders(key, value, expected, seeing):
    _upload(seeing, ("bad.png", b"nothing"), *[(f"{seed}.png", png_bytes(phantom(seed=seed))) for seed in (0, 4)])
    opened = _opened(seeing)
    others = sorted({"0.png", "4.png", "bad.png"} - set(opened))
    widgets = [*seeing.multiselect, *seeing.selectbox, *seeing.button_group]
    next(widget for widget in widgets if widget.key == key).set_value(value)
    seeing.run()
    assert not seeing.exception
    expected = {"new": others, "read": opened}[value] if expected is None else expected
    assert sorted(_listed(seeing) if seeing.dataframe else []) == expected


def test_clearing_takes_what_is_listed_off_the_desk(seeing):
    _upload(seeing, *[(f"{seed}.png", png_bytes(phantom(seed=seed))) for seed in range(3)])
    next(widget for widget in seeing.button_group if widget.key == "of_mark").set_value("read")
    seeing.run()
    assert len(_listed(seeing)) == 1
    _press(seeing, "Clear 1 scan")
    next(widget for widget in seeing.button_group if widget.key == "of_mark").set_value(None)
    seeing.run()
    assert len(_listed(seeing)) == 2


def test_what_is_no_scan_has_no_mask_to_take_away(estranged):
    page = _upload(estranged, ("one.png", png_bytes(phantom())), ("two.png", png_bytes(phantom(seed=2))))
    assert _downloads(page) == ["Answers (CSV)", *REPORTS]
    assert page.dataframe[0].value["p_tumor"].isna().all()


def test_volumes_are_named_among_what_can_be_uploaded(page):
    assert "volumes (.nii, .nii.gz, .mgz)" in page.file_uploader[0].help


def test_a_bad_file_gets_its_sentence_and_the_others_go_on(page, scored):
    files = [("one.png", png_bytes(phantom())), ("bad.png", b"nothing"), ("two.png", png_bytes(phantom(seed=2)))]
    _upload(page, *files)
    assert scored == ["one.png", "two.png"]
    assert sorted(_listed(page)) == ["bad.png", "one.png", "two.png"]
    _press(_press(page, "Next"), "Next")
    assert [error.value for error in page.error] == [
        "**bad\\.png**: This is a text file, not a scan. Download or copy the scan itself again."
    ]


def test_sliders_methods_and_more_files_never_score_a_scan_again(seeing, scored):
    first = ("one.png", png_bytes(phantom()))
    page = _upload(seeing, first)
    for slider in page.slider:
        slider.set_value(20).run()
    page.button_group[0].set_value("saliency").run()
    page.button_group[0].set_value("gradcam").run()
    page.run()
    assert scored == ["one.png"]
    _upload(page, first, ("two.png", png_bytes(phantom(seed=3))))
    assert scored == ["one.png", "two.png"]


def test_the_same_bytes_under_another_name_are_on_the_desk_already(page, scored):
    same = png_bytes(phantom(seed=4))
    _upload(page, ("mine.png", same))
    _upload(page, ("yours.png", same))
    assert scored == ["mine.png"]
    assert _listed(page) == ["mine.png"]


def test_more_files_than_allowed_are_named(guest_app, monkeypatch, scored):
    monkeypatch.setenv("BRAINTUMOR_MAX_FILES", "2")
    page = _open()
    _upload(page, *[(f"{number}.png", png_bytes(phantom(seed=number))) for number in range(3)])
    assert scored == ["0.png", "1.png"]
    assert list(page.dataframe[0].value["answer"])[-1] == "Not readable"
    _press(_press(page, "Next"), "Next")
    assert "1 of 3" in page.error[0].value


def test_the_sample_is_labeled_synthetic(page, scored):
    _press(page, "No scan at hand? Try a synthetic sample")
    assert "Synthetic: drawn by this app" in _texts(page)


def test_a_missing_model_is_one_sentence(guest_app, monkeypatch, tmp_path):
    monkeypatch.setenv("BRAINTUMOR_MODELS_DIR", str(tmp_path / "none"))
    st.cache_resource.clear()
    page = AppTest.from_file(str(PAGES / "prediction.py"), default_timeout=60)
    page.session_state[gate.GUEST] = True
    page.run()
    st.cache_resource.clear()
    assert not page.exception
    assert "There is no model at efficient_unet" in page.error[0].value


@pytest.mark.parametrize("path", [PAGES.parent / "Home.py", PAGES / "about.py"], ids=lambda path: path.stem)
def test_the_plain_pages_open(guest_app, path):
    page = AppTest.from_file(str(path), default_timeout=60)
    page.session_state[gate.GUEST] = True
    page.run()
    assert not page.exception
    assert "diagnosis" in _texts(page)


@pytest.mark.parametrize("path", sorted(PAGES.glob("*.py")), ids=lambda path: path.stem)
def test_no_page_opens_by_its_own_address(path, tmp_path, monkeypatch):
    monkeypatch.setenv("BRAINTUMOR_DATA_DIR", str(tmp_path))
    settings.load.cache_clear()
    page = AppTest.from_file(str(path), default_timeout=60).run()
    settings.load.cache_clear()
    assert not page.file_uploader
    assert not page.metric
    assert not page.dataframe
