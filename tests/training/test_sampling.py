from dataclasses import fields

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from braintumor.errors import InputError
from braintumor.scans import phantom
from braintumor.training.augmentation import Augmentation
from braintumor.training.counterfactuals import Counterfactuals
from braintumor.training.experiment import ExperimentData
from braintumor.training.sampling import (
    PictureBatches,
    Sampling,
    allowed_classes,
    row_weights,
    target_maps,
    taught_labels,
)
from tests.conftest import phantom_outline
from tests.training.heads import SIDE, example, head

SIZE = 32
STILL = Augmentation(**dict.fromkeys((field.name for field in fields(Augmentation)), 0.0))
PICTURES = np.stack([phantom(SIZE, seed=seed, tumor=seed not in (3, 4)) for seed in range(6)])
OUTLINES = np.stack([phantom_outline(SIZE, seed) for seed in (0, 2)]).astype(np.uint8) * 255
INDEX = pd.DataFrame(
    {
        "dataset": ["a", "a", "b", "b", "a", "a"],
        "label": ["glioma", "glioma", "tumor", "notumor", "notumor", "pituitary"],
        "picture": ["p0", "p0", "p1", "p2", "p3", "p4"],
        "outline": [0, -1, 1, -1, -1, -1],
    }
)
DATA = ExperimentData(PICTURES, OUTLINES, INDEX)


def _batches(data=DATA, sampling=None, **options):
    settings = {"batch_size": 4, "epoch_images": 14, "seed": 7, **options}
    return PictureBatches(data, sampling or Sampling(), **settings)


def _epoch(batches):
    return [batches[number][:2] for number in range(len(batches))]


def _same(first, second):
    return all(
        np.array_equal(pictures, others) and all(np.array_equal(targets[name], wanted[name]) for name in targets)
        for (pictures, targets), (others, wanted) in zip(first, second, strict=True)
    )


def _labels_of(targets):
    return [tuple(int(value) for value in row) for row in targets["logits"]]


def test_labels_become_allowed_classes():
    allowed = allowed_classes(INDEX["label"])
    assert allowed.dtype == np.float32
    assert allowed.tolist() == [[1, 0, 0, 0], [1, 0, 0, 0], [1, 1, 1, 0], [0, 0, 0, 1], [0, 0, 0, 1], [0, 0, 1, 0]]


@pytest.mark.parametrize(
    ("hospital", "label", "taught"),
    [
        ("CS", "glioma", "tumor"),
        ("CS", "notumor", "notumor"),
        ("FG", "glioma", "glioma"),
        ("FG", "pituitary", "pituitary"),
        ("DU", "tumor", "tumor"),
        ("a", "glioma", "glioma"),
    ],
)
def test_a_hospital_that_sent_one_kind_teaches_no_kind(hospital, label, taught):
    hospitals = ["CS", "CS", "CS", "FG", "FG", "DU", "DU", "a"]
    labels = ["glioma", "glioma", "notumor", "glioma", "pituitary", "tumor", "notumor", "glioma"]
    index = pd.DataFrame({"dataset": "a", "hospital": hospitals, "label": labels})
    found = taught_labels(index)
    assert set(found[(index["hospital"] == hospital) & (index["label"] == label)]) == {taught}


@pytest.mark.parametrize("side", [4, 8, 16, 32])
def test_target_maps_hold_each_cells_share_and_minus_one_where_nobody_drew(side):
    outline = np.random.default_rng(0).integers(0, 256, (32, 32), dtype=np.uint8)
    maps = target_maps([outline, None, np.zeros_like(outline)], side)
    assert (maps.shape, maps.dtype) == ((3, side, side, 1), np.float32)
    factor = 32 // side
    shares = outline.reshape(side, factor, side, factor).mean(axis=(1, 3)) / 255
    np.testing.assert_allclose(maps[0, ..., 0], shares, atol=1.1 / 255)
    assert (maps[1] == -1).all()
    assert (maps[2] == 0).all()


@pytest.mark.parametrize(
    ("labels", "pictures", "weights"),
    [
        (["glioma"], ["a"], [1]),
        (["glioma", "glioma"], ["a", "b"], [1, 1]),
        (["glioma", "notumor"], ["a", "b"], [1, 1]),
        # Two copies share √2; the class then holds √2 + 1 and is drawn in proportion to its root.
        (
            ["glioma", "glioma", "glioma"],
            ["a", "a", "b"],
            [1 / np.sqrt(2), 1 / np.sqrt(2), 1],
        ),
        # Four pictures of one class against one of another: the classes stand 2 to 1.
        (["glioma"] * 4 + ["notumor"], list("abcde"), [0.5, 0.5, 0.5, 0.5, 1]),
        # Four copies of one picture hold 2, so their class stands √2 to 1.
        (["glioma"] * 4 + ["notumor"], list("aaaab"), [np.sqrt(2) / 4] * 4 + [1]),
        (["tumor", "glioma", "notumor"], ["a", "b", "c"], [1, 1, 1]),
    ],
)
def test_chances_by_hand(labels, pictures, weights):
    index = pd.DataFrame({"dataset": "a", "label": labels, "picture": pictures})
    for by_source in (False, True):
        found = row_weights(index, by_source=by_source)
        np.testing.assert_allclose(found, np.array(weights) / np.sum(weights))
        assert found.sum() == pytest.approx(1)


@pytest.mark.parametrize(
    ("by_source", "weights"),
    [
        # Of all: 5 gliomas are drawn √5 times as often as 1 tumor-free picture.
        (False, [1 / np.sqrt(5)] * 5 + [1]),
        # By source: 4 gliomas of one set √4 times, the glioma of the other and the tumor-free picture once each.
        (True, [0.5] * 4 + [1, 1]),
    ],
)
def test_chances_are_balanced_over_all_or_within_each_source(by_source, weights):
    index = pd.DataFrame({"dataset": list("aaaabb"), "label": ["glioma"] * 5 + ["notumor"], "picture": list("uvwxyz")})
    found = row_weights(index, by_source=by_source)
    np.testing.assert_allclose(found, np.array(weights) / np.sum(weights))


@pytest.mark.parametrize(
    ("labels", "pictures", "outlines", "weights"),
    [
        # Of two copies the outlined one alone is drawn, as often as a single picture.
        (["glioma", "glioma", "notumor"], list("aab"), [0, -1, -1], [1, 0, 1]),
        (["glioma", "glioma", "glioma"], list("aab"), [0, 1, -1], [1 / np.sqrt(2), 1 / np.sqrt(2), 1]),
        # Where no copy is outlined all are drawn.
        (["glioma", "glioma"], list("aa"), [-1, -1], [1, 1]),
        # An outline of a tumor-free picture says nothing that its label does not.
        (["notumor", "notumor"], list("aa"), [0, -1], [1, 1]),
        # Copies with another label of the same picture give way as well.
        (["glioma", "tumor"], list("aa"), [0, -1], [1, 0]),
    ],
)
def test_chances_of_copies_of_which_some_are_outlined(labels, pictures, outlines, weights):
    index = pd.DataFrame({"dataset": "a", "label": labels, "picture": pictures, "outline": outlines})
    found = row_weights(index, outlined_copies=True)
    np.testing.assert_allclose(found, np.array(weights) / np.sum(weights), atol=1e-9)


@pytest.mark.parametrize(
    ("labels", "weights"),
    [
        (["glioma", "tumor", "notumor"], [1, 0, 1]),
        (["glioma", "meningioma"], [1, 1]),
        # Two of three copies are of unknown kind; the third stands for itself.
        (["glioma", "tumor", "tumor", "notumor"], [1, 0, 0, 1]),
    ],
)
@pytest.mark.parametrize("outlined_copies", [True, False])
def test_tumors_of_unknown_kind_are_not_drawn_for_losses_of_kinds(labels, weights, outlined_copies):
    index = pd.DataFrame({"dataset": "a", "label": labels, "picture": "p", "outline": 0})
    index["picture"] = ["n" if label == "notumor" else "p" for label in labels]
    if labels == ["glioma", "meningioma"]:
        index["picture"] = ["a", "b"]
    found = row_weights(index, kinds_only=True, outlined_copies=outlined_copies)
    np.testing.assert_allclose(found, np.array(weights) / np.sum(weights))


@pytest.mark.parametrize("labels", [["tumor", "tumor"], ["tumor", "notumor"], ["notumor"]])
def test_a_loss_of_kinds_needs_a_kind(labels):
    index = pd.DataFrame({"dataset": "a", "label": labels, "picture": [str(number) for number in range(len(labels))]})
    with pytest.raises(InputError, match="choose the loss marginal, or add --task binary"):
        row_weights(index, kinds_only=True)


def test_a_loss_of_kinds_sees_no_grafted_tumor_without_one():
    tumor = example(0.35)
    index = INDEX.iloc[[0, 3, 4]].reset_index(drop=True)
    data = ExperimentData(np.stack([tumor.picture, head(seed=1), head(seed=2)]), tumor.outline[np.newaxis], index)
    options = {"batch_size": 80, "epoch_images": 80}
    sampling = Sampling(STILL, Counterfactuals(graft=1.0))
    seen = {
        kinds_only: set(_labels_of(_batches(data, sampling, kinds_only=kinds_only, **options)[0][1]))
        for kinds_only in (True, False)
    }
    assert (1, 1, 1, 0) in seen[False]
    assert seen[True] == {(1, 0, 0, 0), (0, 0, 0, 1)}


@pytest.mark.parametrize("options", [{}, {"by_source": True}, {"outlined_copies": True}])
def test_chances_follow_the_rows_whatever_they_are_called(options):
    renamed = INDEX.set_index(pd.Index([30, 4, 17, 5, 99, 0]))
    np.testing.assert_array_equal(row_weights(renamed, **options), row_weights(INDEX, **options))


@pytest.mark.parametrize(
    ("batch_size", "epoch_images", "count"), [(4, 14, 3), (4, 16, 4), (4, 3, 1), (1, 5, 5), (8, 0, 1)]
)
@pytest.mark.parametrize("map_side", [None, 16])
def test_batches_have_their_shapes(batch_size, epoch_images, count, map_side):
    batches = _batches(batch_size=batch_size, epoch_images=epoch_images, map_side=map_side)
    assert len(batches) == count
    for pictures, targets in _epoch(batches):
        assert (pictures.shape, pictures.dtype) == ((batch_size, SIZE, SIZE, 1), np.float32)
        assert 0 <= pictures.min() <= pictures.max() <= 255
        shapes = {name: (values.shape, values.dtype) for name, values in targets.items()}
        wanted = {"logits": ((batch_size, 4), np.float32)}
        if map_side:
            wanted["map"] = ((batch_size, 16, 16, 1), np.float32)
        assert shapes == wanted


def test_pictures_keep_their_labels_and_outlines():
    gray = np.array([20, 60, 100, 140, 180, 220], np.uint8)
    flat = np.ones((6, SIZE, SIZE), np.uint8) * gray[:, np.newaxis, np.newaxis]
    data = ExperimentData(flat, OUTLINES, INDEX)
    sampling = Sampling(STILL, outlined_copies=False)
    pictures, targets = _batches(data, sampling, batch_size=60, epoch_images=60, map_side=SIZE)[0][:2]
    rows = np.abs(pictures[:, SIZE // 2, SIZE // 2] - gray).argmin(axis=1)
    assert set(rows) == set(range(6))
    np.testing.assert_array_equal(targets["logits"], allowed_classes(INDEX["label"])[rows])
    shown = {0: OUTLINES[0] / 255, 2: OUTLINES[1] / 255, 3: 0, 4: 0, 1: -1, 5: -1}
    for row, found in zip(rows, targets["map"], strict=True):
        np.testing.assert_allclose(found[..., 0], shown[row] * np.ones((SIZE, SIZE)), atol=1e-6)


def test_outlines_move_with_their_pictures():
    """Pictures that are their own outlines stay so through every turn and shift."""
    data = ExperimentData(np.repeat(OUTLINES, 3, axis=0), OUTLINES, INDEX.assign(outline=[0, 0, 0, 1, 1, 1]))
    geometry = Augmentation(brightness=0, contrast=0, gamma=0, noise=0, blur=0)
    pictures, targets = _batches(data, Sampling(geometry), batch_size=30, map_side=SIZE)[0][:2]
    assert np.ptp(pictures.reshape(30, -1), axis=0).max() > 200, "they were moved"
    np.testing.assert_allclose(pictures / 255, targets["map"], atol=1.5 / 255)


@pytest.mark.parametrize(
    ("counterfactuals", "labels"),
    [
        (Counterfactuals(mirror_half=1.0), {(1, 0, 0, 0), (0, 0, 0, 1)}),
        (Counterfactuals(erase=1.0), {(0, 0, 0, 1)}),
        (Counterfactuals(patchwork=1.0), {(1, 0, 0, 0), (0, 0, 0, 1)}),
        (Counterfactuals(graft=1.0), {(1, 0, 0, 0), (0, 0, 0, 1), (1, 1, 1, 0)}),
    ],
)
def test_labels_and_maps_follow_what_became_of_a_picture(counterfactuals, labels):
    tumor = example(0.35)
    index = INDEX.iloc[[0, 3, 4]].reset_index(drop=True)
    data = ExperimentData(np.stack([tumor.picture, head(seed=1), head(seed=2)]), tumor.outline[np.newaxis], index)
    options = {"batch_size": 80, "epoch_images": 80, "map_side": SIDE}
    pictures, targets = _batches(data, Sampling(STILL, counterfactuals), **options)[0][:2]
    unchanged, plain = _batches(data, Sampling(STILL), **options)[0][:2]
    assert set(_labels_of(plain)) == {(1, 0, 0, 0), (0, 0, 0, 1)}
    assert set(_labels_of(targets)) == labels
    changed = (pictures != unchanged).any(axis=(1, 2, 3))
    assert changed.any()
    for label, found, was, was_changed in zip(
        _labels_of(targets), targets["map"], _labels_of(plain), changed, strict=True
    ):
        assert found.min() == 0, "every outline is known here"
        assert (found.max() == 0) == (label == (0, 0, 0, 1))
        assert was_changed or label == was


def test_a_mirrored_half_empties_some_and_doubles_others():
    data = DATA.chosen(np.arange(6) == 0)
    _, targets = _batches(data, Sampling(STILL, Counterfactuals(mirror_half=1.0)), batch_size=60, map_side=SIZE)[0][:2]
    shares = targets["map"].mean(axis=(1, 2, 3)) / (OUTLINES[0].mean() / 255)
    assert set(np.round(shares).astype(int)) == {0, 2}
    assert (shares < 0.5).mean() == pytest.approx(0.65, abs=0.2)


@pytest.mark.parametrize("epoch", [0, 1, 5])
def test_epoch_is_the_same_whether_reached_or_resumed(epoch):
    sampling = Sampling(Augmentation(jpeg=0.5), Counterfactuals(0.5, 0.5, 0.5, 0.5, 0.5, 0.5))
    reached = _batches(sampling=sampling, map_side=16)
    for _ in range(epoch):
        reached.on_epoch_end()
    resumed = _batches(sampling=sampling, map_side=16, epoch=epoch)
    assert _same(_epoch(reached), _epoch(resumed))
    assert _same(_epoch(resumed), _epoch(resumed))


@pytest.mark.parametrize("other", [{"epoch": 3}, {"seed": 8}])
def test_another_epoch_or_seed_draws_other_pictures(other):
    assert not _same(_epoch(_batches(epoch=2)), _epoch(_batches(**{"epoch": 2, **other})))


def test_each_epoch_draws_other_rows_and_not_only_other_changes():
    first, second = (_batches(epoch=epoch, batch_size=40, epoch_images=40)[0][1]["logits"] for epoch in (0, 1))
    assert (first != second).any()


def test_each_epoch_changes_the_same_picture_in_another_way():
    one = DATA.chosen(np.arange(6) == 0)
    pictures = [_batches(one, epoch=epoch, batch_size=1)[0][0] for epoch in range(4)]
    assert len({picture.tobytes() for picture in pictures}) == 4


def test_batches_of_one_epoch_differ():
    first, second, third = _epoch(_batches())
    assert not _same([first], [second])
    assert not _same([second], [third])


@pytest.mark.parametrize(
    ("options", "share"),
    [
        ({}, 1 / 3),
        # Four sources of one glioma each against one tumor-free picture.
        ({"by_source": True}, 1 / 5),
        # The one outlined copy stands for the other three.
        ({"outlined_copies": True}, 1 / 2),
    ],
)
def test_rows_are_drawn_by_their_chances(options, share):
    index = pd.DataFrame(
        {
            "dataset": list("abcda") if "by_source" in options else "a",
            "label": ["glioma"] * 4 + ["notumor"],
            "picture": list("aaaab") if "outlined_copies" in options else list("abcde"),
            "outline": [0, -1, -1, -1, -1],
        }
    )
    small = np.asarray(Image.fromarray(PICTURES[0]).resize((4, 4)))
    data = ExperimentData(np.stack([small] * 5), np.zeros((1, 4, 4), np.uint8), index)
    sampling = Sampling(**{"by_source": False, "outlined_copies": False, **options})
    _, targets = _batches(data, sampling, batch_size=3000, epoch_images=3000)[0][:2]
    assert targets["logits"][:, 3].mean() == pytest.approx(share, abs=0.03)


ABROAD = INDEX.assign(
    dataset=["a", "a", "b", "lgg", "lgg", "lgg"],
    label=["glioma", "glioma", "tumor", "notumor", "glioma", "glioma"],
    hospital=["a", "a", "b", "FG", "FG", "FG"],
    sequence=["", "", "", "post", "post", "pre"],
    outline=[0, -1, 1, -1, 0, 1],
)


@pytest.mark.parametrize("share", [0.2, 0.5])
def test_institutions_have_their_share_of_draws_balanced_by_sequence_and_label(share):
    found = row_weights(ABROAD, institutions=share)
    assert found[3:].sum() == pytest.approx(share)
    np.testing.assert_allclose(found[3:], share / 3)
    np.testing.assert_allclose(found[:3], (1 - share) * row_weights(ABROAD[:3]))


def test_sets_without_institutions_are_drawn_as_ever_whatever_the_share():
    home = INDEX.assign(hospital=INDEX["dataset"], sequence="")
    np.testing.assert_array_equal(row_weights(home, institutions=0.5), row_weights(INDEX))
    assert row_weights(ABROAD[3:].reset_index(drop=True), institutions=0.5).sum() == pytest.approx(1)


def test_outlines_of_another_sequence_count_less_and_are_neither_donors_nor_covered():
    data = ExperimentData(PICTURES, OUTLINES, ABROAD)
    everything = Counterfactuals(mirror_half=1.0, erase=1.0, graft=1.0)
    sampling = Sampling(STILL, everything, institutions=1.0)
    batches = _batches(data, sampling, batch_size=60, epoch_images=60, map_side=SIZE)
    pictures, targets, weights = batches[0]
    rows = batches._rows[0]
    assert set(rows) == {3, 4, 5}
    assert weights["logits"].tolist() == [1.0] * 60
    assert weights["map"].tolist() == [{3: 1.0, 4: 0.5, 5: 0.25}[row] for row in rows]
    for row, picture, target in zip(rows, pictures, targets["map"], strict=True):
        if row > 3:
            np.testing.assert_allclose(picture[..., 0], PICTURES[row], atol=1)
            np.testing.assert_allclose(target[..., 0], OUTLINES[row - 4] / 255)
    assert batches._donors == [0, 2]
