"""``python -m braintumor copies``: teach a bundle to know the pictures it learned from, and copies of them."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from braintumor.bundles import COPIES_FILE, Bundle, write_card
from braintumor.bundles.figures import CopyFigures
from braintumor.datasets import DatasetError, map_pictures
from braintumor.decision import CopyDetector, small_square
from braintumor.decision.copies import SIDE
from braintumor.evaluation import Share
from braintumor.scans import Scan, prepare_within, restore, small_head
from braintumor.training.evaluate import split_as_trained
from braintumor.training.experiment import labelled_index
from braintumor.training.faithfulness import sampled

LEARNED_FROM = ("train", "validation")
MOST_FALSE = 0.001
"""Share of the left-out hospitals' slices that may count as copies when the limit is set."""

_CHANGED, _MEASURED = 1500, 400
"""Pictures whose changes teach what a copy may look like, and such that measure how many are known again."""
_CHANGES_EACH = 6

Picture = NDArray[np.uint8]


def teach_copies(bundle: Bundle, root: Path, seed: int = 0) -> CopyFigures:
    """Fit a bundle's detector of copies on what it learned from, write it beside the network, and give its figures.

    The limit comes from slices of validation hospitals, or of all left-out pictures where there are none. What is known
    again is measured on pictures that taught no change, false matches on all that is left out. The figures stand in the
    card as "copies". Raises ``DatasetError`` where the folder holds other data than the training run's.
    """
    index, known = split_as_trained(labelled_index(root), bundle)
    if not known:
        raise DatasetError(
            f"{root} holds other data than {bundle.name} was trained on; name the folder of its training run."
        )
    distinct = index.drop_duplicates("picture")
    learned = distinct[distinct["split"].isin(LEARNED_FROM)].reset_index(drop=True)
    others = distinct[~distinct["split"].isin(LEARNED_FROM)].reset_index(drop=True)
    squares = _squares(root, learned, bundle.size, lambda picture, row: [picture])[:, 0]
    shuffled = sampled(learned.reset_index(names="row"), len(learned), seed)["row"].to_numpy()
    apart = min(_MEASURED, len(shuffled) // 4)
    taught, measured = shuffled[apart:][:_CHANGED], shuffled[:apart]
    changed = _squares(root, learned.loc[taught], bundle.size, _random_changes(seed))
    upright = np.stack([np.rot90(changed[:, turn], -turn, axes=(1, 2)) for turn in range(_CHANGES_EACH)], axis=1)
    of = np.repeat(taught, _CHANGES_EACH)
    detector = CopyDetector.fit(squares, upright.reshape(-1, SIDE, SIDE), of, seed)
    left_out = _squares(root, others, bundle.size, lambda picture, row: [picture])[:, 0]
    hospital = (others["split"] == "hospital_validation").to_numpy()
    detector = detector.with_limit(left_out[hospital if hospital.any() else slice(None)], MOST_FALSE)
    detector.save(bundle.folder / COPIES_FILE)
    again = _squares(
        root, learned.loc[measured], bundle.size, lambda picture, _: [make(picture) for make in KINDS.values()]
    )
    found = {
        name: Share.taken(int(detector.is_copy(again[:, number]).sum()), len(again)).__dict__
        for number, name in enumerate(KINDS)
    }
    matched = pd.Series(detector.is_copy(left_out)).groupby([others["split"], others["dataset"]])
    figures = CopyFigures.model_validate(
        {
            "signatures": len(squares),
            "known_again": found,
            "matches": {
                f"{split} {name}": Share.taken(int(rows.sum()), len(rows)).__dict__ for (split, name), rows in matched
            },
            "rebuilt": _rebuilt(detector, squares, measured),
        }
    )
    write_card(bundle.folder, bundle.card.model_copy(update={"copies": figures}))
    return figures


def _crop(above: float, below: float, left: float, right: float) -> Callable[[Picture], Picture]:
    def work(picture: Picture) -> Picture:
        height, width = picture.shape
        return picture[
            round(above * height) : height - round(below * height), round(left * width) : width - round(right * width)
        ]

    return work


def _jpeg(picture: Picture, quality: int) -> Picture:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))


def _resized(picture: Picture, factor: float) -> Picture:
    size = [max(32, round(side * factor)) for side in reversed(picture.shape)]
    return np.asarray(Image.fromarray(picture).resize((size[0], size[1]), Image.Resampling.BICUBIC))


KINDS: dict[str, Callable[[Picture], Picture]] = {
    "as it is": lambda picture: picture,
    "turned by 90°": np.rot90,
    "turned by 180°": lambda picture: np.rot90(picture, 2),
    "mirrored": lambda picture: picture[:, ::-1],
    "5% cropped, half on each side": _crop(0.025, 0.025, 0.025, 0.025),
    "5% cropped above": _crop(0.05, 0, 0, 0),
    "5% cropped above and at the left": _crop(0.05, 0, 0.05, 0),
    "JPEG of quality 20": lambda picture: _jpeg(picture, 20),
    "half the size": lambda picture: _resized(picture, 0.5),
}
"""What is done to pictures to see whether they are known again."""


def _random_changes(seed: int) -> Callable[[Picture, int], list[Picture]]:
    """Give what crops, resizes and stores a picture with loss at random; change number n turns it n times by 90°."""

    def work(picture: Picture, row: int) -> list[Picture]:
        random = np.random.default_rng([seed, row])
        changed = []
        for turn in range(_CHANGES_EACH):
            cropped = _crop(*random.uniform(0, 0.05, 4))(picture)
            turned = np.rot90(_resized(cropped, random.uniform(0.4, 1.5)), turn)
            changed.append(_jpeg(np.ascontiguousarray(turned), int(random.integers(15, 96))))
        return changed

    return work


def _squares(
    root: Path, index: pd.DataFrame, size: int, changes: Callable[[Picture, int], list[Picture]]
) -> NDArray[np.uint8]:
    """Give what the network is shown of the changes of each picture, shrunk: (pictures, changes, 64, 64)."""
    count = len(changes(np.zeros((64, 64), np.uint8), 0))

    def work(scan: Scan, row: int) -> NDArray[np.uint8]:
        picture = np.clip(np.rint(scan.pixels[0]), 0, 255).astype(np.uint8)
        return np.stack([_shown(changed, size) for changed in changes(picture, row)])

    rows, failed = map_pictures(root, list(index["path"]), work, (count, SIDE, SIDE), np.uint8)
    if failed:
        name, reason = next(iter(failed.items()))
        raise DatasetError(f"{name} cannot be prepared ({reason}); take it out of the folder.")
    return rows


def _shown(picture: Picture, size: int) -> NDArray[np.uint8]:
    restored = restore(np.ascontiguousarray(picture)[np.newaxis].astype(np.float32))
    return small_square(prepare_within(restored.layer(0), small_head(restored.layers()), size).image)


def _rebuilt(detector: CopyDetector, squares: NDArray[np.uint8], tried: NDArray[np.int64]) -> float:
    """Try to rebuild pictures from their signatures, by the best linear map learned from all other pictures.

    Gives the mean correlation of what comes out with the picture, both without the mean of all pictures: 1 would be the
    picture itself in 32 × 32 cells, 0 nothing but the usual head.
    """
    from sklearn.linear_model import Ridge

    cells = squares.reshape(len(squares), 32, 2, 32, 2).mean(axis=(2, 4)).reshape(len(squares), -1)
    signs = 2.0 * np.unpackbits(detector.signatures, axis=1) - 1
    others = np.setdiff1d(np.arange(len(squares)), tried)
    guessed = Ridge(len(others) / 10).fit(signs[others], cells[others]).predict(signs[tried])
    mean = cells[others].mean(axis=0)
    pairs = zip(guessed - mean, cells[tried] - mean, strict=True)
    return float(np.mean([np.corrcoef(one, other)[0, 1] for one, other in pairs]))
