import math

import pytest

from braintumor.reports import figure, in_words, interval, percent, stated


@pytest.mark.parametrize(("share", "words"), [(0.9134, "91.3%"), (1.0, "100.0%"), (math.nan, "–"), (None, "–")])
def test_percent(share, words):
    assert percent(share) == words


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ((0.913, 0.88, 0.941), "91.3% (88.0 to 94.1)"),
        ((0.982, 0.96, 0.997, False), "0.982 (0.960 to 0.997)"),
        ((0.5, math.nan, math.nan), "50.0%"),
        ((0.5, 0.4, math.nan), "50.0%"),
        ((math.nan, math.nan, math.nan), "–"),
    ],
)
def test_in_words(values, words):
    assert in_words(*values) == words


def test_figure_and_interval_stand_apart():
    assert (figure(0.5), figure(0.5, False)) == ("50.0%", "0.500")
    assert figure(None) == figure(None, False) == figure(math.nan) == "–"
    assert (interval(0.4, 0.6), interval(0.4, 0.6, False)) == ("40.0 to 60.0", "0.400 to 0.600")
    assert interval(math.nan, 0.6) == "no interval"


@pytest.mark.parametrize(
    ("probability", "words"),
    [(0.876, "88%"), (0.99, "99%"), (0.9901, "over 99%"), (1.0, "over 99%"), (0.01, "1%"), (0.0, "under 1%")],
)
def test_the_model_never_states_that_it_is_certain(probability, words):
    assert stated(probability) == words
