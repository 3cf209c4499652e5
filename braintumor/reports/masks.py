"""Masks to take away: one scan's as a file, many in a ZIP archive with a table."""

import io
import zipfile
from collections.abc import Iterable

from braintumor.inference import Prediction
from braintumor.reports.tables import Answered, manifest_csv
from braintumor.segmentation import mask_nifti, mask_png

MANIFEST = "masks.csv"


def has_mask(prediction: Prediction) -> bool:
    """Tell whether there is a mask to take away; of what is not a scan an empty one would pass for an answer."""
    return prediction.locates and prediction.finding is not None


def has_outline(prediction: Prediction) -> bool:
    """Tell whether the mask to take away shows anything."""
    mask = prediction.mask() if has_mask(prediction) else None
    return mask is not None and bool(mask.any())


def mask_name(prediction: Prediction) -> str:
    """Name the file of a scan's mask by the scan's content, since the name it came with may be a patient's."""
    return f"{prediction.sha256[:12]}-mask{mask_ending(prediction)}"


def mask_ending(prediction: Prediction) -> str:
    """Give the ending of a mask's file name: PNG for one slice, NIfTI for several."""
    return ".png" if prediction.shape[0] == 1 else ".nii.gz"


def mask_file(prediction: Prediction) -> bytes:
    """Write a scan's mask as a file of the scan's own size, of the format that ``mask_ending`` names.

    Raises ``ValueError`` where the network does not locate.
    """
    mask = prediction.mask()
    if mask is None:
        raise ValueError(f"{prediction.bundle} gives no mask")
    if len(mask) == 1:
        return mask_png(mask[0])
    return mask_nifti(mask, prediction.placement)


def masks_zip(answers: Iterable[Answered]) -> bytes:
    """Pack the masks of scans, where they have one, and ``MANIFEST``, a table of all of them, a row each, in order.

    The same answers give the same bytes.
    """
    file = io.BytesIO()
    rows: list[tuple[Answered, str]] = []
    with zipfile.ZipFile(file, "w") as archive:
        for prediction, measured in answers:
            name = mask_name(prediction) if has_mask(prediction) else ""
            if name and name not in archive.namelist():
                # Named by ZipInfo, a file has no time stamp, by which every download would differ.
                archive.writestr(zipfile.ZipInfo(name), mask_file(prediction))
            rows.append(((prediction, measured), name))
        archive.writestr(zipfile.ZipInfo(MANIFEST), manifest_csv(rows))
    return file.getvalue()
