import numpy as np
import pytest

from braintumor.decision import MarkDetector

RANDOM = np.random.default_rng(0)
PLAIN, MARKED = RANDOM.gamma(2, size=(300, 12)), RANDOM.gamma(2, size=(300, 12)) + np.eye(12)[3] * 9
FEATURES, IS_MARKED = np.vstack([PLAIN, MARKED]), np.repeat([False, True], 300)


@pytest.fixture(scope="module")
def detector():
    return MarkDetector.fit(FEATURES, IS_MARKED, "0" * 64)


@pytest.mark.parametrize("most", [0.01, 0.1])
def test_few_plain_pictures_and_most_marked_ones_are_above_the_limit(detector, most):
    limited = detector.with_limit(PLAIN, most)
    assert limited.marked(PLAIN).mean() <= most
    assert limited.marked(MARKED).mean() > 0.8


def test_what_is_saved_comes_back(detector, tmp_path):
    path = tmp_path / "marks.npz"
    detector.with_limit(PLAIN, 0.01).save(path)
    again = MarkDetector.load(path)
    assert again.graph_sha256 == detector.graph_sha256
    assert np.array_equal(again.marked(FEATURES), detector.with_limit(PLAIN, 0.01).marked(FEATURES))


def test_another_file_is_refused(tmp_path):
    path = tmp_path / "marks.npz"
    np.savez(path, weights=np.zeros(3))
    with pytest.raises(ValueError, match=r"marks\.npz"):
        MarkDetector.load(path)
