import subprocess
import sys

import pytest

from tests.conftest import ROOT

WITHOUT = "import sys; sys.modules[sys.argv[1]] = None; from braintumor.cli import main; sys.exit(main(sys.argv[2:]))"


@pytest.mark.parametrize(
    ("package", "words", "file"),
    [("pynetdicom", ["pacs", "serve"], "pacs"), ("uvicorn", ["api", "serve"], "pacs")],
)
def test_a_missing_package_is_named_with_the_file_that_installs_it(package, words, file):
    run = subprocess.run([sys.executable, "-c", WITHOUT, package, *words], cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 2
    assert f"{package} is missing" in run.stderr
    assert f"requirements/{file}.txt" in run.stderr
    assert (ROOT / "requirements" / f"{file}.txt").is_file()
