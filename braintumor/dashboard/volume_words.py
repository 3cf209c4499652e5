"""What is said beside the slices of a volume."""

from collections.abc import Sequence

from braintumor.dashboard.answers import MOST_SLICES_KEPT, Answer
from braintumor.reports import stated


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
