"""``braintumor predict``: answer for scans."""

import json
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from braintumor import settings
from braintumor.cli.app import OK, SOME_FAILED, Options, app
from braintumor.processes import start_early


@dataclass(frozen=True, kw_only=True)
class PredictOptions:
    """How answers are given."""

    json: bool = False
    """Print one JSON object a line."""
    masks: Path | None = None
    """Folder that gets each scan's tumor mask, named as the scan."""
    report: Path | None = None
    """Folder that gets each scan's report: a page in PDF and, of a DICOM series, objects for its archive."""
    bundle: Path | None = None
    """Folder of the model (default: the app's)."""


Scans = Annotated[
    list[Path],
    Parameter(consume_multiple=(1, None), help="Pictures, volumes, DICOM series, ZIP archives, or folders of them."),
]


@app.command
def predict(
    paths: Scans,
    /,
    *,
    options: Options[PredictOptions] = PredictOptions(),
) -> int:
    """Answer for scans: tumor or not, its kind, or referred to a reader."""
    start_early(paths)
    from braintumor.batch import Batch
    from braintumor.cli.mask_folder import MaskFolder
    from braintumor.cli.report_folder import write_report
    from braintumor.rows import error_row, finding_row, line
    from braintumor.scans import NotJudgedError, ScanError, files_at, gather, walk

    configured = settings.load()
    bundle = options.bundle or configured.models_dir / configured.model
    masks = MaskFolder(options.masks, walk(paths)) if options.masks else None
    batch = Batch(bundle, measurements=options.json, masks=masks is not None, reports=options.report is not None)
    status = OK
    counts: Counter[str] = Counter()
    for outcome in batch.answer(gather(files_at(paths), batch.limits)):
        if isinstance(outcome, ScanError):
            row = error_row(outcome, batch.bundle_name)
            # What is not for the model has not failed.
            status = status if isinstance(outcome, NotJudgedError) else SOME_FAILED
        else:
            row = finding_row(outcome)
            row |= {} if masks is None else masks.write(outcome)
            row |= {} if options.report is None else {"report": write_report(options.report, outcome)}
        counts[row["decision"] or row["status"]] += 1
        sys.stdout.write((json.dumps(row) if options.json else line(row)) + "\n")
        _show_progress(counts)
    _show_progress(counts, ended=True)
    return status


def _show_progress(counts: Counter[str], *, ended: bool = False) -> None:
    """Show on a terminal how many scans were answered how; only at the end where it shows the answers themselves."""
    if sys.stderr.isatty() and (ended or not sys.stdout.isatty()):
        words = ", ".join(f"{number} {name.replace('_', ' ')}" for name, number in counts.most_common())
        start, end = ("", "\n") if ended else ("\r", "\r")
        sys.stderr.write(f"{start}{counts.total()} scans: {words}{end}")
