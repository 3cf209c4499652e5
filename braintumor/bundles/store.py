"""The files of a bundle, and reading and writing its card and what was measured of its heatmaps."""

import hashlib
import json
from pathlib import Path

from pydantic import ValidationError

from braintumor.bundles.figures import HeatmapFigures
from braintumor.bundles.schema import SCHEMA, Card
from braintumor.errors import InputError

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
COPIES_FILE = "copies.npz"
STACKS_FILE = "stacks.csv"
HEATMAPS_FILE = "heatmaps.csv"
HEATMAP_FIGURES_FILE = "heatmaps.json"

_ALWAYS = (GRAPH_FILE, KERAS_FILE, TYPICALITY_FILE, HISTORY_FILE, PREDICTIONS_FILE)


class BundleError(InputError):
    """A bundle that cannot be used; the message says what is wrong with it and what to do."""


def files_of(card: Card) -> tuple[str, ...]:
    """List the files that belong to a card; each is named there with its SHA-256."""
    depends = {
        SEGMENTATION_FILE: card.map is not None,
        MAP_BINS_FILE: card.map is not None,
        FOREIGN_FILE: card.metrics.foreign is not None,
        MARKS_FILE: card.marks is not None,
        COPIES_FILE: card.copies is not None,
        STACKS_FILE: card.volume_rule is not None,
    }
    return (*_ALWAYS, *(name for name, there in depends.items() if there))


def list_bundles(models_dir: Path) -> list[Path]:
    """Give every folder of ``models_dir`` that holds a card, by name."""
    return sorted(path.parent for path in models_dir.glob(f"*/{CARD_FILE}"))


def read_card(folder: Path) -> Card:
    """Read the card only, without checking the weights; raises ``BundleError`` when that fails."""
    path = folder / CARD_FILE
    if not path.is_file():
        raise BundleError(f"There is no model at {folder.name}; check the setting BRAINTUMOR_MODEL, or train one.")
    try:
        text = path.read_text(encoding="utf-8")
        version = json.loads(text).get("schema_version")
    except (OSError, ValueError, AttributeError) as error:
        raise BundleError(f"The card of {folder.name} cannot be read; restore {CARD_FILE}.") from error
    if version != SCHEMA:
        raise BundleError(
            f"The card of {folder.name} is of another version; run python -m braintumor convert-card {folder}."
        )
    try:
        return Card.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or CARD_FILE
        raise BundleError(
            f"The card of {folder.name} holds a value that cannot be used ({where}: {first['msg']}); restore it."
        ) from error


def write_card(folder: Path, card: Card) -> Card:
    """Write a card with the SHA-256 of the other files and give it; a reader sees the old card or the whole new one."""
    whole = card.model_copy(update={"sha256": {name: sha256_of(folder / name) for name in files_of(card)}})
    draft = folder / f".{CARD_FILE}"
    draft.write_text(whole.model_dump_json(indent=2) + "\n", encoding="utf-8")
    draft.replace(folder / CARD_FILE)
    return whole


def read_heatmap_figures(folder: Path) -> HeatmapFigures | None:
    """Read what ``python -m braintumor heatmaps`` measured; None where it did not yet, or of another model's weights.

    None, too, where the file is broken or of a version that measured something else. No card names the file: a model is
    whole without it, and the file itself names the weights that it was made with.
    """
    try:
        found = HeatmapFigures.model_validate_json((folder / HEATMAP_FIGURES_FILE).read_bytes())
        return found if found.model_sha256 == sha256_of(folder / KERAS_FILE) else None
    except (OSError, ValidationError):
        return None


def sha256_of(path: Path) -> str:
    """Give a file's SHA-256 in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
