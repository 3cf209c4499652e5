import nibabel
import numpy as np
import pytest
from playwright.sync_api import expect

from braintumor.dashboard.viewer.scene import Scene
from braintumor.scans import phantom
from tests.browser import steps
from tests.dashboard.viewer.made_answers import made_answer, spot

pytestmark = pytest.mark.browser

SLICES = 12
SIDE = 152


def volume():
    """A head in space, with a mass in its middle slices, as a NIfTI file; its first picture goes ahead."""
    layers = [phantom(SIDE, tumor=4 <= number < 8, seed=number) for number in range(SLICES)]
    pixels = np.stack(layers, axis=-1)[::-1].transpose(1, 0, 2)
    return nibabel.Nifti1Image(pixels, np.diag([1.25, 1.25, 5.0, 1.0])).to_bytes()


@pytest.fixture(scope="module")
def opened(browser, trusting_app):
    """A guest's page with the viewer of a volume, and what the page asked of other hosts."""
    page = browser.new_context(viewport={"width": 1280, "height": 800}).new_page()
    complaints = steps.watch(page)
    steps.enter_as_guest(page, f"{trusting_app}/prediction")
    file = {"name": "volume.nii", "mimeType": "application/octet-stream", "buffer": volume()}
    page.locator("input[type=file]").set_input_files([file])
    steps.viewer(page)
    steps.wait_until_run(page)
    yield page, complaints
    page.context.close()


@pytest.fixture
def viewer(opened):
    """The viewer as it is at first: reset, at the most suspicious slice."""
    frame = steps.viewer(opened[0])
    for key in "rsc":
        frame.locator("#planes").press(key)
    frame.get_by_label("Overlay", exact=True).select_option("map")
    settle(frame)
    return frame


def settle(frame):
    """Wait for two pictures of the browser, after which what was asked for is drawn."""
    frame.locator("#planes").evaluate(
        "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
    )


def picture(frame, number=0):
    settle(frame)
    return frame.locator("#planes canvas").nth(number).evaluate("canvas => canvas.toDataURL()")


def press(frame, key):
    frame.locator("#planes").press(key)
    settle(frame)


def drag(opened, frame, tool, moved, number=0):
    press(frame, tool)
    box = frame.locator("#planes canvas").nth(number).bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    mouse = opened[0].mouse
    mouse.move(x, y)
    mouse.down()
    mouse.move(x + moved[0], y + moved[1])
    mouse.up()
    settle(frame)


def slice_shown(frame):
    return int(frame.get_by_role("slider", name="Slice").input_value())


def test_picture_slices_and_answer_are_on_a_small_screen_together(opened, viewer):
    page, _ = opened
    said = page.get_by_text("The model leans towards", exact=False).or_(page.get_by_text("The model sees"))
    shown = [page.locator(steps.VIEWER), viewer.get_by_role("slider", name="Slice"), viewer.get_by_role("status"), said]
    for place in shown:
        box = place.first.bounding_box()
        assert box["y"] >= 0
        assert box["y"] + box["height"] <= 800
        assert box["x"] + box["width"] <= 1280
    assert viewer.locator("#planes canvas").first.bounding_box()["height"] > 150


@pytest.mark.parametrize(
    ("keys", "arrives"),
    [
        (["Home"], 0),
        (["End"], SLICES - 1),
        (["Home", "ArrowUp"], 0),
        (["Home", "ArrowDown", "ArrowRight", "ArrowLeft"], 1),
        (["Home", "PageDown"], 10),
        (["End", "PageUp"], 1),
    ],
)
def test_keys_go_through_the_slices(viewer, keys, arrives):
    for key in keys:
        press(viewer, key)
    assert slice_shown(viewer) == arrives
    expect(viewer.get_by_role("status")).to_contain_text(f"Slice {arrives + 1} of {SLICES}")


def test_the_wheel_goes_through_the_slices_and_the_picture_follows(opened, viewer):
    press(viewer, "Home")
    first = picture(viewer)
    viewer.locator("#planes canvas").first.hover()
    opened[0].mouse.wheel(0, 100)
    expect(viewer.get_by_role("slider", name="Slice")).to_have_value("1")
    assert picture(viewer) != first


def test_the_curve_marks_the_slice_shown(viewer):
    curve = viewer.locator("#curve")
    press(viewer, "Home")
    first = curve.evaluate("canvas => canvas.toDataURL()")
    press(viewer, "ArrowDown")
    assert curve.evaluate("canvas => canvas.toDataURL()") != first


def test_a_drag_on_one_plane_moves_the_others(opened, viewer):
    before = [picture(viewer, number) for number in range(3)]
    drag(opened, viewer, "c", (30, 20))
    assert all(picture(viewer, number) != before[number] for number in range(3))
    press(viewer, "v")
    assert viewer.locator("#planes canvas:visible").count() == 1
    press(viewer, "v")
    assert viewer.locator("#planes canvas:visible").count() == 3


@pytest.mark.parametrize("key", ["2", "3", "4", "+", "-", "m", "t", "x"])
def test_a_key_changes_the_picture(viewer, key):
    before = picture(viewer)
    press(viewer, key)
    assert picture(viewer) != before


@pytest.mark.parametrize("tool", ["w", "z", "d"])
def test_a_drag_with_a_tool_changes_the_picture_and_reset_brings_it_back(opened, viewer, tool):
    before = picture(viewer)
    drag(opened, viewer, tool, (25, 40))
    assert picture(viewer) != before
    press(viewer, "r")
    assert picture(viewer) == before


@pytest.mark.parametrize("overlay", ["map", "none"])
def test_the_opacity_of_the_overlay_and_of_the_outline_is_a_slider(viewer, overlay):
    viewer.get_by_label("Overlay", exact=True).select_option(overlay)
    slider = viewer.get_by_role("slider", name="Opacity of overlay and outline")
    slider.press("End")
    before = picture(viewer)
    slider.press("Home")
    assert picture(viewer) != before


def test_the_ruler_measures_in_millimeters(opened, viewer):
    canvas = viewer.locator("#planes canvas").first
    # The plane is square and fills the shorter side: 152 pixels of 1.25 mm each.
    per_pixel = 190 / min(canvas.bounding_box()[side] for side in ("width", "height"))
    drag(opened, viewer, "l", (60, 0))
    said = viewer.get_by_role("status").inner_text()
    assert "mm" in said
    length = float(said.rpartition("Ruler: ")[2].split()[0])
    assert length == pytest.approx(60 * per_pixel, abs=2 * 2)


@pytest.mark.parametrize("number", [1, 2])
def test_the_ruler_measures_on_the_other_planes_too_and_only_where_it_was_drawn(opened, viewer, number):
    viewer.get_by_label("Overlay", exact=True).select_option("none")
    drag(opened, viewer, "l", (0, 40), number)
    assert float(viewer.get_by_role("status").inner_text().rpartition("Ruler: ")[2].split()[0]) > 0
    assert [yellow(viewer, plane) > 20 for plane in range(3)] == [plane == number for plane in range(3)]


def yellow(frame, number):
    """How many pixels of a plane have the color of the ruler."""
    settle(frame)
    return (
        frame.locator("#planes canvas")
        .nth(number)
        .evaluate(
            """canvas => {
            const {data} = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
            let count = 0;
            for (let at = 0; at < data.length; at += 4) {
                count += data[at] === 0xf6 && data[at + 1] === 0xc9 && data[at + 2] === 0x45;
            }
            return count;
        }"""
        )
    )


def test_the_keys_are_listed_under_a_question_mark(viewer):
    press(viewer, "?")
    dialog = viewer.get_by_role("dialog")
    expect(dialog).to_be_visible()
    assert dialog.get_by_role("row").count() > 15
    dialog.get_by_role("button", name="Close").press("Enter")
    expect(dialog).to_be_hidden()


def test_the_viewer_asks_no_other_host_for_anything(opened, viewer):
    page, complaints = opened
    assert complaints == []
    own = [frame.url for frame in page.frames if "/component/" in frame.url]
    assert own
    loaded = page.frames[-1].evaluate("performance.getEntriesByType('resource').map(entry => entry.name)")
    assert {"main.js", "first.js", "scene.js", "paint.js", "panel.js", "actions.js"} <= {
        name.rpartition("/")[2] for name in loaded
    }
    assert {name.split("/")[2] for name in loaded} == {page.url.split("/")[2]}


_UNPACKED = """async (planes, {layout, ...parts}) => {
    const {unpacked} = await import(new URL("first.js", document.baseURI));
    const bytes = Object.fromEntries(Object.entries(parts).map(([name, one]) => [name, new Uint8Array(one)]));
    return Object.fromEntries(Object.entries(unpacked(layout, bytes)).map(([name, one]) => [name, [...one]]));
}"""


def test_the_first_picture_is_laid_out_as_the_scan_is(viewer):
    pixels = phantom(37).astype(np.float32)
    scene = Scene(made_answer(pixels=pixels, p_tumors=(0.1, 0.2, 0.9), kept=range(3), tumor_map=spot(8)))
    first, whole = scene.first_arguments(), scene.arguments()
    sent = {"layout": first["layout"], **{name: list(first[name]) for name in ("volume", "maps", "mask")}}
    laid = viewer.locator("#planes").evaluate(_UNPACKED, sent)
    stack, shown, maps, laid_maps, mask, laid_mask = (
        np.frombuffer(bytes(source[name]), np.uint8) for name in ("volume", "maps", "mask") for source in (whole, laid)
    )
    stack, row, column = stack.reshape(3, 37, 37), *first["layout"]["focus"]
    expected = stack[::4, ::4, ::4].repeat(4, 0).repeat(4, 1).repeat(4, 2)[:3, :37, :37].copy()
    expected[:, row], expected[:, :, column], expected[2] = stack[:, row], stack[:, :, column], stack[2]
    assert (shown.reshape(3, 37, 37) == expected).all()
    assert (laid_maps.reshape(3, -1) == maps.reshape(3, -1) * [[0], [0], [1]]).all()
    bits = (np.unpackbits(packed, count=stack.size).reshape(3, -1) for packed in (laid_mask, mask))
    assert (next(bits) == next(bits) * [[0], [0], [1]]).all()


def test_the_first_picture_is_painted_before_the_rest_has_come(viewer):
    marks = viewer.locator("#planes").evaluate("() => performance.getEntriesByType('mark').map(mark => mark.name)")
    assert marks.index("first") < marks.index("whole")


def test_plain_pictures_take_the_place_of_the_viewer(opened, viewer):
    page, _ = opened
    toggle = page.get_by_text("Plain pictures", exact=True)
    toggle.click()
    expect(page.get_by_alt_text("The scan as it was uploaded")).to_be_visible(timeout=30_000)
    expect(page.locator(steps.VIEWER)).to_have_count(0)
    toggle.click()
    expect(steps.viewer(page).locator("#planes")).to_be_visible(timeout=30_000)
