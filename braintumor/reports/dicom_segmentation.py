"""A tumor's mask as a DICOM Segmentation (PS3.3, A.51) that refers to the images it lies on."""

import io
import warnings
from collections.abc import Sequence
from copy import copy
from typing import Any

import highdicom as hd
import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.uid import generate_uid

from braintumor.inference import Prediction
from braintumor.scans import ScanError, in_file_axes
from braintumor.scans.dicom.parser import EXPORT_AGAIN
from braintumor.scans.dicom.sources import SourceImages

MAKER = "braintumor"
_SERIES_NUMBER_FROM = 9000
"""Added to the number of the series that was judged, so that results come after what the scanner made."""
_LARGEST_NUMBER = 2**31 - 1 - _SERIES_NUMBER_FROM
"""Of the series that was judged, so that the sum is a number that DICOM can hold (PS3.5, section 6.2, IS)."""
NO_DAY, NO_TIME = "19000101", "000000"
# highdicom warns of names that it takes for no person's, and quotes them.
warnings.filterwarnings("ignore", module="highdicom")


def segmentation_file(prediction: Prediction, sources: SourceImages) -> bytes:
    """Write a scan's mask as a binary DICOM Segmentation of one segment, the same bytes for the same answer.

    It carries the patient and study of its sources, for the archive that holds them. Raises ``ScanError`` where there
    is no mask in space, it is empty, or the sources say what cannot be repeated.
    """
    mask, placement = prediction.mask(), prediction.placement
    if mask is None or placement is None or not mask.any():
        raise ScanError("It has no mask that lies in space.", "Nothing needs to be done.", prediction.source)
    voxels = in_file_axes(mask, placement.turn)
    try:
        return _written(prediction, sources, voxels)
    # What of a header it will not repeat, highdicom says with nearly every built-in exception.
    except Exception:
        raise ScanError("Its header says what cannot be repeated.", EXPORT_AGAIN, prediction.source) from None


def _written(prediction: Prediction, sources: SourceImages, voxels: NDArray[np.bool_]) -> bytes:
    datasets = [_in_a_frame(dataset, prediction) for dataset in sources.datasets]
    segmentation = hd.seg.Segmentation(
        source_images=datasets,
        pixel_array=_frames(voxels, datasets, sources),
        segmentation_type=hd.seg.SegmentationTypeValues.BINARY,
        segment_descriptions=[_segment(prediction)],
        series_instance_uid=_uid(prediction, "series"),
        series_number=_SERIES_NUMBER_FROM + min(max(int(datasets[0].SeriesNumber), 0), _LARGEST_NUMBER),
        sop_instance_uid=_uid(prediction, "instance"),
        instance_number=1,
        manufacturer=MAKER,
        manufacturer_model_name=prediction.bundle,
        software_versions=prediction.bundle,
        device_serial_number="none",
        content_label="TUMOR",
        omit_empty_frames=True,
    )
    segmentation.SeriesDescription = f"Tumor outline by {prediction.bundle}, not for diagnosis"[:64]
    settle_times(segmentation, datasets[0])
    for element in segmentation.iterall():
        if element.keyword == "DimensionOrganizationUID":
            element.value = _uid(prediction, "dimensions")
    file = io.BytesIO()
    segmentation.save_as(file, enforce_file_format=True)
    return file.getvalue()


def settle_times(made: Dataset, source: Dataset) -> str:
    """Put the time of the study of ``source`` where highdicom puts the clock's, and give it as a DICOM date and time.

    Else the same answer would be another object each time it is asked for.
    """
    day, time = (str(getattr(source, name, "") or "") for name in ("StudyDate", "StudyTime"))
    day, time = day or NO_DAY, time or NO_TIME
    for element in made.iterall():
        if element.keyword in ("ContentDate", "InstanceCreationDate", "SeriesDate", "DateOfSecondaryCapture"):
            element.value = day
        elif element.keyword in ("ContentTime", "InstanceCreationTime", "SeriesTime", "TimeOfSecondaryCapture"):
            element.value = time
        elif element.keyword == "ContributionDateTime":
            element.value = day + time
    return day + time


def _frames(voxels: NDArray[np.bool_], datasets: Sequence[Dataset], sources: SourceImages) -> NDArray[np.uint8]:
    """Lay slices, (columns, rows, places), on the images of the sources, in the order in which these hold them."""
    first = [0]
    for dataset in datasets:
        first.append(first[-1] + int(getattr(dataset, "NumberOfFrames", 1) or 1))
    frames = np.zeros((first[-1], voxels.shape[1], voxels.shape[0]), np.uint8)
    for number, frame, place in zip(sources.objects, sources.frames, sources.places, strict=True):
        frames[first[number] + frame] = voxels[:, :, place].T
    return frames


def _segment(prediction: Prediction) -> Any:
    algorithm = hd.AlgorithmIdentificationSequence(
        name=prediction.bundle, family=codes.DCM.ArtificialIntelligence, version=prediction.bundle.rpartition("-")[2]
    )
    return hd.seg.SegmentDescription(
        segment_number=1,
        segment_label="Tumor",
        segmented_property_category=codes.SCT.MorphologicallyAbnormalStructure,
        segmented_property_type=codes.SCT.Neoplasm,
        algorithm_type=hd.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=algorithm,
        tracking_uid=_uid(prediction, "tracking"),
        tracking_id="tumor",
        anatomic_regions=[codes.SCT.Brain],
    )


def _uid(prediction: Prediction, what: str) -> str:
    return str(generate_uid(entropy_srcs=[prediction.sha256, prediction.bundle, what]))


def _in_a_frame(dataset: Dataset, prediction: Prediction) -> Dataset:
    """Give a copy that names a frame of reference, which files that went through other hands often lack."""
    given = copy(dataset)
    if not getattr(given, "FrameOfReferenceUID", ""):
        given.FrameOfReferenceUID = _uid(prediction, "frame of reference")
    return given
