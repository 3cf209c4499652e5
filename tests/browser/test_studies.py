"""Studies as users drop them: a folder, a ZIP archive, and either beside pictures."""

import zipfile

import pytest
from playwright.sync_api import expect

from braintumor.scans import phantom
from tests.browser import steps
from tests.conftest import png_bytes
from tests.scans.dicom_files import slices

pytestmark = pytest.mark.browser


@pytest.fixture
def folder(tmp_path):
    """A study of two series in folders, and a picture beside them."""
    for number, kind in enumerate(("t1_tra", "t2_flair_tra"), 1):
        place = tmp_path / "study" / kind
        place.mkdir(parents=True)
        told = {"SeriesInstanceUID": f"1.2.{number}", "SeriesNumber": number, "SeriesDescription": kind}
        for image, data in enumerate(slices(6, pixels=phantom(96, seed=4).astype("uint16"), **told)):
            (place / f"IM{image}").write_bytes(data)
    (tmp_path / "study" / "slice.png").write_bytes(png_bytes(phantom(96, seed=4)))
    return tmp_path / "study"


def _drop(page, paths):
    """Drop files or folders on the uploader, as a hand does: no script of a page can make a folder to drop."""
    box = page.get_by_test_id("stFileUploaderDropzone").bounding_box()
    session = page.context.new_cdp_session(page)
    for kind in ("dragEnter", "dragOver", "drop"):
        session.send(
            "Input.dispatchDragEvent",
            {
                "type": kind,
                "x": box["x"] + box["width"] / 2,
                "y": box["y"] + box["height"] / 2,
                "data": {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1},
            },
        )


@pytest.mark.parametrize("packing", ["a folder", "a ZIP beside a picture"])
def test_a_study_is_answered_series_by_series(packing, browser, demo_app, folder, tmp_path):
    page = browser.new_context().new_page()
    broken = steps.watch(page)
    steps.enter_as_guest(page, f"{demo_app}/prediction")
    if packing == "a folder":
        _drop(page, [folder])
    else:
        with zipfile.ZipFile(tmp_path / "study.zip", "w") as archive:
            for file in folder.glob("*/*"):
                archive.write(file, f"Doe^Jane/{file.parent.name}/{file.name}")
        page.locator("input[type=file]").set_input_files([tmp_path / "study.zip", folder / "slice.png"])
    # The worklist is drawn on a canvas; its cells stand beside it for readers of the screen.
    for name in ("Study 1, series 1, T1", "Study 1, series 2, FLAIR", "slice.png"):
        expect(page.get_by_role("gridcell", name=name, exact=True, include_hidden=True)).to_be_attached(timeout=60_000)
    expect(page.get_by_role("heading", name="Study 1", exact=True)).to_be_visible(timeout=60_000)
    assert broken == []
    assert "Doe" not in page.inner_text("body")
