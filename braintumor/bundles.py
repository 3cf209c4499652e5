"""A trained model on disk: one folder with everything needed to use, check and question it."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

from braintumor.decision import Calibration, MarkDetector, ReferralRule, Typicality, VolumeRule
from braintumor.errors import InputError
from braintumor.evaluation.faithfulness import MEASURES
from braintumor.heatmaps import CellGrid
from braintumor.scans import PREPROCESSING
from braintumor.taxonomy import CLASSES

CARD_FILE = "card.json"
GRAPH_FILE = "graph.tflite"
KERAS_FILE = "model.keras"
TYPICALITY_FILE = "typicality.npz"
HISTORY_FILE = "history.csv"
PREDICTIONS_FILE = "predictions.csv"
SEGMENTATION_FILE = "segmentation.csv"
MAP_BINS_FILE = "map_bins.csv"
FOREIGN_FILE = "foreign.csv"
MARKS_FILE = "marks.npz"
STACKS_FILE = "stacks.csv"
HEATMAPS_FILE = "heatmaps.csv"
HEATMAP_FIGURES_FILE = "heatmaps.json"

_HASHED = (GRAPH_FILE, KERAS_FILE, TYPICALITY_FILE, HISTORY_FILE, PREDICTIONS_FILE)
_HASHED_WITH_MAP = (*_HASHED, SEGMENTATION_FILE, MAP_BINS_FILE)
_REQUIRED = (
    "name",
    "version",
    "created",
    "network",
    "network_source",
    "command",
    "classes",
    "parameters",
    "input",
    "heatmap",
    "data",
    "split",
    "calibration",
    "operating_point",
    "metrics",
    "sha256",
)


class BundleError(InputError):
    """A bundle that cannot be used; the message says what is wrong with it and what to do."""


@dataclass(frozen=True)
class Bundle:
    """A checked bundle: its folder and its card, a JSON object as ``docs/model-bundles.md`` describes it."""

    folder: Path
    card: Mapping[str, Any]

    @property
    def name(self) -> str:
        """Name and version, as predictions carry them."""
        return f"{self.card['name']}-{self.card['version']}"

    @property
    def size(self) -> int:
        """Side of the square input in pixels."""
        return int(self.card["input"]["size"])

    @property
    def grid(self) -> CellGrid:
        """Where the cells of the Grad-CAM lie on the input."""
        return CellGrid(self.size, float(self.card["heatmap"]["first"]), float(self.card["heatmap"]["step"]))

    @property
    def feature_map(self) -> bool:
        """Whether the network has a last feature map, which Grad-CAM and its kin need."""
        return bool(self.card["heatmap"].get("feature_map", True))

    @property
    def kinds(self) -> bool:
        """Whether the network tells kinds of tumors apart, and not tumor or not alone."""
        return bool(self.card.get("kinds", True))

    @property
    def calibration(self) -> Calibration:
        """What turns logits into probabilities."""
        given = self.card["calibration"]
        # Models made before state their map as the network does.
        values = {"map_temperature": 1.0, **given}
        return Calibration(**{field.name: float(values[field.name]) for field in fields(Calibration)})

    @property
    def threshold(self) -> float:
        """Operating point: P(tumor) from which a scan counts as showing a tumor."""
        return float(self.card["operating_point"]["threshold"])

    @property
    def doubt_from(self) -> float:
        """P(tumor) from which a tumor is not ruled out, whether it then counts as one or the scan is referred."""
        return min(self.referral.tumor_low, self.threshold)

    @property
    def sure_from(self) -> float:
        """P(tumor) from which a tumor is called without doubt about it, whether or not its kind is told."""
        return max(self.referral.tumor_high, self.threshold)

    @property
    def referral(self) -> ReferralRule:
        """When an answer is withheld."""
        return ReferralRule(**self.card["operating_point"]["referral"])

    @property
    def volume_rule(self) -> VolumeRule | None:
        """What judges a volume by all of its slices; None in models made before there was one."""
        given = self.card.get("volume_rule")
        return (
            None if given is None else VolumeRule(**{one.name: _tuple(given[one.name]) for one in fields(VolumeRule)})
        )

    @cached_property
    def marks(self) -> MarkDetector | None:
        """What tells marks drawn over the head; None where the bundle was not taught it."""
        try:
            return MarkDetector.load(self.folder / MARKS_FILE) if "marks" in self.card else None
        except ValueError as error:
            raise BundleError(f"{MARKS_FILE} of {self.folder.name} is of another version; fit it again.") from error

    @cached_property
    def typicality(self) -> Typicality:
        """What the features of brain MRI slices look like."""
        try:
            return Typicality.load(self.folder / TYPICALITY_FILE)
        except ValueError as error:
            raise BundleError(
                f"{TYPICALITY_FILE} of {self.folder.name} is of another version; train it again."
            ) from error


def _checked_marks(bundle: Bundle) -> None:
    """Refuse a detector of marks that was fitted on the features of another network."""
    if bundle.marks is not None and bundle.marks.graph_sha256 != bundle.card["sha256"][GRAPH_FILE]:
        raise BundleError(
            f"{MARKS_FILE} of {bundle.folder.name} belongs to another network; run python -m braintumor marks again."
        )


def load_bundle(folder: Path) -> Bundle:
    """Read a bundle's card and check every other file against its SHA-256.

    Raises ``BundleError`` when the folder, its card or a file is missing, a file was changed, or the bundle was made
    for other classes or another preprocessing than this version has.
    """
    bundle = Bundle(folder, read_card(folder))
    missing = [key for key in _REQUIRED if key not in bundle.card]
    if missing:
        raise BundleError(f"The card of {folder.name} lacks {missing[0]!r}; train or download the model again.")
    if tuple(bundle.card["classes"]) != CLASSES:
        raise BundleError(f"{folder.name} answers with other classes than this version; use a model made for it.")
    given = bundle.card["input"]
    made_with = given.get("preprocessing") if isinstance(given, dict) else None
    if made_with != PREPROCESSING:
        raise BundleError(
            f"{folder.name} was trained with the preprocessing {made_with!r}, this version has {PREPROCESSING!r}; "
            "train it again."
        )
    try:
        _ = bundle.size, bundle.grid, bundle.calibration, bundle.threshold, bundle.referral, bundle.volume_rule
    except (KeyError, TypeError, ValueError) as error:
        raise BundleError(
            f"The card of {folder.name} holds a value that cannot be used ({error}); restore it."
        ) from error
    for name in _files(bundle.card):
        _check_hash(folder / name, bundle.card["sha256"].get(name))
    _checked_marks(bundle)
    return bundle


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def read_card(folder: Path) -> dict[str, Any]:
    """Read the card alone, without checking the weights; raises ``BundleError`` when that fails."""
    path = folder / CARD_FILE
    if not path.is_file():
        raise BundleError(f"There is no model at {folder.name}; check the setting BRAINTUMOR_MODEL, or train one.")
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BundleError(f"The card of {folder.name} cannot be read; restore {CARD_FILE}.") from error
    if not isinstance(card, dict):
        raise BundleError(f"The card of {folder.name} is no JSON object; restore {CARD_FILE}.")
    return card


def list_bundles(models_dir: Path) -> list[Path]:
    """Give every folder of ``models_dir`` that holds a card, by name."""
    return sorted(path.parent for path in models_dir.glob(f"*/{CARD_FILE}"))


def write_card(folder: Path, card: Mapping[str, Any]) -> None:
    """Write the card with the SHA-256 of the other files; a reader sees the old card or the whole new one."""
    hashes = {name: sha256_of(folder / name) for name in _files(card)}
    draft = folder / f".{CARD_FILE}"
    draft.write_text(json.dumps({**card, "sha256": hashes}, indent=2) + "\n", encoding="utf-8")
    draft.replace(folder / CARD_FILE)


def read_heatmap_figures(folder: Path) -> dict[str, Any] | None:
    """Read what ``python -m braintumor heatmaps`` measured; None where it did not yet, or of another model's weights.

    None, too, where the file is broken or of a version that measured something else.

    No card names the file: a model is whole without it, and the file itself names the weights that it was made with.
    """
    try:
        found: dict[str, Any] = json.loads((folder / HEATMAP_FIGURES_FILE).read_text(encoding="utf-8"))
        _check_heatmap_figures(found)
        return found if found["model_sha256"] == sha256_of(folder / KERAS_FILE) else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def sha256_of(path: Path) -> str:
    """Give a file's SHA-256 in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _files(card: Mapping[str, Any]) -> tuple[str, ...]:
    metrics = card.get("metrics")
    # Models made before the pictures that are no brain MRI were measured have no table of them.
    measured: tuple[str, ...] = (FOREIGN_FILE,) if isinstance(metrics, dict) and "foreign" in metrics else ()
    # So have those that were not taught to notice marks.
    measured += (MARKS_FILE,) if "marks" in card else ()
    measured += (STACKS_FILE,) if card.get("volume_rule") else ()
    return (_HASHED_WITH_MAP if card.get("map") else _HASHED) + measured


def _check_heatmap_figures(found: Mapping[str, Any]) -> None:
    """Walk through all that is read later; what this raises, ``ValueError`` where no other, tells of another shape."""
    numbers = [found["images"], found["groups"], *(found.get("share") or [])]
    for curves in (found.get("curves") or {}).values():
        numbers += [score for curve in curves.values() for score in curve]
    unless_none = [(found.get("chance") or {}).get("inside")]
    for measured in found["methods"].values():
        unless_none += [measured[name].get(key) for name in MEASURES for key in ("value", "low", "high")]
        unless_none.append(measured.get("seconds"))
    numbers += [number for number in unless_none if number is not None]
    if not all(isinstance(number, (int, float)) for number in numbers):
        raise ValueError(f"{HEATMAP_FIGURES_FILE} holds something else where a number belongs")


def _check_hash(path: Path, expected: str | None) -> None:
    if not path.is_file():
        raise BundleError(f"{path.name} of the model {path.parent.name} is missing; restore it from the repository.")
    if sha256_of(path) != expected:
        raise BundleError(
            f"{path.name} of the model {path.parent.name} is not the file its card was written for; "
            "restore it from the repository."
        )
