"""How well pictures that are not brain MRI are told from scans."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

Floats = npt.NDArray[np.float64]


def foreign_figures(real: pd.DataFrame, foreign: pd.DataFrame, limit: float | None) -> dict[str, Any]:
    """Say how well pictures that are no brain MRI are told from real scans, ready for JSON.

    ``real`` holds the columns dataset and distance of distinct scans that nothing was fitted on, ``foreign`` kind,
    distance and referred (bool), ``limit`` the distance beyond which a scan is referred (None: never). Keys: auroc,
    the chance that a foreign picture lies farther than a scan (ties count half), real_referred, the share of scans
    beyond the limit, real_referred_by_dataset, foreign_referred, and kinds with images, referred and auroc of each.
    Shares are in [0, 1], or None where there is nothing to take them of.
    """
    scans = np.sort(real["distance"].to_numpy(np.float64))
    beyond = real["distance"] > (np.inf if limit is None else limit)
    return {
        "auroc": _area(scans, foreign["distance"]),
        "real_referred": float(beyond.mean()) if len(real) else None,
        "real_referred_by_dataset": {str(name): float(rows.mean()) for name, rows in beyond.groupby(real["dataset"])},
        "foreign_referred": float(foreign["referred"].astype(bool).mean()) if len(foreign) else None,
        "kinds": {
            str(kind): {
                "images": len(rows),
                "referred": float(rows["referred"].astype(bool).mean()),
                "auroc": _area(scans, rows["distance"]),
            }
            for kind, rows in foreign.groupby("kind", sort=False)
        },
    }


def _area(scans: Floats, distances: npt.ArrayLike) -> float | None:
    """Give the chance that a distance is above one of ``scans``, which rise: ROC AUC (Mann and Whitney 1947)."""
    values = np.asarray(distances, dtype=np.float64)
    if not len(values) or not len(scans):
        return None
    below = np.searchsorted(scans, values, "left") + np.searchsorted(scans, values, "right")
    return float(below.mean() / (2 * len(scans)))
