"""What the compared networks reach and cost, as Markdown for their document."""

from collections.abc import Mapping, Sequence
from statistics import fmean

from braintumor.dashboard.comparison import Comparison
from braintumor.dashboard.comparison.files import cut_short
from braintumor.datasets.catalogue import short_name
from braintumor.evaluation.comparison_schema import LEAK_FREE, Difference, NetworkRow
from braintumor.reports import in_words, listed
from braintumor.reports.numbers import spread
from braintumor.taxonomy import CLASSES, TITLES


def networks_block(comparison: Comparison) -> str:
    """Lay out what each network is worth without leaks and with them, what it costs, and why one has no figures."""
    report, trained = comparison.report, comparison.trained
    clean = [name for name in trained if LEAK_FREE in trained[name].figures]
    worth = [
        [
            _titled(trained[name], LEAK_FREE),
            *(_spread(comparison, name, LEAK_FREE, key) for key in comparison.figures),
            _against(trained[name].against_default),
        ]
        for name in clean
    ]
    titles = [f"{figure.title} ↓" if figure.less_is_better else figure.title for figure in comparison.figures.values()]
    leaks = [[_titled(row, LEAK_FREE), *_both(comparison, name), row.reported or "–"] for name, row in trained.items()]
    measured_on = sorted({row.measured_on for row in trained.values() if row.measured_on})
    costly = f"latency on {' and '.join(measured_on)}, one picture at a time; training as a mean of the leak-free folds"
    lines = [_how_compared(comparison), "", "Leak-free folds, no picture with a near-duplicate in training:", ""]
    lines += _markdown(["Network", *titles, "Against the default"], worth)
    lines += ["", "Class by class, on the same folds:", ""]
    lines += _markdown(_class_titles(), [_of_classes(trained[name]) for name in clean])
    lines += ["", _how_it_leaks(comparison), ""]
    lines += _markdown([*_LEAKS], leaks)
    lines += _across(comparison)
    lines += ["", f"What each costs; {costly}:", ""]
    lines += _markdown([*_COSTS], [_costs(row) for row in trained.values()])
    missing = [f"- {row.title}: {row.not_trained}" for row in report.networks.values() if row.not_trained]
    return "\n".join([*lines, "", "Without figures:", "", *missing] if missing else lines)


def _titled(row: NetworkRow, *splits: str) -> str:
    """Give a network's title, with how far its training on some splits came where that was cut short."""
    stopped = cut_short(row.on(*splits))
    return f"{row.title} ({stopped})" if stopped else row.title


_LEAKS = (
    "Network",
    "Leak-free",
    "Published split (inflated)",
    "Tumor or not, leak-free",
    "Tumor or not, published split (inflated)",
    "What its authors report",
)
_ACROSS = (
    "Network",
    "Accuracy, as published (inflated)",
    "F1, as published (inflated)",
    "Accuracy, leak-free",
    "F1, leak-free",
    "What its authors report",
)


def _across(comparison: Comparison) -> list[str]:
    """Lay out training on one set and testing on another, with and without copies; nothing where none was run."""
    splits = comparison.report.across
    if splits is None:
        return []
    split = comparison.report.splits[splits[0]]
    names = [name for name, row in comparison.trained.items() if set(splits) <= set(row.figures)]
    (leaking, *_), (clean, *_) = (comparison.runs(names[0], one) for one in splits)
    train_on, test_on = (listed([short_name(one) for one in sets]) for sets in (split.train_on, split.test_on))
    said = (
        f"Tumor or not, trained on {train_on} and tested on {test_on}'s set, of whose pictures "
        f"{split.test_in_training:.0%} have a near-duplicate among the {leaking.images:,} trained on; and the same "
        f"test, after training on the {clean.images:,} that share no group with it:"
    )
    cells = [
        [
            _titled(comparison.trained[name], *splits),
            *(_spread(comparison, name, one, key) for one in splits for key in ("accuracy_tumor", "f1_tumor")),
            comparison.trained[name].reported or "–",
        ]
        for name in names
    ]
    return ["", said, "", *_markdown([*_ACROSS], cells)]


_COSTS = (
    "Network",
    "Input",
    "Parameters",
    "Operations",
    "On disk",
    "Latency",
    "Epochs of those planned, by run",
    "Training",
    "Initial weights",
    "Trained on",
)


def _class_titles() -> list[str]:
    return ["Network", *(f"{TITLES[name]}: {rate}" for name in CLASSES for rate in ("recall", "F1"))]


def _of_classes(row: NetworkRow) -> list[str]:
    classes = row.figures[LEAK_FREE].classes
    rates = (getattr(classes[name], rate) for name in CLASSES for rate in ("recall", "f1"))
    return [_titled(row, LEAK_FREE), *(_with_interval(rate, True) for rate in rates)]


def _how_compared(comparison: Comparison) -> str:
    folds = {row.title: len(row.folds) for row in comparison.trained.values() if row.folds}
    most = max(folds.values(), default=0)
    fewer = [f"{title} {count}" for title, count in folds.items() if count != most]
    words = f"{most} of {comparison.report.protocol.folds} folds were run"
    words += f" ({', '.join(fewer)})." if fewer else " of each network."
    return f"{words} In brackets: 95% intervals from drawing whole groups again and again."


def _how_it_leaks(comparison: Comparison) -> str:
    published = comparison.report.published
    if published is None:
        return "Accuracy of the four classes, and of tumor or not at even odds:"
    split = comparison.report.splits[published]
    return (
        "Accuracy of the four classes, and of tumor or not at even odds, leak-free and on the split of the "
        f"{listed([short_name(name) for name in split.train_on])} set as it was published, of whose test pictures "
        f"{split.test_in_training:.0%} have a near-duplicate among those trained on. That figure is inflated:"
    )


def _spread(comparison: Comparison, name: str, split: str | None, key: str) -> str:
    return in_words(*comparison.spread(name, split, key), comparison.figures[key].is_share)


def _both(comparison: Comparison, name: str) -> list[str]:
    published = comparison.report.published
    short = cut_short(comparison.runs(name, published))
    behind = f", {short}" if short and published in comparison.trained[name].figures else ""
    return [
        _spread(comparison, name, split, key) + (behind if split == published else "")
        for key in ("accuracy", "accuracy_tumor")
        for split in (LEAK_FREE, published)
    ]


def _against(difference: Difference | None) -> str:
    """Tell the difference of accuracies in percentage points, and McNemar's p; a dash for the default itself."""
    if difference is None:
        return "–"
    bounds = spread(difference.accuracy_difference)
    value, low, high = (f"{100 * bound:+.1f}".replace("-", "−") for bound in bounds)
    p = difference.mcnemar.p
    return f"{value} points ({low} to {high}), p {'< 0.001' if p < 0.001 else f'= {p:.3f}'}"


def _costs(row: NetworkRow) -> list[str]:
    epochs = ", ".join(f"{run.epochs} of {run.planned_epochs}" for run in row.runs if run.planned_epochs)
    seconds = [run.seconds for run in row.on(LEAK_FREE)]
    return [
        row.title,
        f"{row.size} × {row.size}",
        f"{row.parameters:,}",
        f"{(row.flops or 0) / 1e6:,.1f} M",
        f"{(row.bytes_on_disk or 0) / 1e6:.1f} MB",
        f"{row.latency_ms:.1f} ms",
        epochs or "–",
        f"{fmean(seconds) / 60:,.1f} min" if seconds else "–",
        row.initial_weights or "none",
        row.device,
    ]


def _with_interval(figure: Mapping[str, float | None] | None, is_share: bool) -> str:
    """Write a figure with its interval; a dash where it was not measured."""
    return "–" if figure is None else in_words(*spread(figure), is_share)


def _markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Lay out a table."""
    return [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows)]
