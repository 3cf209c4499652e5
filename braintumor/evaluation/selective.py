"""How often a model is right at an operating point, and when it answers only what it is sure of."""

import math

import numpy as np
import numpy.typing as npt
import pandas as pd

Bools = npt.NDArray[np.bool_]


def rates_at(p_tumor: npt.ArrayLike, is_tumor: npt.ArrayLike, threshold: float) -> dict[str, float]:
    """Give sensitivity, specificity, ppv and npv when P(tumor) >= ``threshold`` is called tumor.

    ``p_tumor`` is (n,) in [0, 1], ``is_tumor`` (n,) bool. Each rate is in [0, 1], or NaN where it divides by nothing.
    """
    called = np.asarray(p_tumor, dtype=np.float64) >= threshold
    tumor = np.asarray(is_tumor, dtype=bool)

    def share(top: Bools, bottom: Bools) -> float:
        return float(top[bottom].mean()) if bottom.any() else math.nan

    return {
        "sensitivity": share(called, tumor),
        "specificity": share(~called, ~tumor),
        "ppv": share(tumor, called),
        "npv": share(~tumor, ~called),
    }


def risk_coverage(confidence: npt.ArrayLike, correct: npt.ArrayLike) -> pd.DataFrame:
    """Tabulate the error among the most confident answers as more and more of them are given.

    ``confidence`` and ``correct`` are (n,). Columns: confidence (the lowest still answered), coverage in (0, 1], risk
    in [0, 1]; one row for each distinct confidence, falling. Source: Geifman and El-Yaniv, Selective Classification
    for Deep Neural Networks, NeurIPS 2017.
    """
    values = np.asarray(confidence, dtype=np.float64)
    order = np.argsort(-values, kind="stable")
    values = values[order]
    errors = np.cumsum(~np.asarray(correct, dtype=bool)[order])
    answered = np.arange(1, len(values) + 1)
    # Equal confidences cannot be told apart, so only the last of each run is a reachable point.
    last = np.append(values[1:] != values[:-1], True) if len(values) else np.zeros(0, dtype=bool)
    return pd.DataFrame(
        {
            "confidence": values[last],
            "coverage": answered[last] / max(1, len(values)),
            "risk": errors[last] / answered[last],
        }
    )
