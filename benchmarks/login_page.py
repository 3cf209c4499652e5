"""The login page on screen after a cold start of the server, against an import of TensorFlow."""

import subprocess
import sys
import time

from playwright.sync_api import sync_playwright

from benchmarks.result import Result
from scripts.app_process import launch_browser, running_app


def run() -> Result:
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import tensorflow"], check=True, capture_output=True)
    importing = time.perf_counter() - started
    with sync_playwright() as playwright:
        browser = launch_browser(playwright)
        page = browser.new_page()
        with running_app({}) as url:
            started = time.perf_counter()
            page.goto(url)
            page.get_by_role("heading", name="Create the first administrator").wait_for(timeout=30_000)
            answering = time.perf_counter() - started
        browser.close()
    detail = f"first visit after the server's start {answering:.2f} s against {importing:.2f} s to import TensorFlow"
    return Result("login page on screen", importing / answering, 1, "× faster", detail)
