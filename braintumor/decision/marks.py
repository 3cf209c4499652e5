"""Are marks drawn over the head: a line through the features of the network that they would deceive."""

import zipfile
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class MarkDetector:
    """A logistic regression on the square roots of a network's features.

    ``weights`` is (d,), ``bias`` what is added, ``limit`` the score above which a picture counts as marked, and
    ``graph_sha256`` the SHA-256 of the exported network whose features these are.
    """

    weights: npt.NDArray[np.float32]
    bias: float
    limit: float
    graph_sha256: str

    @classmethod
    def fit(cls, features: npt.ArrayLike, marked: npt.NDArray[np.bool_], graph_sha256: str) -> "MarkDetector":
        """Learn from features (n, d) of pictures with marks and without; ``with_limit`` sets the limit."""
        # A server that only asks is spared the 60 MB of scikit-learn.
        from sklearn.linear_model import LogisticRegression

        rows = _raised(features)
        mean, spread = rows.mean(axis=0), np.maximum(rows.std(axis=0), 1e-6)
        fitted = LogisticRegression(C=_STRENGTH, max_iter=3000).fit((rows - mean) / spread, marked)
        weights = fitted.coef_[0] / spread
        return cls(weights.astype(np.float32), float(fitted.intercept_[0] - mean @ weights), 0.0, graph_sha256)

    def score(self, features: npt.ArrayLike) -> Floats:
        """Give the log-odds of marks for each row of features (n, d): (n,)."""
        return np.asarray(_raised(features) @ self.weights + self.bias, dtype=np.float64)

    def marked(self, features: npt.ArrayLike) -> npt.NDArray[np.bool_]:
        """Tell which rows of features (n, d) have a score above the limit: (n,) bool."""
        return np.asarray(self.score(features) > self.limit)

    def with_limit(self, features: npt.ArrayLike, most: float) -> "MarkDetector":
        """Set the limit so that of pictures without marks, features (n, d), at most the share ``most`` is above it."""
        return replace(self, limit=float(np.quantile(self.score(features), 1 - most, method="higher")))

    def save(self, path: Path) -> None:
        """Write everything to ``path`` as plain arrays (``.npz``)."""
        with path.open("wb") as file:
            np.savez_compressed(file, **{field.name: getattr(self, field.name) for field in fields(self)})

    @classmethod
    def load(cls, path: Path) -> "MarkDetector":
        """Read what ``save`` wrote; raises ``ValueError`` for a file that is something else."""
        try:
            with np.load(path, allow_pickle=False) as stored:
                bias, limit = float(stored["bias"]), float(stored["limit"])
                return cls(stored["weights"], bias, limit, str(stored["graph_sha256"]))
        except (KeyError, EOFError, TypeError, AttributeError, zipfile.BadZipFile) as problem:
            raise ValueError(f"{path.name} holds no detector of marks") from problem


_STRENGTH = 0.003
"""Inverse strength of the regularization, the best of four on held-out slices; 0.001 and 0.01 do about as well."""


def _raised(features: npt.ArrayLike) -> Floats:
    rows = np.asarray(features, dtype=np.float64)
    return np.asarray(np.sign(rows) * np.abs(rows) ** 0.5)
