"""Short names of the public datasets."""

from collections.abc import Mapping

SOURCES: Mapping[str, str] = {
    "br35h": "Br35H",
    "cheng": "Cheng",
    "lgg": "TCGA-LGG",
    "masoud": "Masoud",
    "navoneel": "Navoneel",
}


def source(dataset: str) -> str:
    """Name a dataset in short; one that is not known is called as it is."""
    return SOURCES.get(dataset, dataset)
