import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from braintumor.scans.percentiles import percentiles

SHARES = (0.0, 0.5, 50.0, 98.0, 99.5, 100.0)
SHAPES = arrays.array_shapes(max_dims=3, max_side=20)
WHOLE = st.one_of(st.integers(0, 255), st.integers(0, 70_000), st.integers(-3, 9)).map(float)


@given(arrays.arrays(np.float32, SHAPES, elements=st.one_of(WHOLE, st.floats(-1e9, 1e9, width=32))))
def test_any_values_have_the_percentiles_of_numpy(values):
    assert percentiles(values, *SHARES) == tuple(np.percentile(values, SHARES))


@pytest.mark.parametrize("highest", [1, 255, 65_535])
@pytest.mark.parametrize("size", [1, 2, 255, 4096])
def test_whole_numbers_have_the_percentiles_of_numpy(highest, size):
    values = np.random.default_rng(size).integers(0, highest, (size, 3), endpoint=True).astype(np.float32)[:, ::2]
    assert percentiles(values, *SHARES) == tuple(np.percentile(values, SHARES))
