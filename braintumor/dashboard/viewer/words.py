"""What is said beside a scan: its answer, its outline, its heatmap, and the slice that is shown."""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from braintumor.bundles import Card, HeatmapFigures
from braintumor.bundles.figures import StackAnswers
from braintumor.dashboard.answers import MOST_SLICES_KEPT, Answer
from braintumor.explanation import METHODS
from braintumor.inference import Prediction
from braintumor.reports import percent, stated
from braintumor.reports.sentences import range_note
from braintumor.reports.values import OF_DIAMETER, estimate
from braintumor.segmentation import Measurements
from braintumor.taxonomy import ANY_TUMOR, FINDING_TITLES, NO_TUMOR

if TYPE_CHECKING:
    from braintumor.evaluation import AreaAgreement

_ELSEWHERE = "hospital_test"
_MIDDLE = "center"
"""The floor of the measured methods that is heat in the middle of the picture."""


def answer_sentence(prediction: Prediction) -> str:
    """Say a prediction in one plain sentence."""
    if prediction.finding is None:
        return "No answer is given for this picture."
    title = FINDING_TITLES[prediction.finding].lower()
    if prediction.unsure_of_kind_alone:
        return f"The model sees a tumor but is unsure of its kind: it leans towards {title}."
    if prediction.decision == "refer":
        best = "no tumor" if prediction.finding == NO_TUMOR else title
        return f"The model leans towards {best}, but not surely enough to answer."
    if prediction.decision == "no_tumor":
        if prediction.slice_limits is not None:
            return "The model sees no tumor in this volume."
        return f"The model sees no tumor on {'this' if len(prediction.slices) == 1 else 'any'} slice."
    if prediction.finding == ANY_TUMOR:
        return "The model sees a tumor; it does not tell which kind."
    return f"The model sees a tumor, most likely a {title}."


def level_words(prediction: Prediction) -> str:
    """Say what the answer is of: a picture, a slice of a volume, or all of a volume's slices together."""
    count = len(prediction.slices)
    if count == 1:
        return "Answer for this picture"
    what = "series" if prediction.series else "volume"
    if prediction.slice_limits is not None:
        return f"Answer for the whole {what} of {count} slices"
    return f"Answer for this {what}, that of slice {prediction.slice_number + 1} of {count}"


def caution_words(prediction: Prediction) -> str:
    """Say what an answer of no tumor leaves open; of another answer nothing."""
    if prediction.decision != "no_tumor" or prediction.finding is None:
        return ""
    said = "This does not rule out a tumor."
    numbers = [
        number
        for number, found in enumerate(prediction.slices)
        if found.prepared.image.any() and prediction.outlines(number)
    ]
    if prediction.slice_limits is not None and numbers:
        said += (
            f" By itself, slice {numbers[0] + 1} looks suspicious."
            if len(numbers) == 1
            else f" By themselves, {len(numbers)} slices look suspicious; all slices together do not."
        )
    return said


def elsewhere_words(card: Card, *, is_volume: bool) -> str:
    """Say how such answers turned out at hospitals that were only measured; empty where there are none.

    Of a volume these are whole stacks of slices, of a picture single slices.
    """
    report = card.metrics.hospital_test
    if is_volume and card.volume_rule is not None:
        stacks = list(card.stacks.get(_ELSEWHERE, {}).values())
        if not stacks:
            return ""
        with_tumor, without = _added([one.with_tumor for one in stacks]), _added([one.without for one in stacks])
        return (
            f"At hospitals that it had never seen, of {with_tumor.stacks} stacks with a tumor {with_tumor.tumor} were "
            f"called, {with_tumor.no_tumor} cleared, and of {without.stacks} without {without.tumor} were called, "
            f"{without.no_tumor} cleared; the others were referred."
        )
    found = [one[""] for one in (report.hospitals or {}).values()] if report else []
    if not found:
        return ""
    return " ".join(
        f"At a hospital that it had never seen, {percent(one.answered.floats[0])} of slices were answered; of those "
        f"without a tumor {percent(one.called_tumor_free.floats[0])} were called one, and of those with a tumor "
        f"{percent(one.cleared_tumors.floats[0])} were answered with no tumor."
        for one in found
    )


def _added(answers: Sequence[StackAnswers]) -> StackAnswers:
    names = StackAnswers.model_fields
    return StackAnswers(**{name: sum(getattr(one, name) for one in answers) for name in names})


def error_words(agreement: "AreaAgreement | None") -> str:
    """Say what the ranges of ``measured_words`` are; None makes no claim."""
    if agreement is None:
        return "Measured on the model's own outline. How far such areas are off was not measured."
    return f"Measured on the model's own outline. {range_note(agreement.share, agreement.images)}"


def outline_words(prediction: Prediction, number: int, drawn: bool) -> str:
    """Say what the outline on slice ``number`` is, or why there is none; ``drawn`` tells whether there is one."""
    is_unsure = prediction.decision == "refer" and not prediction.unsure_of_kind_alone
    if drawn and is_unsure:
        return "Outline, unsure: where the model would place a tumor. The answer is withheld."
    if drawn:
        return "Outline: where the model places the tumor."
    if prediction.outlines(number):
        return "No outline: the model suspects a tumor on this slice but cannot place it."
    return "No outline: P(tumor) of this slice is below the line."


def shown_words(prediction: Prediction, number: int) -> str:
    """Say what the model makes of one slice; what it makes of the scan stands in the answer."""
    if prediction.finding is None:
        return "Not assessed."
    found = prediction.slices[number]
    has_outline = found.tumor_map is not None and prediction.outlines(number)
    said = outline_words(prediction, number, has_outline) if found.tumor_map is not None else ""
    if len(prediction.slices) == 1:
        return said
    where = f"Slice {number + 1} of {len(prediction.slices)}"
    if number == prediction.slice_number:
        where += ", the most suspicious"
    if not found.prepared.image.any():
        return f"{where}: empty."
    line = prediction.outlined_from
    side = "above" if found.p_tumor >= line else "below"
    return f"{where}: P(tumor) of this slice {stated(found.p_tumor)}, {side} the line at {stated(line)}. {said}".strip()


def heatmap_words(finding: str) -> str:
    """Say what the heatmap of a finding shows, and that it is no outline."""
    explained = "It is" if finding in (NO_TUMOR, ANY_TUMOR) else "It explains the kind and is"
    return (
        f"Heatmap: where the network looked to score “{FINDING_TITLES[finding].lower()}”, dark little, bright much. "
        f"{explained} no outline of a tumor."
    )


def method_words(method: str, figures: HeatmapFigures | None) -> str:
    """Say how often a method's heatmaps pointed at the tumor, where ``figures`` tell; else nothing.

    ``figures`` are what ``bundles.read_heatmap_figures`` gives.
    """
    methods = {} if figures is None else figures.methods
    if method not in methods or _MIDDLE not in methods:
        return ""
    found, middle = (methods[name].pointing.value for name in (method, _MIDDLE))
    return (
        f"Measured on held-out scans with a tumor, the hottest point of {METHODS[method]} lay inside it in "
        f"{percent(found)}; the middle of the picture does in {percent(middle)}."
    )


def measured_words(measured: Measurements, slices: int, agreement: "AreaAgreement | None") -> str:
    """Say what an outline measures, as Markdown: in millimeters, else against the head, and nothing that is unknown.

    Beside each size stands the range that ``agreement`` gives it, see ``reports.values.estimate``.
    """

    def sized(value: float, write: Callable[[float], str], power: float = 1.0) -> str:
        found = estimate(value, agreement, power)
        assert found is not None
        if found.low is None or found.high is None:
            return f"**{write(value)}**"
        within = (
            f"{write(found.low)} to {write(found.high)}" if math.isfinite(found.high) else f"over {write(found.low)}"
        )
        return f"**{write(value)}** ({within})"

    said = {}
    area = "Area" if slices == 1 else f"Largest area, slice {measured.slice_number + 1}"
    if measured.area_mm2 is not None:
        said[area] = sized(measured.area_mm2, partial(_amount, unit="mm²"))
    elif measured.head_share is not None:
        said[area] = f"{sized(measured.head_share, percent)} of the head"
    if measured.largest_diameter_mm is not None:
        said["Largest diameter"] = sized(measured.largest_diameter_mm, partial(_amount, unit="mm"), OF_DIAMETER)
    elif measured.largest_diameter_head is not None:
        length = sized(measured.largest_diameter_head, "{:.0%}".format, OF_DIAMETER)
        said["Largest diameter"] = f"{length} of the head's length"
    said["Lesions"] = f"**{measured.lesions}**"
    if measured.volume_ml is not None:
        said["Volume"] = sized(measured.volume_ml, partial(_amount, unit="mL"))
    return " · ".join(f"{title}: {value}" for title, value in said.items())


def _amount(value: float, unit: str) -> str:
    return f"{value:,.0f}\u00a0{unit}" if value >= 10 else f"{value:.1f}\u00a0{unit}"


def slice_words(answer: Answer, number: int) -> str:
    """Say which slice of a volume is shown, and which others can be."""
    prediction = answer.prediction
    count, own = len(prediction.slices), prediction.slice_number
    said = f"Slice {number + 1} of {count}, "
    whole = prediction.slice_limits is not None
    if number == own:
        said += "the most suspicious" + ("." if whole else ": the answer is that of this slice.")
    else:
        said += f"P(tumor) {stated(prediction.slices[number].p_tumor)}."
        most = f" The most suspicious is slice {own + 1}."
        said += most if whole else f" The answer is that of slice {own + 1}, the most suspicious."
    if whole:
        said += f" The answer is that of the whole volume{_resting(prediction.rests_on)}."
    if not answer.slices:
        said += (
            f" The others cannot be looked through: pictures of {MOST_SLICES_KEPT} slices are held at a time. "
            "Take other volumes away and upload this one again."
        )
    elif len(answer.slices) < count:
        said += f" Pictures of {len(answer.slices)} slices are held; the mask and the measurements are of all."
    return said


def _resting(numbers: Sequence[int]) -> str:
    """Name the slices that an answer rests on; they lie one after the other."""
    if not numbers:
        return ""
    first, last = numbers[0] + 1, numbers[-1] + 1
    return f" and rests on slice {first}" if first == last else f" and rests on slices {first} to {last}"
