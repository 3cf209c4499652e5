"""What axe-core finds on a page: what breaks WCAG 2.1 AA or is called serious or critical, save for Streamlit's own."""

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Frame, Page

_AXE = Axe().axe_script
_SEVERE = {"serious", "critical"}

STREAMLIT_OWN = {
    ("list", "[data-testid=stSidebarNav]"): "the sections of the menu are a list whose items stand in a div",
    ("listitem", "[data-testid=stSidebarNav]"): "the same list",
    ("scrollable-region-focusable", "[data-testid=stTable]"): "a table that is too wide scrolls, and takes no focus",
}
"""Findings inside Streamlit's own widgets that a page cannot mend, by rule and by a selector that holds them: why."""


def findings(page: Page) -> list[str]:
    """List the severe findings on a page and in the viewer, a line each: the rule, the element, and what is wrong."""
    found = _of_frame(page.main_frame)
    for frame in page.frames:
        if "scan_view.viewer" in frame.url:
            found += _of_frame(frame)
    return found


def _of_frame(frame: Frame) -> list[str]:
    if not frame.evaluate("'axe' in window"):
        frame.evaluate(_AXE)
    # Frames are looked at one by one: axe-core itself would need its script in each, the hidden ones included.
    results = frame.evaluate("axe.run({resultTypes: ['violations'], iframes: false})")
    return [
        f"{violation['id']}: {node['target'][0]}: {node['failureSummary']}"
        for violation in results["violations"]
        if violation["impact"] in _SEVERE or violation["id"] == "heading-order"
        for node in violation["nodes"]
        if not _is_streamlits(frame, violation["id"], node["target"][0])
    ]


def _is_streamlits(frame: Frame, rule: str, target: str) -> bool:
    element = frame.query_selector(target)
    return element is not None and any(
        rule == named and element.evaluate("(one, holder) => one.closest(holder) !== null", holder)
        for named, holder in STREAMLIT_OWN
    )
