import ast
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from grimp import ImportGraph

from braintumor.scans import phantom
from braintumor.settings import ROOT
from scripts.import_table import TableContract
from tests.conftest import png_bytes

PAGES = [ROOT / "Home.py", *sorted((ROOT / "pages").glob("*.py"))]
FRAMEWORKS = {"tensorflow", "keras", "tf_keras_vis"}
COMPUTING = FRAMEWORKS | {"numpy", "pandas", "scipy"}

# One part that the table lists behind another may import it, not the other way round.
TABLE = """
| `scans` | nothing |
| `datasets` | sets of `pages` | `scans` |
| `pages` | `datasets` |
"""


def violations(tmp_path, imports, table=TABLE):
    """What the contract says of modules that import one another, against a table."""
    graph = ImportGraph()
    for importer, imported in imports:
        for module in (importer, imported):
            if module not in graph.modules:
                graph.add_module(module)
        graph.add_import(importer=importer, imported=imported)
    (tmp_path / "table.md").write_text(table)
    options = {"document": str(tmp_path / "table.md")}
    return TableContract("table", {}, options).check(graph, verbose=False).metadata["wrong"]


ALLOWED = [
    ("braintumor.datasets.index", "braintumor.scans.paths"),
    ("pages.home", "braintumor.datasets"),
    ("braintumor.__main__", "pages.home"),
    ("braintumor.scans", "braintumor.scans.paths"),
    ("braintumor.scans", "braintumor"),
    ("braintumor.scans", "numpy"),
]


@pytest.mark.parametrize(
    ("imports", "table", "wrong"),
    [
        ([], TABLE, []),
        ([("braintumor.scans.paths", "braintumor.datasets")], TABLE, ["braintumor.scans.paths", "braintumor.datasets"]),
        ([("pages.home", "braintumor.scans")], TABLE, ["pages.home", "braintumor.scans"]),
        ([("braintumor.records", "numpy")], TABLE, ["records"]),
        ([], TABLE + "| `records` | nothing |\n", ["records"]),
        ([], TABLE.replace("nothing", "`datasets`"), ["scans", "datasets"]),
    ],
    ids=["allowed", "upward", "past a part", "no row", "no module", "out of order"],
)
def test_an_import_that_the_table_does_not_allow_is_named(imports, table, wrong, tmp_path):
    found = violations(tmp_path, [*ALLOWED, *imports], table)
    assert len(found) == bool(wrong)
    assert all(name in sentence for sentence in found for name in wrong)


def test_imports_keep_to_the_table_and_the_other_contracts():
    linter = Path(sys.executable).with_name("lint-imports")
    linted = subprocess.run([linter, "--no-logo", "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert linted.returncode == 0, linted.stdout


@pytest.mark.parametrize(
    "module", ["braintumor.inference", "braintumor.cli", "braintumor.explanation", "braintumor.dashboard.viewer"]
)
def test_loading_never_loads_a_framework(module):
    code = f"import sys, {module}; print(*sorted(set(sys.modules) & {FRAMEWORKS!r}))"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == ""


def test_one_scan_is_answered_without_loading_what_only_measures(tmp_path):
    """Neither for an answer nor for the words of one that is withheld, here of a blank picture."""
    for name, picture in (("a.png", phantom()), ("b.png", np.zeros((64, 64)))):
        (tmp_path / name).write_bytes(png_bytes(picture))
    unneeded = {"pandas", "sklearn", "scipy.stats", "scipy.optimize", "nibabel", "pydicom", "sqlalchemy", "streamlit"}
    code = f"import sys; from braintumor.cli import main; main(sys.argv[1:]); print(*set(sys.modules) & {unneeded!r})"
    command = [sys.executable, "-c", code, "predict", str(tmp_path), "--json"]
    printed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    assert [bool(json.loads(row)["reasons"]) for row in printed[:2]] == [False, True]
    assert printed[2] == ""


@pytest.mark.parametrize("verb", ["", "train", "compare", "predict"])
def test_help_loads_nothing_that_computes(verb):
    code = f"import sys; from braintumor.cli import main; main(sys.argv[1:]); print(*set(sys.modules) & {COMPUTING!r})"
    command = [sys.executable, "-c", code, *verb.split(), "--help"]
    printed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    assert printed[0].startswith("Usage: braintumor")
    assert printed[-1] == ""


CHECKED_WIDGETS = {"selectbox", "segmented_control", "pills", "radio", "select_slider", "multiselect", "slider"}
UNCHECKED = {"number_input", "feedback", "data_editor", "chat_input", "text_area", "date_input", "time_input"}


@pytest.mark.parametrize("path", [*PAGES, *sorted((ROOT / "braintumor" / "dashboard").rglob("*.py"))], ids=str)
def test_every_choice_is_held_against_what_was_offered(path):
    """A widget hands back what the client sent; only ``dashboard.choices`` may call those that offer values."""
    called = {
        node.func.attr
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and ast.unparse(node.func.value) != "choices"
    }
    if path.name != "choices.py":
        assert not called & CHECKED_WIDGETS
    assert not called & UNCHECKED


TERMS = ("training", "sampling", "preprocessing", "weighting", "lettering", "packaging")
"""Words of the field that end as gerunds do."""


def test_every_module_fits_on_a_few_screens_and_is_named_by_a_noun():
    parts = ("braintumor", "pages", "scripts", "benchmarks", "tests")
    sources = [path for part in parts for path in (ROOT / part).rglob("*.py")]
    assert [path.name for path in sources if len(path.read_text("utf-8").splitlines()) >= 450] == []
    assert [path.name for path in sources if path.stem.endswith("ing") and not path.stem.endswith(TERMS)] == []
