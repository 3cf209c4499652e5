"""One scan on a desk, as light as a list of 500 needs it."""

import io
from dataclasses import dataclass, replace
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from braintumor.dashboard.answers import Answer, Outcome
from braintumor.scans import ScanError, Series, Unit

_THUMBNAIL_SIDE = 56
_THUMBNAIL_QUALITY = 70
_NO_PICTURE = np.zeros((0, 0), np.uint8)


@dataclass(frozen=True)
class Case:
    """One scan on a desk: ``key`` is made from its content, ``files`` are the keys of the files that it came in.

    ``outcome`` is None until it is answered; an ``Answer`` there is a light one, without maps and pictures.
    ``thumbnail`` is a JPEG of the slice that answers, ``model`` tells the model that answered, see ``model_of``.
    """

    key: str
    name: str
    files: tuple[str, ...]
    outcome: Outcome | None = None
    thumbnail: bytes = b""
    model: str = ""
    is_read: bool = False

    @property
    def answer(self) -> Answer | None:
        """The light answer; None where the case waits or failed."""
        return self.outcome if isinstance(self.outcome, Answer) else None

    @property
    def error(self) -> ScanError | None:
        """Why there is no answer; None where the case waits or is answered."""
        return self.outcome if isinstance(self.outcome, ScanError) else None

    @property
    def series(self) -> Series | None:
        """Facts of the DICOM series, of one that is not judged as well."""
        series: Series | None = getattr(self.outcome, "series", None)
        return self.answer.prediction.series if self.answer else series

    def answered(self, outcome: Outcome, model: str) -> "Case":
        """Give the case with what answering it came to."""
        if isinstance(outcome, ScanError):
            return replace(self, outcome=outcome, model=model)
        return replace(self, outcome=_light(outcome), thumbnail=_thumbnail(outcome.picture), model=model)


def _light(answer: Answer) -> Answer:
    prediction = replace(answer.prediction, slices=(), cam=None)
    unit = answer.unit and Unit(answer.unit.name, answer.unit.key, _unreadable, answer.unit.series, answer.unit.patient)
    return replace(answer, prediction=prediction, picture=_NO_PICTURE, slices={}, unit=unit)


def _unreadable(*_of_unit: object) -> NoReturn:
    raise ScanError("This scan is only listed here.", "Open its case.")


def _thumbnail(picture: NDArray[np.uint8]) -> bytes:
    small = Image.fromarray(picture)
    small.thumbnail((_THUMBNAIL_SIDE, _THUMBNAIL_SIDE))
    file = io.BytesIO()
    small.save(file, "JPEG", quality=_THUMBNAIL_QUALITY)
    return file.getvalue()
