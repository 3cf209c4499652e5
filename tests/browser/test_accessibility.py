from itertools import product

import pytest
from playwright.sync_api import expect

from tests.browser import accessibility, steps

pytestmark = pytest.mark.browser

ADMINISTRATOR = ("ada", "Ada Administrator", "correct horse battery staple")
SIZES = {"desktop": {"width": 1280, "height": 800}, "phone": {"width": 390, "height": 844}}
LOOKS = list(product(SIZES, ("light", "dark")))
PAGES = ["", "training_metrics", "networks", "leakage", "about", "account", "administration"]


@pytest.fixture(scope="module")
def inside(browser, demo_app):
    """A page of an administrator, who may see every page, and the findings on the pages before the login."""
    page = browser.new_context(viewport=SIZES["desktop"], reduced_motion="reduce").new_page()
    steps.open_page(page, demo_app)
    first = looked_at(page)
    steps.create_first_administrator(page, *ADMINISTRATOR)
    # The component that sets the cookie loads after the page has run.
    steps.wait_until_settled(page)
    yield page, demo_app, first
    page.context.close()


def looked_at(page):
    """Findings of axe-core on a page in each look."""
    found = []
    for size, scheme in LOOKS:
        page.set_viewport_size(SIZES[size])
        page.emulate_media(color_scheme=scheme)
        # Colors fade into each other, and what is looked at in between has a contrast of its own.
        page.wait_for_timeout(600)
        found += [f"{size}, {scheme}: {line}" for line in accessibility.findings(page)]
    page.set_viewport_size(SIZES["desktop"])
    return found


def test_the_first_page_of_all_has_no_severe_finding(inside):
    assert inside[2] == []


@pytest.mark.parametrize("name", PAGES)
def test_no_page_has_a_severe_finding(inside, name):
    page, url, _ = inside
    page.goto(f"{url}/{name}")
    steps.expect_page(page)
    steps.wait_until_run(page)
    assert looked_at(page) == []


def test_the_login_has_no_severe_finding(inside, browser):
    page = browser.new_context(viewport=SIZES["desktop"], reduced_motion="reduce").new_page()
    steps.open_page(page, inside[1])
    expect(page.get_by_role("tab", name="Log in")).to_be_visible(timeout=30_000)
    found = looked_at(page)
    page.get_by_role("tab", name="Register").click()
    assert found + looked_at(page) == []
    page.context.close()


def test_the_reading_room_has_no_severe_finding(inside):
    page, url, _ = inside
    page.goto(f"{url}/prediction")
    page.get_by_text("Try a synthetic sample").click(timeout=30_000)
    steps.viewer(page)
    steps.wait_until_run(page)
    assert looked_at(page) == []
