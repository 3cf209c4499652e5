"""A training run gives what it gave before, unbroken or stopped in the middle of an epoch and gone on with."""

import json

import numpy as np
import pytest

from tests.golden.fit import FILE, NETWORKS, run, summary

GOLDEN = json.loads(FILE.read_text(encoding="utf-8"))


@pytest.mark.parametrize("stop_at", [None, (2, 3)], ids=["unbroken", "stopped"])
@pytest.mark.parametrize("name", NETWORKS)
def test_history_and_kept_weights_are_as_they_were(name, stop_at):
    found, wanted = summary(*run(name, stop_at)), GOLDEN[name]
    assert list(found["history"]) == list(wanted["history"])
    for column, values in wanted["history"].items():
        np.testing.assert_allclose(found["history"][column], values, rtol=1e-4, atol=1e-6, err_msg=column)
    np.testing.assert_allclose(found["weights"], wanted["weights"], rtol=1e-4, atol=1e-6)
