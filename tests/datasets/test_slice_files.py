import numpy as np
import pytest
from PIL import Image

from braintumor.datasets.slice_files import write_mask, write_picture


@pytest.mark.parametrize("kind", [np.int16, np.float32])
def test_a_slice_is_scaled_from_the_smallest_to_the_largest_value_of_its_volume(tmp_path, kind):
    volume = np.array([[[-32768, 0]], [[0, 32767]]], kind)
    write_picture(tmp_path / "images" / "one.png", volume[1], float(volume.min()), float(volume.max()))
    with Image.open(tmp_path / "images" / "one.png") as picture:
        assert np.asarray(picture).tolist() == [[32768, 65535]]


def test_a_mask_is_black_and_white(tmp_path):
    write_mask(tmp_path / "masks" / "one.png", np.array([[True, False]]))
    with Image.open(tmp_path / "masks" / "one.png") as picture:
        assert np.asarray(picture).tolist() == [[255, 0]]
