import csv
from pathlib import Path

import pytest
from playwright.sync_api import expect

from braintumor.scans import phantom
from tests.browser import steps
from tests.conftest import png_bytes

pytestmark = pytest.mark.browser

ADMINISTRATOR = ("rosa", "Rosa Administrator", "correct horse battery staple")
CLINICIAN = ("carl", "Carl Clinician", "seven green tractors sing")
PHONE = {"width": 390, "height": 844}
FILES = [
    {"name": "first.png", "mimeType": "image/png", "buffer": png_bytes(phantom())},
    {"name": "second.png", "mimeType": "image/png", "buffer": png_bytes(phantom(seed=4))},
    {"name": "broken.png", "mimeType": "image/png", "buffer": b"\x00this is no picture"},
]


def test_from_first_administrator_to_a_dead_cookie(browser, app):
    administrator = browser.new_context().new_page()
    complaints = steps.watch(administrator)
    steps.open_page(administrator, app)
    steps.create_first_administrator(administrator, *ADMINISTRATOR)

    context = browser.new_context(accept_downloads=True)
    page = context.new_page()
    seen = steps.watch(page)
    steps.open_page(page, f"{app}/prediction")
    expect(page.locator("input[type=file]")).to_have_count(0)
    steps.register(page, *CLINICIAN)
    steps.approve(administrator, CLINICIAN[1])

    steps.open_page(page, f"{app}/prediction")
    steps.log_in(page, CLINICIAN[0], CLINICIAN[2])
    steps.expect_logged_in(page, CLINICIAN[1])
    steps.expect_page(page, "Prediction")

    steps.wait_until_settled(page)
    page.locator("input[type=file]").set_input_files(FILES)
    expect(page.locator(steps.VIEWER)).to_have_count(1, timeout=30_000)
    expect(page.get_by_text("1 of 3")).to_be_visible(timeout=30_000)
    expect(page.get_by_role("button", name="Stop")).to_have_count(0, timeout=30_000)
    steps.wait_until_settled(page)

    with page.expect_download() as download:
        page.get_by_role("button", name="Answers (CSV)").click()
    with Path(download.value.path()).open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["source"]: row["status"] for row in rows} == {
        "first.png": "ok",
        "second.png": "ok",
        "broken.png": "error",
    }
    for place in ("2 of 3", "3 of 3"):
        page.keyboard.press("n")
        expect(page.get_by_text(place)).to_be_visible(timeout=30_000)
    expect(page.get_by_text("broken.png: This file is not a picture")).to_be_visible(timeout=30_000)

    steps.open_from_menu(page, "Training metrics")
    expect(page.get_by_text("Leak-free test").first).to_be_visible(timeout=30_000)
    expect(page.locator(".js-plotly-plot").first).to_be_visible(timeout=30_000)

    cookies = context.cookies()
    steps.log_out(page)
    assert complaints == seen == []
    thief = browser.new_context()
    thief.add_cookies(cookies)
    stolen = thief.new_page()
    steps.open_page(stolen, f"{app}/prediction")
    steps.expect_logged_out(stolen)
    expect(stolen.locator("input[type=file]")).to_have_count(0)


def test_a_guest_on_a_phone_gets_an_answer(browser, demo_app):
    page = browser.new_context(viewport=PHONE).new_page()
    steps.enter_as_guest(page, f"{demo_app}/prediction")
    page.get_by_text("Try a synthetic sample").click()
    viewer = steps.viewer(page)
    expect(viewer.get_by_label("Overlay", exact=True)).to_have_value("map")
    said = page.get_by_role("heading", name="Synthetic sample scan")
    expect(said).to_be_visible()
    # One below the other: the picture, its answer, then the list.
    parts = (page.locator(steps.VIEWER), said, page.get_by_role("button", name="Next"))
    tops = [part.bounding_box()["y"] for part in parts]
    assert tops == sorted(tops)
    sideways = page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")
    assert not sideways


def test_who_may_compute_heatmaps_chooses_a_method(browser, app):
    page = browser.new_context().new_page()
    steps.open_page(page, app)
    steps.create_first_administrator(page, *ADMINISTRATOR)
    steps.open_from_menu(page, "Prediction")
    page.get_by_text("Try a synthetic sample").click()
    overlays = steps.viewer(page).get_by_label("Overlay", exact=True)
    expect(overlays.get_by_role("option", name="Grad-CAM")).to_have_count(1)
    page.get_by_role("radio", name="Saliency").click()
    expect(overlays.get_by_role("option", name="Saliency")).to_have_count(1, timeout=90_000)


def test_a_wide_table_of_the_model_card_scrolls_in_its_section_on_a_phone(browser, demo_app):
    page = browser.new_context(viewport=PHONE).new_page()
    steps.open_page(page, f"{demo_app}/about")
    page.get_by_role("button", name="Try it as a guest").click()
    # The last that the page shows: a section opened before that may move to another place.
    expect(page.get_by_role("button", name="Model card (Markdown)")).to_be_visible(timeout=30_000)
    expect(page.get_by_test_id("stApp")).to_have_attribute("data-test-script-state", "notRunning", timeout=30_000)
    page.get_by_text("Training data", exact=True).click()
    section = page.get_by_test_id("stMarkdownContainer").filter(has=page.get_by_role("table"))
    expect(section).to_be_visible(timeout=30_000)
    expect(section).to_have_css("overflow-x", "auto")
    page.wait_for_function("table => table.clientWidth > innerWidth", arg=section.locator("table").element_handle())
    assert section.evaluate("section => section.clientWidth < innerWidth")
    assert not page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")


def test_back_after_a_logout_elsewhere_shows_nothing_of_the_scan(browser, app):
    context = browser.new_context()
    page = context.new_page()
    steps.open_page(page, app)
    steps.create_first_administrator(page, *ADMINISTRATOR)
    steps.wait_until_settled(page)
    steps.open_page(page, f"{app}/prediction")
    page.get_by_text("Try a synthetic sample").click()
    steps.viewer(page)
    page.goto("about:blank")
    elsewhere = context.new_page()
    steps.open_page(elsewhere, app)
    steps.log_out(elsewhere)
    page.go_back()
    steps.expect_logged_out(page)
    expect(page.locator(steps.VIEWER)).to_have_count(0)
