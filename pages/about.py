"""About: what the answers mean, what to do after one, and the model's card."""

from pathlib import Path

import streamlit as st

from braintumor import settings
from braintumor.bundles import BundleError, read_card, read_heatmap_figures
from braintumor.dashboard import gate
from braintumor.dashboard.plain_text import plain
from braintumor.decision import Outcome
from braintumor.model_cards import INTRODUCTION, card_sections, model_card
from braintumor.reports import DECISION_WORDS
from braintumor.taxonomy import CLASSES, FINDINGS

_SCROLLING_SECTIONS = (
    "<style>[data-testid='stExpanderDetails'] [data-testid='stMarkdownContainer'] { overflow-x: auto; }</style>"
)
"""Or a wide table of the model's card would push a phone's whole page aside."""


def main() -> None:
    gate.current()
    st.title("About")
    st.header("Intended use", anchor=False)
    st.markdown(
        "Research, teaching, and decision support for qualified readers of MRI. It is no medical device, has no "
        "approval by any authority, and must not be the ground of a diagnosis or treatment."
    )
    st.header("What the answers mean", anchor=False)
    for name in CLASSES:
        finding = FINDINGS[name]
        with st.expander(finding.title):
            st.markdown(f"{finding.summary}\n\n{finding.course}")
            st.caption(f"Source: {finding.source}")
    _show_next_steps()
    _show_limits()
    configured = settings.load()
    _show_model_card(configured.models_dir / configured.model)


def _show_next_steps() -> None:
    st.header("After a result", anchor=False)
    st.markdown(
        f"- **{DECISION_WORDS[Outcome.TUMOR]}**: have a radiologist read the whole examination, not only this slice. "
        "The kind shown is a resemblance; only tissue and the full clinical picture decide.\n"
        f"- **{DECISION_WORDS[Outcome.NO_TUMOR]}**: symptoms count more than this answer. It covers one slice and "
        "three kinds of tumor.\n"
        f"- **{DECISION_WORDS[Outcome.REFER]}**: the model gives no answer. Treat the scan as not assessed. Where it "
        "is unsure only of the kind, take the tumor as seen and its kind as open.\n"
        "- **If you are a patient**: take your scans and questions to your doctor. Sudden severe headache, a first "
        "seizure, weakness on one side, or trouble speaking or seeing are emergencies, whatever this page says."
    )


def _show_limits() -> None:
    st.header("Limits", anchor=False)
    st.markdown(
        "- In the public collections nearly all contrast-enhanced T1 slices show a tumor and most tumor-free pictures "
        "come from elsewhere. A model that locates tumors can lean on that less, but some of the source may still "
        "speak; expect it to do worse on slices of your hospital.\n"
        "- It knows no other disease: stroke, bleeding, abscess, inflammation, metastasis and rare tumors get one of "
        "its four answers or a referral.\n"
        "- Most collections do not say who the patients were, so fairness by age, sex or origin cannot be measured.\n"
        "- The outline, and every size measured from it, is the model's own. The heatmap shows where the network "
        "looked to tell the kind, not where the tumor's edge runs."
    )


def _show_model_card(folder: Path) -> None:
    st.header("Model card", anchor=False)
    try:
        card, heatmaps = read_card(folder), read_heatmap_figures(folder)
    except BundleError as error:
        st.warning(str(error))
        return
    sections = card_sections(card, heatmaps)
    st.markdown(f"**{plain(card.name)} {plain(card.version)}**. {sections.pop(INTRODUCTION)}")
    st.html(_SCROLLING_SECTIONS)
    for title, text in sections.items():
        with st.expander(title):
            st.markdown(text)
    st.download_button(
        "Model card (Markdown)",
        model_card(card, heatmaps).encode(),
        f"{folder.name}-model-card.md",
        "text/markdown",
        on_click="ignore",
    )


main()
