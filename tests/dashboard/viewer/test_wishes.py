import json

import pytest

from braintumor.dashboard.viewer.wishes import Wish, read_wish


@pytest.mark.parametrize(
    ("sent", "wish"),
    [
        ('{"step": 1, "at": 5, "whole": "key"}', Wish(1, 5, "key")),
        ('{"step": -1, "at": 5.5}', Wish(-1, 5.5)),
        ('{"step": true, "at": true, "whole": true}', Wish()),
        ('{"step": 2, "at": "now", "whole": ["key"]}', Wish()),
        ('{"step": 1.0, "at": NaN}', Wish()),
        ('{"step": {"step": 1}, "at": null, "whole": null}', Wish()),
        ("[1, -1]", Wish()),
        ("null", Wish()),
        ('"step"', Wish()),
        (json.dumps({"whole": "k" * 100_000}), Wish()),
    ],
)
def test_only_wishes_are_read(sent, wish):
    assert read_wish(json.loads(sent)) == wish
