import json
import shutil

import pytest

from braintumor.bundles import BundleError, load_bundle, read_card
from braintumor.evaluation.card_conversion import convert_card
from tests.conftest import ROOT, SHIPPED, flat

OLD = ROOT / "tests" / "bundles" / "card-5.2.0.json"
"""The card that the shipped model had before a card was a schema."""

SINCE = (
    "copies",
    "copies.npz",
    "distance_limit",
    "refitted_by",
    "stacks.csv",
    "version",
    "as_published",
    "test_on",
    "train_on",
)
"""What was fitted and noted on the shipped card after that."""


@pytest.fixture(scope="module")
def old():
    return json.loads(OLD.read_text("utf-8"))


@pytest.fixture
def folder(tmp_path):
    copied = shutil.copytree(SHIPPED, tmp_path / "old")
    shutil.copyfile(OLD, copied / "card.json")
    return copied


def then(card):
    """Everything on a card that was there before."""
    facts = flat(card.model_dump(mode="json"))
    return {name: value for name, value in facts.items() if not {*name.split("/")} & {*SINCE}}


def test_a_converted_bundle_is_the_shipped_one(folder):
    with pytest.raises(BundleError, match="convert-card"):
        load_bundle(folder)
    converted = convert_card(folder)
    assert load_bundle(folder).card == converted
    assert then(converted) == pytest.approx(then(read_card(SHIPPED)), rel=1e-5)
    assert convert_card(folder) == converted


def test_every_number_of_the_old_card_stands_in_the_new_one(old):
    new = read_card(SHIPPED)
    assert {name: new.sha256[name] for name in old["sha256"] if name not in SINCE} == {
        name: digest for name, digest in old["sha256"].items() if name not in SINCE
    }
    facts = new.model_dump(mode="json", exclude={"metrics", "schema_version"})
    same = {name: flat(old[name]) for name in old if name not in ("metrics", "sha256", *SINCE)}
    for name, stated in same.items():
        assert {key: flat(facts[name])[key] for key in stated} == pytest.approx(stated, rel=1e-6)


@pytest.mark.parametrize("split", ["validation", "test", "published_test", "hospital_test", "mirrored_test"])
def test_every_figure_of_the_old_card_stands_in_the_new_one(old, split):
    before, after = old["metrics"][split], read_card(SHIPPED).metrics.split(split).model_dump(mode="json")
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
