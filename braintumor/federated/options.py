"""What a federated run is asked for: values that Flower can carry to every site.

Nothing here loads a framework, so that ``--help`` answers at once.
"""

from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

from braintumor.errors import InputError
from braintumor.taxonomy import FOUR_CLASS, Loss, Task

if TYPE_CHECKING:
    from braintumor.training.fit_options import FitOptions

Strategy = Literal["FedAvg", "FedProx", "FedAdam", "FedMedian", "FedTrimmedAvg", "Krum"]
Norms = Literal["anew", "averaged", "local"]
Privacy = Literal["none", "central", "local"]

FEDAVG: Strategy = "FedAvg"
FEDPROX: Strategy = "FedProx"
FEDADAM: Strategy = "FedAdam"
FEDMEDIAN: Strategy = "FedMedian"
FEDTRIMMEDAVG: Strategy = "FedTrimmedAvg"
KRUM: Strategy = "Krum"
STRATEGIES: tuple[Strategy, ...] = get_args(Strategy)
ROBUST = (FEDMEDIAN, FEDTRIMMEDAVG, KRUM)
"""Strategies that a minority of sites cannot lead astray."""

ANEW: Norms = "anew"
AVERAGED: Norms = "averaged"
LOCAL: Norms = "local"
NORMS: tuple[Norms, ...] = get_args(Norms)
"""Statistics of batch normalization: estimated anew at each site for the common weights and then pooled, averaged as
the sites gathered them for their own weights, or never sent."""

NO_PRIVACY: Privacy = "none"
CENTRAL: Privacy = "central"
LOCAL_PRIVACY: Privacy = "local"
PRIVACY: tuple[Privacy, ...] = get_args(Privacy)
"""Differential privacy: none, noise that the server adds to the mean, or noise that each site adds before it sends."""


@dataclass(frozen=True, kw_only=True)
class FederatedOptions:
    """A federated run. Every field is a number or a word, as Flower's run configuration holds them.

    A network's own recipe and loss stand for "", its own learning rate and size for 0.
    """

    network: str
    """Network to train; docs/networks.md lists them."""
    size: int = 0
    """Side of the input in pixels (0: the network's)."""
    task: Task = FOUR_CLASS
    """What to train for: the class, or only tumor or not (binary)."""
    recipe: str = ""
    """How pictures are drawn and changed; docs/model-bundles.md lists the recipes (default: the network's)."""
    loss: str = ""
    """Loss of the class (default: the network's)."""
    learning_rate: float = 0.0
    """Highest learning rate (0: the network's)."""
    seed: int = 0
    """Seed of the sites, the initial weights and the drawing of pictures."""
    rounds: int = 10
    """Number of rounds at most."""
    patience: int = 5
    """Rounds without a better validation loss after which the run ends."""
    epoch_images: int = 640
    """Pictures that each site trains on in a round."""
    batch_size: int = 32
    """Pictures of one step."""
    sites: int = 2
    """Number of sites; of a deployment, how many must be there before a round begins."""
    timeout: float = 3600.0
    """Seconds after which a site that has not answered is left out of the round."""
    strategy: Strategy = FEDAVG
    """How the server joins the weights."""
    proximal: float = 0.01
    """Weight of FedProx's pull to the common weights."""
    server_rate: float = 0.01
    """Step of FedAdam."""
    trimmed: float = 0.2
    """Share that FedTrimmedAvg cuts at each end."""
    malicious: int = 1
    """Number of sites that Krum expects to lie."""
    farthest: float = 10.0
    """Refuse an update that is so many times as long as the median one of its round."""
    norms: Norms = ANEW
    """Statistics of batch normalization: estimated anew at each site and pooled, averaged, or local."""
    privacy: Privacy = NO_PRIVACY
    """Differential privacy: noise that the server (central) or each site (local) adds."""
    noise: float = 1.0
    """Noise multiplier of central privacy."""
    epsilon: float = 1.0
    """What one round of local privacy spends."""
    delta: float = 1e-5
    """Chance that the promise of privacy fails."""
    clipping: float = 1.0
    """Longest update under privacy."""

    def __post_init__(self) -> None:
        for name, known in (("strategy", STRATEGIES), ("norms", NORMS), ("privacy", PRIVACY)):
            if getattr(self, name) not in known:
                raise InputError(f"The {name} is {getattr(self, name)!r}; it must be one of {', '.join(known)}.")
        if self.recipe:
            _check_recipe(self.recipe)
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
    def fitting(self) -> "FitOptions":
        """How the sites train: the epochs of one training are the rounds."""
        from braintumor.networks import registered
        from braintumor.training.fit_options import FitOptions
        from braintumor.training.losses import chosen_loss
        from braintumor.training.recipes import RECIPES

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
            loss=chosen_loss(_named(self.loss), self.task, network.loss),
        )


def _named(loss: str) -> Loss | None:
    """Give a loss by its name, None for ""; ``chosen_loss`` refuses what is no loss."""
    return cast(Loss, loss) if loss else None


def _check_recipe(name: str) -> None:
    from braintumor.training.recipes import RECIPES

    if name not in RECIPES:
        raise InputError(f"The recipe is {name!r}; it must be one of {', '.join(RECIPES)}.")
