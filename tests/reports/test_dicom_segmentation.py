import io
from dataclasses import replace
from pathlib import Path

import highdicom as hd
import numpy as np
import pydicom
import pytest

from braintumor.inference import Predictor
from braintumor.reports.dicom_segmentation import segmentation_file
from braintumor.scans import DEFAULT_LIMITS, PixelBudget, ScanError, gather, in_file_axes, outcome, phantom
from tests.conftest import SHIPPED
from tests.scans.dicom_files import AXIAL, CORONAL, SAGITTAL, enhanced, slices, stored

SIZE = 96


def _pixels(number):
    return phantom(SIZE, seed=number).astype(np.uint16)


def _classic(orientation, pixels=None, **elements):
    pixels = _pixels(4) if pixels is None else pixels
    made = [
        slices(1, pixels=pixels, first=place, orientation=orientation, start=number, SliceThickness=4, **elements)[0]
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
    "pixels twice as wide as high": _classic(AXIAL, np.ascontiguousarray(_pixels(4)[:, ::2]), PixelSpacing=[1, 2]),
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
    return _outlined(predictor, unit), unit.sources(DEFAULT_LIMITS)


def _outlined(predictor, unit):
    (prediction,) = predictor.predict([outcome(unit, DEFAULT_LIMITS, PixelBudget(10**8))])
    prediction = replace(prediction, finding="glioma", p_tumor=1.0, slice_limits=(0.0, 0.0), reasons=())
    assert prediction.mask().any()
    return prediction


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
    with pytest.raises(ScanError):
        segmentation_file(replace(prediction, finding=None), sources)


def _spoiled(one_only, **elements):
    """A series of four slices with other elements in the first, or in all."""
    return [
        slices(
            1,
            pixels=_pixels(4),
            first=place,
            start=number,
            **{"SliceThickness": 4, **({} if one_only and number else elements)},
        )[0]
        for number, place in enumerate(_places(AXIAL, 4))
    ]


def _with_others(**elements):
    return [_spoiled(one_only, **elements) for one_only in (True, False)]


REPAIRED = {
    name: {name: None}
    for name in (
        *("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "Manufacturer", "SliceThickness"),
        *("SeriesNumber", "InstanceNumber", "ImageType", "BodyPartExamined", "SeriesDescription"),
    )
} | {
    "bad day": {"StudyDate": "yesterday"},
    "day of no month": {"StudyDate": "20261345"},
    "bad time": {"StudyTime": "noon"},
    "bad birthday": {"PatientBirthDate": "19.3.1970"},
    "bad sex": {"PatientSex": "FEMALE"},
    "negative number": {"SeriesNumber": -7},
    "largest number": {"SeriesNumber": 2**31 - 1},
    "no thickness": {"SliceThickness": 0},
    "long name": {"PatientName": "Doe^" + "J" * 300},
    "several IDs": {"PatientID": "1\\2"},
    "long ID": {"PatientID": "7" * 100},
    "foreign name": {"SpecificCharacterSet": "ISO_IR 192", "PatientName": "Müller^Jörg=山田^太郎"},
    "unknown letters": {"SpecificCharacterSet": "KLINGON", "PatientName": "Doe^Jane"},
    "bad frame of reference": {"FrameOfReferenceUID": "none"},
    "cosines that differ in the sixth digit": {"ImageOrientationPatient": [1, 0, 0.000001, 0, 1, 0]},
}
REFUSED = {
    name: {name: None}
    for name in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "ImageOrientationPatient")
} | {
    "no place": {"ImagePositionPatient": None},
    "place that is none": {"ImagePositionPatient": [0, 0, 1e9]},
    "no spacing": {"PixelSpacing": None},
    "spacing 0": {"PixelSpacing": [0, 0]},
    "UID that is none": {"StudyInstanceUID": "a study"},
    "the same UID for all": {"SOPInstanceUID": "1.2.3"},
}


@pytest.mark.filterwarnings("ignore:.*:UserWarning")
@pytest.mark.parametrize("name", [*REPAIRED, *REFUSED])
def test_each_spoiled_entry_is_repaired_or_is_a_reason(name, predictor):
    for one_only, files in zip((True, False), _with_others(**(REPAIRED | REFUSED)[name]), strict=True):
        for unit in gather(stored(files)):
            prediction = _outlined(predictor, unit)
            if unit.unreferable:
                assert name in REFUSED
                with pytest.raises(ScanError) as error:
                    unit.sources(DEFAULT_LIMITS)
                assert error.value.reason == unit.unreferable
                continue
            # A slice that differs from the others may be a series of its own, which can be written.
            assert name in REPAIRED or one_only
            read = hd.seg.segread(io.BytesIO(segmentation_file(prediction, unit.sources(DEFAULT_LIMITS))))
            assert read.NumberOfFrames == sum(layer.any() for layer in prediction.mask())


def test_several_files_of_many_frames_are_a_reason(predictor):
    first, second = (
        enhanced(
            [
                (_pixels(4), {"PlanePositionSequence": {"ImagePositionPatient": [0, 0, 4.0 * (start + number)]}})
                for number in range(2)
            ],
            shared={
                "PlaneOrientationSequence": {"ImageOrientationPatient": AXIAL},
                "PixelMeasuresSequence": {"PixelSpacing": [1, 1], "SliceThickness": 4},
            },
        )
        for start in (0, 2)
    )
    (unit,) = gather(stored([first, second]))
    assert _outlined(predictor, unit).mask().shape[0] == 4
    assert unit.unreferable
