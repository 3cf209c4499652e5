import shutil

import pytest
from playwright.sync_api import Error, sync_playwright

from braintumor.bundles import read_card
from scripts.app_process import launch_browser
from tests.bundles.made_card import changed, put_card
from tests.conftest import SHIPPED


@pytest.fixture(scope="session")
def browser():
    with sync_playwright() as playwright:
        try:
            browser = launch_browser(playwright)
        except Error as error:
            if shutil.which("chromium"):
                raise
            reason = str(error).splitlines()[0]
            pytest.skip(f"no browser: install Debian's chromium, or run 'playwright install chromium' ({reason})")
        yield browser
        browser.close()


@pytest.fixture
def app(browser, offline):
    with offline(BRAINTUMOR_DEMO="0") as url:
        yield url


@pytest.fixture(scope="session")
def demo_app(browser, offline):
    """One server for all who come as guests: none of them leaves anything behind."""
    with offline(BRAINTUMOR_DEMO="1") as url:
        yield url


@pytest.fixture(scope="session")
def trusting_app(browser, offline, tmp_path_factory):
    """A server for guests whose model judges drawn volumes, which the shipped one refuses as not a brain MRI."""
    folder = tmp_path_factory.mktemp("models") / SHIPPED.name
    folder.mkdir()
    for file in SHIPPED.iterdir():
        if file.name != "card.json":
            (folder / file.name).symlink_to(file)
    trusting = {"volume_rule.distance_limit": None, "operating_point.referral.distance_limit": None, "marks": None}
    put_card(folder, changed(read_card(SHIPPED), trusting))
    with offline(BRAINTUMOR_DEMO="1", BRAINTUMOR_MODELS_DIR=str(folder.parent)) as url:
        yield url
