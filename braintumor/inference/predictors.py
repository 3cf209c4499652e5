"""The models at hand, one a modality, and which of them answers for a scan."""

import threading
from pathlib import Path

from braintumor.bundles import BundleError, list_bundles, read_card
from braintumor.inference.predictor import Predictor
from braintumor.scans import Scan, ScanError


class Predictors:
    """One predictor a modality, each loaded when it is first needed; safe to share between threads.

    A scan goes to the model of its modality; a picture that does not say its own goes to the first model.
    """

    def __init__(self, first: Path, threads: int = 2) -> None:
        """Load the bundle in the folder ``first``, and find those of other modalities beside it, by name.

        Raises ``BundleError`` when it cannot be used; one beside it that cannot be read is passed over.
        """
        self._threads = threads
        self.first = Predictor.load(first, threads)
        self._loaded = {self.first.bundle.card.modality: self.first}
        self._folders: dict[str, Path] = {}
        self._loading = threading.Lock()
        for folder in list_bundles(first.parent):
            try:
                modality = read_card(folder).modality
            except BundleError:
                continue
            if modality not in self._loaded:
                self._folders.setdefault(modality, folder)

    @property
    def modalities(self) -> frozenset[str]:
        """The modalities that some model reads, as DICOM codes them."""
        return frozenset((*self._loaded, *self._folders))

    def answering(self, scan: Scan) -> Predictor:
        """Give the model that answers for a scan; raises ``ScanError`` when that of its modality cannot be used."""
        try:
            return self.of_modality(scan.modality)
        except BundleError as error:
            raise ScanError(
                f"The model for {scan.modality} cannot be used: {error}", "The others go on.", scan.source
            ) from error

    def of_modality(self, modality: str | None) -> Predictor:
        """Give the model that reads a modality, the first where none is stated or none reads it.

        Raises ``BundleError`` when it cannot be used.
        """
        if modality is None:
            return self.first
        with self._loading:
            if modality not in self._loaded and modality in self._folders:
                self._loaded[modality] = Predictor.load(self._folders[modality], self._threads)
        return self._loaded.get(modality, self.first)
