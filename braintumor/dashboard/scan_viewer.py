"""One scan's answer on a page: words, bars, and its outline beside its heatmap."""

import io
from collections.abc import Callable, Hashable
from functools import cache, partial
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np
import streamlit as st
from numpy.typing import NDArray
from PIL import Image
from plotly.colors import get_colorscale, sample_colorscale, unlabel_rgb

from braintumor.bundles import HeatmapFigures, read_heatmap_figures
from braintumor.dashboard import charts, choices, gate
from braintumor.dashboard.answers import Answer, limits, predictor
from braintumor.dashboard.plain_text import plain
from braintumor.dashboard.volume_words import slice_words
from braintumor.explanation import METHODS, ExplanationError, explain_apart, methods_for
from braintumor.inference import Prediction
from braintumor.reports import DECISION_WORDS, NOTE_WORDS, mask_file, mask_name, percent, reason_words, stated
from braintumor.scans import Prepared, place_on_scan
from braintumor.segmentation import Measurements, draw_outline
from braintumor.taxonomy import ANY_TUMOR, FINDING_TITLES, NO_TUMOR, TITLES

_Made = TypeVar("_Made")
_Slot = tuple[str, str, str]

_MIDDLE = "center"
"""The floor of the measured methods that is heat in the middle of the picture."""

_MAPS = "_heatmaps"
_OUTLINES = "_outlines"
_MOST_KEPT = 32

_SHOWN_SIDE = 640
_LINE = (86, 180, 233)
"""Sky blue: no gray, no color of Inferno, and blue to all but the rarest color vision."""
_CASING = (0, 0, 0)
"""Around the line, so that it stands out by brightness alone as well."""
_THICKNESS = 2
_FILL = 0.12
_BADGES: dict[str, tuple[str, Literal["orange", "blue", "violet"]]] = {
    "tumor": (":material/error:", "orange"),
    "no_tumor": (":material/check_circle:", "blue"),
    "refer": (":material/person_search:", "violet"),
}
"""Icon and color of each decision."""


@st.fragment
def show_answer(answer: Answer) -> None:
    """Show one answer as a card; moving its slider or switching its method runs this card alone."""
    gate.current()
    prediction = answer.prediction
    with st.container(border=True, key=f"card-{answer.key}"):
        st.subheader(plain(prediction.source), anchor=False)
        if answer.synthetic:
            st.caption("Synthetic: drawn by this app, no patient and no real scan.")
        words, beside = st.columns([2, 3], gap="medium")
        with words:
            _show_words(prediction)
        if prediction.finding is None:
            # Numbers, an outline and a heatmap would pass for an answer.
            beside.image(answer.picture, caption="Not assessed", width=320, alt="The picture as it was uploaded")
            return
        figure = charts.probability_bars(prediction.probabilities)
        beside.plotly_chart(
            figure, key=f"bars-{answer.key}", config={"displayModeBar": False}, alt=charts.alt_text(figure)
        )
        _show_pictures(answer, prediction.finding)


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


def overlay(picture: NDArray[np.uint8], heat: NDArray[np.float32], opacity: float) -> NDArray[np.uint8]:
    """Lay a heatmap (height, width, from 0 to 1) over a gray picture (height, width): uint8 (height, width, 3)."""
    colors = _palette()[np.rint(heat * 255).astype(np.uint8)]
    share = (opacity * np.clip(heat * 1.5, 0, 1))[..., np.newaxis]
    gray = picture[..., np.newaxis].astype(np.float32)
    return np.asarray(np.rint(gray * (1 - share) + colors * share), dtype=np.uint8)


def _show_words(prediction: Prediction) -> None:
    icon, color = _BADGES[prediction.decision]
    st.badge(DECISION_WORDS[prediction.decision], icon=icon, color=color)
    st.markdown(f"**{answer_sentence(prediction)}**")
    if prediction.reasons:
        st.markdown(
            "\n".join(f"- {plain(reason)}" for reason in reason_words(prediction.reasons, prediction.probabilities))
        )
    if prediction.finding and prediction.decision != "refer":
        st.metric(
            f"Calibrated confidence: {TITLES[prediction.finding].lower()}",
            stated(prediction.confidence),
            help="Of answers given with this confidence, about this share was right on held-out scans.",
        )
    took = f"Answered in {prediction.seconds * 1000:.0f} ms by {prediction.bundle}."
    st.caption(took + " Decision support for research, never a diagnosis.")


def outline_words(prediction: Prediction, number: int, drawn: bool) -> str:
    """Say what the outline on slice ``number`` is, or why there is none; ``drawn`` tells whether there is one."""
    is_unsure = prediction.decision == "refer" and not prediction.unsure_of_kind_alone
    if drawn and is_unsure:
        return "Outline, unsure: where the model would place a tumor. The answer is withheld."
    if drawn:
        return "Outline: where the model places the tumor."
    if prediction.outlines(number):
        return "No outline: the model suspects a tumor on this slice but cannot place it."
    return "No outline: the model sees no tumor on this slice."


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


def measured_words(measured: Measurements, slices: int) -> str:
    """Say what an outline measures, as Markdown: in millimeters, else against the head, and nothing that is unknown."""
    said = {}
    area = "Area" if slices == 1 else f"Largest area, slice {measured.slice_number + 1}"
    if measured.area_mm2 is not None:
        said[area] = _amount(measured.area_mm2, "mm²")
    elif measured.head_share is not None:
        said[area] = f"{percent(measured.head_share)} of the head"
    if measured.largest_diameter_mm is not None:
        said["Largest diameter"] = _amount(measured.largest_diameter_mm, "mm")
    elif measured.largest_diameter_head is not None:
        said["Largest diameter"] = f"{measured.largest_diameter_head:.0%} of the head's length"
    said["Lesions"] = str(measured.lesions)
    if measured.volume_ml is not None:
        said["Volume"] = _amount(measured.volume_ml, "mL")
    return " · ".join(f"{title}: **{value}**" for title, value in said.items())


def _show_pictures(answer: Answer, finding: str) -> None:
    prediction = answer.prediction
    number = prediction.slice_number
    if len(prediction.slices) > 1:
        number = _choose_slice(answer)
    if prediction.notes:
        st.caption(" ".join(NOTE_WORDS[note] for note in prediction.notes))
    left, right = st.columns(2, gap="medium")
    with left:
        _show_outline(answer, number)
    with right:
        # A network that does not locate has nothing else to show, and may compute a heatmap where none is at hand.
        if number == prediction.slice_number and (prediction.explains(finding) or not prediction.locates):
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
    st.caption(slice_words(answer, number))
    return number


def _show_outline(answer: Answer, number: int) -> None:
    picture, mask, measured = _view(answer, number), _outlined(answer, number), answer.measurements
    place = st.container()
    is_outlined = mask is not None and bool(mask.any())
    caption = "Scan" if mask is None else outline_words(answer.prediction, number, is_outlined)
    alt = "The scan as it was uploaded"
    if measured is not None and measured.lesions:
        # They stay, idle, on slices without an outline, or their state would be lost on the way through a volume.
        is_drawn, opacity = _outline_controls(answer, is_idle=not is_outlined)
        if mask is not None and is_outlined and is_drawn:
            picture = _with_outline(picture, mask, opacity)
            alt += ", with the outline of the tumor"
        elif is_outlined:
            caption = "The scan without the outline."
    place.image(_packed(picture), caption=caption, width="stretch", alt=alt)
    if measured is not None and measured.lesions:
        _show_measurements(answer, measured)


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


def _with_outline(picture: NDArray[np.uint8], mask: NDArray[np.bool_], opacity: float) -> NDArray[np.uint8]:
    cased = draw_outline(picture, mask, _CASING, opacity, thickness=_THICKNESS + 1)
    return draw_outline(cased, mask, _LINE, opacity, _FILL, _THICKNESS)


def _show_measurements(answer: Answer, measured: Measurements) -> None:
    prediction = answer.prediction
    st.markdown(measured_words(measured, len(prediction.slices)))
    st.caption("Measured by the model on its own outline, and as approximate as that is.")
    st.download_button(
        f"Download mask ({'PNG' if len(prediction.slices) == 1 else 'NIfTI'})",
        # Only who asks for the mask waits for it.
        partial(mask_file, prediction),
        mask_name(prediction),
        key=f"mask-{answer.key}",
        icon=":material/download:",
        on_click="ignore",
    )
    if answer.unit and answer.unit.sources and measured.lesions:
        st.download_button(
            "Download mask (DICOM SEG)",
            partial(_segmentation, answer),
            f"{prediction.sha256[:12]}-mask.dcm",
            "application/dicom",
            key=f"segmentation-{answer.key}",
            icon=":material/download:",
            on_click="ignore",
            help="For the archive that holds the study: it carries the patient's name as the study does.",
        )


def _segmentation(answer: Answer) -> bytes:
    # Loading highdicom takes a second, and few ask for it.
    from braintumor.reports.dicom_segmentation import segmentation_file

    assert answer.unit is not None
    assert answer.unit.sources is not None
    return segmentation_file(answer.prediction, answer.unit.sources(limits()))


def _amount(value: float, unit: str) -> str:
    return f"{value:,.0f}\u00a0{unit}" if value >= 10 else f"{value:.1f}\u00a0{unit}"


def _show_heatmap(answer: Answer, finding: str) -> None:
    at_hand = answer.prediction.explains(finding)
    place = st.container()
    method = choices.segmented_control(
        "Heatmap method",
        methods_for(predictor().bundle),
        "gradcam" if at_hand else None,
        required=at_hand,
        wrap=True,
        format_func=METHODS.__getitem__,
        key=f"method-{answer.key}",
        help="Grad-CAM is at hand at once; the others take some seconds." if at_hand else "Each takes some seconds.",
    )
    if method is None:
        place.caption("No heatmap yet: choose a method below.")
        return
    opacity = _heatmap_opacity(answer)
    heat, drawn = _heatmap(answer, finding, method)
    if heat is None:
        return
    place.image(
        _packed(overlay(_view(answer, answer.prediction.slice_number), heat, opacity)),
        caption=heatmap_words(finding),
        width="stretch",
        alt=f"Heatmap over the scan for the class {FINDING_TITLES[finding].lower()}",
    )
    if said := method_words(drawn, _heatmap_figures(predictor().bundle.folder)):
        st.caption(said)


@st.cache_data(ttl="10min", show_spinner=False)
def _heatmap_figures(folder: Path) -> HeatmapFigures | None:
    return read_heatmap_figures(folder)


def _show_tumor_map(answer: Answer, number: int) -> None:
    tumor_map = answer.prediction.slices[number].tumor_map
    if tumor_map is None:
        st.caption(f"There is a heatmap of slice {answer.prediction.slice_number + 1} alone.")
        return
    place = st.container()
    opacity = _heatmap_opacity(answer)
    place.image(
        _packed(overlay(_view(answer, number), _on_picture(tumor_map, answer, number), opacity)),
        caption="Heatmap: how likely the model holds a tumor at each place, dark little, bright much. "
        f"The brightest is {stated(float(tumor_map.max()))}.",
        width="stretch",
        alt="Heatmap over the scan: how likely the model holds a tumor at each place",
    )


def _heatmap_opacity(answer: Answer) -> float:
    return choices.slider("Heatmap opacity", 0, 100, 60, 5, format="%d%%", key=f"opacity-{answer.key}") / 100


def _heatmap(answer: Answer, name: str, method: str) -> tuple[NDArray[np.float32] | None, str]:
    """Give the map asked for over the view, else the Grad-CAM at hand and a warning; None where there is neither.

    With it comes the method that it is of.
    """
    prediction = answer.prediction
    at_hand = prediction.explains(name)
    square = None if method == "gradcam" and at_hand else _computed_map(prediction, name, method)
    if isinstance(square, str):
        st.warning(square)
        # What keeps a map from being made may pass, as when others keep the one process busy.
        st.button("Try again", key=f"again-{answer.key}", on_click=_forget, args=(_slot(prediction, name, method),))
    if isinstance(square, np.ndarray):
        return _on_picture(square, answer, prediction.slice_number), method
    if not at_hand:
        return None, method
    return _on_picture(prediction.class_map(name), answer, prediction.slice_number), "gradcam"


def _computed_map(prediction: Prediction, name: str, method: str) -> NDArray[np.float32] | str:
    """Give a map over the prepared square, or the sentence why there is none; either is computed once a session."""

    def compute() -> NDArray[np.float32] | str:
        bar = st.progress(0.0, text="Waiting for a free place …")
        try:
            return explain_apart(
                predictor().bundle,
                prediction.prepared.image,
                name,
                method,
                lambda share, doing: bar.progress(share, text=f"{doing} …"),
            )
        except ExplanationError as error:
            return str(error)
        finally:
            bar.empty()

    return _once(_MAPS, _slot(prediction, name, method), compute)


def _outlined(answer: Answer, number: int) -> NDArray[np.bool_] | None:
    """Give what the outline on a slice encloses on its view, made once a session; None where nothing locates."""
    prediction = answer.prediction
    found = prediction.slices[number]
    if not prediction.locates:
        return None
    shape = _view_shape(answer, number)
    if not prediction.outlines(number):
        return np.zeros(shape, dtype=bool)
    return _once(
        _OUTLINES,
        (prediction.sha256, number, shape),
        lambda: found.outlined(_square_on_view(answer, number), shape),
    )


def _once(shelf: str, slot: Hashable, make: Callable[[], _Made]) -> _Made:
    """Give what the session keeps in a slot of a shelf, and make it first where it is new; the latest 32 are kept."""
    kept: dict[Hashable, _Made] = st.session_state.setdefault(shelf, {})
    if slot not in kept:
        kept[slot] = make()
        while len(kept) > _MOST_KEPT:
            del kept[next(iter(kept))]
    return kept[slot]


def _slot(prediction: Prediction, name: str, method: str) -> _Slot:
    return prediction.sha256, name, method


def _forget(slot: _Slot) -> None:
    st.session_state[_MAPS].pop(slot, None)


def _view(answer: Answer, number: int) -> NDArray[np.uint8]:
    """Give a slice as it is drawn on, uint8 (height, width): a small one is enlarged, so that lines are fine."""
    height, width = _view_shape(answer, number)
    enlarged = Image.fromarray(_stored(answer, number)).resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(enlarged)


def _view_shape(answer: Answer, number: int) -> tuple[int, int]:
    height, width = _stored(answer, number).shape
    factor = max(1, _SHOWN_SIDE // max(height, width))
    return factor * height, factor * width


def _stored(answer: Answer, number: int) -> NDArray[np.uint8]:
    return answer.picture if number == answer.prediction.slice_number else answer.slices[number]


def _square_on_view(answer: Answer, number: int) -> Prepared:
    """Give a slice's prepared square in pixels of its view."""
    prepared = answer.prediction.slices[number].prepared
    scale = max(_view_shape(answer, number)) / max(answer.prediction.shape[1:])
    top, left, side = (round(scale * length) for length in (prepared.top, prepared.left, prepared.side))
    return Prepared(prepared.image, top, left, max(1, side))


def _on_picture(square: NDArray[np.float32], answer: Answer, number: int) -> NDArray[np.float32]:
    """Lay a map over a slice's prepared square on its view: float32 (height, width) from 0 to 1."""
    laid = place_on_scan(square, _square_on_view(answer, number), _view_shape(answer, number))
    return np.clip(laid, 0, 1)


def _packed(picture: NDArray[np.uint8]) -> bytes:
    """Write a picture as PNG, a quarter of the time that Streamlit takes, since each click on a card draws it again."""
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG", compress_level=1)
    return file.getvalue()


@cache
def _palette() -> NDArray[np.float32]:
    colors = sample_colorscale(get_colorscale("Inferno"), [level / 255 for level in range(256)])
    return np.array([unlabel_rgb(color) for color in colors], dtype=np.float32)
