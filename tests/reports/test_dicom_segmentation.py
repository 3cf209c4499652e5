import io
from dataclasses import replace
from pathlib import Path

import highdicom as hd
import numpy as np
import pydicom
import pytest

from braintumor.inference import Predictor
from braintumor.reports.dicom_segmentation import segmentation_file
from braintumor.scans import DEFAULT_LIMITS, PixelBudget, gather, in_file_axes, outcome, phantom
from tests.conftest import SHIPPED
from tests.scans.dicom_files import AXIAL, CORONAL, SAGITTAL, enhanced, slices, stored

SIZE = 96


def _pixels(number):
    return phantom(SIZE, seed=number).astype(np.uint16)


def _classic(orientation):
    made = [
        slices(1, pixels=_pixels(4), first=place, orientation=orientation, start=number, SliceThickness=4)[0]
        for number, place in enumerate(_places(orientation))
    ]
    return made[::-1]


def _places(orientation, count=6):
    normal = np.cross(orientation[:3], orientation[3:])
    return [tuple(float(part) for part in normal * 4 * number) for number in range(count)]


def _enhanced():
    frames = [
        (
            _pixels(4),
            {
                "PlanePositionSequence": {"ImagePositionPatient": list(place)},
                "PixelMeasuresSequence": {"PixelSpacing": [1, 1], "SliceThickness": 4},
                "FrameContentSequence": {"DimensionIndexValues": [number + 1]},
            },
        )
        for number, place in enumerate(_places(AXIAL))
    ]
    shared = {"PlaneOrientationSequence": {"ImageOrientationPatient": AXIAL}}
    return [enhanced(frames, shared=shared, FrameOfReferenceUID="1.2.3")]


SERIES = {
    "axial, last slice first": _classic(AXIAL),
    "coronal": _classic(CORONAL),
    "sagittal": _classic(SAGITTAL),
    "one file of many frames, geometry in each": _enhanced(),
}


@pytest.fixture(scope="module")
def predictor():
    return Predictor.load(Path(SHIPPED))


@pytest.fixture(params=SERIES, scope="module")
def drawn(request, predictor):
    """A series with its prediction, made to outline what the network suspects, and its sources."""
    (unit,) = gather(stored(SERIES[request.param]))
    scan = outcome(unit, DEFAULT_LIMITS, PixelBudget(10**8))
    (prediction,) = predictor.predict([scan])
    prediction = replace(prediction, finding="glioma", p_tumor=1.0, slice_limits=(0.0, 0.0), reasons=())
    assert prediction.mask().any()
    return prediction, unit.sources(DEFAULT_LIMITS)


def test_a_segmentation_lies_on_its_sources_to_the_voxel(drawn):
    prediction, sources = drawn
    read = hd.seg.segread(io.BytesIO(segmentation_file(prediction, sources)))
    voxels = in_file_axes(prediction.mask(), prediction.placement.turn)
    wanted = [voxels[:, :, place].T for place in sources.places]
    if len(sources.datasets) == 1:
        found = read.get_pixels_by_source_frame(
            sources.datasets[0].SOPInstanceUID,
            [frame + 1 for frame in sources.frames],
            segment_numbers=[1],
            assert_missing_frames_are_empty=True,
        )
    else:
        found = read.get_pixels_by_source_instance(
            [sources.datasets[number].SOPInstanceUID for number in sources.objects],
            segment_numbers=[1],
            assert_missing_frames_are_empty=True,
        )
    np.testing.assert_array_equal(found[..., 0], wanted)


def test_a_segmentation_names_its_study_and_its_maker_and_is_the_same_each_time(drawn):
    prediction, sources = drawn
    file = segmentation_file(prediction, sources)
    assert file == segmentation_file(prediction, sources)
    read, source = pydicom.dcmread(io.BytesIO(file)), sources.datasets[0]
    for name in ("StudyInstanceUID", "PatientID", "PatientName"):
        assert getattr(read, name) == getattr(source, name)
    assert read.SeriesInstanceUID != source.SeriesInstanceUID
    segment = read.SegmentSequence[0]
    assert segment.SegmentedPropertyTypeCodeSequence[0].CodeValue == "108369006"
    assert segment.SegmentationAlgorithmIdentificationSequence[0].AlgorithmName == prediction.bundle


def test_an_empty_mask_is_no_segmentation(drawn):
    prediction, sources = drawn
    with pytest.raises(ValueError, match="no mask"):
        segmentation_file(replace(prediction, finding=None), sources)
