"""Does a picture look like the scans the model learned from."""

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Singles = npt.NDArray[np.float32]

PENALTY = 1e3
_MOST_STEPS = 500


@dataclass(frozen=True, eq=False)
class Typicality:
    """How far a feature vector lies from those of the training scans.

    ``mean`` and ``spread`` are (d,), what features are centered and divided by, so that layers of different range count
    alike; ``axes`` are (k, d) orthonormal directions, ``scale`` (k,) the training spread along each,
    ``residual_scale`` the root mean square norm of what the axes leave out, ``limit`` the distance up to which a
    picture counts as typical, ``quantile`` in (0, 1] the share of pictures meant to lie within it. Features count by
    their size to the ``power``, above 0, and keep their sign: below 1 the long tails of rectified layers (Tukey's
    ladder) no longer pass for distance, and small features, of which foreign pictures change many, count for more.

    Where it was shown other pictures too (``told_from``), ``weights`` (d,) and ``intercept`` give the log-odds that
    features are of such a picture, above the most that scans may have, and the distance is the larger of two: that from
    the scans over ``far``, and 1 where these log-odds are 0, growing with them. ``weights`` are empty otherwise.

    The distance from the scans joins the Mahalanobis distance inside the axes (Lee et al., A Simple Unified Framework
    for Detecting Out-of-Distribution Samples, NeurIPS 2018) with the distance from them (Moghaddam and Pentland,
    Probabilistic Visual Learning, TPAMI 1997), each divided by its root mean square on the training scans: about 1 is
    usual.
    """

    mean: Singles
    spread: Singles
    axes: Singles
    scale: Singles
    residual_scale: float
    limit: float
    quantile: float
    power: float = 1.0
    weights: Singles = field(default_factory=lambda: np.zeros(0, np.float32))
    intercept: float = 0.0
    far: float = 1.0

    @classmethod
    def fit(
        cls, features: npt.ArrayLike, quantile: float = 0.99, components: int = 64, power: float = 1.0
    ) -> "Typicality":
        """Learn from training features (n, d); the limit is their own ``quantile`` until ``with_limit`` sets it.

        At most ``components`` axes are kept, fewer where n or d is smaller or the features do not vary.

        Raises ``ValueError`` for fewer than two rows, values that are not finite, features that are all the same,
        ``components`` below 1, ``power`` of 0 or less, or ``quantile`` outside (0, 1].
        """
        # A server that only measures distances is spared the 60 MB of scikit-learn.
        from sklearn.decomposition import PCA

        rows = np.asarray(features, dtype=np.float64)
        if rows.ndim != 2 or len(rows) < 2:
            raise ValueError(f"features are {rows.shape}; they must be (n, d) with two rows or more")
        if not np.isfinite(rows).all():
            raise ValueError("features hold values that are not finite")
        if components < 1:
            raise ValueError(f"components is {components}; it must be 1 or more")
        if not power > 0:
            raise ValueError(f"power is {power}; it must be above 0")
        raised = _raised(rows, power)
        spread = float(np.sqrt(raised.var(axis=0).sum()))
        if spread <= 1e-9 * max(1.0, float(np.abs(raised).max())):
            raise ValueError("features do not vary, so nothing can be told apart")
        mean = raised.mean(axis=0)
        # A feature that hardly varies would turn any noise into a long way.
        each = np.maximum(raised.std(axis=0), 1e-3 * spread)
        centered = (raised - mean) / each
        spread = float(np.sqrt(centered.var(axis=0).sum()))
        pca = PCA(min(components, len(rows) - 1, rows.shape[1]), random_state=0).fit(centered)
        scale: Floats = np.asarray(pca.explained_variance_) ** 0.5
        kept = scale > 1e-6 * spread
        axes = pca.components_[kept]
        outside = centered - centered @ axes.T @ axes
        # Where the axes hold everything, any step out of them is unlike the training scans, but must stay finite.
        residual = max(float(np.sqrt((outside**2).sum(axis=1).mean())), 1e-3 * spread)
        single = np.float32
        arrays = (mean.astype(single), each.astype(single), axes.astype(single), scale[kept].astype(single))
        made = cls(*arrays, residual, 0.0, quantile, power)
        return made.with_limit(rows, quantile)

    def distance(self, features: npt.ArrayLike) -> Floats:
        """Measure each row of ``features`` (n, d): (n,), 0 or more, infinite where a value is not finite.

        Raises ``ValueError`` when d is not that of the training features.
        """
        distance = self.from_scans(features)
        if not len(self.weights):
            return distance
        usable = np.isfinite(distance)
        odds = self.foreign_odds(np.where(usable[:, np.newaxis], np.asarray(features, dtype=np.float64), 0.0))
        return np.where(usable, np.maximum(distance / self.far, np.logaddexp(0, odds) / np.log(2)), np.inf)

    def foreign_odds(self, features: npt.ArrayLike) -> Floats:
        """Give the log-odds that features (n, d) are not a scan's, (n,), above the most that scans may have."""
        return np.asarray(self._standardized(np.asarray(features, dtype=np.float64)) @ self.weights + self.intercept)

    def from_scans(self, features: npt.ArrayLike) -> Floats:
        """Measure how far features (n, d) lie from the training scans' alone: (n,), about 1 where that is usual."""
        rows = np.asarray(features, dtype=np.float64)
        if rows.ndim != 2 or rows.shape[1] != len(self.mean):
            raise ValueError(f"features are {rows.shape}; they must be (n, {len(self.mean)})")
        usable = np.asarray(np.isfinite(rows).all(axis=1))
        centered = self._standardized(np.where(usable[:, None], rows, 0.0))
        inside = centered @ self._double_axes.T
        outside = centered - inside @ self._double_axes
        mahalanobis = ((inside / self.scale) ** 2).mean(axis=1)
        residual = (outside**2).sum(axis=1) / self.residual_scale**2
        return np.where(usable, np.sqrt((mahalanobis + residual) / 2), np.inf)

    @cached_property
    def _double_axes(self) -> Floats:
        """Half of the time of a distance went into this conversion."""
        return self.axes.astype(np.float64)

    def _standardized(self, rows: Floats) -> Floats:
        return np.asarray((_raised(rows, self.power) - self.mean) / self.spread)

    def told_from(
        self, others: npt.ArrayLike, scans: npt.ArrayLike, sources: Sequence[str], penalty: float = PENALTY
    ) -> "Typicality":
        """Learn to tell the features of scans (n, d) from those of other pictures (m, d), by logistic regression.

        ``sources`` (n,) name where each scan came from; each source counts alike, and all of them as much as the other
        pictures. ``penalty`` weighs the squared weights. Limits come from ``with_margins``.
        """
        from sklearn.linear_model import LogisticRegression

        known, foreign = (self._standardized(np.asarray(rows, dtype=np.float64)) for rows in (scans, others))
        names, where = np.unique(np.asarray(sources), return_inverse=True)
        share = 1 / np.bincount(where)[where] / len(names)
        weights = np.concatenate([share, np.full(len(foreign), 1 / len(foreign))]) * (len(known) + len(foreign)) / 2
        model = LogisticRegression(C=1 / penalty, max_iter=_MOST_STEPS)
        model.fit(np.concatenate([known, foreign]), np.arange(len(weights)) >= len(known), weights)
        return replace(self, weights=model.coef_[0].astype(np.float32), intercept=float(model.intercept_[0]))

    def with_margins(self, odds: float, far: float) -> "Typicality":
        """Set the most log-odds and the largest distance that a scan may have; the limit is 1 then."""
        return replace(self, intercept=self.intercept - odds, far=far, limit=1.0)

    def with_limit(self, features: npt.ArrayLike, quantile: float | None = None) -> "Typicality":
        """Set the limit so that ``quantile`` (default: the one fitted with) of ``features`` (n, d) lie within it.

        Meant for validation features: training ones lie closer than new ones do. Raises ``ValueError`` for no rows or
        a quantile outside (0, 1].
        """
        share = self.quantile if quantile is None else quantile
        if not 0 < share <= 1:
            raise ValueError(f"quantile is {share}; it must be above 0 and at most 1")
        distances = self.distance(features)
        if not len(distances):
            raise ValueError("there are no features to set the limit from")
        # "higher" picks a distance that occurs, so at least the asked share lies within.
        return replace(self, limit=float(np.quantile(distances, share, method="higher")), quantile=share)

    def save(self, path: str | Path) -> None:
        """Write everything to ``path`` as plain arrays (``.npz``)."""
        with Path(path).open("wb") as file:
            np.savez_compressed(file, **{one.name: getattr(self, one.name) for one in fields(self)})

    @classmethod
    def load(cls, path: str | Path) -> "Typicality":
        """Read what ``save`` wrote; never unpickles.

        Raises ``ValueError`` for a file that is not such an archive, ``FileNotFoundError`` for none.
        """
        try:
            with np.load(Path(path), allow_pickle=False) as stored:
                values = {one.name: stored[one.name] for one in fields(cls)}
        except (KeyError, EOFError, TypeError, AttributeError, zipfile.BadZipFile) as problem:
            raise ValueError(f"{Path(path).name} does not hold a typicality model") from problem
        numbers = {name: float(value) for name, value in values.items() if not value.ndim}
        return cls(**{**values, **numbers})


def _raised(rows: Floats, power: float) -> Floats:
    return np.asarray(np.sign(rows) * np.abs(rows) ** power)
