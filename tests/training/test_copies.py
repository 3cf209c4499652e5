import shutil

import pytest

from braintumor.bundles import COPIES_FILE, load_bundle
from braintumor.datasets import DatasetError
from braintumor.inference import TRAINED_ON, Predictor
from braintumor.scans import phantom, read
from braintumor.training.copies import KINDS, teach_copies
from braintumor.training.evaluate import split_as_trained
from braintumor.training.experiment import labelled_index
from tests.conftest import png_bytes


@pytest.fixture(scope="module")
def taught(tiny_bundle, picture_folder, tmp_path_factory):
    folder = tmp_path_factory.mktemp("copies") / "tiny"
    shutil.copytree(tiny_bundle, folder)
    return folder, teach_copies(load_bundle(folder), picture_folder)


def test_a_bundle_is_taught_and_says_what_that_is_worth(taught, tiny_bundle):
    folder, figures = taught
    bundle = load_bundle(folder)
    assert bundle.card.copies == figures
    assert COPIES_FILE in bundle.card.sha256
    assert set(figures.known_again) == set(KINDS)
    assert figures.known_again["as it is"].value == 1
    assert load_bundle(tiny_bundle).copies is None


def test_answers_say_which_picture_was_learned_from(taught, picture_folder):
    bundle = load_bundle(taught[0])
    index, _ = split_as_trained(labelled_index(picture_folder), bundle)
    learned = picture_folder / index.loc[index["split"] == "train", "path"].iloc[0]
    scans = [read(learned.read_bytes(), learned.name), read(png_bytes(255 - phantom(96, seed=77)), "other.png")]
    own, other = Predictor(bundle).predict(scans)
    assert own.trained_on == (0,)
    assert TRAINED_ON in own.notes
    assert other.trained_on == ()


def test_other_data_is_refused(tiny_bundle, tmp_path, picture_folder):
    (tmp_path / "glioma").mkdir()
    (tmp_path / "glioma" / "1.png").write_bytes(next(picture_folder.rglob("*.png")).read_bytes())
    with pytest.raises(DatasetError):
        teach_copies(load_bundle(tiny_bundle), tmp_path)
