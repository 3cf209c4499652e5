"""Write measured figures into the documents from the files that hold them, so that nobody types them by hand."""

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

# Called by its path, Python would look for modules beside this file only.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from braintumor.bundles import CARD_FILE, read_card, read_heatmap_figures
from braintumor.dashboard.bundle_tables import training_overlap
from braintumor.dashboard.comparison import read_comparison
from braintumor.datasets.catalogue import short_name
from braintumor.model_cards import HEADLINES, SPLITS, bounds, hospitals_markdown, model_card
from braintumor.model_cards.headlines import OUTLINE
from braintumor.reports import codes, in_words
from braintumor.settings import DEFAULT_MODEL
from scripts.changes_plot import changes_plot
from scripts.document_templates import fill
from scripts.federated_figures import federated_block
from scripts.network_figures import networks_block

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
MODEL_CARD = ROOT / "docs" / "model-card.md"
DICOM = ROOT / "docs" / "dicom.md"
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

_TITLES_IN_README = {
    "Accuracy, four classes",
    "Tumor or not: ROC AUC",
    "Tumor or not: sensitivity",
    "Tumor or not: specificity",
    "Share answered, not referred",
    "Accuracy of what is answered",
    "Sensitivity of what is answered",
}
IN_README = tuple(one for one in HEADLINES if one.title in _TITLES_IN_README or one.short == OUTLINE)
"""Figures in the README: those that say most, and the outlines of the reference set."""

FIRST_START = "map"
"""The run that ideas were measured against before each said so itself."""

SHIPPED = "shipped"
"""The line of a finished model, trained for longer than any of the ideas, below them."""

_MEASURES = {
    "dice": "Dice",
    "accuracy": "Accuracy",
    "kind": "Kind",
    "accuracy_four_class": "Accuracy",
    "auc_web": "AUC, web",
    "auc_mirrored": "AUC, mirrored",
    "source_probe": "Source probe ↓",
    "auc_two_volumes": "AUC, two volumes",
}
"""Titles of what a run of an idea measured; that of one dataset has the dataset's name behind it."""

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
    found[DICOM] = codes_block()
    for document, (report, write) in _REPORTED.items():
        if report.is_file():
            found[document] = write(json.loads(report.read_text(encoding="utf-8")))
    comparison = read_comparison(COMPARISON)
    return found if comparison is None else {**found, NETWORKS: networks_block(comparison)}


def codes_block() -> str:
    """Write our own codes of a report, which a PACS can route by, as a Markdown table."""
    groups = (
        (codes.ANSWER, [*codes.ANSWERS.values(), codes.NOT_JUDGED]),
        (codes.REASON, [*codes.REASONS.values(), codes.CONTRADICTION]),
        (codes.TUMOR_TYPE, codes.TYPES.values()),
        (codes.VERDICT, codes.VERDICTS.values()),
        (codes.CHANGE, codes.CHANGES.values()),
    )
    rows = [
        f"| `{name.value}` {name.meaning} | `{code.value}` | {code.meaning} |" for name, all in groups for code in all
    ]
    number = f"| `{codes.P_TUMOR.value}` {codes.P_TUMOR.meaning} | a number | percent |"
    return "\n".join(["| Concept | Code | Meaning |", "| --- | --- | --- |", *rows, number])


def filled(text: str, figures: str) -> str:
    """Put ``figures`` between the marks; raises ``ValueError`` where a text does not have both once, in order."""
    before, start, rest = text.partition(START)
    _, end, after = rest.partition(END)
    if not (start and end) or START in rest or END in before + after:
        raise ValueError(f"the text must have {START} and then {END}, each once")
    return f"{before}{START}\n{figures}\n{END}{after}"


def block(folder: Path) -> str:
    """Say what a bundle reaches as a sentence and a Markdown table, or that there is no bundle."""
    card = read_card(folder) if (folder / CARD_FILE).is_file() else None
    if card is None or card.metrics.test is None:
        return NOT_YET
    metrics = card.metrics
    splits = [split for split in SPLITS if metrics.split(split) is not None]
    return fill(
        "readme",
        card=card,
        test=metrics.test,
        elsewhere=metrics.hospital_test,
        overlap=metrics.published_test and training_overlap(metrics.published_test),
        titles=[SPLITS[split] for split in splits],
        rows=[
            (headline.title, [in_words(*bounds(metrics, split, headline), headline.is_share) for split in splits])
            for headline in IN_README
        ],
    )


def card_block(folder: Path) -> str:
    """Give a bundle's model card, or say that there is no bundle."""
    if not (folder / CARD_FILE).is_file():
        return NOT_YET
    return model_card(read_card(folder), read_heatmap_figures(folder)).rstrip("\n")


def leakage_block(report: Mapping[str, Any]) -> str:
    """Say what an audit found, dataset by dataset, as Markdown."""
    shared = sorted(report.get("shared_between_datasets", []), key=lambda found: -found["share_of_images"])
    return fill(
        "leakage",
        report=report,
        shared=[found for found in shared if found["share_of_images"] >= _MUCH_SHARED],
        agreement=report.get("agreement_with_given_groups"),
    )


def benchmark_block(report: Mapping[str, Any]) -> str:
    """Lay the results of a run of the benchmarks out as a Markdown table."""
    return fill("benchmarks", report=report)


def ideas_block(report: Mapping[str, Any]) -> str:
    """Lay out what each idea measured, and how far that is from the start it is measured against, as Markdown."""
    starts = {name: row.get("against", FIRST_START) for name, row in report.items()}
    order = list(report)
    # Each start stands before the ideas that it is measured with.
    ranked = sorted(
        order, key=lambda name: (order.index(starts[name]) if starts[name] in order else -1, starts[name] != name)
    )
    measures = list(dict.fromkeys(key for row in report.values() for key in row["measured"]))
    rows = []
    for name in ranked:
        row, start = report[name], report.get(starts[name], {}).get("measured", {})
        cells = [_moved(row["measured"].get(key), None if name == starts[name] else start.get(key)) for key in measures]
        rows.append((row["says"], cells))
    runs = [row for name, row in report.items() if name != SHIPPED]
    return fill("ideas", runs=runs, titles=[_measure_title(key) for key in measures], rows=rows)


def hospital_block(report: Mapping[str, Any]) -> str:
    """Say what a model was worth on slices of volumes that no training saw, as Markdown."""
    found, foreign = report["metrics"]["external"], report["metrics"]["foreign"]
    (masks,) = (one["labels"]["tumor"] for one in found["segmentation"]["datasets"].values())
    return fill("other_hospital", report=report, found=found, foreign=foreign, masks=masks)


def changes_block(report: Mapping[str, Any]) -> str:
    """Say how answers turned under each change, as Markdown; ``report`` is the object that the command writes."""
    failed = [row["name"] for row in report["changes"] if not row["holds"]]
    return fill("changes", report=report, failed=failed)


def hospitals_block(folder: Path) -> str:
    """Say how a bundle answers at hospitals that it held out, as Markdown."""
    return hospitals_markdown(read_card(folder))


def _measure_title(key: str) -> str:
    measure, _, dataset = key.partition("_")
    return _MEASURES[key] if key in _MEASURES else f"{_MEASURES[measure]}, {short_name(dataset)}"


def _moved(value: float | None, start: float | None) -> str:
    """Write a figure with its difference to the start, in bold where it moved; a dash where it was not measured."""
    if value is None:
        return "–"
    if start is None:
        return f"{value:.3f}"
    words = f"{value:.3f} ({value - start:+.3f})".replace("-", "−")
    return f"**{words}**" if abs(round(value - start, 4)) >= _MOVED else words


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
