import unicodedata

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from braintumor.scans import Scan, ScanError, safe_name

PIXELS = np.zeros((2, 3, 4), np.float32)


@pytest.mark.parametrize(
    ("pixels", "spacing", "message"),
    [
        (PIXELS[0], None, "expected \\(slices, height, width\\)"),
        (PIXELS[np.newaxis], None, "expected \\(slices, height, width\\)"),
        (PIXELS[:0], None, "expected \\(slices, height, width\\)"),
        (PIXELS[:, :, :0], None, "expected \\(slices, height, width\\)"),
        (PIXELS.astype(np.float64), None, "expected float32"),
        (PIXELS.astype(np.uint8), None, "expected float32"),
        (PIXELS + np.float32(np.nan), None, "not finite"),
        (PIXELS + np.float32(np.inf), None, "not finite"),
        (PIXELS - np.float32(np.inf), None, "not finite"),
        (PIXELS, (1.0, 0.0, 1.0), "above 0 mm"),
        (PIXELS, (1.0, 1.0, -2.0), "above 0 mm"),
        (PIXELS, (float("nan"), 1.0, 1.0), "above 0 mm"),
        (PIXELS, (1.0, float("nan"), 1.0), "above 0 mm"),
        (PIXELS, (1.0, 1.0, float("inf")), "above 0 mm"),
    ],
)
def test_scan_that_cannot_be_is_refused(pixels, spacing, message):
    with pytest.raises(ValueError, match=message):
        Scan(pixels, "name", "sha", spacing)


IDENTITY = ((1.0, 0.0, 0.0, 0.0), (0.0, 1.0, 0.0, 0.0), (0.0, 0.0, 1.0, 0.0), (0.0, 0.0, 0.0, 1.0))


@pytest.mark.parametrize(
    ("affine", "message"),
    [
        ((), "another shape than 4 × 4"),
        (IDENTITY[:3], "another shape than 4 × 4"),
        ((*IDENTITY, IDENTITY[0]), "another shape than 4 × 4"),
        (tuple(row[:3] for row in IDENTITY), "another shape than 4 × 4"),
        ((*IDENTITY[:3], (0.0, 1.0)), "another shape than 4 × 4"),
        ((*IDENTITY[:3], (0.0, 0.0, 0.0, float("nan"))), "not finite"),
        (((1.0, 0.0, 0.0, float("-inf")), *IDENTITY[1:]), "not finite"),
    ],
)
def test_affine_that_cannot_be_is_refused(affine, message):
    with pytest.raises(ValueError, match=message):
        Scan(PIXELS, "name", "sha", affine=affine)


def test_scan_tells_its_shape_and_defaults():
    scan = Scan(PIXELS, "name", "sha", (5.0, 0.5, 0.5), "MR")
    assert scan.shape == (2, 3, 4)
    assert (scan.spacing, scan.modality, dict(scan.facts)) == ((5.0, 0.5, 0.5), "MR", {})
    assert (Scan(PIXELS, "name", "sha").spacing, scan.affine) == (None, None)
    assert Scan(PIXELS, "name", "sha", affine=IDENTITY).affine == IDENTITY


@pytest.mark.parametrize(
    ("spacing", "facts", "aspect"),
    [
        (None, {}, 1.0),
        ((5.0, 1.0, 2.0), {}, 2.0),
        ((5.0, 2.0, 1.0), {}, 0.5),
        ((5.0, 0.9375, 0.9374), {}, 1.0),
        ((5.0, 0.001, 1.0), {}, 1.0),
        (None, {"pixel_aspect": 1.5}, 1.5),
    ],
)
def test_scan_tells_how_wide_its_pixels_are(spacing, facts, aspect):
    scan = Scan(np.zeros((1, 20, 20), np.float32), "a", "", spacing=spacing, facts=facts)
    assert scan.pixel_aspect == aspect


def test_scan_cannot_be_changed():
    with pytest.raises(AttributeError):
        Scan(PIXELS, "name", "sha").source = "other"


def test_error_carries_reason_hint_and_source():
    error = ScanError("It is broken.", "Mend it.", "a.png")
    assert (str(error), error.reason, error.hint, error.source) == (
        "It is broken. Mend it.", "It is broken.", "Mend it.", "a.png",
    )  # fmt: skip
    assert ScanError("a", "b").source == ""


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("slice.png", "slice.png"),
        ("Gehirn – Schnitt 3.png", "Gehirn – Schnitt 3.png"),
        ("脳.png", "脳.png"),
        ("  spaced  ", "spaced"),
        ("folder\\slice.png", "folder/slice.png"),
        ("a\x00b\x1b[31m.png", "ab[31m.png"),
        ("a\nb\r\tc.png", "abc.png"),
        ("a\u2028b\u2029c.png", "abc.png"),
        ("gnp.\u202exe", "gnp.xe"),
        ("zero\u200bwidth\ufeff", "zerowidth"),
        ("lone\ud800surrogate", "lonesurrogate"),
        ("", "unnamed"),
        ("   ", "unnamed"),
        ("\x00\u202e", "unnamed"),
        ("x" * 120, "x" * 120),
        ("x" * 117 + ".png", "x" * 115 + "…" + ".png"),
        ("x" * 10_000 + ".tiff", "x" * 114 + "…" + ".tiff"),
        ("x" * 200 + "." + "y" * 200, "x" * 109 + "….yyyyyyyyy"),
    ],
)
def test_name_is_made_safe_to_show(name, shown):
    assert safe_name(name) == shown


@given(st.text(st.characters(codec=None), max_size=400))
@example("\u202e" * 300 + ".png")
@example("." * 500)
@example(" " * 119 + "a.png  ")
def test_any_name_ends_short_visible_and_stable(name):
    shown = safe_name(name)
    assert 0 < len(shown) <= 120
    assert not any(unicodedata.category(sign)[0] == "C" or sign in "\u2028\u2029\\" for sign in shown)
    assert safe_name(shown) == shown.strip()
