"""Verbs that train: a network, several side by side, or only what turns a network's outputs into answers."""

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from braintumor.cli.app import OK, SOME_FAILED, Options, app, print_json
from braintumor.taxonomy import FOUR_CLASS
from braintumor.training.options import CompareOptions, RefitOptions, RunOptions


@app.command
def train(options: Options[RunOptions]) -> int:
    """Train a network and write its bundle; resumes if interrupted."""
    from braintumor.training.run import run

    print_json(run(options).model_dump(mode="json")["metrics"]["test"])
    return OK


@app.command
def refit(
    options: Options[RefitOptions],
    *,
    bundle: Annotated[Path, Parameter(help="Folder of the model, which is overwritten.")],
) -> int:
    """Choose a model's thresholds again, on hospitals that its network never saw."""
    from braintumor.bundles import load_bundle
    from braintumor.training.refit import refit as refit_bundle

    print_json(refit_bundle(load_bundle(bundle), options).model_dump(mode="json")["stacks"])
    return OK


@app.command
def compare(options: Options[CompareOptions]) -> int:
    """Train networks on the same folds and write their results side by side; resumes if interrupted."""
    from braintumor.training.compare import compare as compare_networks

    report, skipped = compare_networks(options)
    for training, reason in skipped.items():
        sys.stderr.write(f"{training}: {reason}\n")
    metric = "accuracy" if options.task == FOUR_CLASS else "accuracy_tumor"
    figures = {name: row.figures for name, row in report.networks.items() if row.figures}
    print_json({name: {key: getattr(one, metric) for key, one in found.items()} for name, found in figures.items()})
    return SOME_FAILED if skipped else OK
