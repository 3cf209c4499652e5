import io
import struct
import tracemalloc
import zlib

import numpy as np
import pytest
import tifffile
from PIL import Image

from braintumor.scans import ScanError, phantom, read
from braintumor.scans.color import COLORED, GRAY

LUMA = np.array([0.299, 0.587, 0.114], np.float32)
HEAD = phantom(64, seed=3)
COLORS = np.stack([HEAD, HEAD // 2, 255 - HEAD], axis=-1)
ALPHA = (np.arange(64) * 4)[:, np.newaxis] * np.ones((1, 64), int)
DEPTHS = (8, 10, 12, 16)


def _saved(image, kind, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def _chunk(kind, content):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def _png16(values, *, before=()):
    """A PNG of 16 bits a channel, whose lines are filtered in turn by all five methods; Pillow writes none."""
    height, width, channels = values.shape
    stored = values.astype(">u2").view(np.uint8).reshape(height, -1).astype(int)
    step = 2 * channels
    left = np.pad(stored, ((0, 0), (step, 0)))[:, :-step]
    above = np.pad(stored, ((1, 0), (0, 0)))[:-1]
    corner = np.pad(left, ((1, 0), (0, 0)))[:-1]
    near = left + above - corner
    paeth = np.select(
        [
            (abs(near - left) <= abs(near - above)) & (abs(near - left) <= abs(near - corner)),
            abs(near - above) <= abs(near - corner),
        ],
        [left, above],
        corner,
    )
    guesses = [0 * stored, left, above, (left + above) // 2, paeth]
    lines = [
        bytes([number % 5]) + ((stored[number] - guesses[number % 5][number]) % 256).astype(np.uint8).tobytes()
        for number in range(height)
    ]
    kind = {2: 4, 3: 2, 4: 6}[channels]
    head = _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, kind, 0, 0, 0))
    body = _chunk(b"IDAT", zlib.compress(b"".join(lines)))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(before) + body + _chunk(b"IEND", b"")


def _tiff(values, **options):
    file = io.BytesIO()
    tifffile.imwrite(file, values, **options)
    return file.getvalue()


def _deep(bits, channels=3):
    """Color, or color with transparency, that fills so many bits, each below its own noise."""
    noise = np.random.default_rng(bits).integers(0, 1 << (bits - 6), (64, 64, 3))
    values = (COLORS.astype(int) << bits >> 8 & ~63) + noise % 64
    return np.concatenate([values, ALPHA[..., np.newaxis] * 257], axis=-1)[..., :channels].astype(np.uint16)


def _shown(values):
    gray = values[..., :3].astype(float) @ [0.299, 0.587, 0.114]
    return gray * values[..., 3] / 65535 if values.shape[-1] == 4 else gray


DEEP_FILES = {
    "png": _png16,
    "tiff": lambda values: _tiff(values, photometric="rgb", extrasamples=["unassalpha"][: values.shape[-1] - 3]),
    "tiff-big-endian": lambda values: _tiff(
        values, photometric="rgb", byteorder=">", extrasamples=["unassalpha"][: values.shape[-1] - 3]
    ),
    "tiff-deflate": lambda values: _tiff(
        values, photometric="rgb", compression="deflate", extrasamples=["unassalpha"][: values.shape[-1] - 3]
    ),
    "tiff-deflate-big-endian": lambda values: _tiff(
        values,
        photometric="rgb",
        compression="deflate",
        byteorder=">",
        extrasamples=["unassalpha"][: values.shape[-1] - 3],
    ),
    "tiff-tiles": lambda values: _tiff(
        values, photometric="rgb", tile=(32, 32), extrasamples=["unassalpha"][: values.shape[-1] - 3]
    ),
}


@pytest.mark.parametrize("kind", DEEP_FILES)
@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("bits", DEPTHS)
def test_color_of_16_bits_is_read_in_full(bits, channels, kind):
    values = _deep(bits, channels)
    scan = read(DEEP_FILES[kind](values), "slice")
    np.testing.assert_allclose(scan.pixels[0], _shown(values), rtol=1e-5, atol=0.01)
    assert (scan.facts["bits"], scan.facts["color"]) == (16, COLORED)


@pytest.mark.parametrize("bits", DEPTHS)
def test_a_gray_scan_stored_as_16_bit_color_is_not_in_color(bits):
    values = np.repeat(_deep(bits)[..., :1], 3, axis=-1)
    assert read(_png16(values), "slice").facts["color"] == GRAY


def test_gray_of_16_bits_with_transparency_is_read_in_full():
    values = np.dstack([_deep(10)[..., 0], ALPHA * 257])
    expected = values[..., 0] * (values[..., 1] / 65535)
    np.testing.assert_allclose(read(_png16(values), "slice").pixels[0], expected, rtol=1e-5, atol=0.01)


def test_what_is_premultiplied_by_its_transparency_is_shown_as_stored():
    values = _deep(16, 4)
    data = _tiff(values, photometric="rgb", extrasamples=["assocalpha"])
    np.testing.assert_allclose(read(data, "slice").pixels[0], _shown(values[..., :3]), rtol=1e-5)


def test_a_key_color_of_16_bits_is_transparent_where_all_of_it_is_met():
    values = _deep(16)
    values[:8] = 300, 400, 500
    values[8:16] = 300, 400, 501
    data = _png16(values, before=[_chunk(b"tRNS", struct.pack(">3H", 300, 400, 500))])
    expected = _shown(values)
    expected[:8] = 0
    np.testing.assert_allclose(read(data, "slice").pixels[0], expected, rtol=1e-5)


def test_every_page_of_16_bit_color_is_a_slice():
    pages = np.stack([_deep(bits) for bits in DEPTHS])
    pixels = read(_tiff(pages, photometric="rgb"), "stack").pixels
    np.testing.assert_allclose(pixels, _shown(pages), rtol=1e-5, atol=0.01)


def test_16_bit_color_in_planes_is_refused():
    with pytest.raises(ScanError):
        read(_tiff(np.moveaxis(_deep(16), -1, 0), photometric="rgb", planarconfig="separate"), "slice")


@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("compression", [None, "deflate"])
@pytest.mark.parametrize(
    ("dtype", "white"), [("u1", 255), ("u2", 65535), ("i2", 0), ("i4", 0), ("f4", 0)], ids=lambda value: str(value)
)
def test_where_the_least_value_is_white_values_are_inverted(dtype, white, compression, byteorder):
    values = (HEAD.astype(float) * (8 if dtype != "u1" else 1)).astype(dtype)
    data = _tiff(values, photometric="miniswhite", compression=compression, byteorder=byteorder)
    np.testing.assert_array_equal(read(data, "slice").pixels[0], white - values.astype(np.float32))
    plain = _tiff(values, photometric="minisblack", compression=compression, byteorder=byteorder)
    np.testing.assert_array_equal(read(plain, "slice").pixels[0], values.astype(np.float32))


def test_unsigned_values_of_32_bits_are_none_below_zero():
    values = HEAD.astype(np.uint32) << 24
    np.testing.assert_array_equal(read(_tiff(values, byteorder="<"), "slice").pixels[0], values.astype(np.float32))


def test_what_is_no_number_becomes_the_lowest_value():
    values = HEAD.astype(np.float32) + 5
    values[:4], values[4, 0] = np.nan, np.inf
    pixels = read(_tiff(values), "slice").pixels[0]
    np.testing.assert_array_equal(pixels[5:], values[5:])
    assert (pixels[:4] == values[np.isfinite(values)].min()).all()
    assert pixels[4, 0] == pixels[0, 0]


# Larger than a strip, so that several are laid together, and no multiple of one.
_LARGE = np.random.default_rng(0).integers(0, 256, (701, 901, 4), dtype=np.uint8)


def _whole(image):
    """Luminance of a whole picture at once."""
    if image.mode in ("L", "1"):
        return np.asarray(image.convert("L"), dtype=np.float32)
    if image.has_transparency_data:
        rgba = np.asarray(image.convert("RGBA"), dtype=np.float32)
        return (rgba[..., :3] @ LUMA) * (rgba[..., 3] / np.float32(255))
    return np.asarray(image.convert("RGB"), dtype=np.float32) @ LUMA


@pytest.mark.parametrize(
    ("mode", "kind"),
    [
        *[(mode, "PNG") for mode in ("1", "L", "LA", "P", "RGB", "RGBA")],
        *[(mode, "TIFF") for mode in ("1", "L", "RGB", "RGBA", "CMYK")],
        ("CMYK", "JPEG"),
        ("L", "BMP"),
        ("RGB", "WEBP"),
        ("P", "GIF"),
    ],
)
def test_strips_give_the_very_values_of_the_whole_picture(mode, kind):
    data = _saved(Image.fromarray(_LARGE).convert("RGBA" if mode[-1] == "A" else "RGB").convert(mode), kind)
    np.testing.assert_array_equal(read(data, "large").pixels[0], _whole(Image.open(io.BytesIO(data))))


@pytest.mark.parametrize("transparency", [None, 7])
def test_a_picture_beside_its_animation_is_no_slice(transparency):
    cover, frames = Image.new("L", (64, 64), 99), [Image.fromarray(HEAD), Image.fromarray(255 - HEAD)]
    options = {} if transparency is None else {"transparency": transparency}
    data = _saved(cover, "PNG", save_all=True, append_images=frames, default_image=True, **options)
    scan = read(data, "walk.png")
    assert scan.shape == (2, 64, 64)
    assert np.median(scan.pixels[0]) == pytest.approx(np.median(HEAD), abs=1)


@pytest.mark.parametrize("channels", [3, 4])
def test_a_large_picture_needs_little_more_than_its_floats(channels):
    side = 2000
    data = _saved(Image.new("RGBA"[:channels], (side, side), (9,) * channels), "PNG")
    tracemalloc.start()
    scan = read(data, "large.png")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.5 * scan.pixels.nbytes


def test_a_gif_whose_frames_have_no_palette_at_hand_is_read():
    ramp = np.tile(np.arange(256, dtype=np.uint8), (64, 1))
    frames = [Image.fromarray(values) for values in (ramp, np.where(ramp > 188, 0, ramp), ramp[:, ::-1].copy())]
    scan = read(_saved(frames[0], "GIF", save_all=True, append_images=frames[1:]), "walk.gif")
    assert scan.shape == (3, 64, 256)
    for slice_, frame in zip(scan.pixels, frames, strict=True):
        np.testing.assert_allclose(slice_, np.asarray(frame), atol=1e-3)
