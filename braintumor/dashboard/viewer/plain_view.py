"""A scan as plain pictures: its outline beside its heatmap, a slice at a time."""

import streamlit as st

from braintumor.dashboard import choices
from braintumor.dashboard.answers import Answer, bundle_of
from braintumor.dashboard.viewer.heatmaps import choose_method, heatmap, heatmap_figures
from braintumor.dashboard.viewer.slice_layers import on_picture, outlined, overlay, packed, view, with_outline
from braintumor.dashboard.viewer.words import heatmap_words, method_words, outline_words, shown_words, slice_words
from braintumor.reports import NOTE_WORDS, stated
from braintumor.taxonomy import FINDING_TITLES

_HEATMAPS = {"map": "Tumor map", "kind": "Heatmap of the type"}


def show_pictures(answer: Answer, finding: str | None) -> None:
    """Show a slice twice, once with its outline and once with its heatmap, and the controls of both.

    A slice of a scan that is not assessed, without a ``finding``, is shown once and as it is.
    """
    prediction = answer.prediction
    number = prediction.slice_number
    if len(prediction.slices) > 1:
        number = _choose_slice(answer)
    if prediction.notes:
        st.caption(" ".join(NOTE_WORDS[note] for note in prediction.notes))
    if finding is None:
        said = shown_words(prediction, number)
        st.image(packed(view(answer, number)), caption=said, width="stretch", alt="The scan as it was uploaded")
        return
    left, right = st.columns(2, gap="medium")
    with left:
        _show_outline(answer, number)
    with right:
        # A network that does not locate has nothing else to show, and may compute a heatmap where none is at hand.
        is_own = number == prediction.slice_number
        has_kind = prediction.explains(finding) or not prediction.locates
        shown = "map"
        if is_own and has_kind and prediction.locates:
            shown = choices.segmented_control(
                "Heatmap",
                ("map", "kind"),
                "map",
                required=True,
                format_func=_HEATMAPS.__getitem__,
                key=f"heat-{answer.key}",
            )
        if is_own and has_kind and (shown == "kind" or not prediction.locates):
            _show_heatmap(answer, finding)
        else:
            _show_tumor_map(answer, number)


def _choose_slice(answer: Answer) -> int:
    number = own = answer.prediction.slice_number
    if answer.slices:
        last = len(answer.prediction.slices)
        number = choices.select_slider(
            "Slice",
            list(answer.slices),
            own,
            format_func=lambda slice_number: f"{slice_number + 1} of {last}",
            key=f"slice-{answer.key}",
        )
    if answer.prediction.finding is not None:
        st.caption(slice_words(answer, number))
    return number


def _show_outline(answer: Answer, number: int) -> None:
    picture, mask, measured = view(answer, number), outlined(answer, number), answer.measurements
    place = st.container()
    is_outlined = mask is not None and bool(mask.any())
    caption = "Scan" if mask is None else outline_words(answer.prediction, number, is_outlined)
    alt = "The scan as it was uploaded"
    if measured is not None and measured.lesions:
        # They stay, idle, on slices without an outline, or their state would be lost on the way through a volume.
        is_drawn, opacity = _outline_controls(answer, is_idle=not is_outlined)
        if mask is not None and is_outlined and is_drawn:
            picture = with_outline(picture, mask, opacity)
            alt += ", with the outline of the tumor"
        elif is_outlined:
            caption = "The scan without the outline."
    place.image(packed(picture), caption=caption, width="stretch", alt=alt)


def _outline_controls(answer: Answer, is_idle: bool) -> tuple[bool, float]:
    """Ask whether the outline is drawn, and how strongly from 0 to 1."""
    with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
        is_drawn = st.toggle("Outline", value=True, key=f"outline-{answer.key}", disabled=is_idle, width="content")
        opacity = choices.slider(
            *("Outline opacity", 0, 100, 100, 5),
            format="%d%%",
            key=f"outline-opacity-{answer.key}",
            disabled=is_idle or not is_drawn,
        )
    return is_drawn, opacity / 100


def _show_heatmap(answer: Answer, finding: str) -> None:
    place = st.container()
    method = choose_method(answer, finding)
    if method is None:
        place.caption("No heatmap yet: choose a method below.")
        return
    opacity = _heatmap_opacity(answer)
    number = answer.prediction.slice_number
    heat, drawn = heatmap(answer, finding, method)
    if heat is None:
        return
    place.image(
        packed(overlay(view(answer, number), on_picture(heat, answer, number), opacity)),
        caption=heatmap_words(finding),
        width="stretch",
        alt=f"Heatmap over the scan for the class {FINDING_TITLES[finding].lower()}",
    )
    if said := method_words(drawn, heatmap_figures(bundle_of(answer).folder)):
        st.caption(said)


def _show_tumor_map(answer: Answer, number: int) -> None:
    tumor_map = answer.prediction.slices[number].tumor_map
    if tumor_map is None:
        st.caption(f"There is a heatmap only of slice {answer.prediction.slice_number + 1}.")
        return
    place = st.container()
    opacity = _heatmap_opacity(answer)
    place.image(
        packed(overlay(view(answer, number), on_picture(tumor_map, answer, number), opacity)),
        caption="Heatmap: how likely the model holds a tumor at each place, dark little, bright much. "
        f"The brightest is {stated(float(tumor_map.max()))}.",
        width="stretch",
        alt="Heatmap over the scan: how likely the model holds a tumor at each place",
    )


def _heatmap_opacity(answer: Answer) -> float:
    return choices.slider("Heatmap opacity", 0, 100, 60, 5, format="%d%%", key=f"opacity-{answer.key}") / 100
