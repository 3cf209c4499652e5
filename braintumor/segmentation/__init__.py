"""Where the tumor lies on a scan: its mask, how large it is, and its outline on the picture."""

from braintumor.segmentation.drawing import draw_outline, outline
from braintumor.segmentation.masks import dice_threshold, mask_nifti, mask_png, tumor_mask
from braintumor.segmentation.measurements import Measurements, head_mask, measure

__all__ = [
    "Measurements",
    "dice_threshold",
    "draw_outline",
    "head_mask",
    "mask_nifti",
    "mask_png",
    "measure",
    "outline",
    "tumor_mask",
]
