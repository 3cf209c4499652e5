import pytest

from braintumor.taxonomy import CLASSES, FINDINGS, LABELS, TITLES, members


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ("glioma", (True, False, False, False)),
        ("meningioma", (False, True, False, False)),
        ("pituitary", (False, False, True, False)),
        ("notumor", (False, False, False, True)),
        ("tumor", (True, True, True, False)),
    ],
)
def test_a_label_allows_its_classes(label, expected):
    assert members(label) == expected


@pytest.mark.parametrize("label", ["", "Glioma", "cyst", "no tumor"])
def test_an_unknown_label_is_refused_with_the_known_ones(label):
    with pytest.raises(ValueError, match="glioma, meningioma, pituitary, notumor, tumor"):
        members(label)


def test_every_class_is_explained_with_its_source_and_every_label_titled():
    assert set(FINDINGS) == set(CLASSES)
    assert all(finding.name == name and finding.source for name, finding in FINDINGS.items())
    assert set(LABELS) <= set(TITLES)
