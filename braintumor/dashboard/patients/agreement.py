"""How far readers agree with the models, over all that they judged in the groups of an account; no name is shown."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import streamlit as st

from braintumor.accounts import Account
from braintumor.dashboard import choices
from braintumor.dashboard.patients import store
from braintumor.dashboard.patients.follow_up import sequence_words
from braintumor.records import Judged
from braintumor.reports.numbers import figure as number_in_words
from braintumor.reports.numbers import in_words, interval, spread

if TYPE_CHECKING:
    from braintumor.evaluation.agreement import Agreement

_SIZES = ((10, "below 10 mm"), (20, "10 to 20 mm"), (30, "20 to 30 mm"), (float("inf"), "30 mm and more"))
_NO_SIZE = "no size"


def show_agreement(account: Account) -> None:
    """Show kappa, sensitivity and specificity of one model, over all and by sequence and size."""
    judged: list[Judged] = store.shown(("agreement", account.role), store.research().judged) or []
    store.show_refusal()
    if not judged:
        st.info("No reader has judged a finding of your groups yet. Verdicts are given in a patient's history.")
        return
    bundles = sorted({one.bundle for one in judged})
    bundle = choices.selectbox("Model", bundles, bundles[-1], key="agreement_bundle", width=320)
    of_model = [one for one in judged if one.bundle == bundle]
    answered = [one for one in of_model if one.model is not None]
    whole = _agreement(answered)
    figures = (
        ("Kappa, tumor or not", whole.kappa_detection, False),
        ("Kappa, type", whole.kappa_type, False),
        ("Sensitivity", whole.sensitivity, True),
        ("Specificity", whole.specificity, True),
    )
    with st.container(horizontal=True):
        for title, figure, is_share in figures:
            value, low, high = spread(figure)
            bounds = interval(low, high, is_share)
            st.metric(
                title,
                number_in_words(value, is_share),
                bounds,
                delta_color="off",
                delta_arrow="off",
                border=True,
                width=190,
            )
    st.caption(
        f"{len(answered)} answers on {whole.patients} patients; readers are the reference. Intervals of 95 % are by "
        f"patient. {len(of_model) - len(answered)} more findings were referred and are not counted. Readers saw the "
        "model's answer first and chose what to judge, so independent readings would agree less."
    )
    _show_by("Sequence", answered, lambda one: sequence_words(one.sequence))
    _show_by("Size of the outline", answered, size_of)


def size_of(judged: Judged) -> str:
    """Name the size of what the model outlined by its longest diameter."""
    if judged.diameter_mm is None:
        return _NO_SIZE
    return next(words for above, words in _SIZES if judged.diameter_mm < above)


def _show_by(title: str, judged: Sequence[Judged], part: Callable[[Judged], str]) -> None:
    parts: dict[str, list[Judged]] = {}
    for one in judged:
        parts.setdefault(part(one), []).append(one)
    order = [*(words for _, words in _SIZES), _NO_SIZE]
    st.markdown(f"**By {title.lower()}**")
    st.dataframe(
        [
            _cells(title, name, _agreement(parts[name]))
            for name in sorted(parts, key=lambda name: (order.index(name) if name in order else 0, name))
        ],
        hide_index=True,
    )


def _cells(title: str, name: str, found: "Agreement") -> dict[str, object]:
    return {
        title: name,
        "Answers": found.scans,
        "Patients": found.patients,
        "Kappa, tumor or not": in_words(*spread(found.kappa_detection), False),
        "Kappa, type": in_words(*spread(found.kappa_type), False),
        "Sensitivity": in_words(*spread(found.sensitivity)),
        "Specificity": in_words(*spread(found.specificity)),
    }


def _agreement(judged: Sequence[Judged]) -> "Agreement":
    # It brings libraries that the page does without.
    from braintumor.evaluation.agreement import Pair, agreement

    return agreement([Pair(str(one.patient), one.model, one.reader) for one in judged if one.model is not None])
