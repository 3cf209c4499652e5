import numpy as np
import pytest

from braintumor.scans import phantom
from braintumor.scans.restoration import BACKGROUND, FRAME, INVERTED, OUTLIERS, restore

HEAD = np.pad(phantom(160).astype(np.float32), 20)[np.newaxis]
"""A head of gray values 0 to 255 on black, (1, 200, 200)."""


def _framed(value, width=24):
    return np.pad(HEAD, ((0, 0), (width, width), (width, width)), constant_values=value)


def _on(value):
    tissue = HEAD[HEAD > 12]
    scored = (HEAD - tissue.mean()) / tissue.std()
    return np.where(HEAD > 12, scored, np.float32(value)).astype(np.float32)


def _with_block():
    pixels = HEAD.copy()
    pixels[:, 94:106, 94:106] = 65535
    return pixels


def _touched_frame():
    """A white frame that a scalp as white touches on all four sides, with black corners between."""
    y, x = np.mgrid[-1:1:200j, -1:1:200j]
    radius = np.hypot(x, y)
    head = np.where(radius < 0.85, 90 + 40 * np.sin(9 * x) * np.cos(7 * y), np.where(radius < 1.04, 255, 0))
    return np.pad(head.astype(np.float32), 6, constant_values=255)[np.newaxis]


CHANGED = {
    "white frame": (_framed(255), (FRAME,)),
    "gray frame": (_framed(90), (FRAME,)),
    "negative": (255 - HEAD, (INVERTED,)),
    "negative in a white frame": (
        np.pad(250 - 0.98 * HEAD, ((0, 0), (24, 24), (24, 24)), constant_values=255),
        (FRAME, INVERTED),
    ),
    "frame in a frame": (np.pad(_framed(90), ((0, 0), (16, 16), (16, 16)), constant_values=255), (FRAME, FRAME)),
    "z-score, 0 outside": (_on(0), (BACKGROUND,)),
    "z-score, -9 outside": (_on(-9), (BACKGROUND,)),
    "z-score, -9999 outside": (_on(-9999), (BACKGROUND,)),
    "block at the maximum": (_with_block(), (OUTLIERS,)),
}


@pytest.mark.parametrize("name", list(CHANGED))
def test_what_was_done_to_a_head_is_undone_on_each_slice(name):
    pixels, undone = CHANGED[name]
    restored = restore(np.repeat(pixels, 2, axis=0))
    assert restored.undone == undone
    layers = list(restored.layers())
    assert len(layers) == 2
    for layer in layers:
        assert (layer.dtype, layer.shape) == (np.float32, pixels.shape[1:])
        low, high = np.percentile(layer, (0.5, 99.5))
        corners = layer[[0, 0, -1, -1], [0, -1, 0, -1]]
        assert (corners <= low + 0.05 * (high - low)).all()


@pytest.mark.parametrize(
    "pixels",
    [
        HEAD,
        HEAD[:, 20:180, 20:180],
        HEAD + 8,
        HEAD * 200,
        np.repeat(HEAD, 3, axis=0),
        np.zeros((1, 64, 64), np.float32),
        np.full((1, 64, 64), 7, np.float32),
        np.random.default_rng(0).normal(size=(1, 64, 64)).astype(np.float32),
    ],
)
def test_what_lies_on_a_dark_background_stays_as_it_is(pixels):
    restored = restore(pixels)
    assert restored.undone == ()
    assert np.shares_memory(restored.layer(0), pixels)


def test_a_white_frame_that_the_scalp_touches_makes_no_negative():
    pixels = _touched_frame()
    assert INVERTED not in restore(pixels).undone


def test_an_inverted_head_comes_back():
    assert np.abs(restore(255 - HEAD).layer(0) - HEAD).max() <= 1


def test_a_frame_becomes_as_dark_as_the_picture_it_surrounds():
    inside = restore(_framed(255)).layer(0)[24:-24, 24:-24]
    assert np.array_equal(inside, HEAD[0])
