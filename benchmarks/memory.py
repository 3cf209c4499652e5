"""Resident memory of the server after 500 predictions through the page, and after 500 more."""

import io
import zipfile

from playwright.sync_api import Page, expect, sync_playwright

from benchmarks.pictures import jpegs
from benchmarks.result import Result
from scripts.app_process import launch_browser, running_app, server_process

_ROUND = 100
_ROUNDS = 10


def run() -> list[Result]:
    files = jpegs(_ROUND * _ROUNDS)
    readings = []
    with sync_playwright() as playwright, running_app({"BRAINTUMOR_DEMO": "1"}) as url:
        browser = launch_browser(playwright)
        page = browser.new_page()
        page.goto(f"{url}/prediction")
        page.get_by_role("button", name="Try it as a guest").click()
        page.locator("input[type=file]").wait_for(state="attached", timeout=30_000)
        before = server_process(url).resident_megabytes
        for start in range(0, len(files), _ROUND):
            _upload(page, start, files[start : start + _ROUND])
            readings.append(server_process(url).resident_megabytes)
        browser.close()
    middle, end = readings[_ROUNDS // 2 - 1], readings[-1]
    detail = f"{before:.0f} MB before the first scan, {end:.0f} MB after {len(files)}"
    return [
        Result("server memory after 500 predictions", middle, 450, "MB", detail, at_most=True),
        Result("its growth over 500 more", 100 * (end / middle - 1), 5, "%", detail, at_most=True),
    ]


def _upload(page: Page, start: int, files: list[bytes]) -> None:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as packed:
        for number, data in enumerate(files, start):
            packed.writestr(f"{number}.jpg", data)
    remove = page.get_by_role("button", name="Remove scans-")
    if remove.count():
        remove.first.click()
        expect(page.get_by_text("Download answers (CSV)")).to_have_count(0, timeout=60_000)
    name = f"scans-{start}.zip"
    page.locator("input[type=file]").set_input_files(
        {"name": name, "mimeType": "application/zip", "buffer": archive.getvalue()}
    )
    expect(page.get_by_role("heading", name=f"{name}/{start}.jpg")).to_be_visible(timeout=120_000)
