import numpy as np
import pytest

from braintumor.scans import phantom
from braintumor.scans.fitness import several_heads

HEAD = np.pad(phantom(160).astype(np.float32), 8)
EMPTY = np.zeros_like(HEAD)


@pytest.mark.parametrize(
    ("picture", "several"),
    [
        (HEAD, False),
        (np.pad(HEAD, 200), False),
        (np.hstack([HEAD, EMPTY]), False),
        (EMPTY, False),
        (np.hstack([HEAD, HEAD]), True),
        (np.vstack([HEAD, HEAD[:, ::-1]]), True),
        (np.block([[HEAD, HEAD], [HEAD, EMPTY]]), True),
        (np.hstack([HEAD, 0.5 * HEAD]), True),
    ],
)
def test_more_than_one_head_is_noticed(picture, several):
    assert several_heads(picture.astype(np.float32)) is several
