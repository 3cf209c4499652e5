"""The pages show of the shipped comparison what was measured, whatever the shape it is kept in."""

import json

import pytest

from tests.golden.networks import FILE, PAGES, shown

GOLDEN = json.loads(FILE.read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", PAGES)
def test_every_number_of_a_page_is_as_it_was(name, guest_app):
    found = shown(name)
    assert found["texts"] == GOLDEN[name]["texts"]
    assert found["tables"] == GOLDEN[name]["tables"]
    for chart, wanted in zip(found["charts"], GOLDEN[name]["charts"], strict=True):
        # Predictions are kept with four digits.
        assert chart == pytest.approx(wanted, abs=2e-4, rel=1e-3)
