"""What is written about a federated run, round by round, and about results that stand side by side."""

from pathlib import Path

from pydantic import Field, JsonValue

from braintumor.bundles.figures import Estimate, Record
from braintumor.errors import InputError

ROUNDS_FILE = "rounds.json"

ANSWERED, REFUSED, FAILED, ABSENT = "answered", "refused", "failed", "absent"
"""What became of a site in a round: its answer counted, was not taken, was an error, or did not come in time."""


class SiteRound(Record):
    """A site in a round: what became of it, why where it did not count, its figures, and megabytes both ways."""

    status: str
    reason: str = ""
    examples: int | None = None
    loss: float | None = None
    accuracy: float | None = None
    val_loss: float | None = None
    val_accuracy: float | None = None
    megabytes: float = 0.0


class Round(Record):
    """A round: every site, the mean of their figures, if the common weights changed, and the privacy spent so far."""

    number: int
    sites: dict[str, SiteRound]
    changed: bool
    val_loss: float | None = None
    val_accuracy: float | None = None
    epsilon: float | None = None
    delta: float | None = None


class Rounds(Record):
    """A run so far: what was asked for, what each site holds, all whole rounds, and the best one by validation loss."""

    options: dict[str, JsonValue]
    sites: dict[str, dict[str, int]] = Field(default_factory=dict)
    rounds: tuple[Round, ...] = ()

    @property
    def best(self) -> int | None:
        """Number of the round with the lowest validation loss; None before there is one."""
        measured = [(one.val_loss, one.number) for one in self.rounds if one.val_loss is not None]
        return min(measured)[1] if measured else None


CENTRALLY, ALONE, FEDERATED = "central", "alone", "federated"
"""How a network of the comparison was trained: on all pictures in one place, on those of one site, or by rounds."""


class Trained(Record):
    """One training of the comparison and what it is worth on the leak-free test and at a hospital that took no part.

    ``accuracy`` is over four classes, ``balanced`` the mean recall of the classes, and ``auc`` that of tumor or not;
    those at the hospital carry its name before theirs.
    """

    name: str
    kind: str
    partition: str
    options: dict[str, JsonValue]
    poisoned: str = ""
    sites: dict[str, dict[str, int]]
    rounds: tuple[Round, ...]
    best: int
    images: int
    accuracy: Estimate
    balanced: Estimate
    auc: Estimate
    hospital_images: int
    hospital_auc: Estimate
    hospital_accuracy: Estimate
    cpu_seconds: float


class Comparison(Record):
    """Trainings side by side on one split: the hospital that took no part, and how to make them again."""

    command: str
    hospital: str
    trained: tuple[Trained, ...] = ()


def read_comparison(path: Path) -> Comparison:
    """Read a comparison; raises ``InputError`` where it cannot be used."""
    try:
        return Comparison.model_validate_json(path.read_bytes())
    except (OSError, ValueError) as error:
        raise InputError(f"{path.name} is no comparison of federated runs ({error}); write it again.") from error


def read_rounds(path: Path) -> Rounds:
    """Read a run's report; raises ``InputError`` where it cannot be used."""
    try:
        return Rounds.model_validate_json(path.read_bytes())
    except (OSError, ValueError) as error:
        raise InputError(f"{path.name} is no report of a federated run ({error}); delete it and begin anew.") from error
