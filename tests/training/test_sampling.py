import numpy as np
import pandas as pd
import pytest

from braintumor.scans import phantom
from braintumor.training.augmentation import Augmentation
from braintumor.training.sampling import PictureBatches, allowed_classes, row_weights

SIZE = 20
PICTURES = np.stack([phantom(SIZE, seed=seed) for seed in range(6)])
INDEX = pd.DataFrame(
    {
        "label": ["glioma", "glioma", "tumor", "notumor", "notumor", "pituitary"],
        "picture": ["p0", "p0", "p1", "p2", "p3", "p4"],
    }
)


def _batches(index=INDEX, pictures=PICTURES, **options):
    settings = {"batch_size": 4, "epoch_images": 14, "seed": 7, **options}
    return PictureBatches(pictures, index, Augmentation(), **settings)


def _epoch(batches):
    return [batches[number] for number in range(len(batches))]


def _same(first, second):
    return all(
        np.array_equal(a, b) for one, two in zip(first, second, strict=True) for a, b in zip(one, two, strict=True)
    )


def test_labels_become_allowed_classes():
    allowed = allowed_classes(INDEX["label"])
    assert allowed.dtype == np.float32
    assert allowed.tolist() == [[1, 0, 0, 0], [1, 0, 0, 0], [1, 1, 1, 0], [0, 0, 0, 1], [0, 0, 0, 1], [0, 0, 1, 0]]


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
    found = row_weights(pd.DataFrame({"label": labels, "picture": pictures}))
    np.testing.assert_allclose(found, np.array(weights) / np.sum(weights))
    assert found.sum() == pytest.approx(1)


def test_chances_follow_the_rows_whatever_they_are_called():
    renamed = INDEX.set_index(pd.Index([30, 4, 17, 5, 99, 0]))
    np.testing.assert_array_equal(row_weights(renamed), row_weights(INDEX))


@pytest.mark.parametrize(
    ("batch_size", "epoch_images", "count"), [(4, 14, 3), (4, 16, 4), (4, 3, 1), (1, 5, 5), (8, 0, 1)]
)
def test_batches_have_their_shapes(batch_size, epoch_images, count):
    batches = _batches(batch_size=batch_size, epoch_images=epoch_images)
    assert len(batches) == count
    for pictures, allowed in _epoch(batches):
        assert (pictures.shape, pictures.dtype) == ((batch_size, SIZE, SIZE, 1), np.float32)
        assert (allowed.shape, allowed.dtype) == ((batch_size, 4), np.float32)
        assert 0 <= pictures.min() <= pictures.max() <= 255


def test_pictures_keep_their_labels():
    grey = np.array([20, 60, 100, 140, 180, 220], np.uint8)
    still = Augmentation(*[0.0] * 12)
    flat = np.ones((6, SIZE, SIZE), np.uint8) * grey[:, np.newaxis, np.newaxis]
    batches = PictureBatches(flat, INDEX, still, batch_size=40, epoch_images=40, seed=0)
    pictures, allowed = batches[0]
    rows = np.abs(pictures[:, SIZE // 2, SIZE // 2] - grey).argmin(axis=1)
    assert set(rows) == set(range(6))
    np.testing.assert_array_equal(allowed, allowed_classes(INDEX["label"])[rows])


@pytest.mark.parametrize("epoch", [0, 1, 5])
def test_epoch_is_the_same_whether_reached_or_resumed(epoch):
    reached = _batches()
    for _ in range(epoch):
        reached.on_epoch_end()
    resumed = _batches(epoch=epoch)
    assert _same(_epoch(reached), _epoch(resumed))
    assert _same(_epoch(resumed), _epoch(resumed))


@pytest.mark.parametrize("other", [{"epoch": 3}, {"seed": 8}])
def test_another_epoch_or_seed_draws_other_pictures(other):
    assert not _same(_epoch(_batches(epoch=2)), _epoch(_batches(**{"epoch": 2, **other})))


def test_each_epoch_draws_other_rows_and_not_only_other_changes():
    first, second = (_batches(epoch=epoch, batch_size=40, epoch_images=40)[0][1] for epoch in (0, 1))
    assert (first != second).any()


def test_batches_of_one_epoch_differ():
    first, second, third = _epoch(_batches())
    assert not _same([first], [second])
    assert not _same([second], [third])


def test_rows_are_drawn_by_their_chances():
    pictures = np.zeros((5, 4, 4), np.uint8)
    index = pd.DataFrame({"label": ["glioma"] * 4 + ["notumor"], "picture": list("abcde")})
    _, allowed = _batches(index, pictures, batch_size=6000, epoch_images=6000)[0]
    assert allowed[:, 3].mean() == pytest.approx(1 / 3, abs=0.03)
