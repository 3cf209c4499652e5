"""How well pictures that are not brain MRI are told from scans."""

import numpy as np
import numpy.typing as npt
import pandas as pd

from braintumor.bundles.figures import ForeignFigures, ForeignKind

Floats = npt.NDArray[np.float64]


def foreign_figures(real: pd.DataFrame, foreign: pd.DataFrame, limit: float | None) -> ForeignFigures:
    """Say how well pictures that are not brain MRI are told from real scans.

    ``real`` holds the columns dataset and distance of distinct scans that nothing was fitted on, ``foreign`` kind,
    distance and referred (bool), ``limit`` the distance beyond which a scan is referred (None: never).
    """
    scans = np.sort(real["distance"].to_numpy(np.float64))
    beyond = real["distance"] > (np.inf if limit is None else limit)
    return ForeignFigures(
        auroc=_area(scans, foreign["distance"]),
        real_referred=float(beyond.mean()) if len(real) else None,
        real_referred_by_dataset={str(name): float(rows.mean()) for name, rows in beyond.groupby(real["dataset"])},
        foreign_referred=float(foreign["referred"].astype(bool).mean()) if len(foreign) else None,
        kinds={
            str(kind): ForeignKind(
                images=len(rows),
                referred=float(rows["referred"].astype(bool).mean()),
                auroc=_area(scans, rows["distance"]),
            )
            for kind, rows in foreign.groupby("kind", sort=False)
        },
    )


def _area(scans: Floats, distances: npt.ArrayLike) -> float | None:
    """Give the chance that a distance is above one of ``scans``, which rise: ROC AUC (Mann and Whitney 1947)."""
    values = np.asarray(distances, dtype=np.float64)
    if not len(values) or not len(scans):
        return None
    below = np.searchsorted(scans, values, "left") + np.searchsorted(scans, values, "right")
    return float(below.mean() / (2 * len(scans)))
