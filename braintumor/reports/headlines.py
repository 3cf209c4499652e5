"""The figures worth a line, and the splits they are of: one list for pages, documents and model cards."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from braintumor.reports.numbers import spread

TEST, PUBLISHED = "test", "published_test"
MIRRORED = "mirrored_test"
"""Split of test slices beside the same slices without their tumor."""

SPLITS: Mapping[str, str] = {TEST: "Leak-free test", PUBLISHED: "Published test (inflated)"}
"""Splits whose figures are shown side by side, with their titles."""


class Headline(NamedTuple):
    """Title of a figure, and the keys that lead to it among the figures of a split.

    ``is_share`` tells a share, best read in percent, from an area, an overlap or an error without a unit.
    """

    title: str
    path: tuple[str, ...]
    is_share: bool = True


HEADLINES: tuple[Headline, ...] = (
    Headline("Accuracy, four classes", ("four_class", "accuracy")),
    Headline("Balanced accuracy, four classes", ("four_class", "balanced_accuracy")),
    Headline("Macro F1, four classes", ("four_class", "macro_f1")),
    Headline("Accuracy, Cheng scans", ("cheng_three_class", "accuracy")),
    Headline("Kind of tumor, Cheng scans", ("cheng_three_class", "accuracy_given_tumor")),
    Headline("Dice, Cheng scans", ("segmentation", "datasets", "cheng", "dice"), False),
    Headline("Dice, Cheng scans: median", ("segmentation", "datasets", "cheng", "dice_median"), False),
    Headline("Dice, Br35H", ("segmentation", "datasets", "br35h", "dice"), False),
    Headline("Dice, Br35H: median", ("segmentation", "datasets", "br35h", "dice_median"), False),
    Headline("Tumor or not: ROC AUC", ("detection", "roc_auc"), False),
    Headline("Tumor or not: sensitivity", ("detection", "sensitivity")),
    Headline("Tumor or not: specificity", ("detection", "specificity")),
    Headline("Web images: ROC AUC", ("web_detection", "roc_auc"), False),
    Headline("Web images: sensitivity", ("web_detection", "sensitivity")),
    Headline("Web images: specificity", ("web_detection", "specificity")),
    Headline("Same slices without their tumor: ROC AUC", ("mirrored", "detection", "roc_auc"), False),
    Headline("Calibration error (ECE), four classes", ("calibration", "ece"), False),
    Headline("Calibration error (ECE), tumor or not", ("calibration", "detection_ece"), False),
    Headline("Share answered, not referred", ("answered", "share")),
    Headline("Accuracy of what is answered", ("answered", "accuracy")),
    Headline("Sensitivity of what is answered", ("answered", "sensitivity")),
    Headline("Specificity of what is answered", ("answered", "specificity")),
)
"""Every figure worth a line; pages and documents pick from these by title."""


def bounds(report: Mapping[str, Any] | None, headline: Headline) -> tuple[float, float, float]:
    """Give a headline figure's value, low and high from the figures of a split; NaN for what is not there."""
    found: Any = report
    for key in headline.path:
        found = found.get(key) if isinstance(found, Mapping) else None
    # A median stands there as a plain number, without an interval.
    return spread(found if isinstance(found, Mapping) else {"value": found})
