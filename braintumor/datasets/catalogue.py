"""The public datasets this project knows, where they come from and how their folders are laid out."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from braintumor.errors import InputError
from braintumor.taxonomy import ANY_TUMOR, CT, MR, NO_TUMOR


@dataclass(frozen=True)
class Dataset:
    """One public dataset.

    ``slug`` is its Kaggle handle, empty for a set that lies elsewhere. ``passes_on`` is the license that weights
    learned from it must have, where its own asks for one. ``labels`` maps a folder's name (lower case) to a label
    and ``splits`` to a published split. ``masks`` names the folders that hold outlines, not scans, and
    ``modalities`` maps folders to the modality of what they hold, MR where it has none. ``outline_weights`` is for
    a set whose outlines were drawn on one sequence and stand for all: how much the outline of a tumor counts in
    each sequence, from 0 to 1. Such outlines do not say where the tumor shows in the picture itself. ``short`` is
    what tables call it, and ``from_web`` names the labels whose pictures were gathered from web pages. ``clinical``
    tells a set whose scans and kinds come from hospitals' own records of their patients. Of the set that
    ``is_reference``, which has a kind and an outline for every scan, figures stand among those to see first.
    """

    name: str
    title: str
    authors: str
    slug: str
    license: str
    source: str
    labels: dict[str, str]
    splits: dict[str, str]
    masks: tuple[str, ...] = ("masks",)
    outline_weights: Mapping[str, float] = field(default_factory=dict)
    modalities: Mapping[str, str] = field(default_factory=dict)
    short: str = ""
    from_web: tuple[str, ...] = ()
    clinical: bool = False
    passes_on: str = ""
    is_reference: bool = False


_KINDS = {
    "glioma": "glioma",
    "glioma_tumor": "glioma",
    "meningioma": "meningioma",
    "meningioma_tumor": "meningioma",
    "pituitary": "pituitary",
    "pituitary_tumor": "pituitary",
    "notumor": NO_TUMOR,
    "no_tumor": NO_TUMOR,
}
_YES_NO = {"yes": ANY_TUMOR, "no": NO_TUMOR, "tumor": ANY_TUMOR, "healthy": NO_TUMOR}
_SPLITS = {"training": "train", "train": "train", "testing": "test", "test": "test", "val": "validation"}
_OUTLINED = ("masks", "br35h-mask-rcnn")

CATALOGUE: dict[str, Dataset] = {
    dataset.name: dataset
    for dataset in (
        Dataset(
            "masoud",
            "Brain Tumor MRI Dataset",
            "Masoud Nickparvar",
            "masoudnickparvar/brain-tumor-mri-dataset",
            "CC0",
            "https://www.kaggle.com/datasets/masoudnickparvar/brain-tumor-mri-dataset",
            _KINDS,
            _SPLITS,
            short="Masoud",
            from_web=(NO_TUMOR,),
        ),
        Dataset(
            "br35h",
            "Br35H :: Brain Tumor Detection 2020",
            "Ahmed Hamada",
            "ahmedhamada0/brain-tumor-detection",
            "see its page",
            "https://www.kaggle.com/datasets/ahmedhamada0/brain-tumor-detection",
            _YES_NO,
            {},
            _OUTLINED,
            short="Br35H",
            from_web=(ANY_TUMOR, NO_TUMOR),
        ),
        Dataset(
            "cheng",
            "figshare brain tumor dataset",
            "Jun Cheng",
            "ashkhagan/figshare-brain-tumor-dataset",
            "CC BY 4.0",
            "https://doi.org/10.6084/m9.figshare.1512427",
            _KINDS,
            {},
            short="Cheng",
            clinical=True,
            is_reference=True,
        ),
        Dataset(
            "navoneel",
            "Brain MRI Images for Brain Tumor Detection",
            "Navoneel Chakrabarty",
            "navoneel/brain-mri-images-for-brain-tumor-detection",
            "see its page",
            "https://www.kaggle.com/datasets/navoneel/brain-mri-images-for-brain-tumor-detection",
            _YES_NO,
            {},
            short="Navoneel",
            from_web=(ANY_TUMOR, NO_TUMOR),
        ),
        Dataset(
            "multimodal",
            "Brain tumor multimodal image (CT & MRI)",
            "Murtoza Likhon",
            "murtozalikhon/brain-tumor-multimodal-image-ct-and-mri",
            "see its page",
            "https://www.kaggle.com/datasets/murtozalikhon/brain-tumor-multimodal-image-ct-and-mri",
            _YES_NO,
            {},
            modalities={"brain tumor ct scan images": CT, "brain tumor mri images": MR, "ct": CT, "mri": MR},
        ),
        # The outline is the abnormality on FLAIR: after contrast agent larger than what enhances, before it often
        # invisible. A map that must find what a picture does not show learns to guess.
        Dataset(
            "lgg",
            "Lower-grade gliomas of The Cancer Genome Atlas",
            "Mateusz Buda, from TCGA-LGG of The Cancer Imaging Archive",
            "mateuszbuda/lgg-mri-segmentation",
            "CC BY-NC-SA 4.0; the scans CC BY 3.0",
            "https://www.kaggle.com/datasets/mateuszbuda/lgg-mri-segmentation",
            {},
            {},
            outline_weights={"flair": 1.0, "post": 0.5, "pre": 0.25},
            short="TCGA-LGG",
            clinical=True,
            passes_on="CC BY-NC-SA 4.0",
        ),
        Dataset(
            "ljubljana",
            "Heads with multiple sclerosis, without a tumor (open_ms_data)",
            "Lesjak et al. 2016 and 2018, University of Ljubljana",
            "",
            "CC BY",
            "https://github.com/muschellij2/open_ms_data",
            {},
            {},
            short="Ljubljana",
        ),
        Dataset(
            "volunteers",
            "Heads of volunteers from dcm_qa, dcm_qa_decubitus and dcm_qa_philips_enh",
            "neurolabusc",
            "",
            "BSD 2-Clause",
            "https://github.com/neurolabusc",
            {},
            {},
            short="dcm_qa",
        ),
    )
}

_ANY_FOLDERS = Dataset(
    "folder", "", "", "", "", "", {**_KINDS, **_YES_NO}, _SPLITS, _OUTLINED, modalities={"ct": CT, "mri": MR}
)


def short_name(dataset: str) -> str:
    """Name a dataset in short; one that is not known is called as it is."""
    known = CATALOGUE.get(dataset)
    return dataset if known is None else known.short


def known_or_any(name: str) -> Dataset:
    """Give the catalogue's entry of that name, else the rules for any class-per-folder directory."""
    return CATALOGUE.get(name, _ANY_FOLDERS)


def modality_of(dataset: Dataset, path: PurePosixPath) -> str:
    """Read the modality, as DICOM's code, from the folders on a picture's path; MR where none says another."""
    folders = [part.lower() for part in path.parts[:-1]]
    return next((dataset.modalities[folder] for folder in reversed(folders) if folder in dataset.modalities), MR)


def folder_facts(dataset: Dataset, path: PurePosixPath) -> tuple[str, str]:
    """Read (label, published split) from the folders on a picture's path; either is empty when none says it."""
    folders = [part.lower() for part in path.parts[:-1]]
    label = next((dataset.labels[folder] for folder in reversed(folders) if folder in dataset.labels), "")
    split = next((dataset.splits[folder] for folder in reversed(folders) if folder in dataset.splits), "")
    return label, split


def download(name: str) -> Path:
    """Fetch a dataset of the catalogue from Kaggle and give the folder it lies in.

    Raises ``KeyError`` for a name the catalogue lacks and ``InputError`` for a set that is not on Kaggle; needs the
    extra ``train``.
    """
    import kagglehub

    dataset = CATALOGUE[name]
    if not dataset.slug:
        raise InputError(f"{dataset.title} is not on Kaggle; fetch it from {dataset.source}.")
    return Path(kagglehub.dataset_download(dataset.slug))
