"""The figures worth a line, and the splits they are of: one list for pages, documents and model cards."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from braintumor.bundles import Estimate, Metrics, SplitFigures
from braintumor.bundles.figures import Answered
from braintumor.datasets.catalogue import CATALOGUE

TEST, PUBLISHED = "test", "published_test"
MIRRORED = "mirrored_test"
"""Slices of the test beside the same slices without their tumor."""

SPLITS: Mapping[str, str] = {TEST: "Leak-free test", PUBLISHED: "Published test (inflated)"}
"""Splits whose figures are shown side by side, with their titles."""

OUTLINE = "Outline, Dice"
"""Short title of the overlap on the reference set."""

Figure = Estimate | float | None


@dataclass(frozen=True)
class Headline:
    """Title of a figure, and how to find it among the figures of a split.

    ``is_share`` tells a share, best read in percent, from an area, an overlap or an error without a unit; ``short`` is
    the title on a tile of one of the figures to see first. With ``mirrored`` the figure is that of ``MIRRORED``, and
    stands beside the test only.
    """

    title: str
    of: Callable[[SplitFigures], Figure]
    is_share: bool = True
    short: str | None = None
    mirrored: bool = False


def bounds(metrics: Metrics, split: str, headline: Headline) -> tuple[float, float, float]:
    """Give a headline figure's value, low and high of a split; NaN for what is not there."""
    mirrored = metrics.mirrored_test if split == TEST else None
    report = mirrored if headline.mirrored else metrics.split(split)
    found = None if report is None else headline.of(report)
    if isinstance(found, Estimate):
        return found.floats
    # A median has no interval.
    return (math.nan if found is None else found), math.nan, math.nan


def _accuracy(name: str) -> Callable[[SplitFigures], Figure]:
    return lambda report: report.datasets[name].accuracy if name in report.datasets else None


def _kind(name: str) -> Callable[[SplitFigures], Figure]:
    return lambda report: report.datasets[name].accuracy_given_tumor if name in report.datasets else None


def _dice(name: str) -> Callable[[SplitFigures], Figure]:
    return lambda report: (
        report.segmentation.datasets[name].dice
        if report.segmentation is not None and name in report.segmentation.datasets
        else None
    )


def _median_dice(name: str) -> Callable[[SplitFigures], Figure]:
    return lambda report: (
        report.segmentation.datasets[name].dice_median
        if report.segmentation is not None and name in report.segmentation.datasets
        else None
    )


def _of_datasets() -> tuple[Headline, ...]:
    """Accuracy of the reference sets, and outlines of all sets, the reference sets first."""
    kinds: list[Headline] = []
    outlines: list[Headline] = []
    for name, dataset in sorted(CATALOGUE.items(), key=lambda item: (not item[1].is_reference, item[0])):
        title = f"{dataset.short} scans" if dataset.is_reference else dataset.short
        if dataset.is_reference:
            kinds.append(Headline(f"Accuracy, {title}", _accuracy(name)))
            kinds.append(Headline(f"Kind of tumor, {title}", _kind(name)))
        short = OUTLINE if dataset.is_reference else None
        outlines.append(Headline(f"Dice, {title}", _dice(name), False, short))
        outlines.append(Headline(f"Dice, {title}: median", _median_dice(name), False))
    return (*kinds, *outlines)


def _answered(of: Callable[[Answered], Figure]) -> Callable[[SplitFigures], Figure]:
    return lambda report: None if report.answered is None else of(report.answered)


HEADLINES: tuple[Headline, ...] = (
    Headline("Accuracy, four classes", lambda report: report.four_class.accuracy, short="Accuracy"),
    Headline("Balanced accuracy, four classes", lambda report: report.four_class.balanced_accuracy),
    Headline("Macro F1, four classes", lambda report: report.four_class.macro_f1),
    *_of_datasets(),
    Headline("Tumor or not: ROC AUC", lambda report: report.detection.roc_auc, False, "ROC AUC"),
    Headline("Tumor or not: sensitivity", lambda report: report.detection.sensitivity, short="Sensitivity"),
    Headline("Tumor or not: specificity", lambda report: report.detection.specificity, short="Specificity"),
    Headline("Web images: ROC AUC", lambda report: report.web_detection.roc_auc, False),
    Headline("Web images: sensitivity", lambda report: report.web_detection.sensitivity, short="Sensitivity, web"),
    Headline("Web images: specificity", lambda report: report.web_detection.specificity),
    Headline("Same slices without their tumor: ROC AUC", lambda report: report.detection.roc_auc, False, mirrored=True),
    Headline("Calibration error (ECE), four classes", lambda report: report.calibration.ece, False),
    Headline("Calibration error (ECE), tumor or not", lambda report: report.calibration.detection_ece, False),
    Headline("Share answered, not referred", _answered(lambda found: found.share)),
    Headline("Accuracy of what is answered", _answered(lambda found: found.accuracy), short="Right if answered"),
    Headline("Sensitivity of what is answered", _answered(lambda found: found.sensitivity), short="Found if answered"),
    Headline("Specificity of what is answered", _answered(lambda found: found.specificity)),
)
"""Every figure worth a line; pages and documents pick from these by title."""
