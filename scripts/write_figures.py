"""Write measured figures into the documents from the files that hold them, so that nobody types them by hand."""

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

# Called by its path, Python would look for modules beside this file only.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from braintumor.bundles import CARD_FILE, Card, Metrics, SplitFigures, read_card, read_heatmap_figures
from braintumor.dashboard.bundle_tables import training_overlap
from braintumor.dashboard.comparison import read_comparison
from braintumor.model_cards import HEADLINES, SPLITS, bounds, hospital_sentence, hospitals_markdown, model_card
from braintumor.reports import in_words
from braintumor.reports.changes import changes_block, changes_plot
from braintumor.settings import DEFAULT_MODEL
from scripts.federated_figures import federated_block
from scripts.network_figures import markdown, networks_block, with_interval

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
MODEL_CARD = ROOT / "docs" / "model-card.md"
HOSPITALS = ROOT / "docs" / "hospitals.md"
NETWORKS = ROOT / "docs" / "networks.md"
BUNDLE = ROOT / "models" / DEFAULT_MODEL
AUDIT = ROOT / "docs" / "audit.json"
BENCHMARKS = ROOT / "docs" / "benchmarks.json"
IDEAS = ROOT / "docs" / "ideas.json"
OTHER_HOSPITAL = ROOT / "docs" / "other-hospital.json"
CHANGES = ROOT / "docs" / "changes.json"
CHANGES_PLOT = ROOT / "docs" / "changes.svg"
COMPARISON = ROOT / "results" / "comparison"
FEDERATED = ROOT / "results" / "federated" / "comparison.json"
START, END = "<!-- figures:start -->", "<!-- figures:end -->"

NOT_YET = f"They stand here once `models/{DEFAULT_MODEL}` holds a trained model and `scripts/write_figures.py` has run."

IN_README = (
    "Accuracy, four classes",
    "Accuracy, Cheng scans",
    "Dice, Cheng scans",
    "Dice, Br35H",
    "Web images: ROC AUC",
    "Tumor or not: sensitivity",
    "Tumor or not: specificity",
    "Web images: sensitivity",
    "Web images: specificity",
    "Same slices without their tumor: ROC AUC",
    "Share answered, not referred",
    "Accuracy of what is answered",
    "Sensitivity of what is answered",
    "Specificity of what is answered",
    "Calibration error (ECE), four classes",
)
"""Titles of the headline figures in the README."""

FIRST_START = "map"
"""The run that ideas were measured against before each said so itself."""

SHIPPED = "shipped"
"""The line of a finished model, trained for longer than any of the ideas, below them."""

MEASURES: Mapping[str, str] = {
    "dice_cheng": "Dice, Cheng",
    "dice_br35h": "Dice, Br35H",
    "auc_web": "AUC, web",
    "auc_mirrored": "AUC, mirrored",
    "accuracy_four_class": "Accuracy",
    "accuracy_cheng": "Accuracy, Cheng",
    "kind_cheng": "Kind, Cheng",
    "source_probe": "Source probe ↓",
    "auc_two_volumes": "AUC, two volumes",
}
"""Figures of a run of the ideas, with their titles in the table."""

_MUCH_SHARED = 0.05
"""Share of a dataset's images from which on copies in another one are told."""

_MOVED = 0.05
"""Difference from which on a figure is set in bold; a smaller one may be chance."""


def main() -> None:
    for document, figures in documents().items():
        document.write_text(filled(document.read_text(encoding="utf-8"), figures), encoding="utf-8")
        sys.stdout.write(f"{document.relative_to(ROOT)}\n")
    if CHANGES.is_file():
        CHANGES_PLOT.write_text(changes_plot(json.loads(CHANGES.read_text(encoding="utf-8"))), encoding="utf-8")
        sys.stdout.write(f"{CHANGES_PLOT.relative_to(ROOT)}\n")


def documents() -> dict[Path, str]:
    """Give what belongs between the marks of each document that has them and whose source is at hand."""
    found = {README: block(BUNDLE), MODEL_CARD: card_block(BUNDLE), HOSPITALS: hospitals_block(BUNDLE)}
    for document, (report, write) in _REPORTED.items():
        if report.is_file():
            found[document] = write(json.loads(report.read_text(encoding="utf-8")))
    comparison = read_comparison(COMPARISON)
    return found if comparison is None else {**found, NETWORKS: networks_block(comparison)}


def filled(text: str, figures: str) -> str:
    """Put ``figures`` between the marks; raises ``ValueError`` where a text does not have both once, in order."""
    before, start, rest = text.partition(START)
    _, end, after = rest.partition(END)
    if not (start and end) or START in rest or END in before + after:
        raise ValueError(f"the text must have {START} and then {END}, each once")
    return f"{before}{START}\n{figures}\n{END}{after}"


def block(folder: Path) -> str:
    """Say what a bundle reaches as a sentence and a Markdown table, or that there is no bundle."""
    if not (folder / CARD_FILE).is_file():
        return NOT_YET
    card = read_card(folder)
    if card.metrics.test is None:
        return NOT_YET
    elsewhere = card.metrics.hospital_test
    first = [hospital_sentence(elsewhere), ""] if elsewhere else []
    return "\n".join([*first, _introduction(card, card.metrics.test), "", *_table(card.metrics)])


def card_block(folder: Path) -> str:
    """Give a bundle's model card, or say that there is no bundle."""
    if not (folder / CARD_FILE).is_file():
        return NOT_YET
    return model_card(read_card(folder), read_heatmap_figures(folder)).rstrip("\n")


def leakage_block(report: Mapping[str, Any]) -> str:
    """Say what an audit found, dataset by dataset, as Markdown."""
    lines = [
        f"{report['images']:,} images hold {report['distinct_pictures']:,} distinct pictures in {report['groups']:,} "
        f"groups; {report['label_conflicts']['pictures']} pictures carry labels that cannot both be true.",
        "",
        "| Dataset | Images | Distinct | With a near-duplicate in the set | Published test with one in its training |",
        "| --- | --- | --- | --- | --- |",
    ]
    for name, facts in report["datasets"].items():
        test = facts["published_test_share_in_train"]
        shares = (f"{facts['share_with_near_duplicate']:.1%}", "–" if test is None else f"{test:.1%}")
        counts = (f"{facts['images']:,}", f"{facts['distinct_pictures']:,}")
        lines.append(f"| {' | '.join((name, *counts, *shares))} |")
    shared = sorted(report.get("shared_between_datasets", []), key=lambda found: -found["share_of_images"])
    told = [
        f"{found['share_of_images']:.1%} of {found['dataset']} in {found['contained_in']}"
        for found in shared
        if found["share_of_images"] >= _MUCH_SHARED
    ]
    if told:
        lines += ["", f"Images with a copy in another dataset: {', '.join(told)}."]
    agreement = report.get("agreement_with_given_groups")
    if agreement:
        lines += [
            "",
            f"Against groups that were found independently of this code, its {agreement['pairs_found']:,} pairs have a "
            f"precision of {agreement['precision']:.3%} and a recall of {agreement['recall']:.2%}.",
        ]
    return "\n".join(lines)


def benchmark_block(report: Mapping[str, Any]) -> str:
    """Lay the results of a run of the benchmarks out as a Markdown table."""
    rows = [
        f"| {row['name']} | {row['value']:.1f} {row['unit']} | {'≤' if row['at_most'] else '≥'} {row['goal']:g} | "
        f"{'met' if row['met'] else '**missed**'} | {row['detail']} |"
        for row in report["results"]
    ]
    head = ["| What | Measured | Goal | | In the same run |", "| --- | --- | --- | --- | --- |"]
    return "\n".join([f"Measured on {report['machine']}.", "", *head, *rows])


def ideas_block(report: Mapping[str, Any]) -> str:
    """Lay out what each idea measured, and how far that is from the start it is measured against, as Markdown."""
    starts = {name: row.get("against", FIRST_START) for name, row in report.items()}
    order = list(report)
    # Each start stands before the ideas that it is measured with.
    ranked = sorted(
        order, key=lambda name: (order.index(starts[name]) if starts[name] in order else -1, starts[name] != name)
    )
    rows = []
    for name in ranked:
        row, start = report[name], report.get(starts[name], {}).get("measured", {})
        cells = [_moved(row["measured"].get(key), None if name == starts[name] else start.get(key)) for key in MEASURES]
        rows.append(f"| {' | '.join((row['says'], *cells))} |")
    head = [f"| {' | '.join(('Idea', *MEASURES.values()))} |", f"| {' | '.join(['---'] * (1 + len(MEASURES)))} |"]
    return "\n".join([_how_trained(report), "", *head, *rows])


def hospital_block(report: Mapping[str, Any]) -> str:
    """Say what a model was worth on slices of volumes that no training saw, as Markdown."""
    found, foreign = report["metrics"]["external"], report["metrics"]["foreign"]
    detection = found["detection"]
    counts = detection["counts"]
    (masks,) = (one["labels"]["tumor"] for one in found["segmentation"]["datasets"].values())
    rows = [
        ["ROC AUC, slice by slice", with_interval(detection["roc_auc"], False)],
        ["Sensitivity at the model's operating point", with_interval(detection["sensitivity"], True)],
        ["Specificity there", with_interval(detection["specificity"], True)],
        ["Tumors missed", f"{counts['false_negative']} of {detection['tumors']}"],
        ["False alarms", f"{counts['false_positive']} of {found['images'] - detection['tumors']}"],
        ["Dice of the slices with a tumor", with_interval(masks["dice"], False)],
        ["Share answered, not referred", with_interval(found["answered"]["share"], True)],
        ["Specificity of what is answered", with_interval(found["answered"]["specificity"], True)],
        ["Taken for no brain MRI", f"{foreign['real_referred']:.1%}"],
    ]
    told = f"`{report['bundle']}` on {found['images']} slices of {found['groups']} volumes, each judged by itself."
    return "\n".join([told, "", *markdown(["Figure", "Measured"], rows)])


def hospitals_block(folder: Path) -> str:
    """Say how a bundle answers at hospitals that it held out, as Markdown."""
    return hospitals_markdown(read_card(folder))


def _how_trained(report: Mapping[str, Any]) -> str:
    short = [row for name, row in report.items() if name != SHIPPED]
    epochs, size, images, groups = (
        " or ".join(f"{value:,}" for value in sorted({row[key] for row in short}))
        for key in ("epochs", "size", "images", "groups")
    )
    return (
        f"{len(short)} short runs of {epochs} epochs on pictures of {size} × {size} pixels, measured on {images} "
        f"validation images in {groups} groups."
    )


def _moved(value: float | None, start: float | None) -> str:
    """Write a figure with its difference to the start, in bold where it moved; a dash where it was not measured."""
    if value is None:
        return "–"
    if start is None:
        return f"{value:.3f}"
    words = f"{value:.3f} ({value - start:+.3f})".replace("-", "−")
    return f"**{words}**" if abs(round(value - start, 4)) >= _MOVED else words


def _introduction(card: Card, clean: SplitFigures) -> str:
    words = (
        f"`{card.name}` {card.version}, {card.parameters:,} parameters. The leak-free test has "
        f"{clean.images:,} images in {clean.groups:,} groups, none of which has an image in training. In "
        "brackets: 95% intervals from drawing whole groups again and again. Of the calibration error alone is less "
        "better."
    )
    published = card.metrics.published_test
    if published is not None:
        words += f" The published test images are shown to compare with others only. {training_overlap(published)}"
    return words


def _table(metrics: Metrics) -> list[str]:
    splits = [split for split in SPLITS if metrics.split(split) is not None]
    titles = ["Figure", *(SPLITS[split] for split in splits)]
    rows = [
        [headline.title, *(in_words(*bounds(metrics, split, headline), headline.is_share) for split in splits)]
        for headline in HEADLINES
        if headline.title in IN_README
    ]
    return [f"| {' | '.join(row)} |" for row in (titles, ["---"] * len(titles), *rows)]


_REPORTED: Mapping[Path, tuple[Path, Callable[[Mapping[str, Any]], str]]] = {
    ROOT / "docs" / "leakage.md": (AUDIT, leakage_block),
    ROOT / "docs" / "benchmarks.md": (BENCHMARKS, benchmark_block),
    ROOT / "docs" / "ideas.md": (IDEAS, ideas_block),
    ROOT / "docs" / "changes.md": (CHANGES, changes_block),
    ROOT / "docs" / "federated.md": (FEDERATED, federated_block),
    ROOT / "docs" / "other-hospital.md": (OTHER_HOSPITAL, hospital_block),
}
"""Documents with the report that each takes its figures from, and how it is put in words."""


if __name__ == "__main__":
    main()
