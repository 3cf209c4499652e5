"""Follow-up: two studies of one patient, what their outlines measure, and what of the change is beyond the error."""

from collections.abc import Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from braintumor import settings
from braintumor.accounts import Account, Role
from braintumor.dashboard import choices
from braintumor.dashboard.patients import store
from braintumor.dashboard.patients.report import filed_page
from braintumor.dashboard.patients.side_by_side import amount, change_words, show_side_by_side, span_words
from braintumor.records import Patient, Study
from braintumor.records.follow_up import Followed, outlined_series
from braintumor.records.scan_file import read_scan_file
from braintumor.records.studies import Finding
from braintumor.scans import WEIGHTING_WORDS, Weighting

if TYPE_CHECKING:
    from braintumor.evaluation import ChangeError
    from braintumor.reports.follow_up import Change, Criterion, Outlined

_TITLES = {
    "volume": "Volume",
    "longest": "Longest diameter",
    "perpendicular": "Perpendicular diameter",
    "product": "Product of diameters",
}


def show_follow_up(account: Account, patient: Patient, studies: Sequence[Study]) -> None:
    """Compare two studies of a patient, the newest with the one before unless others are chosen."""
    outlined = [study for study in studies if outlined_series(study)]
    if len(outlined) < 2:
        return
    st.subheader("Follow-up", anchor=False)
    by_id = {study.id: study for study in outlined}
    columns = st.columns(3)
    with columns[0]:
        now = _choose("Study", list(by_id), by_id, f"follow_now_{patient.id}")
    earlier = [number for number in by_id if number != now]
    after = list(by_id).index(now)
    with columns[1]:
        # The one filed before it, where there is one.
        first = earlier[min(after, len(earlier) - 1)]
        before = _choose("Compared with", earlier, by_id, f"follow_before_{patient.id}_{now}", first)
    found = [outlined_series(by_id[number]) for number in (before, now)]
    common = _ranked(found[0].keys() & found[1].keys())
    if not common:
        st.info("These studies share no sequence with an outline, so their sizes are not compared.")
        return
    with columns[2]:
        sequence = choices.selectbox(
            "Sequence", common, common[0], format_func=sequence_words, key=f"follow_sequence_{before}_{now}"
        )
    _show_pair(account, patient, found[0][sequence], found[1][sequence], [by_id[before], by_id[now]])
    store.show_refusal()


def _ranked(sequences: Iterable[str]) -> list[str]:
    """Put sequences in the order in which they are offered, contrast-enhanced T1 first."""
    order = [weighting.value for weighting in Weighting]
    return sorted(sequences, key=lambda name: (order.index(name) if name in order else len(order), name))


def _choose(label: str, options: Sequence[int], by_id: dict[int, Study], key: str, default: int | None = None) -> int:
    return choices.selectbox(
        label,
        options,
        options[0] if default is None else default,
        format_func=lambda number: _study_words(by_id[number]) if number in by_id else "",
        key=key,
    )


def _study_words(study: Study) -> str:
    return str(study.taken_on) if study.taken_on else f"Date unknown, filed {study.filed_at:%Y-%m-%d %H:%M}"


def sequence_words(sequence: str) -> str:
    """Say what kind of images a stored series holds."""
    known = {weighting.value: words for weighting, words in WEIGHTING_WORDS.items()}
    return known.get(sequence, sequence) or "Unknown sequence"


def _show_pair(account: Account, patient: Patient, before: Followed, now: Followed, studies: Sequence[Study]) -> None:
    # Measuring brings libraries that the page does without.
    from braintumor.reports.follow_up import changes, prior_of

    measured = [_measured(account, one.finding) for one in (before, now)]
    if measured[0] is None or measured[1] is None:
        return
    error = error_of(now.finding.bundle_sha256)
    found = changes(measured[0], measured[1], error)
    if not found:
        st.info("The files do not say how large a pixel is, or an outline is empty, so sizes are not compared.")
        return
    st.markdown(headline(found[0]))
    days = [_study_words(study) for study in studies]
    st.table(pd.DataFrame([_cells(change, days) for change in found]).set_index("Size"), border="horizontal")
    st.caption(_error_words(error, measured))
    if account.role is not Role.RESEARCHER and now.finding.label is not None:
        # Only who asks for a file waits for it.
        make = partial(
            filed_page,
            account,
            patient,
            studies[1],
            now,
            sequence_words(now.series.sequence),
            prior_of(studies[0].taken_on, found),
        )
        st.download_button(
            "Report with this comparison (PDF)",
            make,
            f"{patient.code}-report.pdf",
            "application/pdf",
            key=f"report_{before.finding.id}_{now.finding.id}",
            icon=":material/download:",
            on_click="ignore",
        )
    if not show_side_by_side(account, patient, (before, now), days, error):
        _show_both_lists(days, measured)
    _show_criteria(found)


def _show_both_lists(days: Sequence[str], measured: Sequence["Outlined | None"]) -> None:
    columns = st.columns(2)
    for column, day, outlined in zip(columns, days, measured, strict=True):
        if outlined is not None:
            with column:
                _show_lesions(day, outlined)


def headline(change: "Change") -> str:
    """Say in a sentence how the first of the sizes changed, for Markdown; growth only where it is beyond the error."""
    title = _TITLES[change.quantity]
    if change.is_beyond_error is None:
        return f"**{title} {change.share:+.0%}.** The error of this comparison is not known, so no change is claimed."
    if not change.is_beyond_error:
        return f"**No change beyond measurement error.** {title} {change.share:+.0%}."
    return f"**{title} {'grew' if change.share > 0 else 'shrank'} beyond measurement error,** {change.share:+.0%}."


def _cells(change: "Change", days: Sequence[str]) -> dict[str, str]:
    from braintumor.reports.follow_up import UNITS

    unit = UNITS[change.quantity]
    return {
        "Size": _TITLES[change.quantity],
        f"Before: {days[0]}": amount(change.before, unit),
        f"Now: {days[1]}": amount(change.now, unit),
        "Change": change_words(change),
        "Error": span_words(change),
    }


def _error_words(error: "ChangeError | None", measured: Sequence["Outlined | None"]) -> str:
    makers = {outlined.model for outlined in measured if outlined is not None}
    said = "The volume is that of all lesions; the diameters are those of the largest, in the slices as they lie."
    if None in makers:
        return f"{said} A reader corrected an outline; how far readers' outlines differ was not measured here."
    if len(makers) > 1:
        return f"{said} Two different models made the outlines, so a change may be theirs."
    if error is None:
        return f"{said} How far the outlines of this model differ was not measured."
    return (
        f"{said} Error: between two of {error.images} held-out slices, the areas by the model differed from those by "
        f"readers by up to a factor of {error.factor:.2g} in {error.share:.0%}. Volumes are taken to err alike, and "
        "diameters as the root of it. Where slices cut a lesion adds to it, the more the fewer slices it lies in. "
        "Errors that both studies share cancel out, so this is rather too wide."
    )


def _show_lesions(day: str, outlined: "Outlined") -> None:
    st.markdown(f"Lesions, {day}")
    st.dataframe(
        [
            {
                "Volume (mL)": round(lesion.volume_ml, 2),
                "Diameters (mm)": f"{lesion.longest_mm:.0f} × {lesion.perpendicular_mm:.0f}",
                "Slices": f"{lesion.first_slice + 1} to {lesion.last_slice + 1}",
            }
            for lesion in outlined.lesions
        ],
        hide_index=True,
    )


def _show_criteria(found: Sequence["Change"]) -> None:
    from braintumor.reports.follow_up import CRITERIA

    by_quantity = {change.quantity: change for change in found}
    with st.expander("RANO 2.0 and RECIST 1.1"):
        st.table(
            pd.DataFrame(
                [
                    {
                        "Criterion": criterion.title,
                        "Change here": f"{by_quantity[criterion.quantity].share:+.0%}",
                        "Progression from": progression_words(criterion),
                        "Partial response from": f"{criterion.response:+.0%}",
                    }
                    for criterion in CRITERIA
                    if criterion.quantity in by_quantity
                ]
            ).set_index("Criterion"),
            border="horizontal",
        )
        sources = "; ".join(dict.fromkeys(f"{one.title.split(',')[0]}: {one.source}" for one in CRITERIA))
        st.caption(
            f"{sources}. No category follows from sizes alone. Both sum up target lesions, of RANO 2.0 commonly "
            "contrast-enhancing ones, and compare growth with the smallest sum so far and shrinking with the baseline; "
            "new lesions count as well, and for RANO 2.0 steroids, condition and a confirming scan. Outlines of two "
            "studies say none of that: a reader decides."
        )


def progression_words(criterion: "Criterion") -> str:
    """Say from which change on a criterion speaks of progression."""
    from braintumor.reports.follow_up import UNITS

    least = criterion.least_growth
    also = "" if least is None else f" and {least:.0f} {UNITS[criterion.quantity]}"
    return f"{criterion.progression:+.0%}{also}"


def _measured(account: Account, finding: Finding) -> "Outlined | None":
    """Measure a finding's outline, a reader's where there is one; None where it cannot be read."""
    key = ("outline", account.role, finding.id)
    found: Outlined | None = store.shown(key, _measure, finding)
    return found


def _measure(actor: Account, finding: Finding) -> "Outlined":
    from braintumor.reports.follow_up import measured

    outline = store.studies().outline(actor, finding.id)
    stored = read_scan_file(outline.content)
    return measured(stored.pixels > 0, stored.spacing, outline.model, has_volume=finding.allows_volume)


@st.cache_data(ttl="10min", show_spinner=False)
def error_of(model: str) -> "ChangeError | None":
    """Give the error of the outlines of the model with this graph, where this server has it."""
    from braintumor.reports.follow_up import outline_error

    return outline_error(settings.load().models_dir, model)
