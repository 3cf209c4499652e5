"""Take the pictures in ``docs/screenshots`` from the running app; every scan on them is synthetic."""

import io
import re
import secrets
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, expect, sync_playwright

# Called by its path, Python would look for modules beside this file only.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from braintumor import settings
from braintumor.accounts import Accounts
from braintumor.database import open_database
from scripts.app_process import ROOT, launch_browser, running_app

FOLDER = ROOT / "docs" / "screenshots"
DESKTOP = (1280, 900)
PHONE = (390, 844)
_MOST_BYTES = 300_000
_PATIENCE = 60_000
"""Milliseconds that a page may take until it shows what is waited for."""


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="braintumor-screenshots-") as data:
        _create_administrator(Path(data))
        with running_app({"BRAINTUMOR_DATA_DIR": data, "BRAINTUMOR_DEMO": "1"}) as url, sync_playwright() as playwright:
            browser = launch_browser(playwright)
            _take_desktop(browser, url)
            _take_phone(browser, url)
            browser.close()


def _create_administrator(data: Path) -> None:
    # With an account at hand the login page shows its usual form, not that of the very first start.
    configured = settings.parse({"BRAINTUMOR_DATA_DIR": str(data)}, {})
    accounts = Accounts(open_database(configured), configured)
    accounts.create_first_administrator("ada", "Ada Lovelace", secrets.token_urlsafe(24))


def _take_desktop(browser: Browser, url: str) -> None:
    page = _open(browser, url, DESKTOP)
    _save(page, "login")
    _enter_as_guest(page)
    expect(page.get_by_text("Specificity", exact=True)).to_be_visible(timeout=_PATIENCE)
    _save(page, "home")
    _go_to(page, "Training metrics")
    expect(page.locator(".js-plotly-plot .main-svg").first).to_be_visible(timeout=_PATIENCE)
    _save(page, "training-metrics")
    for title in ("Networks", "Leakage"):
        _go_to(page, title)
        expect(page.locator(".js-plotly-plot .main-svg").first).to_be_visible(timeout=_PATIENCE)
        _save(page, title.lower())
    _go_to(page, "Prediction")
    _answer_sample(page)
    _save(page, "prediction")
    page.context.close()


def _take_phone(browser: Browser, url: str) -> None:
    page = _open(browser, f"{url}/prediction", PHONE)
    _enter_as_guest(page)
    _answer_sample(page)
    _save(page, "prediction-phone")
    page.context.close()


def _open(browser: Browser, url: str, size: tuple[int, int]) -> Page:
    """Open an address in a fresh browser session; it shows the login page, whatever the address."""
    width, height = size
    context = browser.new_context(viewport={"width": width, "height": height}, color_scheme="light", locale="en-US")
    page = context.new_page()
    # The cookie component leaves a gray bar while it loads.
    page.goto(url, wait_until="networkidle")
    expect(page.get_by_role("button", name="Try it as a guest")).to_be_visible(timeout=_PATIENCE)
    return page


def _enter_as_guest(page: Page) -> None:
    button = page.get_by_role("button", name="Try it as a guest")
    button.click()
    expect(button).to_have_count(0, timeout=_PATIENCE)


def _go_to(page: Page, title: str) -> None:
    page.get_by_test_id("stSidebarNav").get_by_role("link", name=title).click()
    expect(page).to_have_url(re.compile(f"/{title.lower().replace(' ', '_')}$"), timeout=_PATIENCE)


def _answer_sample(page: Page) -> None:
    """Ask for the synthetic sample and wait for its answer."""
    page.get_by_text("No scan at hand? Try a synthetic sample").click(timeout=_PATIENCE)
    card = page.get_by_test_id("stMainBlockContainer")
    expect(card.get_by_role("img", name="Heatmap over the scan")).to_be_visible(timeout=_PATIENCE)
    expect(card.locator(".js-plotly-plot .main-svg").first).to_be_visible(timeout=_PATIENCE)


def _save(page: Page, name: str) -> None:
    expect(page.get_by_test_id("stApp")).to_have_attribute("data-test-script-state", "notRunning", timeout=_PATIENCE)
    page.mouse.move(0, 0)
    FOLDER.mkdir(parents=True, exist_ok=True)
    path = FOLDER / f"{name}.png"
    path.write_bytes(_small_png(page.screenshot(animations="disabled")))
    sys.stdout.write(f"{path.relative_to(ROOT)}: {path.stat().st_size // 1000} kB\n")


def _small_png(data: bytes) -> bytes:
    """Pack a screenshot tightly; colors are cut to 256, which a heatmap shows, only where it stays too large."""
    picture = Image.open(io.BytesIO(data)).convert("RGB")
    for candidate in (picture, picture.quantize(256)):
        file = io.BytesIO()
        candidate.save(file, "PNG", optimize=True)
        if file.tell() <= _MOST_BYTES:
            return file.getvalue()
    raise ValueError(f"a screenshot takes {file.tell()} bytes; it must take {_MOST_BYTES} at most")


if __name__ == "__main__":
    main()
