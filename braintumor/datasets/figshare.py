"""The figshare brain tumor dataset as its author publishes it: one MATLAB 7.3 file a slice."""

from pathlib import Path

import numpy as np
from PIL import Image

# `cjdata.label`, as the dataset's own README numbers them.
_LABELS = {1: "meningioma", 2: "glioma", 3: "pituitary"}


def convert(root: Path) -> list[dict[str, str]]:
    """Write each figshare ``.mat`` file under a folder as picture and mask, and give their rows for an index.

    Pictures (8-bit PNG, scaled from the slice's smallest to its largest value) go to ``cheng/images``, masks to
    ``cheng/masks``; the group is the patient's identifier. Files that are no such slice are passed over, and a
    folder without any is left as it is.
    """
    files = sorted(root.rglob("*.mat"), key=lambda path: (len(path.stem), path.stem))
    return [row for path in files if (row := _convert_slice(path, root)) is not None]


def _convert_slice(path: Path, root: Path) -> dict[str, str] | None:
    import h5py

    try:
        with h5py.File(path) as file:
            data = file["cjdata"]
            label = _LABELS[int(data["label"][0, 0])]
            pixels = np.asarray(data["image"], dtype=np.float32).T
            mask = np.asarray(data["tumorMask"], dtype=bool).T
            patient = "".join(chr(int(sign)) for sign in np.ravel(data["PID"]))
    except (OSError, KeyError, ValueError, TypeError, IndexError):
        return None
    span = max(float(np.ptp(pixels)), 1.0)
    picture = np.rint((pixels - pixels.min()) / span * 255).astype(np.uint8)
    name = f"{path.stem.zfill(4)}.png"
    for folder, values in (("images", picture), ("masks", mask.astype(np.uint8) * 255)):
        target = root / "cheng" / folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(values).save(target)
    return {
        "path": f"cheng/images/{name}",
        "dataset": "cheng",
        "published_split": "",
        "label": label,
        "group": f"patient-{patient}",
        "mask": f"cheng/masks/{name}",
    }
