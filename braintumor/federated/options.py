"""What a federated run is asked for: values that Flower can carry to every site."""

from dataclasses import asdict, dataclass, fields
from typing import Any

from braintumor.errors import InputError
from braintumor.networks import registered
from braintumor.taxonomy import FOUR_CLASS
from braintumor.training.fit_options import FitOptions
from braintumor.training.losses import chosen_loss
from braintumor.training.recipes import RECIPES

FEDAVG, FEDPROX, FEDADAM = "FedAvg", "FedProx", "FedAdam"
FEDMEDIAN, FEDTRIMMEDAVG, KRUM = "FedMedian", "FedTrimmedAvg", "Krum"
STRATEGIES = (FEDAVG, FEDPROX, FEDADAM, FEDMEDIAN, FEDTRIMMEDAVG, KRUM)
ROBUST = (FEDMEDIAN, FEDTRIMMEDAVG, KRUM)
"""Strategies that a minority of sites cannot lead astray."""

ANEW, AVERAGED, LOCAL = "anew", "averaged", "local"
NORMS = (ANEW, AVERAGED, LOCAL)
"""Statistics of batch normalization: estimated anew at each site for the common weights and then pooled, averaged as
the sites gathered them for their own weights, or never sent."""

NO_PRIVACY, CENTRAL, LOCAL_PRIVACY = "none", "central", "local"
PRIVACY = (NO_PRIVACY, CENTRAL, LOCAL_PRIVACY)
"""Differential privacy: none, noise that the server adds to the mean, or noise that each site adds before it sends."""


@dataclass(frozen=True)
class FederatedOptions:
    """A federated run. Every field is a number or a word, as Flower's run configuration holds them.

    A network's own recipe and loss stand for "", its own learning rate and size for 0. In each of ``rounds`` every site
    trains on ``epoch_images`` pictures; the run ends after ``patience`` rounds without a better validation loss.
    ``sites`` is how many must be there before a round begins, and a site that has not answered after ``timeout``
    seconds is left out of the round.

    ``proximal`` is the weight of FedProx's pull to the common weights, ``server_rate`` FedAdam's step, ``trimmed`` the
    share that FedTrimmedAvg cuts at each end, and ``malicious`` the number of sites that Krum expects to lie. An update
    more than ``farthest`` times as long as the median one of its round is refused.

    ``noise`` is the noise multiplier of central differential privacy, ``epsilon`` what one round of local differential
    privacy spends, ``delta`` the chance that either fails, and ``clipping`` the longest update.
    """

    network: str
    size: int = 0
    task: str = FOUR_CLASS
    recipe: str = ""
    loss: str = ""
    learning_rate: float = 0.0
    seed: int = 0
    rounds: int = 10
    patience: int = 5
    epoch_images: int = 640
    batch_size: int = 32
    sites: int = 2
    timeout: float = 3600.0
    strategy: str = FEDAVG
    proximal: float = 0.01
    server_rate: float = 0.01
    trimmed: float = 0.2
    malicious: int = 1
    farthest: float = 10.0
    norms: str = ANEW
    privacy: str = NO_PRIVACY
    noise: float = 1.0
    epsilon: float = 1.0
    delta: float = 1e-5
    clipping: float = 1.0

    def __post_init__(self) -> None:
        for name, known in (("strategy", STRATEGIES), ("norms", NORMS), ("privacy", PRIVACY)):
            if getattr(self, name) not in known:
                raise InputError(f"The {name} is {getattr(self, name)!r}; it must be one of {', '.join(known)}.")
        if self.recipe not in ("", *RECIPES):
            raise InputError(f"The recipe is {self.recipe!r}; it must be one of {', '.join(RECIPES)}.")
        if min(self.rounds, self.patience, self.epoch_images, self.batch_size, self.sites) < 1:
            raise InputError("Rounds, patience, pictures a round, batch size and sites must each be 1 or more.")
        if self.norms == AVERAGED and self.strategy == FEDADAM:
            # Its steps have one length for all values, which makes a variance negative.
            raise InputError("FedAdam cannot step statistics of batch normalization; choose norms anew or local.")
        if self.privacy != NO_PRIVACY:
            self._check_privacy()

    def _check_privacy(self) -> None:
        if self.norms != LOCAL:
            raise InputError("Statistics of batch normalization carry no noise; with privacy choose norms local.")
        if min(self.noise, self.epsilon, self.clipping) <= 0 or not 0 < self.delta < 1:
            raise InputError("Noise, epsilon and clipping must be above 0, and delta between 0 and 1.")
        if self.privacy == CENTRAL and self.strategy not in (FEDAVG, FEDPROX):
            raise InputError("Central privacy is accounted for the mean; choose the strategy FedAvg or FedProx.")

    @classmethod
    def of(cls, told: dict[str, Any]) -> "FederatedOptions":
        """Read them from a run configuration, which may hold more."""
        return cls(**{field.name: told[field.name] for field in fields(cls) if field.name in told})

    def told(self) -> dict[str, bool | int | float | str]:
        """Give them as a run configuration holds them."""
        return asdict(self)

    @property
    def fitting(self) -> FitOptions:
        """How the sites train: the epochs of one training are the rounds."""
        network = registered(self.network)
        return FitOptions(
            epochs=self.rounds,
            batch_size=self.batch_size,
            epoch_images=self.epoch_images,
            learning_rate=self.learning_rate or network.learning_rate,
            averaging=0.0,
            patience=self.patience,
            seed=self.seed,
            sampling=RECIPES[self.recipe or network.recipe],
            loss=chosen_loss(self.loss or None, self.task, network.loss),
        )
