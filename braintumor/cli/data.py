"""``braintumor data``: fetch and audit datasets."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from braintumor.cli.app import OK, SOME_FAILED, group, print_json
from braintumor.errors import InputError

data = group("data", "Fetch and audit datasets.")


@data.command
def audit(
    folder: Annotated[Path, Parameter(help="Folder of pictures.")],
    /,
    *,
    out: Annotated[Path, Parameter(help="Folder that gets audit.json and index.csv.")] = Path("audit"),
) -> int:
    """Find near-duplicates, leakage and label conflicts."""
    from braintumor import datasets

    index = datasets.build_index(folder)
    marks, failed = datasets.signatures(folder, list(index["path"]))
    pairs = datasets.near_duplicates(marks)
    grouped = datasets.assign_groups(index, pairs)
    report = {**datasets.audit(grouped), "unreadable": failed}
    if (index["group"] != "").all():
        report["agreement_with_given_groups"] = datasets.agreement_with(grouped, pairs, index["group"])
    datasets.write_audit(report, grouped, out)
    print_json(report)
    return SOME_FAILED if failed else OK


@data.command
def download(name: Annotated[str, Parameter(help="Name of the dataset; a wrong name lists all.")], /) -> int:
    """Fetch a public dataset from Kaggle and print its folder."""
    from braintumor.datasets import CATALOGUE
    from braintumor.datasets import download as fetch

    if name not in CATALOGUE:
        raise InputError(f"There is no dataset {name!r}; choose one of {', '.join(CATALOGUE)}.")
    sys.stdout.write(f"{fetch(name)}\n")
    return OK


@data.command
def corrected(folder: Annotated[Path, Parameter(help="New folder that gets pictures, masks and index.csv.")], /) -> int:
    """Write the cases that readers corrected as a de-identified dataset that train --data reads."""
    import numpy as np

    from braintumor import settings
    from braintumor.database import open_database
    from braintumor.datasets.corrected import CorrectedCase, write_corrected
    from braintumor.records import Research
    from braintumor.records.scan_file import read_scan_file
    from braintumor.records.vault import open_vault
    from braintumor.taxonomy import ANY_TUMOR, NO_TUMOR

    configured = settings.load()
    research = Research(open_database(configured), open_vault(configured, "patients"))
    groups: dict[int, str] = {}

    def cases() -> Iterator[CorrectedCase]:
        for case in research.corrected():
            pixels = read_scan_file(case.scan).pixels
            masks = [None if file is None else read_scan_file(file).pixels > 0 for file in (case.outline, case.found)]
            outline, found = (mask if mask is not None and mask.shape == pixels.shape else None for mask in masks)
            label = case.label or ANY_TUMOR
            shown: Sequence[int] = range(len(pixels))
            if len(pixels) > 1 and label != NO_TUMOR:
                # Where the type alone was corrected, only slices that the model outlined are known to show it.
                shown = [] if found is None else np.flatnonzero(found.any(axis=(1, 2))).tolist()
            group = groups.setdefault(case.patient, f"patient-{len(groups):05}")
            yield CorrectedCase(group, label, case.sequence, case.modality or "MR", pixels, outline, shown)

    written = write_corrected(folder, cases())
    sys.stdout.write(f"{written} pictures of {len(groups)} patients written to {folder}.\n")
    return OK
