"""What the training commands can be asked for: the command line makes its options and their help from these classes.

Nothing here loads a framework or pandas, so that ``--help`` answers at once.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from braintumor import settings
from braintumor.errors import InputError
from braintumor.taxonomy import FOUR_CLASS, MR, Loss, Modality, Task

if TYPE_CHECKING:
    from braintumor.datasets import Hospitals, Roles

Imagenet = Literal["imagenet"]
"""Weights that ``keras.applications`` fetches."""

SENSITIVITY = 0.95
"""Share of the tumors to find in each dataset, unless a run asks for another."""

_CALL = "python -m braintumor"


@dataclass(frozen=True, kw_only=True)
class DataOptions:
    """Where pictures are read from, and where work is kept that a later call can use."""

    data: Path
    """Folder of pictures in class folders, or with an index.csv."""
    runs: Path = Path("runs")
    """Folder for checkpoints and prepared pictures."""


@dataclass(frozen=True, kw_only=True)
class HospitalOptions:
    """Which hospitals are held out of training."""

    validation_hospitals: tuple[str, ...] = ()
    """Hospitals or datasets to hold out for choosing thresholds."""
    test_hospitals: tuple[str, ...] = ()
    """Hospitals or datasets to hold out for testing only."""
    tumor_free: Path | None = None
    """Folder of volumes of heads without a tumor."""

    @property
    def hospitals(self) -> "Hospitals":
        """The hospitals held out."""
        from braintumor.datasets import Hospitals

        return Hospitals(self.validation_hospitals, self.test_hospitals)

    @property
    def _hospital_words(self) -> list[str]:
        words = _words("validation-hospitals", *self.validation_hospitals)
        words += _words("test-hospitals", *self.test_hospitals)
        return [*words, *_words("tumor-free", "DIR" if self.tumor_free else None)]


@dataclass(frozen=True, kw_only=True)
class TrainingOptions(DataOptions):
    """What trainings of one network and of several have in common."""

    task: Task = FOUR_CLASS
    """What to train for: the class, or only tumor or not (binary)."""
    epochs: int | None = None
    """Number of epochs (default: the network's)."""
    folds: int = 5
    """Number of folds to divide the data into."""
    seed: int = 0
    """Seed of the folds, the initial weights and the drawing of pictures."""
    sensitivity: float = SENSITIVITY
    """Share of the tumors that the operating point must find."""
    train_on: tuple[str, ...] = ()
    """Datasets to train on (default: all)."""
    test_on: tuple[str, ...] = ()
    """Datasets to test on, instead of a fold."""
    as_published: bool = False
    """Split as the datasets' authors do, which leaves copies of test pictures in training and inflates the figures."""
    bfloat16: bool = False
    """Compute in bfloat16, which is faster on processors that support it."""

    @property
    def roles(self) -> "Roles":
        """The datasets to train on and to test on."""
        from braintumor.datasets import Roles

        return Roles(self.train_on, self.test_on, self.as_published)


@dataclass(frozen=True, kw_only=True)
class RunOptions(HospitalOptions, TrainingOptions):
    """What a training run was asked for; what is None is left to the network."""

    network: str = settings.DEFAULT_MODEL
    """Network to train; docs/networks.md lists them."""
    weights: Imagenet | Path | None = None
    """File of ImageNet weights or a model.keras to start from, or imagenet to fetch the weights."""
    name: str = ""
    """Name of the bundle (default: the network's)."""
    version: str = "1.0.0"
    """Version of the bundle."""
    size: int | None = None
    """Side of the input in pixels (default: the network's)."""
    loss: Loss | None = None
    """Loss of the class (default: the network's)."""
    learning_rate: float | None = None
    """Highest learning rate (default: the network's)."""
    recipe: str | None = None
    """How pictures are drawn and changed; docs/model-bundles.md lists the recipes (default: the network's)."""
    unfreeze: bool = False
    """Train also the layers that keep their ImageNet weights, except the first convolution."""
    fold: int = 0
    """Number of the fold to test on, from 0."""
    modality: Modality = MR
    """Modality of the pictures to learn from, as DICOM codes it."""
    models: Path | None = None
    """Folder that gets the bundle (default: the app's folder of models)."""

    @property
    def command(self) -> str:
        """The call that does this again, without paths of the machine it ran on."""
        words = [*_words("network", self.network), *_words("weights", self.initial_weights)]
        words += _words("size", self.size)
        words += _words("task", None if self.task == FOUR_CLASS else self.task)
        for option in ("name", "version", "recipe", "loss", "epochs", "folds", "fold", "seed"):
            words += _words(option, getattr(self, option))
        words += _words("learning-rate", None if self.learning_rate is None else f"{self.learning_rate:g}")
        words += ["--unfreeze"] if self.unfreeze else []
        words += self._hospital_words
        words += [*_words("train-on", *self.train_on), *_words("test-on", *self.test_on)]
        words += ["--as-published"] if self.as_published else []
        words += _words("modality", None if self.modality == MR else self.modality)
        words += ["--bfloat16"] if self.bfloat16 else []
        words += _words("sensitivity", None if self.sensitivity == SENSITIVITY else f"{self.sensitivity:g}")
        return " ".join([_CALL, "train --data DIR", *words])

    @property
    def initial_weights(self) -> str | None:
        """What training starts from, without the path of a file."""
        return self.weights.name if isinstance(self.weights, Path) else self.weights


@dataclass(frozen=True, kw_only=True)
class RefitOptions(HospitalOptions, DataOptions):
    """What a bundle's answers are decided again on."""

    data: Path
    """Folder of the data that the model was trained on, with further hospitals beside it."""
    version: str
    """Version of the new model."""

    @property
    def command(self) -> str:
        """The call that does this again, without paths of the machine it ran on."""
        words = [*_words("version", self.version), *self._hospital_words]
        return " ".join([_CALL, "refit --bundle BUNDLE --data DIR", *words])


@dataclass(frozen=True, kw_only=True)
class CompareOptions(TrainingOptions):
    """What a comparison was asked for; without networks the table is written again."""

    networks: tuple[str, ...] = ()
    """Networks to train (default: none; the results of finished trainings are written again)."""
    run_folds: tuple[int, ...] = (0,)
    """Numbers of the folds to train, from 0; give no number to train none."""
    weights: tuple[str, ...] = ()
    """Files of ImageNet weights to start from, each as NETWORK=FILE; NETWORK=imagenet fetches them."""
    bundles: tuple[Path, ...] = ()
    """Folders of trained models that stand for their network on their own split."""
    out: Path = Path("results/comparison")
    """Folder that gets the results."""

    @property
    def models(self) -> Path:
        """Folder of the bundles that comparisons trained."""
        return self.runs / "compared"

    @property
    def initial_weights(self) -> Mapping[str, Imagenet | Path]:
        """Initial weights by network; raises ``InputError`` for weights of no network."""
        found: dict[str, Imagenet | Path] = {}
        for text in self.weights:
            network, separator, weights = text.partition("=")
            if not separator:
                raise InputError(f"The weights {text!r} name no network; write NETWORK=FILE.")
            found[network] = "imagenet" if weights == "imagenet" else Path(weights)
        return found


def _words(option: str, *values: object) -> list[str]:
    """Give an option and its values as words of a call; nothing where there is no value."""
    given = [str(value) for value in values if value is not None]
    return [f"--{option}", *given] if given else []
