import json
import zipfile

import pytest

from braintumor.bundles import BundleError, read_card
from braintumor.evaluation.card_conversion import convert_card
from tests.conftest import ROOT, flat

OLD = ROOT / "tests" / "bundles" / "bundle-5.2.0.zip"
"""The card of version 5.2.0, from before a card was a schema, and the tables that it came from; no weights."""


def unpacked(folder):
    """Write the old bundle to a folder, with empty files for its weights, and give the old card."""
    with zipfile.ZipFile(OLD) as packed:
        packed.extractall(folder)
    card = json.loads((folder / "card.json").read_text("utf-8"))
    for name in card["sha256"]:
        (folder / name).touch()
    return card


@pytest.fixture
def folder(tmp_path):
    unpacked(tmp_path / "old")
    return tmp_path / "old"


@pytest.fixture(scope="module")
def converted(tmp_path_factory):
    """The old card as it was, and the new one."""
    folder = tmp_path_factory.mktemp("bundle")
    return unpacked(folder), convert_card(folder)


def test_a_converted_card_is_read_and_stays_as_it_is(folder, converted):
    with pytest.raises(BundleError, match="convert-card"):
        read_card(folder)
    assert convert_card(folder) == converted[1] == read_card(folder)
    assert convert_card(folder) == converted[1]


def test_every_fact_of_the_old_card_stands_in_the_new_one(converted):
    old, new = converted
    tables = [
        name for name in old["sha256"] if name in ("predictions.csv", "segmentation.csv", "map_bins.csv", "foreign.csv")
    ]
    assert {name: new.sha256[name] for name in tables} == {name: old["sha256"][name] for name in tables}
    facts = new.model_dump(mode="json", exclude={"metrics", "schema_version"})
    same = {name: flat(old[name]) for name in old if name not in ("metrics", "sha256")}
    for name, stated in same.items():
        assert {key: flat(facts[name])[key] for key in stated} == pytest.approx(stated, rel=1e-6)


@pytest.mark.parametrize("split", ["validation", "test", "published_test", "hospital_test", "mirrored_test"])
def test_every_figure_of_the_old_card_stands_in_the_new_one(converted, split):
    old, new = converted
    before, after = json.loads(json.dumps(old["metrics"][split])), new.metrics.split(split).model_dump(mode="json")
    counts = {
        dataset: {label: one["images"] for label, one in found["labels"].items()}
        for dataset, found in after["datasets"].items()
    }
    assert counts == before.pop("by_dataset_and_class")
    cheng, per_class = before.pop("cheng_three_class"), before["four_class"].pop("per_class")
    if cheng["images"]:
        assert {name: after["datasets"]["cheng"][name] for name in cheng} == cheng
    for name, one in per_class.items():
        found = after["four_class"]["per_class"][name]
        assert [found[rate]["value"] for rate in ("precision", "recall", "f1")] == [
            one[rate] for rate in ("precision", "recall", "f1")
        ]
        assert found["support"] == one["support"]
    now = flat(after)
    stated = flat(before)
    assert {name: now[name] for name in stated} == pytest.approx(stated, abs=1e-7)


@pytest.mark.parametrize("damage", ["{", "[]", "{}", '{"operating_point": {"threshold": 0.5, "referral": {}}}'])
def test_what_is_no_card_cannot_be_converted(folder, damage):
    (folder / "card.json").write_text(damage)
    with pytest.raises(BundleError, match="cannot be converted"):
        convert_card(folder)
