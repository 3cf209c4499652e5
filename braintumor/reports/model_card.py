"""A model's card in words, made from the files of its bundle and from nothing else."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from braintumor.evaluation import figures, interval, segmentation_figures
from braintumor.evaluation.faithfulness import FLOORS, MEASURES
from braintumor.evaluation.samples import Sample, class_rates, share
from braintumor.reports import failures
from braintumor.reports.headlines import HEADLINES, MIRRORED, SPLITS, TEST, bounds
from braintumor.reports.names import source
from braintumor.reports.numbers import figure, in_words, listed, percent, spread, stated
from braintumor.taxonomy import ANY_TUMOR, CLASSES, TITLES

_PARTS = ("train", "validation", "test")
_SURE = 0.9
_RESAMPLES = 1000
_MOST_CONFUSIONS = 6
_MOST_SURE = 5
_ACTIVE = re.compile(r"([\\`*_{}\[\]<>|#$~&!])")
_LINK = re.compile(r"https://[\w./?=%+-]+")

_CLAIM: Sequence[tuple[str, str, str]] = (
    ("1–4", "Identification, background, objectives", "Model details; Intended use"),
    ("5–6", "Study design and goal", "Retrospective, on public data; a model is made and tested"),
    ("7–10", "Data sources, eligibility, preprocessing, subsets", "Training data; Evaluation data"),
    ("11–13", "Data elements, de-identification, missing data", "Training data; Ethical considerations"),
    ("14–18", "Reference standard, annotators, variability", "Training data: what is not known is said there"),
    ("19–21", "Sample size, partitions, level at which they are disjoint", "Training data; Evaluation data"),
    ("22–24", "Model, software, initial weights", "Model details"),
    ("25–27", "Training, choice of the final model, ensembles", "Model details; no ensemble unless the network is one"),
    ("28–31", "Metrics, uncertainty, robustness, explainability", "Metrics; Quantitative analyses"),
    ("32", "Testing on external data", "Caveats and recommendations: not done beyond the sources named"),
    ("33–34", "Flow of participants, demographics", "Training data; Ethical considerations: not known"),
    ("35–37", "Performance, accuracy with intervals, failure analysis", "Quantitative analyses; Failure modes"),
    ("38–39", "Limitations, implications for practice", "Caveats and recommendations; Intended use"),
    ("40–42", "Registration, protocol, funding", "Not registered; the protocol is the code; no funding is declared"),
)


def model_card(
    card: Mapping[str, Any],
    predictions: pd.DataFrame | None,
    segmentation: pd.DataFrame | None = None,
    heatmaps: Mapping[str, Any] | None = None,
) -> str:
    """Tell in Markdown what a model is, what it is for, how good it is and how it fails.

    ``card`` is a bundle's card, ``predictions`` and ``segmentation`` its tables, ``heatmaps`` what measuring its
    heatmaps gave; without one, what it holds is said to be missing. Texts of the card are escaped; no picture and no
    file of a dataset is named. Headings: Mitchell et al., Model Cards for Model Reporting, FAT* 2019; items: Mongan,
    Moy and Kahn, CLAIM, Radiology: Artificial Intelligence 2020, 2:e200029.

    Raises ``ValueError`` for tables that ``figures`` or ``segmentation_figures`` refuse.
    """
    rows = {} if predictions is None else {str(name): some for name, some in predictions.groupby("split")}
    outlined = None if segmentation is None else segmentation[segmentation["split"] == TEST]
    reports = {name: figures(rows[name], threshold=_threshold(card)) for name in (*SPLITS, MIRRORED) if name in rows}
    parts = [
        f"# Model card: {_text(card.get('name'))} {_text(card.get('version'))}",
        "Made from the model's own files. Intervals are 95% intervals from drawing whole groups of near-identical "
        "pictures again and again, so few groups make them wide. Headings follow Model Cards for Model Reporting "
        "(Mitchell et al., 2019), items the Checklist for Artificial Intelligence in Medical Imaging (CLAIM: Mongan et "
        "al., 2020; updated 2024).",
        _details(card),
        _intended_use(),
        _factors(card),
        _metrics(card),
        _training_data(card),
        _evaluation_data(reports),
        _analyses(card, rows, reports, outlined, heatmaps),
        _failure_modes(card, rows, outlined),
        _ethics(),
        _caveats(reports, (card.get("metrics") or {}).get("hospital_test")),
        _claim(),
    ]
    return "\n\n".join(parts) + "\n"


def _details(card: Mapping[str, Any]) -> str:
    given, parameters = card.get("input") or {}, card.get("parameters")
    size = given.get("size")
    earlier = card.get("started_from") or {}
    commands = [*earlier.get("commands", []), card.get("command", "not recorded")]
    facts = [
        f"- Made on {_text(card.get('created'))} as version {_text(card.get('version'))}; network "
        f"{_text(card.get('network'))}: {_text(card.get('network_source'))}"
        + (f"; {parameters:,} parameters." if isinstance(parameters, int) else "."),
        f"- Input: one slice of the head, gray, {_text(size)} × {_text(size)} pixels, from {_range(given)}. "
        "Output: P(tumor), "
        + ("the kind of tumor (glioma, meningioma, pituitary tumor), " if _tells_kinds(card) else "")
        + ("a map of where the tumor is, " if card.get("map") else "")
        + "and whether the scan is referred to a reader instead.",
        f"- Initial weights: {_initial_weights(card)}",
        *_trained(card.get("training") or {}),
        f"- {_kept(card)} Trained again by" + (", each from what the one before wrote:" if earlier else ":"),
        _fenced(*map(str, commands)),
        "- License: that of the software (MIT) for the weights; each dataset keeps its own, below.",
    ]
    return "\n".join(["## Model details", "", *facts])


def _initial_weights(card: Mapping[str, Any]) -> str:
    earlier = card.get("started_from")
    if not earlier:
        return f"{_text(card.get('initial_weights'), 'drawn at random')}{_digest(card)}."
    first = _text(earlier.get("initial_weights"), "weights drawn at random") + _digest(earlier)
    whose = f"{_text(earlier.get('name'))} {_text(earlier.get('version'))}{_digest(card)}"
    return f"those of {whose}, trained for {_text(earlier.get('epochs'))} epochs from {first}."


def _digest(facts: Mapping[str, Any]) -> str:
    """Say what identifies the initial weights that a card, or what it started from, names."""
    digest = facts.get("initial_weights_sha256")
    return f" (SHA-256 {_text(digest)[:16]}…)" if digest else ""


def _map_temperature(calibration: Mapping[str, Any]) -> str:
    value = calibration.get("map_temperature")
    return f", those of the map's cells by {value:.3f}" if isinstance(value, (int, float)) and value != 1 else ""


def _trained(training: Mapping[str, Any]) -> list[str]:
    """Tell on what and how each network was trained; nothing for a card that does not say."""
    if not training:
        return []
    software = listed([f"{_text(name)} {_text(version)}" for name, version in (training.get("software") or {}).items()])
    lines = [f"- Trained on {_text(training.get('device'))} with {software}."]
    for name, options in (training.get("options") or {}).items():
        sampling = options.get("sampling") or {}
        changes = {**(sampling.get("augmentation") or {}), **(sampling.get("counterfactuals") or {})}
        plain = {key: value for key, value in options.items() if key != "sampling"}
        lines.append(f"- Options of {_text(name)}: {_amounts(plain)}. Changes to its pictures: {_amounts(changes)}.")
    return lines


def _amounts(options: Mapping[str, Any]) -> str:
    return ", ".join(f"{_text(name)} {_text(value)}" for name, value in options.items() if value) or "none"


def _kept(card: Mapping[str, Any]) -> str:
    epochs = [_text(epoch) for epoch in card.get("kept_epochs") or []]
    if len(epochs) < 2:
        return "Of the epochs, the one that was best on validation groups was kept."
    return (
        f"The weights are the mean of those after epochs {listed(epochs)}, which on validation groups were better "
        "together than the best of them alone."
    )


def _range(given: Mapping[str, Any]) -> str:
    values = given.get("range")
    return f"{_text(values[0])} to {_text(values[1])}" if isinstance(values, list) and len(values) == 2 else "0 to 255"


def _intended_use() -> str:
    return "\n".join(
        [
            "## Intended use",
            "",
            "- **Uses**: research, teaching, and decision support beside a reader, on single MRI slices of the head.",
            "- **Users**: qualified readers of MRI, and researchers. A patient should not interpret an answer alone.",
            "- **Out of scope**: diagnosis or treatment on its ground; screening; triage without a reader; ruling a "
            "tumor out; other diseases (stroke, bleeding, abscess, inflammation, metastasis, rare tumors get one of "
            "its answers or a referral); other modalities and body parts; children, whose scans the sources do not "
            "single out; grading a tumor; planning surgery or radiation by the outline.",
            "- It is no medical device and no authority has approved it.",
        ]
    )


def _factors(card: Mapping[str, Any]) -> str:
    names = listed([_text(source(name)) for name in card.get("data") or {}]) or "not recorded"
    return "\n".join(
        [
            "## Factors",
            "",
            f"- **Told apart below**: the source of the picture ({names}), its class, and the size of the tumor.",
            "- **Matter, but cannot be told apart**, since the sources do not give them with their pictures: age, sex "
            "and origin of the patients, hospital, scanner, field strength, sequence, plane and contrast agent.",
            "- In these sources nearly every contrast-enhanced slice shows a tumor and most tumor-free pictures come "
            "from web pages, so the look of a picture alone speaks for or against a tumor.",
        ]
    )


def _metrics(card: Mapping[str, Any]) -> str:
    point, calibration, kinds = card.get("operating_point") or {}, card.get("calibration") or {}, _tells_kinds(card)
    lines = [
        "## Metrics",
        "",
        ("- Four classes: accuracy, balanced accuracy, precision, recall and F1. " if kinds else "- ")
        + "Tumor or not: ROC AUC, and sensitivity and specificity at the operating point. Outlines: Dice against those "
        "drawn by hand. Calibration: expected calibration error in 15 bins (0 is best).",
        *_score(card),
        f"- **Operating point**: P(tumor) of {_threshold(card):.3f} or more is called a tumor. {_chosen_for(point)}",
    ]
    if all(isinstance(calibration.get(name), (int, float)) for name in ("slope", "shift", "temperature")):
        lines.append(
            f"- **Calibration**, fitted on {_text(calibration.get('fitted_on'))} groups: P(tumor) is the sigmoid of "
            f"{calibration['slope']:.3f} × score {'+' if calibration['shift'] >= 0 else '−'} "
            f"{abs(calibration['shift']):.3f}"
            + (f"; the kinds' logits are divided by {calibration['temperature']:.3f}" if kinds else "")
            + _map_temperature(calibration)
            + "."
        )
    rule = point.get("referral")
    if isinstance(rule, Mapping) and {"tumor_low", "tumor_high", "kind_confidence"} <= set(rule):
        limit = rule.get("distance_limit")
        kind_rule = f", where above that the kind's probability given a tumor is below {rule['kind_confidence']:.3f}"
        lines.append(
            f"- **Referral**: a scan is referred where {rule['tumor_low']:.3f} ≤ P(tumor) < {rule['tumor_high']:.3f}"
            + (kind_rule if kinds else "")
            + (f", and where its distance from the training scans exceeds {limit:.3f} (1 is usual)." if limit else ".")
        )
    if rule := card.get("volume_rule"):
        lines.append(
            f"- **Volumes**: one that lies in space is judged by all of its slices; below {rule['tumor_low']:.3f} its "
            f"answer is no tumor, from {rule['tumor_high']:.3f} on a tumor, and between them it is referred. On stacks "
            f"of patients left out, no tumor was right in {rule['least_npv']:.0%} and a tumor in "
            f"{rule['least_ppv']:.0%}, were half of them tumors."
        )
    return "\n".join(lines)


def _score(card: Mapping[str, Any]) -> list[str]:
    cells = (card.get("map") or {}).get("score_cells")
    if not isinstance(cells, int):
        return []
    chosen = f"{cells} of a map of 96 × 96, chosen on validation groups"
    return [f"- **Score**: the mean of the map's highest cells ({chosen})."]


def _chosen_for(point: Mapping[str, Any]) -> str:
    wanted = point.get("chosen_for_sensitivity")
    if not isinstance(wanted, (int, float)):
        return "What it was chosen for is not recorded."
    names = [_text(source(name)) for name in point.get("datasets") or []]
    where = f" in each of {listed(names)}" if names else ""
    return (
        f"It is the highest threshold that finds at least {wanted:.0%} of the tumors{where} on "
        f"{_text(point.get('fitted_on'))} groups."
    )


def _training_data(card: Mapping[str, Any]) -> str:
    split, given = card.get("split") or {}, card.get("input") or {}
    groups = split.get("groups") or {}
    parts: dict[str, tuple[str, ...]] = {part.capitalize(): (part,) for part in _PARTS}
    if split.get("hospitals"):
        parts["Held-out hospitals"] = ("hospital_validation", "hospital_test")
    head = ["Source", "Published as", "Class", *parts, "License"]
    rows = [
        [
            _text(source(name)),
            _link(facts, name),
            TITLES.get(label, _text(label)),
            *(f"{sum(images.get(part, 0) for part in of):,}" for of in parts.values()),
            _license(facts),
        ]
        for name, facts in (card.get("data") or {}).items()
        for label, images in facts["images"].items()
    ]
    return "\n".join(
        [
            "## Training data",
            "",
            *_table(head, rows),
            "",
            "Pictures by the part they went to; copies of one picture are counted each time.",
            "",
            "- **Eligibility**: every labelled picture of the sources that can be read, but those whose copies carry "
            "contradicting labels. None was left out for its quality.",
            "- **Reference standard**: the labels and outlines that the sources publish. Who drew them, from what "
            "(tissue, reports, or the picture alone), with which tool and how well annotators agree is not recorded "
            "with the pictures, and none was read again. Some sources tell only that there is a tumor, not its kind.",
            "- **Leakage**: pictures that are near-duplicates of each other, rotated or mirrored ones included, and "
            "neighboring slices of one series form groups, and a group lies in one part alone: "
            + listed([f"{_text(groups.get(part))} groups in {part}" for part in _PARTS])
            + f" (fold {_text(split.get('fold'))} of {_text(split.get('folds'))}, seed {_text(split.get('seed'))}, "
            f"index {_text(split.get('index_sha256'))[:12]}). Two slices of one patient may still be parted where the "
            "patient is not known.",
            f"- **Preprocessing** ({_text(given.get('preprocessing'))}): the head is cut out, made square and shrunk, "
            "its gray values scaled. A slice that cannot be read is an error, never guessed.",
            "- **Sample size**: what the sources hold; it was not planned.",
        ]
    )


def _evaluation_data(reports: Mapping[str, Mapping[str, Any]]) -> str:
    lines = ["## Evaluation data", ""]
    for name, title in SPLITS.items():
        report = reports.get(name)
        if report is None:
            lines.append(f"- **{title}**: none is at hand.")
            continue
        counts = listed(
            [
                f"{sum(labels.values()):,} of {_text(source(dataset))}"
                for dataset, labels in report["by_dataset_and_class"].items()
            ]
        )
        share = report["in_training_share"]
        leak = (
            "no group has a picture in training"
            if not share
            else f"{percent(share)} of them were themselves in the training set, so its figures are inflated "
            "and stand here only to compare with publications"
        )
        lines.append(f"- **{title}**: {report['images']:,} pictures in {report['groups']:,} groups ({counts}); {leak}.")
    lines.append(
        "- In the leak-free test a picture counts once in a source, however many copies it has. It comes from the same "
        "sources as the training data: it is internal validation."
    )
    return "\n".join(lines)


def _analyses(
    card: Mapping[str, Any],
    rows: Mapping[str, pd.DataFrame],
    reports: Mapping[str, Mapping[str, Any]],
    outlined: pd.DataFrame | None,
    heatmaps: Mapping[str, Any] | None,
) -> str:
    lines = ["## Quantitative analyses"]
    if not reports:
        return "\n\n".join([*lines, "The model's predictions of held-out pictures are missing."])
    lines += ["", *_headline_table(reports)]
    if TEST in reports and _tells_kinds(card):
        lines += ["", "### By class, leak-free test", "", *_class_table(rows[TEST])]
    if TEST in reports:
        lines += ["", "### By source and class, leak-free test", "", *_source_table(card, rows[TEST])]
    if outlined is not None and len(outlined):
        lines += ["", "### Outlines, leak-free test", "", *_outline_table(outlined)]
    lines += ["", "### Robustness and explainability", "", *_robustness(card, reports, heatmaps)]
    return "\n".join(lines)


def _headline_table(reports: Mapping[str, Mapping[str, Any]]) -> list[str]:
    shown = {title: reports[name] for name, title in SPLITS.items() if name in reports}
    rows = []
    for headline in HEADLINES:
        values = [in_words(*bounds(report, headline), headline.is_share) for report in shown.values()]
        rows += [[headline.title, *values]] if set(values) != {"–"} else []
    return _table(["Figure", *shown], rows)


def _class_table(rows: pd.DataFrame) -> list[str]:
    sample = Sample.of(rows, _RESAMPLES, 0)
    rates = class_rates(sample)
    table = []
    for number, name in enumerate(CLASSES):
        is_class = sample.truth == number
        if is_class.any():
            # A draw without the class has none of the three; the share of all or none found has its exact bound.
            figures_of_class = (
                share(sample, sample.right, is_class),
                interval(rates.precision[:, number]),
                interval(rates.f1[:, number]),
            )
            counts = (f"{is_class.sum():,}", f"{sample.bootstrap.groups_among(is_class):,}")
            table.append([TITLES[name], *map(_told, figures_of_class), *counts])
    return _table(["Class", "Recall", "Precision", "F1", "Pictures", "Groups"], table)


def _source_table(card: Mapping[str, Any], rows: pd.DataFrame) -> list[str]:
    """Lay out by source and class how many get their class, are called rightly at the operating point, are answered."""
    kinds, table = _tells_kinds(card), []
    for (dataset, label), some in rows.groupby(["dataset", "label"]):
        sample = Sample.of(some, _RESAMPLES, 0)
        everything = sample.everything
        called = (sample.p_tumor >= _threshold(card)) == sample.is_tumor
        kind = "kind unknown" if label == ANY_TUMOR else _told(share(sample, sample.right, everything))
        answered = ~failures.answers(some)["referred"].to_numpy()
        cells = (_told(share(sample, called, everything)), _told(share(sample, answered, everything)))
        counts = (f"{len(some):,}", f"{sample.bootstrap.count:,}")
        table.append([_text(source(str(dataset))), TITLES[label], *[kind] * kinds, *cells, *counts])
    head = ["Source", "Class", *["Right class"] * kinds, "Tumor or not right", "Answered", "Pictures", "Groups"]
    return _table(head, table)


def _outline_table(rows: pd.DataFrame) -> list[str]:
    table = [
        [
            _text(source(dataset)),
            TITLES[label],
            _told(found["dice"], is_share=False),
            figure(found["dice_median"], False),
            percent(found["lesion_sensitivity"]),
            f"{found['images']:,}",
            f"{found['groups']:,}",
        ]
        for dataset, parts in segmentation_figures(rows)["datasets"].items()
        for label, found in parts["labels"].items()
    ]
    return _table(["Source", "Class", "Mean Dice", "Median Dice", "Lesions found", "Pictures", "Groups"], table)


def _robustness(
    card: Mapping[str, Any], reports: Mapping[str, Mapping[str, Any]], heatmaps: Mapping[str, Any] | None
) -> list[str]:
    lines = []
    if MIRRORED in reports:
        report = reports[MIRRORED]
        detection = report["detection"]
        lines.append(
            f"- Slices against themselves with the tumor's half replaced by the mirrored other one "
            f"({report['images']:,} pictures in {report['groups']:,} groups), where source and label no longer go "
            f"together: ROC AUC {_told(detection['roc_auc'], is_share=False)}, "
            f"sensitivity {_told(detection['sensitivity'])}, specificity {_told(detection['specificity'])}."
        )
    foreign = (card.get("metrics") or {}).get("foreign")
    if isinstance(foreign, Mapping) and {"auroc", "foreign_referred", "real_referred"} <= set(foreign):
        lines.append(
            f"- Pictures that are no brain MRI ({len(foreign.get('kinds') or {})} kinds): "
            f"{percent(foreign['foreign_referred'])} are referred, and for the same reason "
            f"{percent(foreign['real_referred'])} of real scans"
            + _by_source(foreign.get("real_referred_by_dataset") or {})
            + f"; ROC AUC of the distance {figure(foreign['auroc'], False)}."
        )
    lines = lines or ["- Not measured."]
    methods = (heatmaps or {}).get("methods") or {}
    if methods:
        rows = [
            [_text(FLOORS.get(name, name)), *(_told(found[key], key in ("inside", "pointing")) for key in MEASURES)]
            for name, found in methods.items()
        ]
        lines += ["", *_table(["Heatmap", *(_text(key.replace("_", " ")) for key in MEASURES)], rows)]
    return lines


def _by_source(shares: Mapping[str, Any]) -> str:
    told = listed([f"{_text(source(name))} {percent(share)}" for name, share in shares.items()])
    return f" ({told})" if told else ""


def _failure_modes(card: Mapping[str, Any], rows: Mapping[str, pd.DataFrame], outlined: pd.DataFrame | None) -> str:
    lines = ["## Failure modes", "", "Of the leak-free test; pictures are described, none is shown or named."]
    if TEST in rows:
        told = failures.answers(rows[TEST])
        # Without kinds there is no class to be wrong about but tumor or not, which is told by its own table.
        lines += [*_mixed_up(told), *_sure(told)] if _tells_kinds(card) else []
        lines += [*_missed(told, _threshold(card)), *_referred(card, rows[TEST])]
    if outlined is not None and len(outlined):
        lines += [*_small(outlined), *_false_regions(outlined)]
    return "\n".join(lines)


def _mixed_up(rows: pd.DataFrame) -> list[str]:
    found = failures.confusions(rows).head(_MOST_CONFUSIONS)
    if not len(found):
        return ["", "No picture of known class got another one."]
    table = [
        [
            TITLES[row.label],
            TITLES[row.answered],
            f"{row.images:,} ({percent(row.share)})",
            stated(row.stated),
            percent(row.referred),
            ", ".join(f"{_text(source(name))} {count:,}" for name, count in row.sources.items()),
        ]
        for row in found.itertuples()
    ]
    head = ["Truth", "Likeliest class", "Pictures (of the class)", "Median stated", "Referred", "Sources"]
    wrong, groups = int((rows["wrong"] == 1).sum()), failures.groups_of_half(rows)
    return [
        "",
        "### Classes mixed up",
        "",
        *_table(head, table),
        "",
        f"In all {wrong:,} of {int(rows['wrong'].notna().sum()):,} pictures of known class are wrong, "
        f"and half of these lie in {groups:,} of {rows['group'].nunique():,} groups: "
        "errors come by patient and picture, not evenly.",
    ]


def _sure(rows: pd.DataFrame) -> list[str]:
    chosen = failures.sure_errors(rows, _SURE)
    kept = int(((rows["wrong"] == 1) & ~rows["referred"]).sum())
    lines = [
        "",
        "### Sure and wrong",
        "",
        f"{kept:,} wrong answers are given, not referred; {len(chosen):,} of them are stated with {_SURE:.0%} or more.",
    ]
    examples = chosen.drop_duplicates("group").head(_MOST_SURE)
    told = [
        f"- A picture of {_text(source(row.dataset))} labelled {_inside(row.label)} is answered "
        f"{_inside(row.answered)} at {stated(row.stated)}."
        for row in examples.itertuples()
    ]
    return [*lines, "", *told] if told else lines


def _missed(rows: pd.DataFrame, threshold: float) -> list[str]:
    table = [
        [
            _text(source(row.dataset)),
            f"{row.missed:,} of {row.tumors:,}",
            f"{row.missed_answered:,}",
            f"{row.called:,} of {row.tumor_free:,}",
            f"{row.called_answered:,}",
        ]
        for row in failures.missed_and_false(rows, threshold).itertuples()
    ]
    head = [
        "Source",
        "Tumors below the operating point",
        "Missed, not referred",
        "Tumor-free at or above it",
        "False alarms, not referred",
    ]
    return ["", "### Missed tumors and false alarms", "", *_table(head, table)]


def _referred(card: Mapping[str, Any], rows: pd.DataFrame) -> list[str]:
    table = failures.referral_reasons(card, rows)
    if table is None:
        return []
    kinds = _tells_kinds(card)
    cells = [
        [name, f"{row.images:,}", percent(row.share), *[figure(row.wrong)] * kinds]
        for name, row in zip(table.index, table.itertuples(), strict=True)
    ]
    head = ["Reason", "Pictures", "Of all", *["Would be wrong"] * kinds]
    return ["", "### Why it refers", "", *_table(head, cells)]


def _small(rows: pd.DataFrame) -> list[str]:
    table = [
        [
            f"{row.smallest:.2%} to {row.largest:.2%}",
            figure(row.dice_median, False),
            percent(row.missed),
            percent(row.nothing),
            f"{row.images:,}",
            f"{row.groups:,}",
        ]
        for row in failures.outlines_by_size(rows).itertuples()
    ]
    head = ["Tumor, of the picture", "Median Dice", "Lesions missed", "Nothing outlined", "Pictures", "Groups"]
    lines = ["", "### Missed lesions by size", "", *_table(head, table)]
    empty = rows[rows["found_share"] == 0]
    if len(empty):
        largest = empty.loc[empty["tumor_share"].idxmax()]
        lines += [
            "",
            f"The largest tumor with nothing outlined covers {largest['tumor_share']:.2%} of its picture "
            f"({_inside(largest['label'])}).",
        ]
    return lines


def _false_regions(rows: pd.DataFrame) -> list[str]:
    table = [
        [
            _text(source(dataset)),
            TITLES[label],
            percent(share),
            f"{found['false_lesions_per_image']:.2f}",
            f"{found['images']:,}",
        ]
        for dataset, label, found, share in failures.outlines_by_class(rows)
    ]
    head = ["Source", "Class", "With a false region", "False regions a picture", "Pictures"]
    return ["", "### False outlines beside a tumor", "", *_table(head, table)]


def _ethics() -> str:
    return "\n".join(
        [
            "## Ethical considerations",
            "",
            "- The sources are public and say little of consent and de-identification; a picture may be of anybody. No "
            "picture is kept with the model.",
            "- Who the patients were is not known, so fairness by age, sex or origin was not measured and must not be "
            "assumed.",
            "- A missed tumor may delay care and a false alarm brings fear and further tests; the operating point "
            "is set by the share of tumors found, and doubt is handed to a reader. A reader may still lean on an "
            "answer too readily: read the scan first.",
        ]
    )


def _caveats(reports: Mapping[str, Mapping[str, Any]], elsewhere: Mapping[str, Any] | None) -> str:
    lines = ["## Caveats and recommendations", ""]
    cheng = (reports.get(TEST) or {}).get("cheng_three_class") or {}
    if cheng.get("groups"):
        lines.append(
            f"- **Few groups**: the {cheng['images']:,} test slices of Cheng's set make {cheng['groups']:,} groups, so "
            "one patient more or less moves its figures by points; look at the intervals."
        )
    lines += [
        "- **The source tells the label**: pictures with and without a tumor come from different places and look so. "
        "Locating the tumor lessens that and does not end it.",
        "- **Slices, not scans**: the network sees one 2D slice at a time, without other sequences or history. What "
        "judges a volume by all of its slices, where the model has that, was fitted on few patients.",
        _elsewhere(elsewhere) + " measure that first: `python -m braintumor evaluate --bundle DIR --data DIR`.",
        "- **One fold**: figures are of one split of the groups; another fold gives others within about the intervals.",
        "- **Sizes** are those of the model's own outline and as rough as it is; a heatmap is no outline.",
    ]
    return "\n".join(lines)


def _elsewhere(found: Mapping[str, Any] | None) -> str:
    """Begin the sentence that says how the model does at hospitals its sources are not from."""
    if not found:
        return (
            "- **No external validation**: figures hold for the sources named. Expect it to do worse in your hospital "
            "and"
        )
    area = in_words(*spread(found["detection"]["roc_auc"]), is_share=False)
    right = in_words(*spread(found["answered"]["accuracy"]))
    return (
        "- **Elsewhere it does worse**: at hospitals that no choice was made on, tumor or not has a ROC AUC of "
        f"{area}, slice by slice, and of what is answered {right} is right. Expect the like in your hospital and"
    )


def _claim() -> str:
    return "\n".join(
        ["## Where the items of CLAIM are", "", *_table(["Items", "About", "Here"], [list(row) for row in _CLAIM])]
    )


def _threshold(card: Mapping[str, Any]) -> float:
    value = (card.get("operating_point") or {}).get("threshold")
    return float(value) if isinstance(value, (int, float)) and 0 <= value <= 1 else 0.5


def _tells_kinds(card: Mapping[str, Any]) -> bool:
    return bool(card.get("kinds", True))


def _told(found: Mapping[str, Any], is_share: bool = True) -> str:
    return in_words(*spread(found), is_share)


def _inside(label: str) -> str:
    """Write a label's title inside a sentence."""
    return TITLES[label][0].lower() + TITLES[label][1:]


def _link(facts: Mapping[str, Any], name: str) -> str:
    title, address = _text(facts.get("title"), name), str(facts.get("source") or "")
    return f"[{title}]({address})" if _LINK.fullmatch(address) else title


def _license(facts: Mapping[str, Any]) -> str:
    return _text(facts.get("license"), "not recorded")


def _text(value: object, instead: str = "not recorded") -> str:
    """Escape what Markdown, HTML or a page's directives would act on; the file stays readable as it is."""
    words = instead if value is None or value == "" else str(value)
    # A colon before a letter starts an icon or a color on the page; one before a slash or a space does not.
    return re.sub(r":(?=\w)", r"\\:", _ACTIVE.sub(r"\\\1", re.sub(r"\s+", " ", words)))


def _fenced(*commands: str) -> str:
    inside = "\n".join(re.sub(r"[`\s]+", " ", command) for command in commands)
    return f"\n```sh\n{inside}\n```\n"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows)]
