"""Widget values that no browser sends, over the websocket: no page breaks, and nobody becomes what was not offered."""

import json
import sqlite3
from itertools import zip_longest

import pytest
from streamlit.proto.WidgetStates_pb2 import WidgetState

from scripts.websocket_client import PASSWORD, Client, first_administrator, guest, log_in
from tests.conftest import ROOT

PAGES = sorted(path.stem for path in (ROOT / "pages").glob("*.py") if path.stem != "home")
WORDS = ["nonsense", "", "administrator", "<script>alert(1)</script>", "\u202e\x00", "x" * 100_000]
NUMBERS = [float("nan"), float("inf"), -1e308, 1e9, 0.5]
HOSTILE = {
    "selectbox": [{"string_value": word} for word in WORDS],
    "radio": [{"string_value": word} for word in WORDS],
    "button_group": [{"string_array_value": [word]} for word in WORDS] + [{"string_array_value": WORDS * 10}],
    "multiselect": [{"string_array_value": [word]} for word in WORDS] + [{"string_array_value": WORDS * 10}],
    "select_slider": [{"string_array_value": [word]} for word in WORDS] + [{"string_array_value": WORDS}],
    "slider": [{"double_array_value": value} for value in ([], NUMBERS, *([number] for number in NUMBERS))],
    "number_input": [{"double_value": number} for number in NUMBERS],
    "text_input": [{"string_value": word} for word in WORDS],
    "text_area": [{"string_value": word} for word in WORDS],
}
WRONG_TYPES = [
    {"string_value": "text"},
    {"int_value": 2**40},
    {"double_array_value": [1.0, 2.0]},
    {"bool_value": True},
    {"json_value": "[["},
    {"bytes_value": b"\xff"},
]
"""Values of another type than the widget's own: Streamlit refuses them before the page runs."""


def state(widget, value):
    kind, content = next(iter(value.items()))
    made = WidgetState(id=widget.id)
    if kind.endswith("array_value"):
        getattr(made, kind).SetInParent()
        getattr(made, kind).data.extend(content)
    else:
        setattr(made, kind, content)
    return made


@pytest.fixture(scope="module")
def app(offline, tmp_path_factory):
    """A demo server that takes registrations at once, with an administrator."""
    data = tmp_path_factory.mktemp("data")
    with offline(BRAINTUMOR_DEMO="1", BRAINTUMOR_REGISTRATION="open", BRAINTUMOR_DATA_DIR=str(data)) as url:
        first_administrator(url).close()
        yield url, data / "braintumor.sqlite3"


@pytest.mark.parametrize("page", PAGES)
def test_no_page_breaks(app, page):
    url, _ = app
    with log_in(url, page) as client:
        widgets = [(kind, widget) for kind, widget in client.elements if kind in HOSTILE]
        kinds = ["select_slider" if kind == "slider" and widget.options else kind for kind, widget in widgets]
        hostile = [
            [state(widget, value) for value in HOSTILE[kind]] for kind, (_, widget) in zip(kinds, widgets, strict=True)
        ]
        # All at once: a page takes a second to run, and each widget's value is checked by itself.
        for states in zip_longest(*hostile):
            client.run(*filter(None, states))
            assert not client.of("exception"), str(states)[:200]
        for _, widget in widgets:
            client.forget(widget.id)
        assert client.run().of("heading")


def test_values_of_another_type_break_at_most_the_sender_s_run(app):
    url, _ = app
    page = "prediction"
    with guest(url, page) as client:
        widgets = [widget for _, widget in client.elements if getattr(widget, "id", "")]
        for widget in widgets:
            for value in WRONG_TYPES:
                client.run(state(widget, value))
            client.forget(widget.id)
    with guest(url, page) as another:
        assert not another.of("exception")
        assert another.of("heading")


SELECTIONS = [
    {"rows": [5], "columns": [], "cells": []},
    {"rows": ["0"], "columns": [], "cells": []},
    {"rows": [-1, True], "columns": [], "cells": [[0, "scan"]]},
    {"rows": {"0": 0}, "columns": [], "cells": []},
    {"rows": [], "columns": [], "cells": [[9, "scan"]]},
    {"rows": [], "columns": [], "cells": ["scan", [0]]},
]
WISHES = [
    [],
    None,
    "step",
    {"step": 2},
    {"step": [1], "at": {}},
    {"step": 1, "at": "now"},
    {"whole": 5},
    {"whole": "k" * 10**5},
]


def test_the_worklist_and_the_viewer_pass_over_what_is_no_choice_of_theirs(app):
    url, _ = app
    with guest(url, "prediction") as client:
        client.press("No scan at hand? Try a synthetic sample")
        for _ in range(20):
            if viewers := shown(client, "-viewer-"):
                break
            client.run()
        [viewer], tables = viewers, shown(client, "-worklist-")
        assert len(tables) == 1
        for selected, wish in zip_longest(SELECTIONS, WISHES, fillvalue={}):
            choice = WidgetState(id=tables[0].id, string_value=json.dumps({"selection": selected}))
            client.run(choice, WidgetState(id=viewer.id, json_value=json.dumps(wish)))
            assert not client.of("exception"), (selected, wish)
        client.forget(tables[0].id)
        client.forget(viewer.id)
        assert shown(client.run(), "-viewer-")


def shown(client, part):
    """The widgets that a page shows whose keys hold this part."""
    return [found for _, found in client.elements if part in str(getattr(found, "id", ""))]


@pytest.mark.parametrize("role", ["administrator", "Administrator", " administrator", "", "\u202e\x00"])
def test_nobody_registers_with_a_role_that_is_not_offered(app, role):
    url, database = app
    before = accounts(database)
    with Client(url) as client:
        person = {"name": "Mallory", "username": "mallory", "new": PASSWORD, "repeat": PASSWORD}
        chosen = WidgetState(id=client.widget("selectbox", "register_role").id, string_value=role)
        client.press("Register", *client.fill("register", **person), chosen)
    assert accounts(database) == before


def accounts(database):
    with sqlite3.connect(database) as opened:
        return opened.execute("select username, role from accounts order by username").fetchall()
