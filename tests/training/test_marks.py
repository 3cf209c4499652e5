import shutil

import pytest

from braintumor.bundles import MARKS_FILE, BundleError, load_bundle, write_card
from braintumor.datasets import DatasetError
from braintumor.decision import MarkDetector
from braintumor.training.marks import teach_marks


@pytest.fixture(scope="module")
def taught(tiny_bundle, picture_folder, tmp_path_factory):
    folder = tmp_path_factory.mktemp("taught") / "tiny"
    shutil.copytree(tiny_bundle, folder)
    return folder, teach_marks(load_bundle(folder), picture_folder, pictures=60)


def test_a_bundle_is_taught_and_says_what_that_is_worth(taught, tiny_bundle):
    folder, figures = taught
    bundle = load_bundle(folder)
    assert bundle.card.marks.model_dump() == figures
    assert bundle.card.metrics == load_bundle(tiny_bundle).card.metrics
    assert MARKS_FILE in bundle.card.sha256
    assert bundle.marks is not None
    assert figures["found"]["of"] > 0
    assert load_bundle(tiny_bundle).marks is None


def test_a_detector_of_another_network_is_refused(taught, tmp_path):
    shutil.copytree(taught[0], tmp_path / "tiny")
    bundle = load_bundle(tmp_path / "tiny")
    assert bundle.marks is not None
    other = MarkDetector(bundle.marks.weights, 0.0, 0.0, "0" * 64)
    other.save(bundle.folder / MARKS_FILE)
    write_card(bundle.folder, bundle.card)
    with pytest.raises(BundleError, match=r"marks\.npz"):
        load_bundle(bundle.folder)


def test_other_data_is_refused(tiny_bundle, tmp_path, picture_folder):
    (tmp_path / "glioma").mkdir()
    (tmp_path / "glioma" / "1.png").write_bytes(next(picture_folder.rglob("*.png")).read_bytes())
    with pytest.raises(DatasetError):
        teach_marks(load_bundle(tiny_bundle), tmp_path, pictures=8)
