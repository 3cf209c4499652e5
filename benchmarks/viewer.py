"""A step from slice to slice in the viewer and its first picture, beside the page's own slider over plain pictures."""

import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from playwright.sync_api import FrameLocator, Page, sync_playwright

from benchmarks.result import Result
from braintumor import settings
from braintumor.bundles import CARD_FILE, Card, read_card
from braintumor.scans import phantom
from scripts.app_process import launch_browser, running_app

SHAPE = (160, 256, 256)
_STEPS = 40
_PATIENCE = 300_000
"""Milliseconds: the volume is answered meanwhile."""
_VIEWER = "iframe[title$='scan_view.viewer']"

_STEP = """async (planes) => {
    const taken = [];
    const drawn = () => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)));
    for (let number = 0; number < STEPS; number += 1) {
        const started = performance.now();
        planes.dispatchEvent(new KeyboardEvent('keydown', {key: 'ArrowUp', bubbles: true}));
        await drawn();
        planes.querySelector('canvas').getContext('2d').getImageData(0, 0, 1, 1);
        taken.push(performance.now() - started);
    }
    return taken;
}""".replace("STEPS", str(_STEPS))
"""Each step is timed until the browser has drawn it and its pixels can be read."""

_PLAIN_STEP = """async (slider) => {
    const picture = () => document.querySelector("img[alt^='The scan as it was uploaded']").src;
    const before = picture(), started = performance.now();
    slider.dispatchEvent(new KeyboardEvent('keydown', {key: 'ArrowLeft', code: 'ArrowLeft', bubbles: true}));
    while (picture() === before && performance.now() - started < 20000) await new Promise(done => setTimeout(done, 5));
    return performance.now() - started;
}"""


def volume() -> bytes:
    """Draw a head of 256 × 256 × 160 voxels as a NIfTI file."""
    layers = [phantom(SHAPE[1], seed=number % 8) for number in range(SHAPE[0])]
    pixels = np.stack(layers, axis=-1)[::-1].transpose(1, 0, 2)
    image: Any = nibabel.nifti1.Nifti1Image
    return bytes(image(pixels, np.diag([0.9, 0.9, 1.0, 1.0])).to_bytes())


def _put_models(folder: Path) -> None:
    """Put the shipped model in a folder, its card changed so that a volume that was drawn is judged."""
    configured = settings.load()
    shipped, bundle = configured.models_dir / configured.model, folder / configured.model
    bundle.mkdir(parents=True)
    for file in shipped.iterdir():
        if file.name != CARD_FILE:
            (bundle / file.name).symlink_to(file)
    facts: dict[str, Any] = read_card(shipped).model_dump()
    facts["marks"] = facts["volume_rule"]["distance_limit"] = None
    facts["operating_point"]["referral"]["distance_limit"] = None
    card = Card.model_validate(facts, strict=False)
    (bundle / CARD_FILE).write_text(card.model_dump_json(), encoding="utf-8")


def run() -> list[Result]:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "volume.nii"
        file.write_bytes(volume())
        _put_models(Path(folder) / "models")
        environment = {"BRAINTUMOR_DEMO": "1", "BRAINTUMOR_MODELS_DIR": str(Path(folder) / "models")}
        with running_app(environment) as url, sync_playwright() as playwright:
            browser = launch_browser(playwright)
            page = browser.new_context(viewport={"width": 1280, "height": 800}).new_page()
            page.goto(f"{url}/prediction", wait_until="networkidle")
            page.get_by_role("button", name="Try it as a guest").click()
            # The page runs once more when the component of the cookie has loaded; an upload before that can be lost.
            page.wait_for_load_state("networkidle")
            _wait(page)
            page.locator("input[type=file]").set_input_files(file)
            results = _measured(page)
            browser.close()
    return results


def _measured(page: Page) -> list[Result]:
    viewer = page.frame_locator(_VIEWER)
    viewer.locator("#said:not(:has-text('loading'))").wait_for(timeout=_PATIENCE)
    _wait(page)
    steps = viewer.locator("#planes").evaluate(_STEP)
    step = statistics.median(steps)
    toggle = page.get_by_text("Plain pictures", exact=True)
    toggle.click()
    page.locator("img[alt^='The scan as it was uploaded']").wait_for(timeout=_PATIENCE)
    _wait(page)
    slider = page.get_by_role("slider", name="Slice")
    slider.focus()
    plain = statistics.median(slider.evaluate(_PLAIN_STEP) for _ in range(7))
    first = statistics.median(_first_picture(page, viewer) for _ in range(3))
    shape = " × ".join(map(str, (SHAPE[1], SHAPE[2], SHAPE[0])))
    return [
        Result("a step to the next slice", step, 100, "ms", _said(shape, steps, plain / step, plain), at_most=True),
        Result(
            "the first picture of a volume",
            *(first / 1000, 1.5, "s"),
            f"{shape}: median from the click to the picture, {first / plain:.1f} × a step over plain pictures",
            at_most=True,
        ),
    ]


def _said(shape: str, steps: list[float], faster: float, plain: float) -> str:
    return f"{shape}: median, slowest {max(steps):.0f}, {faster:.1f} × faster than plain pictures with {plain:.0f}"


def _first_picture(page: Page, viewer: FrameLocator) -> float:
    """Milliseconds from the wish for the viewer to its first picture, which is ahead of the whole volume."""
    toggle = page.get_by_text("Plain pictures", exact=True)
    if page.locator(_VIEWER).count():
        toggle.click()
        page.locator(_VIEWER).wait_for(state="detached", timeout=_PATIENCE)
        _wait(page)
    started = page.evaluate("performance.timeOrigin + performance.now()")
    toggle.click()
    viewer.locator("#viewer").wait_for(timeout=_PATIENCE)
    painted = viewer.locator("#viewer").evaluate(
        "() => performance.timeOrigin + performance.getEntriesByName('painted')[0].startTime"
    )
    return float(painted - started)


def _wait(page: Page) -> None:
    page.locator("[data-testid=stApp][data-test-script-state=notRunning]").wait_for(timeout=_PATIENCE)


if __name__ == "__main__":
    for result in run():
        sys.stdout.write(f"{result}\n")
