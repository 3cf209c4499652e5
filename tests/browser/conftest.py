import shutil

import pytest
from playwright.sync_api import Error, sync_playwright

from scripts.app_process import launch_browser


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


@pytest.fixture(scope="module")
def demo_app(browser, offline):
    """One server for all tests that come as guests, who leave nothing behind."""
    with offline(BRAINTUMOR_DEMO="1") as url:
        yield url
