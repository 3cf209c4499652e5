"""The four classes every model answers with, and what is said about them in plain words."""

from dataclasses import dataclass
from typing import Literal

CLASSES: tuple[str, ...] = ("glioma", "meningioma", "pituitary", "notumor")
"""Order of every probability vector; the contract between all models and the app."""

TUMOR_CLASSES: tuple[str, ...] = CLASSES[:3]
NO_TUMOR = "notumor"
ANY_TUMOR = "tumor"
"""Label of a scan that shows a tumor of unknown kind."""

LABELS: tuple[str, ...] = (*CLASSES, ANY_TUMOR)
PROBABILITIES: tuple[str, ...] = tuple(f"p_{name}" for name in CLASSES)
"""Columns of a table that hold each class's probability."""

Task = Literal["four_class", "binary"]
"""What a network may be trained for: every class, or only tumor or not."""
FOUR_CLASS: Task = "four_class"
BINARY: Task = "binary"
TASKS: tuple[Task, ...] = (FOUR_CLASS, BINARY)

Loss = Literal["marginal", "categorical", "binary"]
"""Cross-entropy that a network is trained with: of what a label allows, of its one class, and of tumor or not."""

Modality = Literal["MR", "CT"]
"""Modality of a scan, as DICOM codes it (PS3.3, C.7.3.1.1.1)."""
MR: Modality = "MR"
CT: Modality = "CT"


@dataclass(frozen=True)
class Finding:
    """One class in words.

    ``title`` names it on a page, ``summary`` says what it is in one or two plain sentences, ``course`` how it
    usually behaves, and ``source`` where those facts come from.
    """

    name: str
    title: str
    summary: str
    course: str
    source: str


_WHO = "WHO Classification of Tumours of the Central Nervous System, 5th edition (2021)"

FINDINGS: dict[str, Finding] = {
    "glioma": Finding(
        "glioma",
        "Glioma",
        "A tumor that arises from the supporting (glial) cells of the brain or spinal cord.",
        "Ranges from slow-growing (WHO grade 1 or 2) to fast-growing (grade 4, glioblastoma); "
        "the grade needs tissue and molecular tests and cannot be read from one picture.",
        _WHO,
    ),
    "meningioma": Finding(
        "meningioma",
        "Meningioma",
        "A tumor that arises from the membranes around the brain, so it sits at the edge and pushes inward.",
        "Most are benign (WHO grade 1) and grow slowly; some are watched, others removed or irradiated.",
        _WHO,
    ),
    "pituitary": Finding(
        "pituitary",
        "Pituitary tumor",
        "A tumor of the pituitary gland at the base of the brain, behind the bridge of the nose.",
        "Nearly all are benign; they can change hormone levels or press on the optic nerves.",
        "WHO Classification of Endocrine and Neuroendocrine Tumours, 5th edition (2022)",
    ),
    "notumor": Finding(
        "notumor",
        "No tumor seen",
        "The model finds no sign of the three tumor kinds it knows on this slice.",
        "A single slice without a finding does not rule out a tumor elsewhere, nor any other disease.",
        "Scope of this model; see the model card",
    ),
}


TITLES: dict[str, str] = {
    **{name: FINDINGS[name].title for name in TUMOR_CLASSES},
    NO_TUMOR: "No tumor",
    ANY_TUMOR: "Tumor, kind unknown",
}
"""Each of ``LABELS`` as a title: what is true of a scan, while a finding is what the model says of it."""

FINDING_TITLES: dict[str, str] = {**{name: FINDINGS[name].title for name in CLASSES}, ANY_TUMOR: "Tumor"}
"""What a model may find as a title; "tumor" from one that tells no kinds."""


def members(label: str) -> tuple[bool, ...]:
    """Tell which of ``CLASSES`` a label allows: one for a class name, three for ``tumor``.

    Raises ``ValueError`` for a label that is neither.
    """
    if label not in LABELS:
        raise ValueError(f"label is {label!r}; it must be one of {', '.join(LABELS)}")
    return tuple(name == label or (label == ANY_TUMOR and name in TUMOR_CLASSES) for name in CLASSES)


SNOMED_CT: dict[str, tuple[str, str]] = {
    ANY_TUMOR: ("108369006", "Neoplasm"),
    "meningioma": ("302820008", "Intracranial meningioma"),
}
"""Codes and meanings in SNOMED CT of what could be verified: the first in DICOM PS3.16 (CID 3815), the second in SNOMED
International's release notes. Public lists give several codes for glioma and pituitary tumor, so these have none here;
nor is there a code of ICD-O, since its morphology states a behavior that no picture shows."""
