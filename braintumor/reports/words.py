"""What codes of decisions, reasons and notes are called, wherever an answer is shown."""

from collections.abc import Mapping, Sequence

from braintumor.decision import Outcome, Reason, ReasonCode
from braintumor.inference import ORIENTATION_ASSUMED, SIZE_UNKNOWN, SLICES_UNEVEN, TRAINED_ON
from braintumor.scans import BACKGROUND, FRAME, INVERTED, OUTLIERS
from braintumor.taxonomy import FINDING_TITLES, NO_TUMOR, TUMOR_CLASSES

DECISION_WORDS = {
    Outcome.TUMOR: "Tumor",
    Outcome.NO_TUMOR: FINDING_TITLES[NO_TUMOR],
    Outcome.REFER: "Refer to a reader",
}

_NOT_JUDGED = {
    ReasonCode.BLANK: "The picture is blank, so there is nothing to judge.",
    ReasonCode.COLOR: "The picture is in color; an MRI slice is gray. Export the slice without a color map.",
    ReasonCode.MARKS: "Marks or letters are drawn over the head; export the slice without them.",
    ReasonCode.SEVERAL_HEADS: "The picture shows more than one head; save each slice as a picture of its own.",
    ReasonCode.CT: "This looks like CT, since the skull is a thick white ring; the model reads MRI. Send the MRI.",
    ReasonCode.TOO_SMALL: "The head is too few pixels wide to be judged; export the slice in its full size.",
    ReasonCode.ATYPICAL: "This does not look like the brain MRI slices the model knows. If it is a photo of a screen "
    "or film, export the slice itself.",
}

REFERRAL_WORDS: Mapping[str, str] = {
    ReasonCode.TUMOR_UNCERTAIN: "Tumor or not is unsure",
    ReasonCode.KIND_UNCERTAIN: "The kind of tumor is unsure",
    ReasonCode.ATYPICAL: "Unlike the training scans, nothing else",
}
"""Why scans were referred, as the row of a table that goes by the first reason."""

NOTE_WORDS = {
    ORIENTATION_ASSUMED: "The file does not say how its axes lie in the patient; the usual orientation is assumed, so "
    "left and right, up and down may be wrong.",
    TRAINED_ON: "This picture, or a copy of it, was in the training set: the answer proves nothing.",
    SIZE_UNKNOWN: "The file does not say how large its voxels are, so nothing is given in millimeters or milliliters.",
    SLICES_UNEVEN: "Slices of this series are missing or unevenly spaced, so no volume is given.",
    INVERTED: "The picture looks like a negative and was inverted before it was judged.",
    FRAME: "A frame around the picture was left out before it was judged.",
    BACKGROUND: "The background was made dark before the scan was judged.",
    OUTLIERS: "A few values far above all others were cut off before the scan was judged.",
}
"""How a scan was taken, and what was changed in it before it was judged, see ``Prediction.notes``, as sentences."""


def reason_words(reasons: Sequence[Reason], probabilities: Mapping[str, float]) -> tuple[str, ...]:
    """Say why an answer is withheld, a sentence for each of its reasons; both are as in ``Prediction``."""
    return tuple(_NOT_JUDGED.get(reason.code) or _doubt(reason, probabilities) for reason in reasons)


def _doubt(reason: Reason, probabilities: Mapping[str, float]) -> str:
    value, low, high = (number or 0.0 for number in (reason.value, reason.low, reason.high))
    if reason.code == ReasonCode.TUMOR_UNCERTAIN:
        return (
            f"The probability of a tumor, {value:.1%}, neither rules one out nor is high enough to answer "
            f"(referred from {low:.1%} to {high:.1%})."
        )
    kind = max(TUMOR_CLASSES, key=probabilities.__getitem__)
    return (
        f"The kind of tumor is unsure: {kind} is likeliest, but with only {value:.1%} among the three kinds "
        f"(at least {high:.1%} is asked for)."
    )
