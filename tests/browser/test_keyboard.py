import pytest
from playwright.sync_api import expect

from braintumor import settings
from braintumor.accounts import Accounts
from braintumor.database import open_database
from tests.browser import steps
from tests.browser.test_main_flow import ADMINISTRATOR

pytestmark = pytest.mark.browser

MOST_TABS = 60
FOCUSED = """() => {
    const one = document.activeElement;
    const text = [one.getAttribute('aria-label'), one.innerText, one.title].join(' ');
    return one === document.body ? '' : text + ' ' + one.tagName;
}"""


def tab_to(page, name, tag):
    """Press Tab until an element of this tag has the focus that says ``name``."""
    seen = []
    for _ in range(MOST_TABS):
        page.keyboard.press("Tab")
        seen.append(page.evaluate(FOCUSED))
        if name in seen[-1] and seen[-1].endswith(f" {tag}"):
            return
    raise AssertionError(f"{name} is not reached by Tab; reached are {seen}")


@pytest.fixture
def known_app(offline, tmp_path):
    """A server on which the administrator has an account."""
    configured = settings.parse({"BRAINTUMOR_DATA_DIR": str(tmp_path)}, {})
    accounts = Accounts(open_database(configured), configured)
    accounts.create_first_administrator(*ADMINISTRATOR)
    with offline(BRAINTUMOR_DEMO="0", BRAINTUMOR_DATA_DIR=str(tmp_path)) as url:
        yield url


def test_from_login_to_an_opened_case_by_keys_alone(browser, known_app):
    page = browser.new_context(viewport={"width": 1280, "height": 800}).new_page()
    steps.open_page(page, f"{known_app}/prediction")
    expect(page.get_by_role("tab", name="Log in")).to_be_visible(timeout=30_000)

    tab_to(page, "Username", "INPUT")
    page.keyboard.type(ADMINISTRATOR[0])
    tab_to(page, "Password", "INPUT")
    page.keyboard.type(ADMINISTRATOR[2])
    tab_to(page, "Log in", "BUTTON")
    page.keyboard.press("Enter")
    steps.expect_logged_in(page, ADMINISTRATOR[1])
    steps.expect_page(page, "Prediction")
    steps.wait_until_run(page)

    tab_to(page, "Try a synthetic sample", "BUTTON")
    page.keyboard.press("Enter")
    viewer = steps.viewer(page)
    expect(page.get_by_text("1 of 1")).to_be_visible(timeout=60_000)
    steps.wait_until_run(page)

    tab_to(page, "viewer", "IFRAME")
    # Within the viewer Tab goes on through its tools; its keys work from wherever the focus is.
    page.keyboard.press("?")
    expect(viewer.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(viewer.get_by_role("dialog")).to_be_hidden()
    page.keyboard.press("t")
    expect(viewer.get_by_label("Overlay", exact=True)).not_to_have_value("map")
