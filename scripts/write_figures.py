"""Write measured figures into the documents from the files that hold them, so that nobody types them by hand."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
CARD = ROOT / "models" / "squeezenet" / "card.json"
AUDIT = ROOT / "docs" / "audit.json"
BENCHMARKS = ROOT / "docs" / "benchmarks.json"
START, END = "<!-- figures:start -->", "<!-- figures:end -->"

NOT_YET = "They stand here once `models/squeezenet` holds a trained model and `scripts/write_figures.py` has run."

_FIGURES = (
    ("Accuracy, four classes", "four_class", "accuracy", True),
    ("Accuracy, the three kinds on Cheng's scans", "cheng_three_class", "accuracy", True),
    ("Tumor or not, web images alone: ROC AUC", "web_detection", "roc_auc", False),
    ("Tumor or not: sensitivity", "detection", "sensitivity", True),
    ("Tumor or not: specificity", "detection", "specificity", True),
    ("Calibration error (ECE), four classes; lower is better", "calibration", "ece", False),
)
"""Title, section and key on the card, and whether the figure reads best as a percentage."""


def main() -> None:
    for document, figures in documents().items():
        document.write_text(filled(document.read_text(encoding="utf-8"), figures), encoding="utf-8")
        sys.stdout.write(f"{document.relative_to(ROOT)}\n")


def documents() -> dict[Path, str]:
    """Give what belongs between the marks of each document that has them."""
    return {
        README: block(CARD),
        ROOT / "docs" / "leakage.md": leakage_block(json.loads(AUDIT.read_text(encoding="utf-8"))),
        ROOT / "docs" / "benchmarks.md": benchmark_block(json.loads(BENCHMARKS.read_text(encoding="utf-8"))),
    }


def filled(text: str, figures: str) -> str:
    """Put ``figures`` between the marks; raises ``ValueError`` where a text does not have both once, in order."""
    before, start, rest = text.partition(START)
    _, end, after = rest.partition(END)
    if not (start and end) or START in rest or END in before + after:
        raise ValueError(f"the text must have {START} and then {END}, each once")
    return f"{before}{START}\n{figures}\n{END}{after}"


def block(path: Path) -> str:
    """Say what a card holds as a sentence and a Markdown table, or that there is no card."""
    if not path.is_file():
        return NOT_YET
    card = json.loads(path.read_text(encoding="utf-8"))
    splits = card["metrics"]
    clean, leaking = splits["test"], splits.get("published_test")
    lines = [_introduction(card, clean, leaking), "", *_table(clean, leaking)]
    return "\n".join(lines)


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


def _introduction(card: Mapping[str, Any], clean: Mapping[str, Any], leaking: Mapping[str, Any] | None) -> str:
    words = (
        f"`{card['name']}` {card['version']}, {card['parameters']:,} parameters. The leak-free test has "
        f"{clean['images']:,} images in {clean['groups']:,} groups, none of which has an image in training. In "
        "brackets: 95% intervals from drawing whole groups again and again."
    )
    if leaking is not None:
        words += (
            f" The published split is shown to compare with others only: {leaking['in_training_share']:.0%} of its "
            f"{leaking['images']:,} images belong to groups that the model was trained on, so its figures are inflated."
        )
    return words


def _table(clean: Mapping[str, Any], leaking: Mapping[str, Any] | None) -> list[str]:
    titles = ["Figure", "Leak-free test", "Published split (leaks: inflated)"]
    reports = [clean] if leaking is None else [clean, leaking]
    titles = titles[: len(reports) + 1]
    rows = [
        [title, *(_in_words(report[section][key], as_percentage) for report in reports)]
        for title, section, key, as_percentage in _FIGURES
    ]
    return [f"| {' | '.join(row)} |" for row in (titles, ["---"] * len(titles), *rows)]


def _in_words(figure: Mapping[str, float | None], as_percentage: bool) -> str:
    value, low, high = (figure[name] for name in ("value", "low", "high"))
    if value is None:
        return "–"
    text = _number(value, as_percentage) + ("%" if as_percentage else "")
    if low is None or high is None:
        return text
    return f"{text} ({_number(low, as_percentage)} to {_number(high, as_percentage)})"


def _number(value: float, as_percentage: bool) -> str:
    return f"{100 * value:.1f}" if as_percentage else f"{value:.3f}"


if __name__ == "__main__":
    main()
