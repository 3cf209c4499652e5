"""Which pictures each site of a federated training holds: hospitals as they are, even shares, or uneven ones."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from braintumor.datasets import DatasetError
from braintumor.errors import InputError

NATURAL, EVEN, UNEVEN = "natural", "even", "uneven"
PARTITIONS = (NATURAL, EVEN, UNEVEN)

NO_SITE = ""
"""Site of the rows that nobody trains with: held-out rows, and copies of what another site holds."""

_VALIDATION_SHARE = 0.15
_FEWEST_GROUPS = 2
_TRIES = 100


@dataclass(frozen=True)
class Partition:
    """How the training pictures are divided.

    ``natural`` makes each institution of the index, and each dataset that names none, a site. ``even`` and ``uneven``
    make ``sites`` of them: with equal shares of each label, or with shares drawn from a Dirichlet distribution, the
    more uneven the smaller ``alpha`` (Hsu et al. 2019, arXiv:1909.06335).
    """

    kind: str = NATURAL
    sites: int = 4
    alpha: float = 0.5
    seed: int = 0

    def __post_init__(self) -> None:
        if self.kind not in PARTITIONS:
            raise InputError(f"The partition is {self.kind!r}; it must be one of {', '.join(PARTITIONS)}.")
        if self.sites < 1:
            raise InputError(f"There are {self.sites} sites; name 1 at least.")
        if not self.alpha > 0:
            raise InputError(f"alpha is {self.alpha:g}; it must be above 0.")


def divide(index: pd.DataFrame, partition: Partition) -> pd.DataFrame:
    """Give the rows of a split index with the column ``site``, and with each site's own validation in ``split``.

    Only rows of the splits "train" and "validation" go to sites. All rows of a ``group`` lie at one site and in one
    split. Where a group lies at several hospitals, the smallest of them keeps its rows, so that no copy empties a
    site, and those of the others are left out (``NO_SITE``), as is a hospital with fewer than two groups. A site
    without validation rows sets groups of its own aside. Raises ``DatasetError`` where a site would have fewer than
    two groups.
    """
    rows = index[index["split"].isin(["train", "validation"])]
    random = np.random.default_rng(partition.seed)
    deal: dict[str, Callable[[], pd.Series]] = {
        NATURAL: lambda: _hospitals(rows),
        EVEN: lambda: _even(rows, partition.sites, random),
        UNEVEN: lambda: _uneven(rows, partition, random),
    }
    sites = deal[partition.kind]()
    if not (sites != NO_SITE).any():
        raise DatasetError("No site has two groups of pictures; add pictures, or choose even sites.")
    divided = index.assign(site=sites.reindex(index.index, fill_value=NO_SITE))
    return divided.assign(split=_with_validation(divided, random))


def names_of(divided: pd.DataFrame) -> list[str]:
    """Give the names of the sites of a divided index, in order."""
    return sorted(set(divided["site"]) - {NO_SITE})


def _hospitals(rows: pd.DataFrame) -> pd.Series:
    smallest = rows["hospital"].value_counts().sort_index().sort_values(kind="stable").index
    rank = rows["hospital"].map({name: number for number, name in enumerate(smallest)})
    sites = rows["hospital"].where(rank == rank.groupby(rows["group"]).transform("min"), NO_SITE)
    groups = rows["group"].groupby(sites).nunique()
    return sites.where(sites.map(groups) >= _FEWEST_GROUPS, NO_SITE)


def _even(rows: pd.DataFrame, count: int, random: np.random.Generator) -> pd.Series:
    groups = _groups(rows, count).sample(frac=1, random_state=random)
    held = pd.DataFrame(0, index=range(count), columns=sorted(groups["label"].unique()))
    site: dict[str, int] = {}
    # The largest groups first, so that the small ones level what these left uneven.
    for name, group in groups.sort_values("rows", ascending=False, kind="stable").iterrows():
        order = pd.DataFrame({"label": held[group["label"]], "all": held.sum(axis=1)}).sort_values(["label", "all"])
        chosen = int(order.index[0])
        site[str(name)] = chosen
        held.loc[chosen, group["label"]] += group["rows"]
    return _named(rows, site, count)


def _uneven(rows: pd.DataFrame, partition: Partition, random: np.random.Generator) -> pd.Series:
    count = partition.sites
    groups = _groups(rows, count)
    for _ in range(_TRIES):
        site: dict[str, int] = {}
        for _, own in groups.groupby("label"):
            wanted = random.dirichlet([partition.alpha] * count) * own["rows"].sum()
            for name, size in own["rows"].sample(frac=1, random_state=random).items():
                chosen = int(np.argmax(wanted))
                site[str(name)] = chosen
                wanted[chosen] -= size
        if np.bincount(list(site.values()), minlength=count).min() >= _FEWEST_GROUPS:
            return _named(rows, site, count)
    raise DatasetError(
        f"With alpha {partition.alpha:g} no draw gave each of {count} sites two groups; choose a larger alpha or fewer."
    )


def _groups(rows: pd.DataFrame, count: int) -> pd.DataFrame:
    """List the groups, by name: how many rows, and the most frequent label."""
    found = rows.groupby("group").agg(rows=("label", "size"), label=("label", lambda labels: labels.mode().iloc[0]))
    if len(found) < _FEWEST_GROUPS * count:
        raise DatasetError(f"There are {len(found)} groups of pictures, too few for {count} sites; choose fewer sites.")
    return found


def _named(rows: pd.DataFrame, site: dict[str, int], count: int) -> pd.Series:
    digits = len(str(count))
    return rows["group"].map({group: f"site {number + 1:0{digits}}" for group, number in site.items()})


def _with_validation(divided: pd.DataFrame, random: np.random.Generator) -> pd.Series:
    """Give each site groups to validate on and groups to train on, where the split left it without."""
    splits = divided["split"].copy()
    for _, own in divided[divided["site"] != NO_SITE].groupby("site"):
        if own["split"].nunique() == 2:
            continue
        names = random.permutation(np.sort(own["group"].unique()))
        aside = names[: max(1, round(_VALIDATION_SHARE * len(names)))]
        splits[own.index] = np.where(own["group"].isin(aside), "validation", "train")
    return splits
