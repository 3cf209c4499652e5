"""How well stated confidence matches how often the model is right."""

import numpy as np
import numpy.typing as npt
import pandas as pd

BINS = 15
"""Equal-width bins of confidence, as in Guo et al. 2017."""


def bin_numbers(confidence: npt.ArrayLike, bins: int = BINS) -> npt.NDArray[np.intp]:
    """Number the equal-width bin of each confidence in [0, 1], from 0; a bin holds its lower edge, the last both.

    Raises ``ValueError`` when ``bins`` is below 1 or a confidence is outside [0, 1] by more than rounding.
    """
    if bins < 1:
        raise ValueError(f"bins is {bins}; it must be 1 or more")
    values = np.asarray(confidence, dtype=np.float64)
    if values.size and not (values.min() >= -1e-6 and values.max() <= 1 + 1e-6):
        raise ValueError("confidence has values outside 0 to 1")
    return np.clip((values * bins).astype(np.intp), 0, bins - 1)


def reliability(confidence: npt.ArrayLike, correct: npt.ArrayLike, bins: int = BINS) -> pd.DataFrame:
    """Tabulate mean confidence against the share that was right, one row a bin.

    ``confidence`` is (n,) in [0, 1], ``correct`` (n,) bool. Columns: low, high (edges of the bin), confidence,
    accuracy (means, NaN in an empty bin), count. Raises ``ValueError`` like ``bin_numbers``.
    """
    values = np.asarray(confidence, dtype=np.float64)
    right = np.asarray(correct, dtype=np.float64)
    number = bin_numbers(values, bins)
    count = np.bincount(number, minlength=bins)
    edges = np.linspace(0, 1, bins + 1)
    divisor = np.where(count, count, np.nan)
    return pd.DataFrame(
        {
            "low": edges[:-1],
            "high": edges[1:],
            "confidence": np.bincount(number, weights=values, minlength=bins) / divisor,
            "accuracy": np.bincount(number, weights=right, minlength=bins) / divisor,
            "count": count,
        }
    )
