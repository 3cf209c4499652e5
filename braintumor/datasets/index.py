"""A table with one row a picture: where it lies, what it shows, and what it must not be parted from."""

from pathlib import Path, PurePosixPath

import pandas as pd

from braintumor.datasets import figshare, via, volumes
from braintumor.datasets.catalogue import folder_facts, known_or_any
from braintumor.errors import InputError
from braintumor.scans import walk
from braintumor.taxonomy import LABELS

INDEX_COLUMNS = ("path", "dataset", "published_split", "label", "group", "mask")
INDEX_FILE = "index.csv"
# A row is one picture; ``walk`` lists archives and volumes as well.
_NO_PICTURES = frozenset({".zip", ".nii", ".gz"})


class DatasetError(InputError):
    """A folder or index that cannot be used; the message says what to change."""


def build_index(root: Path) -> pd.DataFrame:
    """List the pictures under a folder with the columns of ``INDEX_COLUMNS``, all text, sorted by path.

    An ``index.csv`` at the top (columns ``path`` and ``label`` at least) is taken at its word. Otherwise the label
    comes from the folders' names, the dataset from the first folder when the catalogue knows it (else from
    the root's own name). First, figshare ``.mat`` files and volumes with a mask are turned into pictures, and Br35H's
    listed outlines into masks; what MATLAB and JSON files say an ``index.csv`` then keeps, together with all else that
    was found. ``label`` and ``group`` may be empty. Raises ``DatasetError`` when there is nothing to list or a label is
    unknown.
    """
    if not root.is_dir():
        raise DatasetError(f"{root} is not a folder; name one that holds pictures.")
    listed = root / INDEX_FILE
    rows = _read_listed(listed) if listed.is_file() else _from_folders(root)
    if listed.is_file() and not {"path", "label"} <= set(rows.columns):
        raise DatasetError(f"{listed} lacks the column path or label; add it or take the file away.")
    if rows.empty:
        raise DatasetError(
            f"{root} holds no pictures in class folders and no {INDEX_FILE}; see the README's data part."
        )
    unknown = sorted(set(rows["label"]) - {*LABELS, ""})
    if unknown:
        raise DatasetError(f"{listed} has the label {unknown[0]!r}; use one of {', '.join(LABELS)}.")
    for column in INDEX_COLUMNS:
        if column not in rows:
            rows[column] = ""
    rows["mask"] = [mask or _mask_beside(root, path) for path, mask in zip(rows["path"], rows["mask"], strict=True)]
    return rows[list(INDEX_COLUMNS)].sort_values("path", ignore_index=True)


def write_index(index: pd.DataFrame, path: Path) -> None:
    """Write an index as CSV."""
    path.parent.mkdir(parents=True, exist_ok=True)
    index.to_csv(path, index=False)


def _read_listed(path: Path) -> pd.DataFrame:
    try:
        return pd.read_csv(path, dtype=str, keep_default_na=False)
    except ValueError as error:
        raise DatasetError(f"{path} is no table that can be read ({error}); save it as CSV in UTF-8.") from None


def _from_folders(root: Path) -> pd.DataFrame:
    kept = figshare.convert(root) + via.convert(root)
    converted = kept + volumes.convert(root)
    known = {row["path"] for row in converted}
    rows = []
    for path in walk([root]):
        inside = PurePosixPath(path.relative_to(root).as_posix())
        name = inside.parts[0].lower() if len(inside.parts) > 1 else ""
        dataset = known_or_any(name)
        if path.suffix.lower() in _NO_PICTURES or {part.lower() for part in inside.parts[:-1]} & set(dataset.masks):
            continue
        if str(inside) in known:
            continue
        label, split = folder_facts(dataset, inside)
        own = dataset.name if dataset.name != "folder" else root.name
        rows.append({"path": str(inside), "dataset": own, "published_split": split, "label": label})
    found = pd.DataFrame(converted + rows).fillna("")
    if kept:
        # Labels, patients and outlines stand in MATLAB and JSON files alone, and are not read a second time.
        write_index(found, root / INDEX_FILE)
    return found


def _mask_beside(root: Path, path: str) -> str:
    picture = PurePosixPath(path)
    if len(picture.parts) < 3:
        return ""
    mask = picture.parent.parent / "masks" / f"{picture.stem}.png"
    return str(mask) if (root / mask).is_file() else ""
