"""About: the tumor kinds, what to do after a result, how the model was made, and its limits."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st

from braintumor import settings
from braintumor.bundles import BundleError, read_card
from braintumor.dashboard import gate
from braintumor.dashboard.escaping import plain
from braintumor.reports import DECISION_WORDS
from braintumor.taxonomy import CLASSES, FINDINGS, TITLES


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
    configured = settings.load()
    try:
        _show_model(read_card(configured.models_dir / configured.model))
    except BundleError as error:
        st.warning(str(error))


def _show_next_steps() -> None:
    st.header("After a result", anchor=False)
    st.markdown(
        f"- **{DECISION_WORDS['tumor']}**: have a radiologist read the whole examination, not this slice alone. The "
        "kind shown is a resemblance; only tissue and the full clinical picture decide.\n"
        f"- **{DECISION_WORDS['no_tumor']}**: symptoms count more than this answer. It covers one slice and three "
        "kinds of tumor.\n"
        f"- **{DECISION_WORDS['refer']}**: the model gives no answer. Treat the scan as not assessed.\n"
        "- **If you are a patient**: take your scans and questions to your doctor. Sudden severe headache, a first "
        "seizure, weakness on one side, or trouble speaking or seeing are emergencies, whatever this page says."
    )


def _show_model(card: Mapping[str, Any]) -> None:
    st.header("How the model was made", anchor=False)
    split = card["split"]
    st.markdown(
        f"**{plain(card['name'])} {plain(card['version'])}** ({plain(card['network_source'])}), "
        f"{card['parameters']:,} parameters, made on {card['created']}. Images that are near-duplicates of each other, "
        "rotated or mirrored included, and neighboring slices of the figshare set form groups; each group lies in one "
        f"of the parts alone: {split['groups']['train']} groups to train, {split['groups']['validation']} to choose "
        f"and calibrate, {split['groups']['test']} to test."
    )
    st.code(card["command"], language="bash", wrap_lines=True)
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
    st.header("Data and licenses", anchor=False)
    link = st.column_config.LinkColumn(display_text="open")
    st.dataframe(_data_table(card["data"]), hide_index=True, height="content", column_config={"Source": link})
    st.caption("Images used, by the part they went to. Copies of the same picture are counted each time.")


def _data_table(data: Mapping[str, Any]) -> pd.DataFrame:
    rows = []
    for name, facts in data.items():
        for label, parts in facts["images"].items():
            rows.append(
                {
                    "Dataset": facts.get("title", name),
                    "Label": TITLES[label],
                    **{part.capitalize(): parts.get(part, 0) for part in ("train", "validation", "test")},
                    "License": facts.get("license", ""),
                    "Source": facts.get("source", ""),
                }
            )
    return pd.DataFrame(rows)


main()
