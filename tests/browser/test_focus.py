import pytest

from tests.browser import steps

pytestmark = pytest.mark.browser

MOST_STOPS = 60
_LOOKS = 20

_MARKED = """() => {
    const one = document.activeElement;
    // Streamlit draws the focus of a field on the box around it.
    const chain = [];
    for (let box = one; box && box !== document.body && chain.length < 4; box = box.parentElement) {
        chain.push(box);
    }
    // Cells of a table lie, unseen, in the canvas that shows them.
    const canvas = one.closest("canvas");
    if (canvas && !chain.includes(canvas)) chain.push(canvas);
    const looks = (one) => {
        const {outline, boxShadow, borderColor, backgroundColor} = getComputedStyle(one);
        // A table draws the mark of its cell itself.
        const drawn = one.tagName === "CANVAS" ? one.toDataURL() : "";
        return [outline, boxShadow, borderColor, backgroundColor, drawn].join("|");
    };
    const last = window.focusedLast;
    const name = `${one.tagName} ${one.getAttribute("aria-label") || one.innerText || one.id}`.trim().slice(0, 60);
    const changed = !last || last.chain.some((before, at) => looks(before) !== last.looks[at]);
    window.focusedNow = {chain, looks: chain.map(looks)};
    return {name, tag: one.tagName, changed};
}"""
"""Names what has the focus, and tells whether what had it before looks otherwise now."""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_what_has_the_focus_is_marked(browser, demo_app, scheme):
    page = browser.new_context(viewport={"width": 1280, "height": 800}, color_scheme=scheme).new_page()
    steps.open_page(page, demo_app)
    unmarked, gone_through = walk(page)
    assert len(gone_through) > 5
    assert unmarked == []
    steps.enter_as_guest(page, f"{demo_app}/prediction")
    page.get_by_role("button", name="Try a synthetic sample").click()
    steps.viewer(page)
    steps.wait_until_settled(page)
    unmarked, gone_through = walk(page)
    assert len(gone_through) > 20
    assert unmarked == []
    page.context.close()


def walk(page):
    """Go through a page by Tab and give what shows no mark when it has the focus, and all that was gone through."""
    page.evaluate("() => { delete window.focusedLast; document.activeElement?.blur(); }")
    unmarked, stops = [], []
    for _ in range(MOST_STOPS):
        page.keyboard.press("Tab")
        # A frame's own elements have the marks.
        is_seen = bool(stops) and not stops[-1].startswith(("IFRAME", "BODY"))
        # Marks may fade in, and out.
        for _ in range(_LOOKS if is_seen else 1):
            page.wait_for_timeout(120)
            stop = page.evaluate(_MARKED)
            if stop["changed"]:
                break
        page.evaluate("() => { window.focusedLast = window.focusedNow; }")
        if is_seen and not stop["changed"]:
            unmarked.append(stops[-1])
        if stop["tag"] == "BODY":
            break
        stops.append(stop["name"])
    return unmarked, stops
