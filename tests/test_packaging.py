"""What ``pip install`` and a wheel hold beside the Python files."""

import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest

from braintumor import __version__
from braintumor.settings import DEFAULT_MODEL, ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
SETUPTOOLS = PROJECT["tool"]["setuptools"]
PATTERNS = SETUPTOOLS["package-data"]["*"]
NOT_CODE = sorted(
    path
    for path in (ROOT / "braintumor").rglob("*")
    if path.is_file() and path.suffix != ".py" and path.parent.name != "__pycache__"
)


@pytest.mark.parametrize("path", NOT_CODE, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_file_of_the_package_is_installed(path):
    assert any(fnmatch(path.name, pattern) for pattern in PATTERNS)


def test_types_and_templates_are_among_them():
    assert {"py.typed", "model_card.md.j2"} <= {path.name for path in NOT_CODE}


def test_the_model_that_answers_is_installed():
    (patterns,) = SETUPTOOLS["data-files"].values()
    installed = {path for pattern in patterns for path in ROOT.glob(pattern)}
    assert installed == {path for path in (ROOT / "models" / DEFAULT_MODEL).iterdir() if path.is_file()}


@pytest.mark.parametrize("extra", PROJECT["tool"]["setuptools"]["dynamic"]["optional-dependencies"])
def test_the_files_of_every_extra_are_there(extra):
    files = SETUPTOOLS["dynamic"]["optional-dependencies"][extra]["file"]
    assert files
    assert all((ROOT / name).is_file() for name in files)


def test_the_command_leads_to_main():
    module, _, function = PROJECT["project"]["scripts"]["braintumor"].partition(":")
    assert (module, function) == ("braintumor.cli", "main")


def test_the_citation_names_the_version():
    assert f"version: {__version__}\n" in Path(ROOT / "CITATION.cff").read_text(encoding="utf-8")
