"""Write the figures of the shipped model from its card into the README, so that nobody types them by hand."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
CARD = ROOT / "models" / "squeezenet" / "card.json"
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
    README.write_text(filled(README.read_text(encoding="utf-8"), block(CARD)), encoding="utf-8")
    sys.stdout.write(f"{README.name}: {'figures of the card' if CARD.is_file() else 'no card, so no figures'}\n")


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
