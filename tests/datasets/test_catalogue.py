from pathlib import PurePosixPath

import pytest

from braintumor.datasets import CATALOGUE, download
from braintumor.datasets.catalogue import folder_facts, known_or_any
from braintumor.errors import InputError
from braintumor.taxonomy import LABELS


@pytest.mark.parametrize("name", CATALOGUE)
def test_every_entry_says_where_it_comes_from(name):
    dataset = CATALOGUE[name]
    assert dataset.name == name
    assert all((dataset.title, dataset.authors, dataset.license))
    assert dataset.slug.count("/") == bool(dataset.slug)
    assert dataset.source.startswith("https://")
    assert set(dataset.labels.values()) <= set(LABELS)
    assert set(dataset.splits.values()) <= {"train", "validation", "test"}
    assert all(key == key.lower() for key in (*dataset.labels, *dataset.splits, *dataset.masks))


@pytest.mark.parametrize(
    ("name", "path", "facts"),
    [
        ("masoud", "masoud/Training/glioma/Tr-gl_0010.jpg", ("glioma", "train")),
        ("masoud", "masoud/Testing/notumor/Te-no_0010.jpg", ("notumor", "test")),
        ("masoud", "masoud/Testing/yes/a.jpg", ("", "test")),
        ("masoud", "pituitary_tumor/a.jpg", ("pituitary", "")),
        ("masoud", "Training/test/meningioma/a.jpg", ("meningioma", "test")),
        ("masoud", "glioma/meningioma/a.jpg", ("meningioma", "")),
        ("masoud", "masoud/glioma.jpg", ("", "")),
        ("br35h", "br35h/YES/y1.jpg", ("tumor", "")),
        ("br35h", "br35h/no/no1.jpg", ("notumor", "")),
        ("br35h", "br35h/pred/pred1.jpg", ("", "")),
        ("br35h", "br35h/train/yes/a.jpg", ("tumor", "")),
        ("navoneel", "brain_tumor_dataset/no/1 no.jpeg", ("notumor", "")),
        ("own", "val/healthy/1.png", ("notumor", "validation")),
        ("own", "train/tumor/1.png", ("tumor", "train")),
        ("own", "1.png", ("", "")),
    ],
)
def test_folders_tell_label_and_split(name, path, facts):
    assert folder_facts(known_or_any(name), PurePosixPath(path)) == facts


def test_a_set_that_is_not_on_kaggle_says_where_it_lies():
    with pytest.raises(InputError, match="open_ms_data"):
        download("ljubljana")


def test_unknown_name_gets_the_rules_for_any_folder():
    assert known_or_any("somewhere").name == "folder"
    assert known_or_any("br35h") is CATALOGUE["br35h"]


def test_only_datasets_of_the_catalogue_are_fetched():
    pytest.importorskip("kagglehub")
    with pytest.raises(KeyError):
        download("no-such-dataset")
