"""Where the tumor lies on a scan: its mask, how large it is, and its outline on the picture."""

from braintumor.segmentation.contour import draw_outline, outline
from braintumor.segmentation.edits import edited
from braintumor.segmentation.evidence import EVIDENCE, Evidence, evidence, head_share, on_grid
from braintumor.segmentation.lesions import Lesion, Regions, lesions, regions
from braintumor.segmentation.masks import dice_threshold, mask_nifti, mask_png, tumor_mask
from braintumor.segmentation.measurements import Measurements, bidirectional_diameters, head_mask, measure

__all__ = [
    "EVIDENCE",
    "Evidence",
    "Lesion",
    "Measurements",
    "Regions",
    "bidirectional_diameters",
    "dice_threshold",
    "draw_outline",
    "edited",
    "evidence",
    "head_mask",
    "head_share",
    "lesions",
    "mask_nifti",
    "mask_png",
    "measure",
    "on_grid",
    "outline",
    "regions",
    "tumor_mask",
]
