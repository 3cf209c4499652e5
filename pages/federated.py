"""Federated training: rounds against figures, what each site holds and sends, and what training together is worth."""

import pandas as pd
import streamlit as st

from braintumor import settings
from braintumor.dashboard import charts, choices, federated_tables, gate
from braintumor.dashboard.metric_sections import elements
from braintumor.dashboard.plain_text import plain
from braintumor.errors import InputError
from braintumor.federated.records import Comparison, Trained

_QUANTITIES = {"val_loss": "Validation loss", "val_accuracy": "Validation accuracy"}
_SHARES = ("Accuracy", "Mean recall", "Accuracy elsewhere")


def main() -> None:
    gate.current()
    st.title("Federated training")
    st.markdown(
        "Hospitals train one network together: each trains it on scans of its own, only weights, counts and figures "
        "leave it, and a server joins the weights round by round."
    )
    path = federated_tables.comparison_file(settings.load().results_dir)
    try:
        comparison = federated_tables.read(path)
    except InputError as problem:
        st.error(plain(str(problem)))
        st.stop()
    if comparison is None or not comparison.trained:
        st.info(f"Nothing has been compared yet; `{federated_tables.COMMAND}` writes `{path.name}` among the results.")
        st.stop()
    _worth(comparison)
    _closer(comparison)
    st.header("Take the numbers with you", divider="gray")
    st.download_button(path.name, path.read_bytes(), f"federated-{path.name}", "application/json", on_click="ignore")


def _worth(comparison: Comparison) -> None:
    st.header("What is it worth?", divider="gray")
    figures = federated_tables.FIGURES
    chosen = choices.selectbox("Figure", [*figures], "accuracy", format_func=lambda key: figures[key][0], key="figure")
    title = figures[chosen][0]
    table = federated_tables.interval_table(comparison, chosen)
    elements.chart(charts.network_intervals(table, title, is_share=chosen != "auc"), "intervals")
    st.caption(
        f"One network, one leak-free split, and no scan at two sites. The hospital that took no part is "
        f"{plain(comparison.hospital)}; its slices were only measured. Made by `{comparison.command}`."
    )
    shown = federated_tables.overview(comparison)
    shown[list(_SHARES)] *= 100
    config = dict.fromkeys(_SHARES, st.column_config.NumberColumn(format="%.1f%%"))
    config |= dict.fromkeys(("AUC", "AUC elsewhere"), st.column_config.NumberColumn(format="%.3f"))
    config |= {"MB a round": st.column_config.NumberColumn(format="%.1f")}
    config |= {"Epsilon": st.column_config.NumberColumn(format="%.3g")}
    st.dataframe(shown.dropna(axis=1, how="all"), width="stretch", height="content", column_config=config)


def _closer(comparison: Comparison) -> None:
    st.header("Round by round", divider="gray")
    by_name = {one.name: one for one in comparison.trained}
    together = [name for name, one in by_name.items() if len(one.sites) > 1]
    first = together[0] if together else next(iter(by_name))
    name = choices.selectbox("Training", [*by_name], first, key="training")
    quantity = choices.segmented_control("By round", [*_QUANTITIES], "val_loss", format_func=_QUANTITIES.__getitem__)
    trained = by_name[name]
    curves = federated_tables.rounds_table(trained, quantity)
    elements.chart(charts.round_curves(curves, _QUANTITIES[quantity], federated_tables.EVERYONE), "rounds")
    st.caption(f"The weights of round {trained.best} are kept: it has the lowest validation loss over all sites.")
    _sites(trained)


def _sites(trained: Trained) -> None:
    st.subheader("What each site holds")
    st.dataframe(federated_tables.site_table(trained), width="stretch", height="content")
    st.caption(
        "Distinct scans by label that it trains on, scans that it validates on, and rounds in which its answer counted."
    )
    sent = pd.DataFrame(
        [{"Site": name, "MB": site.megabytes} for name, site in trained.rounds[-1].sites.items()]
    ).set_index("Site")
    st.subheader("What travels in a round")
    st.dataframe(
        sent,
        width="stretch",
        height="content",
        column_config={"MB": st.column_config.NumberColumn("Megabytes, both ways", format="%.1f")},
    )
    missing = federated_tables.left_out(trained)
    if len(missing):
        st.subheader("Who was left out")
        st.dataframe(missing, width="stretch", height="content", hide_index=True)
    epsilon = trained.rounds[-1].epsilon
    if epsilon is not None:
        st.markdown(
            f"Differential privacy spent over all rounds: ε = {epsilon:.3g}, δ = {trained.rounds[-1].delta:.1g}."
        )


main()
