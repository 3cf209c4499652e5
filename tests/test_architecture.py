import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from braintumor.scans import phantom
from braintumor.settings import ROOT
from tests.conftest import png_bytes

SOURCES = sorted((ROOT / "braintumor").rglob("*.py"))
PAGES = [ROOT / "Home.py", *sorted((ROOT / "pages").glob("*.py"))]
FRAMEWORKS = {"tensorflow", "keras", "tf_keras_vis"}

# Explanation runs in a process of its own, and loads the frameworks there only.
MAY_IMPORT_FRAMEWORKS = {"federated", "networks", "training"}
MAY_IMPORT_FRAMEWORKS_IN_FUNCTIONS = {"explanation"}

MAY_IMPORT_STREAMLIT = {"dashboard"}
NO_PART = {"__init__", "__main__"}

TABLE = ROOT / "docs" / "architecture.md"
ROW = re.compile(r"^\| `(\w+)` \| (.+) \|$", re.MULTILINE)


def drawn() -> dict[str, set[str]]:
    """For each part, in the order of the document, the parts that it may lean on."""
    return {name: set(re.findall(r"`(\w+)`", others)) for name, others in ROW.findall(TABLE.read_text("utf-8"))}


def part(path: Path) -> str:
    return path.relative_to(ROOT / "braintumor").with_suffix("").parts[0]


def imports(path: Path, *, top_level: bool = False, root: Path = ROOT) -> set[str]:
    """Full names of the modules that a file imports; with ``top_level`` those that loading the file imports."""
    package = path.relative_to(root).with_suffix("").parts[:-1]
    found: set[str] = set()
    for node in _statements(ast.parse(path.read_text(encoding="utf-8")), top_level):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join([*base, *([node.module] if node.module else [])])
            # "from braintumor import settings" names a module behind the import.
            found |= {module, *(f"{module}.{alias.name}" for alias in node.names)}
    return found


def _statements(node, top_level):
    for child in ast.iter_child_nodes(node):
        is_function = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        if top_level and (is_function or _is_for_types(child)):
            continue
        yield child
        yield from _statements(child, top_level)


def _is_for_types(node):
    return isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")


def roots(modules: set[str]) -> set[str]:
    return {name.split(".")[0] for name in modules}


def own_parts(modules: set[str]) -> set[str]:
    return {name.split(".")[1] for name in modules if name.startswith("braintumor.")} - {"__version__"}


def names(paths):
    return [str(path.relative_to(ROOT)) for path in paths]


def test_imports_are_read_as_they_are_written(tmp_path):
    file = tmp_path / "braintumor" / "scans" / "one.py"
    file.parent.mkdir(parents=True)
    file.write_text("from . import two\nfrom ..records import x\ndef f():\n    import keras.layers as k\n")
    assert {"braintumor.scans.two", "braintumor.records.x", "keras.layers"} <= imports(file, root=tmp_path)
    assert "keras.layers" not in imports(file, top_level=True, root=tmp_path)


@pytest.mark.parametrize("path", SOURCES, ids=names(SOURCES))
def test_only_the_dashboard_knows_streamlit(path):
    if part(path) not in MAY_IMPORT_STREAMLIT:
        assert not roots(imports(path)) & {"streamlit", "streamlit_authenticator"}


@pytest.mark.parametrize("path", SOURCES, ids=names(SOURCES))
def test_only_what_trains_knows_the_frameworks(path):
    if part(path) in MAY_IMPORT_FRAMEWORKS:
        return
    inside_functions_too = part(path) not in MAY_IMPORT_FRAMEWORKS_IN_FUNCTIONS
    assert not roots(imports(path, top_level=not inside_functions_too)) & FRAMEWORKS


@pytest.mark.parametrize("path", SOURCES, ids=names(SOURCES))
def test_parts_lean_only_on_those_drawn(path):
    name = part(path)
    if name not in NO_PART:
        assert own_parts(imports(path)) - {name} <= drawn()[name]


@pytest.mark.parametrize("path", PAGES, ids=names(PAGES))
def test_pages_lean_only_on_the_parts_drawn(path):
    assert own_parts(imports(path)) <= drawn()["pages"]


def test_every_part_is_drawn_below_those_it_leans_on():
    above: set[str] = set()
    for name, others in drawn().items():
        assert others <= above, f"{name} leans on {sorted(others - above)}, drawn below it"
        above.add(name)
    assert above - {"pages"} == {part(path) for path in SOURCES} - NO_PART


@pytest.mark.parametrize("path", PAGES, ids=names(PAGES))
def test_pages_only_arrange(path):
    modules = imports(path)
    assert not roots(modules) & (FRAMEWORKS | {"ai_edge_litert", "sqlalchemy"})


@pytest.mark.parametrize(
    "module", ["braintumor.inference", "braintumor.cli", "braintumor.explanation", "braintumor.dashboard.scan_viewer"]
)
def test_loading_never_loads_a_framework(module):
    code = f"import sys, {module}; print(*sorted(set(sys.modules) & {FRAMEWORKS!r}))"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == ""


def test_one_scan_is_answered_without_loading_what_only_measures(tmp_path):
    (tmp_path / "scan.png").write_bytes(png_bytes(phantom()))
    unneeded = {"pandas", "sklearn", "scipy.stats", "scipy.optimize", "nibabel", "pydicom", "sqlalchemy", "streamlit"}
    code = f"import sys; from braintumor.cli import main; main(sys.argv[1:]); print(*set(sys.modules) & {unneeded!r})"
    command = [sys.executable, "-c", code, "predict", str(tmp_path), "--json"]
    printed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    assert json.loads(printed[0])["reasons"] == []
    assert printed[1] == ""


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
