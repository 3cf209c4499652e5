"""Verbs for a bundle that was trained: measure it, teach it to notice marks, convert and export it."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from braintumor.cli.app import OK, Options, app, print_json


@dataclass(frozen=True, kw_only=True)
class BundleOptions:
    """A bundle, and data to measure it on."""

    bundle: Path
    """Folder of the model."""
    data: Path
    """Folder of the data that the model was trained on."""


@dataclass(frozen=True, kw_only=True)
class EvaluateOptions(BundleOptions):
    """What a model is measured on."""

    data: Path
    """Folder of pictures: the data that the model was trained on, or any other."""
    out: Path | None = None
    """File that gets the predictions as CSV."""


@dataclass(frozen=True, kw_only=True)
class HeatmapOptions(BundleOptions):
    """How heatmaps are measured."""

    images: int = 60
    """Number of pictures to draw."""
    seed: int = 0
    """Seed of the drawing."""


@dataclass(frozen=True, kw_only=True)
class ChangeOptions(BundleOptions):
    """How the effect of changes to scans is measured."""

    scans: int = 60
    """Number of scans to draw with a tumor, and as many without."""
    seed: int = 0
    """Seed of the drawing."""
    out: Path | None = None
    """File that gets the results as JSON (default: print them)."""


@app.command
def evaluate(options: Options[EvaluateOptions]) -> int:
    """Measure a model again from pictures."""
    from braintumor.bundles import load_bundle
    from braintumor.training.evaluate import evaluate_bundle

    report, predictions = evaluate_bundle(load_bundle(options.bundle), options.data)
    if options.out:
        predictions.to_csv(options.out, index=False, float_format="%.8f")
    print_json(report)
    return OK


@app.command
def heatmaps(options: Options[HeatmapOptions]) -> int:
    """Measure a model's heatmaps on held-out pictures whose tumor is outlined, and write the results to its folder."""
    from braintumor.bundles import load_bundle
    from braintumor.training.faithfulness import question_bundle, write_heatmap_figures

    bundle = load_bundle(options.bundle)
    report, table = question_bundle(bundle, options.data, options.images, options.seed)
    write_heatmap_figures(report, table, bundle.folder)
    print_json({name: value for name, value in report.items() if name not in ("curves", "share")})
    return OK


@app.command
def changes(options: Options[ChangeOptions]) -> int:
    """Measure whether answers stay the same when held-out scans are changed."""
    from braintumor.bundles import load_bundle
    from braintumor.training.files import write_whole
    from braintumor.training.robustness import measure_changes

    report = measure_changes(load_bundle(options.bundle), options.data, options.scans, options.seed).as_json()
    if options.out:
        write_whole(options.out, json.dumps(report, indent=2) + "\n")
    else:
        print_json(report)
    return OK


@app.command
def marks(
    options: Options[BundleOptions], *, seed: Annotated[int, Parameter(help="Seed of the drawing of marks.")] = 0
) -> int:
    """Teach a model to notice marks drawn over the head, and write that to its folder."""
    from braintumor.bundles import load_bundle
    from braintumor.training.marks import teach_marks

    print_json(teach_marks(load_bundle(options.bundle), options.data, seed=seed))
    return OK


@app.command
def convert_card(folder: Annotated[Path, Parameter(help="Folder of the model.")], /) -> int:
    """Give a model of version 5.2 or earlier a card of today's shape."""
    from braintumor.evaluation.card_conversion import convert_card as convert

    convert(folder)
    return OK


@app.command
def export(
    *,
    bundle: Annotated[Path, Parameter(help="Folder of the model.")],
    to: Annotated[Path, Parameter(help="File to write; its ending, .keras, .h5 or .tflite, is the format.")],
) -> int:
    """Write a model's network as .keras, .h5 or .tflite."""
    from braintumor.bundles import load_bundle
    from braintumor.training.export import export_bundle

    export_bundle(load_bundle(bundle), to)
    sys.stdout.write(f"{to}\n")
    return OK
