"""Tables of a comparison of federated training with training in one place and at each site alone."""

from pathlib import Path

import pandas as pd

from braintumor.federated.records import ALONE, ANSWERED, CENTRALLY, Comparison, Trained, read_comparison

COMMAND = "python -m braintumor federated compare"

FIGURES = {
    "accuracy": ("Accuracy over four classes", "accuracy", None),
    "balanced": ("Mean recall of the classes", "balanced", None),
    "auc": ("ROC AUC, tumor or not", "auc", "hospital_auc"),
}
"""Figures to choose from: title, and the field for the test and for the hospital that took no part, if there is one."""

TEST, ELSEWHERE = "Leak-free test", "Hospital that took no part"
EVERYONE = "All sites"

_WAYS = {CENTRALLY: "In one place", ALONE: "One site alone"}


def comparison_file(results_dir: Path) -> Path:
    """Give the file of the comparison among the results."""
    return results_dir / "federated" / "comparison.json"


def read(path: Path) -> Comparison | None:
    """Read a comparison, None where nobody made one; raises ``InputError`` where the file cannot be used."""
    return read_comparison(path) if path.is_file() else None


def way(trained: Trained) -> str:
    """Name how a network was trained, in words."""
    return _WAYS.get(trained.kind, "By rounds")


def interval_table(comparison: Comparison, figure: str) -> pd.DataFrame:
    """Give one figure of every training as ``charts.network_intervals`` draws it; shares from 0 to 1."""
    _, here, there = FIGURES[figure]
    rows = []
    for one in comparison.trained:
        for split, field in ((TEST, here), (ELSEWHERE, there)):
            if field is not None:
                rows.append({"title": one.name, "split": split, **getattr(one, field).model_dump()})
    return pd.DataFrame(rows)


def overview(comparison: Comparison) -> pd.DataFrame:
    """Give a row a training: how, which rule, how many sites, and its figures as shares."""
    rows = []
    for one in comparison.trained:
        last = one.rounds[-1]
        rows.append(
            {
                "Training": one.name,
                "Way": way(one),
                "Rule": one.options["strategy"],
                "Poisoned": one.poisoned,
                "Sites": len(one.sites),
                "Rounds": len(one.rounds),
                "Epsilon": last.epsilon,
                "Accuracy": one.accuracy.value,
                "Mean recall": one.balanced.value,
                "AUC": one.auc.value,
                "AUC elsewhere": one.hospital_auc.value,
                "Accuracy elsewhere": one.hospital_accuracy.value,
                "MB a round": megabytes(one),
            }
        )
    return pd.DataFrame(rows).set_index("Training")


def megabytes(trained: Trained) -> float:
    """Give the megabytes of a round, both ways and all sites together: the mean of the rounds."""
    totals = [sum(site.megabytes for site in one.sites.values()) for one in trained.rounds]
    return sum(totals) / len(totals)


def rounds_table(trained: Trained, quantity: str) -> pd.DataFrame:
    """Give a validation figure of every site and of all of them, "val_loss" or "val_accuracy", by round."""
    rows = []
    for one in trained.rounds:
        rows.append({"round": one.number, "who": EVERYONE, "value": getattr(one, quantity)})
        rows += [
            {"round": one.number, "who": name, "value": getattr(site, quantity)} for name, site in one.sites.items()
        ]
    return pd.DataFrame(rows).dropna()


def site_table(trained: Trained) -> pd.DataFrame:
    """Give what each site holds, distinct pictures by label, and the rounds in which its answer counted."""
    table = pd.DataFrame(trained.sites).T.rename_axis("Site")
    answered = {
        name: sum(one.sites[name].status == ANSWERED for one in trained.rounds if name in one.sites)
        for name in table.index
    }
    return table.assign(answered=pd.Series(answered)).astype(int)


def left_out(trained: Trained) -> pd.DataFrame:
    """List sites whose answers did not count, by round, with the reason."""
    rows = [
        {"Round": one.number, "Site": name, "What": site.status, "Why": site.reason}
        for one in trained.rounds
        for name, site in one.sites.items()
        if site.status != ANSWERED
    ]
    return pd.DataFrame(rows, columns=["Round", "Site", "What", "Why"])
