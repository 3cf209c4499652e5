"""A folder that takes the reports of scans."""

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from braintumor.batch import Finding

_KEY_LENGTH = 12
"""Hexadecimal digits of a key, as many as the page's downloads are named by."""


def write_report(folder: Path, finding: "Finding") -> list[str]:
    """Write the files of a scan's report and give their paths.

    They are named by the scan and a key made from its content and the model, so that none replaces another.
    """
    folder.mkdir(parents=True, exist_ok=True)
    stem = Path(finding.source).name.removesuffix(".gz").rpartition(".")[0] or Path(finding.source).name
    key = hashlib.sha256(f"{finding.sha256} {finding.bundle}".encode()).hexdigest()[:_KEY_LENGTH]
    paths = {folder / f"{stem}-{key}{ending}": content for ending, content in finding.report.items()}
    for path, content in paths.items():
        path.write_bytes(content)
    return [str(path) for path in paths]
