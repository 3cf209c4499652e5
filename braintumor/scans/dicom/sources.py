"""The objects that a series was read from, as what is made from it must refer to them."""

import io
from collections.abc import Sequence
from dataclasses import dataclass

import pydicom
from pydicom.dataset import Dataset

from braintumor.scans.dicom.grouping import ImageSeries
from braintumor.scans.dicom.pixels import places_of
from braintumor.scans.limits import Limits


@dataclass(frozen=True)
class SourceImages:
    """A series' objects without their pixels, and for each image in order its object, its frame and its place.

    ``objects``, ``frames`` and ``places`` are as long as the series has images: the number of a dataset, that of the
    frame in it, and that of the slice in the volume as its file axes have it.
    """

    datasets: Sequence[Dataset]
    objects: Sequence[int]
    frames: Sequence[int]
    places: Sequence[int]


def read_sources(series: ImageSeries, limits: Limits) -> SourceImages:
    """Read the objects of a series anew, all that they say but their pixels; raises ``ScanError`` as loading does."""
    numbers = {id(instance): number for number, instance in enumerate(series.instances)}
    datasets = [
        pydicom.dcmread(io.BytesIO(instance.file.load()), stop_before_pixels=True, force=True)
        for instance in series.instances
    ]
    return SourceImages(
        datasets,
        [numbers[id(image.instance)] for image in series.images],
        [image.frame.index for image in series.images],
        places_of(series.images, limits),
    )
