"""What differential privacy a run has spent, counted in sites: that one took part must hardly show in what is sent."""

import math

from scipy.optimize import brentq
from scipy.stats import norm

from braintumor.federated.options import CENTRAL, LOCAL_PRIVACY, FederatedOptions


def spent(options: FederatedOptions, releases: int) -> tuple[float, float] | None:
    """Give (epsilon, delta) after so many rounds whose weights were sent on; None for a run without privacy.

    Central noise is accounted as one Gaussian mechanism. Local noise is accounted by adding up what each round spends
    (basic composition, Dwork & Roth 2014, theorem 3.16). Metrics and counts are in neither.
    """
    if releases == 0 and options.privacy in (CENTRAL, LOCAL_PRIVACY):
        return 0.0, 0.0
    if options.privacy == CENTRAL:
        return gaussian_epsilon(options.noise, releases, options.delta), options.delta
    if options.privacy == LOCAL_PRIVACY:
        return releases * options.epsilon, min(1.0, releases * options.delta)
    return None


def gaussian_epsilon(noise: float, releases: int, delta: float) -> float:
    """Give the epsilon of so many releases with Gaussian noise of ``noise`` times their sensitivity, at ``delta``.

    They are together exactly one release with the noise divided by the root of their number (Dong, Roth & Su 2022,
    J. R. Stat. Soc. B 84:3, corollary 3.3); its delta is that of Balle & Wang 2018 (arXiv:1805.06530, theorem 5).
    """
    shift = math.sqrt(releases) / noise

    def excess(epsilon: float) -> float:
        first = norm.cdf(shift / 2 - epsilon / shift)
        second = math.exp(epsilon + norm.logcdf(-shift / 2 - epsilon / shift))
        return float(first - second - delta)

    # The classical tail bound is above what is sought.
    most = shift**2 / 2 + shift * math.sqrt(2 * math.log(1 / delta))
    return 0.0 if excess(0.0) <= 0 else float(brentq(excess, 0.0, most))
