import hashlib
import io

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from braintumor.scans import Limits, PixelBudget, ScanError, phantom, read
from braintumor.scans.color import COLORED, GRAY, TINTED
from braintumor.scans.limits import SMALLEST_SLICE
from braintumor.scans.raster import read_raster

HEIGHT, WIDTH = 40, 56
PICTURE = phantom(64, seed=3)[:HEIGHT, :WIDTH]
DEEP = PICTURE.astype(np.uint16) * 257
RGB = np.stack([PICTURE, PICTURE // 2, PICTURE // 4], axis=-1)
LUMA = RGB @ np.array([0.299, 0.587, 0.114])
ALPHA = np.where(np.arange(WIDTH) < WIDTH // 2, 255, 0).astype(np.uint8) * np.ones((HEIGHT, 1), np.uint8)
SHOWN = ALPHA / 255


def _file(image, format_name, **options):
    stream = io.BytesIO()
    image.save(stream, format_name, **options)
    return stream.getvalue()


def _gray():
    return Image.fromarray(PICTURE)


def _with_alpha(array):
    return Image.fromarray(np.dstack([array, ALPHA]))


def _palette(transparent=None):
    image = Image.fromarray(np.where(PICTURE > 90, 1, 2).astype(np.uint8), "L")
    image.putpalette([0, 0, 0, 200, 100, 50, 10, 20, 30])
    return _file(image, "PNG", **({} if transparent is None else {"transparency": transparent}))


def _palette_gray(bright_shown=1):
    bright, dark = 200 * 0.299 + 100 * 0.587 + 50 * 0.114, 10 * 0.299 + 20 * 0.587 + 30 * 0.114
    return np.where(PICTURE > 90, bright * bright_shown, dark)


def _keyed(array, key):
    return _file(Image.fromarray(array), "PNG", transparency=key)


WHITE_SHEET = np.full((HEIGHT, WIDTH), 255, np.uint8)
FLOATS = (PICTURE.astype(np.float32) - 100) * 12.5

LOSSLESS = {
    "png": (_file(_gray(), "PNG"), PICTURE, "PNG", 8),
    "bmp": (_file(_gray(), "BMP"), PICTURE, "BMP", 8),
    "gif": (_file(_gray(), "GIF"), PICTURE, "GIF", 8),
    "tiff": (_file(_gray(), "TIFF"), PICTURE, "TIFF", 8),
    "tiff-lzw": (_file(_gray(), "TIFF", compression="tiff_lzw"), PICTURE, "TIFF", 8),
    "webp-lossless": (_file(_gray().convert("RGB"), "WEBP", lossless=True), PICTURE, "WEBP", 8),
    "png-16": (_file(Image.fromarray(DEEP), "PNG"), DEEP, "PNG", 16),
    "tiff-16": (_file(Image.fromarray(DEEP), "TIFF"), DEEP, "TIFF", 16),
    "tiff-16-big-endian": (_file(Image.frombytes("I;16B", (WIDTH, HEIGHT), DEEP.astype(">u2").tobytes()), "TIFF"),
                           DEEP, "TIFF", 16),
    "tiff-32": (_file(Image.fromarray(DEEP.astype(np.int32) * 9), "TIFF"), DEEP.astype(int) * 9, "TIFF", 32),
    "tiff-float": (_file(Image.fromarray(FLOATS), "TIFF"), FLOATS, "TIFF", 32),
    "png-1-bit": (_file(Image.fromarray(PICTURE > 90), "PNG"), (PICTURE > 90) * 255, "PNG", 8),
    "png-rgb": (_file(Image.fromarray(RGB), "PNG"), LUMA, "PNG", 8),
    "bmp-rgb": (_file(Image.fromarray(RGB), "BMP"), LUMA, "BMP", 8),
    "palette": (_palette(), _palette_gray(), "PNG", 8),
    "palette-transparent": (_palette(1), _palette_gray(0), "PNG", 8),
    "palette-half-transparent": (_palette(b"\xff\x80\xff"), _palette_gray(128 / 255), "PNG", 8),
    "la": (_file(_with_alpha(PICTURE), "PNG"), PICTURE * SHOWN, "PNG", 8),
    "rgba": (_file(_with_alpha(RGB), "PNG"), LUMA * SHOWN, "PNG", 8),
    "rgba-webp": (_file(_with_alpha(RGB), "WEBP", lossless=True, exact=True), LUMA * SHOWN, "WEBP", 8),
    "l-transparent-white": (_keyed(WHITE_SHEET, 255), WHITE_SHEET * 0, "PNG", 8),
    "rgb-transparent-white": (_keyed(np.dstack([WHITE_SHEET] * 3), (255, 255, 255)), WHITE_SHEET * 0, "PNG", 8),
}  # fmt: skip


@pytest.mark.parametrize(("data", "gray", "format_name", "bits"), LOSSLESS.values(), ids=LOSSLESS)
def test_gray_values_come_back_as_they_were_stored(data, gray, format_name, bits):
    scan = read(data, "slice.any")
    assert scan.pixels.dtype == np.float32
    assert scan.shape == (1, HEIGHT, WIDTH)
    np.testing.assert_allclose(scan.pixels[0], gray, rtol=1e-6, atol=0.01)
    assert (scan.facts["format"], scan.facts["bits"]) == (format_name, bits)
    assert scan.sha256 == hashlib.sha256(data).hexdigest()
    assert (scan.source, scan.spacing, scan.modality) == ("slice.any", None, None)


LOSSY = {
    "jpeg": (_file(_gray(), "JPEG", quality=95), PICTURE, "JPEG"),
    "jpeg-progressive": (_file(_gray(), "JPEG", quality=95, progressive=True), PICTURE, "JPEG"),
    "jpeg-rgb": (_file(_gray().convert("RGB"), "JPEG", quality=95), PICTURE, "JPEG"),
    "jpeg-cmyk": (_file(_gray().convert("RGB").convert("CMYK"), "JPEG", quality=95), PICTURE, "JPEG"),
    "webp": (_file(_gray().convert("RGB"), "WEBP", quality=95), PICTURE, "WEBP"),
}


@pytest.mark.parametrize(("data", "gray", "format_name"), LOSSY.values(), ids=LOSSY)
def test_lossy_formats_come_close(data, gray, format_name):
    scan = read(data, "slice.any")
    assert scan.shape == (1, HEIGHT, WIDTH)
    assert np.abs(scan.pixels[0] - gray).mean() < 6
    assert (scan.facts["format"], scan.facts["bits"]) == (format_name, 8)


@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp", "txt", "dcm", "zip", ""])
def test_content_counts_and_not_the_name(suffix):
    assert read(LOSSLESS["tiff"][0], f"slice.{suffix}").facts["format"] == "TIFF"


def _pages(*shapes):
    pages = [Image.fromarray(np.full(shape, 50 * number, np.uint8)) for number, shape in enumerate(shapes)]
    return _file(pages[0], "TIFF", save_all=True, append_images=pages[1:])


def test_every_page_of_a_tiff_is_a_slice():
    scan = read(_pages((HEIGHT, WIDTH), (HEIGHT, WIDTH), (HEIGHT, WIDTH)), "stack.tif")
    assert scan.shape == (3, HEIGHT, WIDTH)
    np.testing.assert_array_equal(scan.pixels[:, 0, 0], [0, 50, 100])


@pytest.mark.parametrize(
    ("shapes", "most_pixels", "sentence"),
    [
        (((HEIGHT, WIDTH), (HEIGHT + 2, WIDTH)), 10**6, "differ in size"),
        (((HEIGHT, WIDTH),) * 3, 2 * HEIGHT * WIDTH, "more pixels than are accepted"),
    ],
)
def test_a_tiff_that_is_no_stack_is_refused(shapes, most_pixels, sentence):
    with pytest.raises(ScanError, match=sentence):
        read(_pages(*shapes), "stack.tif", Limits(max_pixels=most_pixels))


@pytest.mark.parametrize("format_name", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_rotation_is_applied(orientation, format_name):
    upright = np.zeros((HEIGHT, WIDTH), np.uint8)
    upright[:HEIGHT // 2, :WIDTH // 2] = 200  # fmt: skip
    upright[:HEIGHT // 2, WIDTH // 2 :] = 100  # fmt: skip
    undo = {
        1: upright,
        2: upright[:, ::-1],
        3: np.rot90(upright, 2),
        4: upright[::-1],
        5: upright.T,
        6: np.rot90(upright, 1),
        7: np.rot90(upright, 2).T,
        8: np.rot90(upright, -1),
    }
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = Image.fromarray(np.ascontiguousarray(undo[orientation])).convert("RGB")
    scan = read(_file(stored, format_name, exif=exif, **({"quality": 95} if format_name == "JPEG" else {})), "turned")
    assert scan.shape == (1, HEIGHT, WIDTH)
    assert np.abs(scan.pixels[0] - upright).mean() < 5
    assert scan.facts["format"] == format_name


def _hues(saturated_share):
    picture = np.full((64, 64, 3), 90, np.uint8)
    picture[: round(64 * saturated_share), :32, 0] = 180
    picture[: round(64 * saturated_share), 32:, 2] = 180
    return Image.fromarray(picture)


def _tinted(difference):
    picture = np.full((64, 64, 3), 90, np.uint8)
    picture[..., 0] += difference
    return Image.fromarray(picture)


@pytest.mark.parametrize(
    ("data", "color"),
    [
        (_file(_hues(1), "PNG"), COLORED),
        (_file(_hues(0.5), "PNG"), COLORED),
        (_file(_hues(1), "JPEG"), COLORED),
        (_file(_hues(1), "GIF"), COLORED),
        (_file(_hues(1).convert("CMYK"), "JPEG"), COLORED),
        (_file(_hues(1).convert("RGBA"), "WEBP", lossless=True), COLORED),
        (_file(_tinted(41), "PNG"), TINTED),
        (_file(_tinted(40), "PNG"), GRAY),
        (_file(_gray().convert("RGB"), "PNG"), GRAY),
        (_file(_gray().convert("RGB"), "JPEG"), GRAY),
        (_file(_gray().convert("RGB"), "WEBP"), GRAY),
        (_file(_gray(), "PNG"), GRAY),
        (_file(Image.fromarray(DEEP), "PNG"), GRAY),
        (_file(Image.fromarray(FLOATS), "TIFF"), GRAY),
    ],
)
def test_color_is_told_from_a_gray_picture_stored_as_rgb(data, color):
    assert read(data, "picture").facts["color"] == color


@pytest.mark.parametrize(
    ("sign", "gray"),
    [((255, 0, 0), 76.245), ((0, 255, 0), 149.685), ((0, 0, 255), 29.07), ((255, 255, 255), 255), ((0, 0, 0), 0)],
)
def test_luminance_weighs_colors_as_bt601_does(sign, gray):
    scan = read(_file(Image.new("RGB", (20, 20), sign), "PNG"), "one color")
    np.testing.assert_allclose(scan.pixels, gray, atol=0.01)


@given(
    width=st.integers(16, 40),
    height=st.integers(16, 40),
    seed=st.integers(0, 2**32 - 1),
    format_name=st.sampled_from(["PNG", "TIFF", "BMP", "GIF"]),
)
def test_any_gray_picture_survives_a_lossless_file(width, height, seed, format_name):
    gray = np.random.default_rng(seed).integers(0, 256, (height, width), dtype=np.uint8)
    stored = read(_file(Image.fromarray(gray), format_name), "x").pixels[0]
    np.testing.assert_allclose(stored, gray, atol=1e-3)


@pytest.mark.parametrize(
    ("data", "max_pixels", "reason"),
    [
        (_file(Image.new("L", (15, 40)), "PNG"), 10_000, "This picture is 15 × 40 pixels, too small to show a brain."),
        (_file(Image.new("L", (40, 15)), "GIF"), 10_000, "This picture is 40 × 15 pixels, too small to show a brain."),
        (_file(Image.new("L", (101, 100)), "PNG"), 10_000, "This picture has more pixels than are accepted."),
        (_file(Image.new("L", (101, 100)), "JPEG"), 10_000, "This picture has more pixels than are accepted."),
        (_file(_gray(), "PNG")[:-200], 10_000, "This picture is damaged or cut short."),
        (_file(_gray(), "JPEG")[:-200], 10_000, "This picture is damaged or cut short."),
        (_file(_gray(), "PPM"), 10_000, "This file is not a picture that can be read."),
        (_file(_gray(), "TGA"), 10_000, "This file is not a picture that can be read."),
        (_file(_gray(), "ICO"), 10_000, "This file is not a picture that can be read."),
        (b"no picture at all", 10_000, "This file is not a picture that can be read."),
        (
            _file(Image.fromarray(np.full_like(FLOATS, np.nan)), "TIFF"),
            10_000,
            "This file holds no values that are numbers.",
        ),
    ],
)
def test_what_cannot_be_used_is_refused_with_its_reason(data, max_pixels, reason):
    with pytest.raises(ScanError) as caught:
        read_raster(data, "name", "0" * 64, Limits(max_pixels=max_pixels), PixelBudget(SMALLEST_SLICE))
    assert (caught.value.reason, caught.value.source) == (reason, "name")


@pytest.mark.parametrize("side", [16, 100])
def test_the_bounds_themselves_are_accepted(side):
    data, limits = _file(Image.new("L", (side, side)), "PNG"), Limits(max_pixels=10_000, max_slices=1)
    assert read_raster(data, "x", "", limits, PixelBudget(SMALLEST_SLICE)).shape == (1, side, side)


def test_orientation_table_agrees_with_pillow():
    exif = Image.Exif()
    exif[0x0112] = 6
    stored = Image.open(io.BytesIO(_file(_gray(), "PNG", exif=exif)))
    shown = np.asarray(ImageOps.exif_transpose(stored))
    np.testing.assert_array_equal(read(_file(_gray(), "PNG", exif=exif), "x").pixels[0], shown)


def _walk_through(kind, count, size=(64, 48)):
    """Make a file of ``count`` gray pictures, each of one gray value of its own, and give it with those values."""
    values = [20 + 30 * number for number in range(count)]
    frames = [Image.new("L", size, value) for value in values]
    # Frames that are alike in part would be joined by some encoders.
    for number, frame in enumerate(frames):
        frame.putpixel((number, 0), 255)
    file = io.BytesIO()
    options = {"lossless": True} if kind == "WEBP" else {}
    frames[0].save(file, kind, save_all=True, append_images=frames[1:], **options)
    return file.getvalue(), values


@pytest.mark.parametrize("kind", ["TIFF", "GIF", "PNG", "WEBP"])
def test_every_page_and_frame_is_a_slice(kind):
    data, values = _walk_through(kind, 5)
    scan = read(data, "walk")
    assert scan.shape == (5, 48, 64)
    assert np.median(scan.pixels, axis=(1, 2)) == pytest.approx(values, abs=1)


@pytest.mark.parametrize("kind", ["TIFF", "GIF", "PNG", "WEBP"])
@pytest.mark.parametrize(
    ("bounds", "is_read"),
    [
        ({"max_slices": 5}, True),
        ({"max_slices": 4}, False),
        ({"max_pixels": 5 * 64 * 48}, True),
        ({"max_pixels": 5 * 64 * 48 - 1}, False),
        ({"max_total_pixels": 5 * SMALLEST_SLICE}, True),
        ({"max_total_pixels": 5 * SMALLEST_SLICE - 1}, False),
    ],
)
def test_pages_and_frames_are_bounded(kind, bounds, is_read):
    data, _ = _walk_through(kind, 5)
    if kind == "WEBP" and "max_pixels" in bounds:
        bounds = {"max_pixels": 2 * bounds["max_pixels"]}
    limits = Limits(**bounds)
    if is_read:
        assert read(data, "walk", limits).shape[0] == 5
    else:
        with pytest.raises(ScanError):
            read(data, "walk", limits)


def test_pages_beyond_the_bound_are_never_visited():
    data, _ = _walk_through("TIFF", 8)
    with pytest.raises(ScanError) as refused:
        read(data, "walk", Limits(max_slices=7))
    assert "7" in refused.value.reason


def test_a_tile_larger_than_its_picture_counts():
    file = io.BytesIO()
    tifffile.imwrite(file, PICTURE, tile=(512, 512))
    assert read(file.getvalue(), "tiled.tif", Limits(max_pixels=512 * 512)).shape == (1, HEIGHT, WIDTH)
    with pytest.raises(ScanError):
        read(file.getvalue(), "tiled.tif", Limits(max_pixels=512 * 512 - 1))
