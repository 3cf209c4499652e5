"""``braintumor data``: fetch and audit datasets."""

import sys
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
