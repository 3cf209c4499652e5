"""``python -m braintumor convert-card``: give a bundle of version 5.2 or before a card of today's shape."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import ValidationError

from braintumor.bundles import (
    CARD_FILE,
    FOREIGN_FILE,
    MAP_BINS_FILE,
    PREDICTIONS_FILE,
    SEGMENTATION_FILE,
    BundleError,
    Card,
    write_card,
)
from braintumor.bundles.schema import SCHEMA
from braintumor.decision import ReferralRule
from braintumor.evaluation.report import DecidesBy, measured_metrics


def convert_card(folder: Path) -> Card:
    """Rewrite a bundle's card in today's shape and give it; weights and tables stay as they are.

    Figures are computed from the bundle's tables once more, which gives the same numbers, and those that old cards did
    not hold. A card that has today's shape stays as it is. Raises ``BundleError`` for one that cannot be read or lacks
    something, as those of before version 5.0 do.
    """
    path = folder / CARD_FILE
    try:
        old = json.loads(path.read_text(encoding="utf-8"))
        if old.get("schema_version") == SCHEMA:
            return Card.model_validate_json(path.read_text(encoding="utf-8"))
        text = json.dumps({**old, "schema_version": SCHEMA, "metrics": _metrics(folder, old)})
        return write_card(folder, Card.model_validate_json(text))
    except (OSError, KeyError, TypeError, ValueError, AttributeError) as error:
        first = error.errors()[0] if isinstance(error, ValidationError) else None
        what = f"{'.'.join(map(str, first['loc']))}: {first['msg']}" if first else str(error)
        raise BundleError(f"The card of {folder.name} cannot be converted ({what}); train the model again.") from error


def _metrics(folder: Path, old: dict[str, Any]) -> dict[str, Any]:
    point = old["operating_point"]
    decides_by = DecidesBy(point["threshold"], ReferralRule(**point["referral"]), old.get("kinds", True))
    # An empty name of a sequence is a name, and not a missing one.
    predictions = pd.read_csv(folder / PREDICTIONS_FILE, keep_default_na=False)
    foreign, segmentation, map_bins = (
        pd.read_csv(folder / name) if (folder / name).is_file() else None
        for name in (FOREIGN_FILE, SEGMENTATION_FILE, MAP_BINS_FILE)
    )
    return measured_metrics(predictions, foreign, segmentation, map_bins, decides_by).model_dump(mode="json")
