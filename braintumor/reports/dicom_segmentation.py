"""A tumor's mask as a DICOM Segmentation (PS3.3, A.51) that refers to the images it lies on."""

import io
import warnings
from collections.abc import Sequence
from copy import deepcopy
from typing import Any

import highdicom as hd
import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as DicomSequence
from pydicom.sr.codedict import codes
from pydicom.uid import generate_uid

from braintumor.inference import Prediction
from braintumor.scans import in_file_axes
from braintumor.scans.dicom.sources import SourceImages

MAKER = "braintumor"
_SERIES_NUMBER_FROM = 9000
"""Added to the number of the series that was judged, so that results come after what the scanner made."""
_MUST_BE_THERE = (
    *("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID", "StudyDate"),
    *("StudyTime", "ReferringPhysicianName"),
)
_NO_DAY, _NO_TIME = "19000101", "000000"
# highdicom warns of names that it takes for no person's, and quotes them.
warnings.filterwarnings("ignore", module="highdicom")


def segmentation_file(prediction: Prediction, sources: SourceImages) -> bytes:
    """Write a scan's mask as a binary DICOM Segmentation of one segment, the same bytes for the same answer.

    It carries the patient and study of its sources, for the archive that holds them. Raises ``ValueError`` where there
    is no mask or it is empty.
    """
    mask = prediction.mask()
    if mask is None or not mask.any():
        raise ValueError(f"{prediction.bundle} gives no mask")
    voxels = mask.transpose(2, 1, 0) if prediction.placement is None else in_file_axes(mask, prediction.placement.turn)
    datasets = [_shared_geometry(_complete(dataset, prediction)) for dataset in _one_orientation(sources.datasets)]
    segmentation = hd.seg.Segmentation(
        source_images=datasets,
        pixel_array=_frames(voxels, datasets, sources),
        segmentation_type=hd.seg.SegmentationTypeValues.BINARY,
        segment_descriptions=[_segment(prediction)],
        series_instance_uid=_uid(prediction, "series"),
        series_number=_SERIES_NUMBER_FROM + int(getattr(datasets[0], "SeriesNumber", 0) or 0),
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
    _settle(segmentation, prediction, datasets[0])
    file = io.BytesIO()
    segmentation.save_as(file, enforce_file_format=True)
    return file.getvalue()


def _settle(segmentation: Dataset, prediction: Prediction, source: Dataset) -> None:
    """Put the study's time and UIDs made from the answer where highdicom puts the clock's and random ones.

    Else the same answer would be another object each time it is asked for.
    """
    day, time = (str(getattr(source, name, "") or "") for name in ("StudyDate", "StudyTime"))
    day, time = day or _NO_DAY, time or _NO_TIME
    for element in segmentation.iterall():
        if element.keyword in ("ContentDate", "InstanceCreationDate", "SeriesDate"):
            element.value = day
        elif element.keyword in ("ContentTime", "InstanceCreationTime", "SeriesTime"):
            element.value = time
        elif element.keyword == "ContributionDateTime":
            element.value = day + time
        elif element.keyword == "DimensionOrganizationUID":
            element.value = _uid(prediction, "dimensions")


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


def _one_orientation(datasets: Sequence[Dataset]) -> list[Dataset]:
    """Give all the orientation of the first: GE's differ in the eighth digit, and highdicom compares them exactly."""
    given = [deepcopy(dataset) for dataset in datasets]
    for dataset in given[1:]:
        if "ImageOrientationPatient" in given[0] and "ImageOrientationPatient" in dataset:
            dataset.ImageOrientationPatient = given[0].ImageOrientationPatient
    return given


def _complete(dataset: Dataset, prediction: Prediction) -> Dataset:
    """Put in, empty, what every object must have and files that went through other hands often lack (PS3.3, C.7)."""
    for name in _MUST_BE_THERE:
        if name not in dataset:
            setattr(dataset, name, "")
    if not getattr(dataset, "FrameOfReferenceUID", ""):
        dataset.FrameOfReferenceUID = _uid(prediction, "frame of reference")
    return dataset


def _shared_geometry(dataset: Dataset) -> Dataset:
    """Say once for all frames what Siemens says of each: highdicom looks for it there."""
    single = getattr(dataset, "PerFrameFunctionalGroupsSequence", None)
    shared = getattr(dataset, "SharedFunctionalGroupsSequence", None)
    if single and shared:
        for name in ("PixelMeasuresSequence", "PlaneOrientationSequence"):
            if name not in shared[0] and name in single[0]:
                setattr(shared[0], name, DicomSequence(deepcopy(list(getattr(single[0], name)))))
    return dataset
