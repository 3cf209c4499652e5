import numpy as np
import pytest

from braintumor.evaluation import ChangeError
from braintumor.reports.follow_up import CRITERIA, Outlined, Quantity, changes
from braintumor.segmentation import Lesion, lesions

ERROR = ChangeError(2.25, 0.9, 500)


def outlined(volume=10.0, longest=30.0, perpendicular=20.0, model="a"):
    return Outlined(volume, (Lesion(8.0, longest, perpendicular, 3, 9), Lesion(2.0, 90.0, 5.0, 1, 2)), model)


@pytest.mark.parametrize(
    ("now", "volume", "longest", "product"),
    [
        ({}, False, False, False),
        ({"volume": 22.9, "longest": 45.4}, False, False, False),
        ({"volume": 23.1, "longest": 45.6}, True, True, False),
        ({"volume": 4.37}, False, False, False),
        ({"volume": 4.33, "longest": 19.7}, True, True, False),
        ({"longest": 44.0, "perpendicular": 32.0}, False, False, True),
        ({"volume": 100.0, "model": "b"}, None, None, None),
        ({"volume": 100.0, "model": None}, None, None, None),
    ],
)
def test_a_change_is_claimed_only_beyond_the_error_of_one_model(now, volume, longest, product):
    found = {change.quantity: change.is_beyond_error for change in changes(outlined(), outlined(**now), ERROR)}
    assert next(iter(found)) is Quantity.VOLUME
    assert (found[Quantity.VOLUME], found[Quantity.LONGEST], found[Quantity.PRODUCT]) == (volume, longest, product)


def test_the_fewer_slices_a_lesion_lies_in_the_wider_is_the_error():
    factors = []
    for slices in (1, 2, 30):
        lesion = Lesion(8.0, 30.0, 20.0, 3, 2 + slices)
        (volume, *_) = changes(*[Outlined(10.0, (lesion,), "a")] * 2, ERROR)
        factors.append(volume.factor)
    assert factors == pytest.approx([3.57, 2.69, 2.25], abs=0.01)


def test_readers_outlines_and_models_without_a_known_error_claim_nothing():
    for before, now, error in (
        (outlined(model=None), outlined(100.0, model=None), ERROR),
        (outlined(), outlined(100.0), None),
    ):
        assert {change.is_beyond_error for change in changes(before, now, error)} == {None}


@pytest.mark.parametrize("nothing", [Outlined(None, (), "a"), Outlined(0.0, (), "a")])
def test_what_one_of_them_lacks_is_not_compared(nothing):
    assert changes(nothing, outlined(), ERROR) == changes(outlined(), nothing, ERROR) == []


def test_of_a_single_slice_only_diameters_are_compared():
    slices = [Outlined(None, outlined().lesions, "a") for _ in "ab"]
    assert Quantity.VOLUME not in {change.quantity for change in changes(*slices, ERROR)}


@pytest.mark.parametrize(
    ("quantity", "criterion"),
    [
        # Wen et al. 2023; the same four stand in RANO2.0-assist, an extension of 3D Slicer by others.
        (Quantity.VOLUME, (0.40, -0.65, None)),
        (Quantity.PRODUCT, (0.25, -0.50, None)),
        # Eisenhauer et al. 2009; table 3 of PMC2755245 has them as well.
        (Quantity.LONGEST, (0.20, -0.30, 5.0)),
    ],
)
def test_the_criteria_are_those_of_the_papers(quantity, criterion):
    (found,) = [one for one in CRITERIA if one.quantity is quantity]
    assert (found.progression, found.response, found.least_growth) == criterion


def test_the_criteria_of_product_and_volume_are_one_for_a_ball():
    product, volume = (
        next(one for one in CRITERIA if one.quantity is kind) for kind in (Quantity.PRODUCT, Quantity.VOLUME)
    )
    for of_product, of_volume in ((product.progression, volume.progression), (product.response, volume.response)):
        assert (1 + of_product) ** 1.5 - 1 == pytest.approx(of_volume, abs=0.01)


def test_copies_of_one_head_that_were_sliced_anew_have_not_grown():
    chance = np.random.default_rng(11)
    claimed = []
    for _ in range(20):
        axes = chance.uniform(6, 25, 3)
        first, second = (_sliced(axes, chance.uniform((1, 0.5, 0.5), (6, 1.2, 1.2)), chance) for _ in range(2))
        claimed += [change.is_beyond_error for change in changes(first, second, ERROR)]
    assert len(claimed) == 80
    assert np.mean(claimed) <= 0.05


def _sliced(axes, spacing, chance):
    """Cut an ellipsoid of some half axes, in mm, into slices that begin anywhere."""
    reach = [
        np.arange(-30 + chance.uniform(0, step), 30, step) / axis for step, axis in zip(spacing, axes, strict=True)
    ]
    mask = sum(part**2 for part in np.meshgrid(*reach, indexing="ij")) <= 1
    found = lesions(mask, tuple(spacing))
    return Outlined(sum(lesion.volume_ml for lesion in found), tuple(found), "a")
