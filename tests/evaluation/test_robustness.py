import pytest

from braintumor.evaluation import Flips, Pair, Share

PAIRS = [
    Pair("notumor", "no_tumor", "tumor"),
    Pair("notumor", "refer", "tumor"),
    Pair("notumor", "tumor", "tumor"),
    Pair("notumor", "no_tumor", "refer", ("marks",)),
    Pair("glioma", "tumor", "no_tumor"),
    Pair("glioma", "no_tumor", "no_tumor"),
    Pair("tumor", "tumor", "refer", ("kind_uncertain", "tumor_uncertain")),
    Pair("tumor", "refer", "no_tumor"),
]


@pytest.mark.parametrize(
    ("figure", "count", "of"),
    [
        ("false_alarms", 2, 3),
        ("cleared", 2, 3),
        ("tumor_to_none", 1, 3),
        ("none_to_tumor", 1, 3),
        ("withheld", 2, 6),
        ("answered", 2, 2),
    ],
)
def test_flips_are_counted(figure, count, of):
    share = getattr(Flips.counted(PAIRS), figure)
    assert (share.count, share.of) == (count, of)


def test_reasons_are_counted_of_answers_withheld():
    assert Flips.counted(PAIRS).reasons == {"marks": 1, "kind_uncertain": 1, "tumor_uncertain": 1}


@pytest.mark.parametrize(
    ("count", "of", "low", "high"),
    # Newcombe (1998), Statistics in Medicine 17, table I, method 3.
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_intervals_are_those_published(count, of, low, high):
    share = Share.taken(count, of)
    assert (share.low, share.high) == pytest.approx((low, high), abs=5e-5)


def test_no_share_of_nothing():
    assert Share.taken(0, 0) == Share(0, 0, None, None, None)
