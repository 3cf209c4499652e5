"""Ways to draw and change training pictures, by name."""

from dataclasses import fields, replace

from braintumor.training.augmentation import Augmentation
from braintumor.training.counterfactuals import Counterfactuals
from braintumor.training.sampling import Sampling

_STILL = Augmentation(**dict.fromkeys((field.name for field in fields(Augmentation)), 0.0))
SCANNERS = Augmentation(bias_field=0.5, gamma=0.8, coarseness=1.0, jpeg=0.25)
"""Changes by which scanner and kind of file stop being clues."""

_VARIED = Augmentation(
    scaling=0.25,
    warp=0.08,
    brightness=0.16,
    contrast=0.5,
    gamma=1.0,
    bias_field=0.8,
    noise=10.0,
    blur=1.5,
    coarseness=1.5,
    jpeg=0.25,
    upside_down=0.1,
    quarter_turn=0.05,
)
_REGRAFTED = Counterfactuals(
    mirror_half=0.25, mirror_patch=0.1, erase=0.3, patch=0.03, patchwork=0.3, graft=0.05, regraft=0.5
)


def _drawn_plainly(augmentation: Augmentation) -> Sampling:
    return Sampling(augmentation, by_source=False, outlined_copies=False)


RECIPES: dict[str, Sampling] = {
    "plain": Sampling(by_source=False, outlined_copies=False),
    "untied": Sampling(
        SCANNERS,
        Counterfactuals(mirror_half=0.35, mirror_patch=0.15, erase=0.35, patch=0.05, patchwork=0.3, graft=0.1),
    ),
    "regrafted": Sampling(
        SCANNERS,
        _REGRAFTED,
        by_source=False,
    ),
    "warped": Sampling(
        replace(SCANNERS, rotation=15.0, scaling=0.2, quarter_turn=0.05, upside_down=0.1, warp=0.05),
        _REGRAFTED,
        by_source=False,
    ),
    "varied": Sampling(_VARIED, _REGRAFTED, by_source=False),
    "hospitals": Sampling(
        replace(_VARIED, rotation=30.0, quarter_turn=0.15, upside_down=0.15, remap=0.15, strip=0.08, marks=0.12),
        _REGRAFTED,
        by_source=False,
    ),
    # As the plain networks were published.
    "unchanged": _drawn_plainly(_STILL),
    "turned_cropped": _drawn_plainly(replace(_STILL, rotation=15.0, scaling=0.15, crop=0.15, flip=0.5)),
    "zoom_flip": _drawn_plainly(replace(_STILL, scaling=0.2, flip=0.5)),
    "brightness_contrast": _drawn_plainly(replace(_STILL, brightness=0.1, contrast=0.3)),
}
"""Ways to draw and change training pictures, by name; docs/ideas.md says what each part of the first four moves."""
