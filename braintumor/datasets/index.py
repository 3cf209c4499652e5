"""A table with one row a picture: where it lies, what it shows, and what it must not be parted from."""

from collections.abc import Collection
from pathlib import Path, PurePosixPath

import pandas as pd

from braintumor.datasets import figshare, lgg, via, volumes
from braintumor.datasets.catalogue import folder_facts, known_or_any, modality_of
from braintumor.datasets.volumes import VOLUME_GROUP
from braintumor.errors import InputError
from braintumor.scans import walk
from braintumor.taxonomy import LABELS, MR

INDEX_COLUMNS = ("path", "dataset", "published_split", "label", "group", "mask", "hospital", "sequence", "modality")
INDEX_FILE = "index.csv"
# A row is one picture; ``walk`` lists archives and volumes as well.
_NO_PICTURES = frozenset({".zip", ".nii", ".gz"})


class DatasetError(InputError):
    """A folder or index that cannot be used; the message says what to change."""


def build_index(root: Path) -> pd.DataFrame:
    """List the pictures under a folder with the columns of ``INDEX_COLUMNS``, all text, sorted by path.

    An ``index.csv`` at the top (columns ``path`` and ``label`` at least) is taken at its word. Otherwise the label
    comes from the folders' names, the dataset from the first folder when the catalogue knows it (else from
    the root's own name). First, figshare ``.mat`` files and volumes with a mask are turned into pictures, Br35H's
    listed outlines into masks, and the slices of a folder ``lgg`` into pictures with a list there; what MATLAB and
    JSON files say an ``index.csv`` then keeps, together with all else that was found. A first folder with an
    ``index.csv`` of its own is a dataset of its own, listed there. ``hospital`` is the column of that name or
    ``institution`` of a list, else the dataset; rows that name an institution come last. ``modality`` is that column
    or what a folder's name says, else MR.
    ``label`` and ``group`` may be empty. Raises ``DatasetError`` when there is nothing to list or a label is
    unknown.
    """
    if not root.is_dir():
        raise DatasetError(f"{root} is not a folder; name one that holds pictures.")
    _convert_lgg(root)
    own = sorted(path.parent.name for path in root.glob(f"*/{INDEX_FILE}"))
    rows = _listed(root) if (root / INDEX_FILE).is_file() else _from_folders(root, own)
    rows = _completed(rows)
    for name in own:
        nested = _completed(_nested(root, name))
        rows = pd.concat([rows, nested[~nested["path"].isin(rows["path"])]], ignore_index=True)
    if rows.empty:
        raise DatasetError(
            f"{root} holds no pictures in class folders and no {INDEX_FILE}; see the README's data part."
        )
    rows["mask"] = [mask or _mask_beside(root, path) for path, mask in zip(rows["path"], rows["mask"], strict=True)]
    # Numbers of groups follow the order, and those of other sets must not depend on whether this one is there.
    order = pd.DataFrame({"named": ~at_home(rows), "path": rows["path"]}).sort_values(["named", "path"]).index
    return rows.loc[order, list(INDEX_COLUMNS)].reset_index(drop=True)


def at_home(index: pd.DataFrame) -> "pd.Series[bool]":
    """Mark the rows of an index that name no institution, so that their dataset stands for a hospital."""
    return index["hospital"] == index["dataset"]


def write_index(index: pd.DataFrame, path: Path) -> None:
    """Write an index as CSV."""
    path.parent.mkdir(parents=True, exist_ok=True)
    index.to_csv(path, index=False)


def _listed(folder: Path) -> pd.DataFrame:
    path = folder / INDEX_FILE
    try:
        rows = pd.read_csv(path, dtype=str, keep_default_na=False)
    except ValueError as error:
        raise DatasetError(f"{path} is no table that can be read ({error}); save it as CSV in UTF-8.") from None
    if not {"path", "label"} <= set(rows.columns):
        raise DatasetError(f"{path} lacks the column path or label; add it or take the file away.")
    unknown = sorted(set(rows["label"]) - {*LABELS, ""})
    if unknown:
        raise DatasetError(f"{path} has the label {unknown[0]!r}; use one of {', '.join(LABELS)}.")
    if {"institution", "group"} <= set(rows.columns):
        # A hospital's slices come from stacks, where neighbors are alike and no copies.
        stacked = (rows["institution"] != "") & (rows["group"] != "")
        rows["group"] = (VOLUME_GROUP + rows["group"]).where(stacked, rows["group"])
    return rows


def _convert_lgg(root: Path) -> None:
    """Write the list of lower-grade gliomas, as Kaggle has them, in a folder ``lgg`` that has none yet."""
    folder = root / "lgg"
    if folder.is_dir() and not (folder / INDEX_FILE).is_file():
        rows = lgg.convert(folder)
        if len(rows):
            write_index(rows, folder / INDEX_FILE)


def _nested(root: Path, name: str) -> pd.DataFrame:
    """Read the list of a dataset in a folder of its own; its paths start there."""
    rows = _listed(root / name).assign(dataset=name)
    for column in ("path", "mask"):
        if column in rows:
            rows[column] = (f"{name}/" + rows[column]).where(rows[column] != "", "")
    return rows


def _completed(rows: pd.DataFrame) -> pd.DataFrame:
    rows = rows.reindex(columns=[*rows.columns, *({*INDEX_COLUMNS, "institution"} - set(rows.columns))], fill_value="")
    hospital = rows["hospital"].where(rows["hospital"] != "", rows["institution"])
    modality = rows["modality"].where(rows["modality"] != "", MR)
    return rows.assign(hospital=hospital.where(hospital != "", rows["dataset"]), modality=modality)


def _from_folders(root: Path, listed: Collection[str] = ()) -> pd.DataFrame:
    """Find pictures in all folders except those ``listed``, which have a list of their own."""
    kept = figshare.convert(root) + via.convert(root)
    converted = kept + volumes.convert(root)
    known = {row["path"] for row in converted}
    rows = []
    for path in walk([root]):
        inside = PurePosixPath(path.relative_to(root).as_posix())
        if inside.parts[0] in listed:
            continue
        name = inside.parts[0].lower() if len(inside.parts) > 1 else ""
        dataset = known_or_any(name)
        if path.suffix.lower() in _NO_PICTURES or {part.lower() for part in inside.parts[:-1]} & set(dataset.masks):
            continue
        if str(inside) in known:
            continue
        label, split = folder_facts(dataset, inside)
        own = dataset.name if dataset.name != "folder" else root.name
        modality = modality_of(dataset, inside)
        rows.append(
            {"path": str(inside), "dataset": own, "published_split": split, "label": label, "modality": modality}
        )
    found = pd.DataFrame(converted + rows).fillna("")
    if kept:
        # Labels, patients and outlines stand only in MATLAB and JSON files, and are not read a second time.
        write_index(found, root / INDEX_FILE)
    return found


def _mask_beside(root: Path, path: str) -> str:
    picture = PurePosixPath(path)
    if len(picture.parts) < 3:
        return ""
    mask = picture.parent.parent / "masks" / f"{picture.stem}.png"
    return str(mask) if (root / mask).is_file() else ""
