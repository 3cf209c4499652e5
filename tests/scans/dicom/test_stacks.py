import struct
import tracemalloc

import nibabel
import numpy as np
import pytest

from braintumor.scans import DEFAULT_LIMITS, StoredFile
from braintumor.scans.series import SeriesNote, Unjudged, Weighting
from braintumor.scans.units import DicomObjects
from tests.scans.dicom_files import (
    AXIAL,
    CORONAL,
    ROOT,
    SAGITTAL,
    dataset,
    dicom,
    enhanced,
    facts,
    head,
    scan,
    scans,
    slices,
    units,
    written,
)


def _shuffled(files, seed=0):
    return [files[place] for place in np.random.default_rng(seed).permutation(len(files))]


def _told(files):
    return [(series.slices, series.volumes, series.missing, series.repeated) for series in facts(files)]


@pytest.mark.parametrize("orientation", [AXIAL, CORONAL, SAGITTAL, [0.8, 0.6, 0, 0, 0, -1]])
@pytest.mark.parametrize("step", [5.0, -5.0, 0.9])
def test_slices_in_any_order_are_one_series_in_the_order_of_their_places(orientation, step):
    files = slices(7, orientation=orientation, step=step)
    (unit,) = units(_shuffled(files))
    assert (unit.series.slices, unit.series.missing, unit.series.notes) == (7, 0, ())
    read, again = scan(files), scan(_shuffled(files, seed=3))
    assert read.spacing == pytest.approx((abs(step), 1, 1) if abs(step) > 1 else read.spacing)
    assert read.sha256 == again.sha256
    np.testing.assert_array_equal(read.pixels, again.pixels)


def _without(files, *left_out):
    return [data for number, data in enumerate(files) if number not in left_out]


SHAPES = {
    # what: (files, [(slices, volumes, missing, repeated), ...])
    "one slice": (slices(1), [(1, 1, 0, 0)]),
    "a slice is missing": (_without(slices(9), 4), [(8, 1, 1, 0)]),
    "three in two places": (_without(slices(12), 2, 6, 7), [(9, 1, 3, 0)]),
    "a copy of each": (2 * slices(4), [(4, 1, 0, 4)]),
    "two sizes": ([*slices(3), *slices(4, pixels=head(48))], [(3, 1, 0, 0), (4, 1, 0, 0)]),
    "two series": (
        [*slices(3), *slices(4, SeriesInstanceUID=ROOT + "3", SeriesNumber=3)],
        [(3, 1, 0, 0), (4, 1, 0, 0)],
    ),
    "two studies": ([*slices(3), *slices(4, StudyInstanceUID=ROOT + "8")], [(3, 1, 0, 0), (4, 1, 0, 0)]),
    "two echoes": ([*slices(3, EchoTime=20), *slices(3, EchoTime=90)], [(3, 1, 0, 0), (3, 1, 0, 0)]),
    "two time points": (
        [*slices(3, TemporalPositionIdentifier=2), *slices(3, TemporalPositionIdentifier=1, start=4)],
        [(3, 1, 0, 0), (3, 1, 0, 0)],
    ),
    "two acquisitions": ([*slices(3, AcquisitionNumber=1), *slices(3, AcquisitionNumber=2)], [(3, 1, 0, 0)] * 2),
    "three planes": (
        [*slices(3), *slices(3, orientation=CORONAL), *slices(3, orientation=SAGITTAL)],
        [(3, 1, 0, 0)] * 3,
    ),
    "both kinds of pixels": (
        [*slices(3, pixels=head().astype(np.int16)), *slices(2, first=(0, 0, 15))],
        [(5, 1, 0, 0)],
    ),
    "magnitude and phase": ([*slices(3), *slices(3, ImageType=["ORIGINAL", "PRIMARY", "P"])], [(3, 1, 0, 0)] * 2),
    "directions of diffusion": (
        [
            data
            for number in range(6)
            for data in slices(2, DiffusionBValue=1000.0 * (number > 0), SeriesDescription="DTI", start=2 * number)
        ],
        [(2, 1, 0, 0), (2, 5, 0, 0)],
    ),
    "one UID for all": (slices(5, SOPInstanceUID=ROOT + "7"), [(5, 1, 0, 0)]),
    "no UIDs": (slices(5, SOPInstanceUID=None, SeriesInstanceUID=None, StudyInstanceUID=None), [(5, 1, 0, 0)]),
    "no places": (slices(5, ImagePositionPatient=None), [(5, 1, 0, 0)]),
}


@pytest.mark.parametrize("what", SHAPES)
def test_files_form_series(what):
    files, expected = SHAPES[what]
    assert _told(files) == _told(_shuffled(files)) == expected


def test_time_points_stay_together_where_each_lacks_a_slice():
    first = _without(slices(6, TemporalPositionIdentifier=1, RescaleSlope=1, RescaleIntercept=0), 2)
    second = _without(slices(6, TemporalPositionIdentifier=2, RescaleSlope=1, RescaleIntercept=10_000), 4)
    early, late = scans(_shuffled([*first, *second]))
    # A missing slice is as dark as the darkest pixel, and each time point has its own.
    dark = [np.flatnonzero(found.pixels.max(axis=(1, 2)) == found.pixels.min()) for found in (early, late)]
    assert [places.tolist() for places in dark] == [[2], [4]]
    assert early.pixels.max() < 10_000 <= late.pixels.min()


@pytest.mark.parametrize(("difference", "series"), [(1e-8, 1), (9e-5, 1), (1e-3, 2)])
def test_orientations_are_the_same_within_a_tolerance(difference, series):
    turned = [1, difference, 0, -difference, 1, 0]
    assert len(facts([*slices(3), *slices(3, first=(0, 0, 15), orientation=turned)])) == series


@pytest.mark.parametrize(
    ("heights", "notes", "missing"),
    [
        ([0, 5, 10, 15], (), 0),
        ([0, 5, 10.4, 15], (), 0),
        ([0, 5, 12, 15], (SeriesNote.UNEVEN,), 0),
        ([0, 5, 15, 20], (SeriesNote.GAPS,), 1),
        ([0, 5, 10, 500], (SeriesNote.GAPS,), 97),
    ],
)
def test_uneven_distances_and_gaps_are_told(heights, notes, missing):
    (series,) = facts([dicom(ImagePositionPatient=[0, 0, height]) for height in heights])
    assert (series.notes, series.missing) == (notes, missing)


@pytest.mark.parametrize(
    ("shift", "notes"),
    [
        (lambda number: 0.0, ()),
        (lambda number: 0.01 * number, ()),
        (lambda number: 1.3 * number, (SeriesNote.SHEARED,)),
        (lambda number: (0, 3, -2, 8, 1)[number], (SeriesNote.SHIFTED,)),
    ],
)
def test_slices_that_are_shifted_are_told_and_as_far_apart_as_along_their_normal(shift, notes):
    files = [dicom(ImagePositionPatient=[0, -shift(number), 5.0 * number]) for number in range(5)]
    (series,) = facts(files)
    assert series.notes == notes
    found = scan(files)
    assert found.spacing == pytest.approx((5, 1, 1))
    assert abs(np.linalg.det(np.array(found.affine)[:3, :3])) == pytest.approx(5)
    if notes == (SeriesNote.SHEARED,):
        # Where the last slice's first pixel lies, in RAS.
        np.testing.assert_allclose((np.array(found.affine) @ [4, 0, 0, 1])[:3], [0, shift(4), 20], atol=1e-4)


def test_a_few_slices_far_apart_leave_no_empty_ones_between():
    found = scan([dicom(head(), ImagePositionPatient=[0, 0, height]) for height in (0, 5, 10, 500)])
    assert found.shape == (4, 32, 32)
    assert nibabel.Nifti1Header(found.placement.header)["sform_code"] == 0


def test_burned_in_text_is_told():
    assert facts(slices(2, BurnedInAnnotation="YES"))[0].notes == (SeriesNote.BURNED_IN,)
    assert facts(slices(2, BurnedInAnnotation="NO"))[0].notes == ()


def test_facts_of_a_series():
    (series,) = facts(
        slices(
            3,
            SeriesNumber=7,
            BodyPartExamined="Head",
            Laterality="L",
            Manufacturer="GE",
            MagneticFieldStrength=15_000,
            ContrastBolusAgent="Gadovist",
            WindowCenter=[40, 400],
            WindowWidth=[80, 2000],
        )
    )
    assert (series.number, series.part, series.modality, series.body_part) == (7, 1, "MR", "HEAD")
    assert (series.weighting, series.laterality, series.vendor) == (Weighting.T1_CONTRAST, "L", "GE")
    assert (series.field_strength, series.contrast_agent, series.window) == (1.5, True, (40, 80))
    assert (series.description, series.is_judged) == ("t1_se_tra", True)


@pytest.mark.parametrize(
    ("elements", "expected"),
    [
        ({}, None),
        ({"BodyPartExamined": "KNEE"}, Unjudged.OTHER_BODY_PART),
        ({"BodyPartExamined": "KNEE", "SeriesDescription": "t1 brain"}, None),
        ({"BodyPartExamined": None}, None),
        ({"BodyPartExamined": "OTHER"}, None),
        ({"BodyPartExamined": None, "SeriesDescription": "t1_tse_LWS"}, Unjudged.OTHER_BODY_PART),
        ({"BodyPartExamined": None, "StudyDescription": "MRI KNEE LEFT"}, Unjudged.OTHER_BODY_PART),
        ({"BodyPartExamined": None, "StudyDescription": "MRI BRAIN AND NECK"}, None),
        ({"BodyPartExamined": "SCHÄDEL", "SpecificCharacterSet": "ISO_IR 100"}, None),
        ({"BodyPartExamined": "HEADNECK"}, None),
        ({"SeriesDescription": "t1 phantom"}, Unjudged.PHANTOM),
        ({"PatientName": "Phantom^ACR"}, Unjudged.PHANTOM),
        ({"PatientName": "Qa^John"}, None),
        ({"StudyDescription": "QA weekly"}, Unjudged.PHANTOM),
        ({"SeriesDescription": "localizer"}, Unjudged.LOCALIZER),
        ({"SeriesDescription": "ep2d_diff"}, Unjudged.WEIGHTING),
        ({"SeriesDescription": "ADC"}, Unjudged.DERIVED),
        ({"SeriesDescription": "series 5"}, None),
        ({"ImageType": ["DERIVED", "SECONDARY", "SCREEN SAVE"]}, Unjudged.NO_IMAGES),
        ({"Modality": "SEG"}, Unjudged.NO_IMAGES),
        ({"Modality": "CT", "SeriesDescription": "Topogram"}, Unjudged.LOCALIZER),
    ],
)
def test_what_may_be_judged_and_why_not(elements, expected):
    (series,) = facts([dicom(**elements)])
    assert series.unjudged is expected


@pytest.mark.parametrize(
    ("photometric", "samples"), [("RGB", 3), ("PALETTE COLOR", 1), ("YBR_FULL", 3)], ids=["rgb", "palette", "ybr"]
)
def test_color_is_not_judged(photometric, samples):
    elements = {"PhotometricInterpretation": photometric, "SamplesPerPixel": samples, "PlanarConfiguration": 0}
    (series,) = facts([dicom(PixelData=bytes(32 * 32 * samples), BitsAllocated=8, BitsStored=8, **elements)])
    assert series.unjudged is Unjudged.COLOR


def _mosaic(tiles=9, size=16, **elements):
    across = int(np.ceil(np.sqrt(tiles)))
    picture = np.zeros((across * size, across * size), np.uint16)
    for tile in range(tiles):
        row, column = divmod(tile, across)
        picture[row * size :, column * size :][:size, :size] = head(size) + 1000 * tile
    kinds = ["ORIGINAL", "PRIMARY", "M", "ND", "MOSAIC"]
    place = [-across * size / 2, -across * size / 2, 10.0]
    return picture, {"ImageType": kinds, "ImagePositionPatient": place, "SpacingBetweenSlices": 4.0, **elements}


def _with_count(made, count):
    block = made.private_block(0x0019, "SIEMENS MR HEADER", create=True)
    block.add_new(0x0A, "US", count)
    return made


def test_a_mosaic_is_cut_into_its_slices():
    picture, elements = _mosaic(tiles=7)
    found = scan([written(_with_count(dataset(picture, **elements), 7))])
    assert found.shape == (7, 16, 16)
    assert found.spacing == (4, 1, 1)
    assert [int(layer.min()) for layer in found.pixels] == [1000 * tile for tile in range(7)]
    # The corner of a tile lies inside of that of the mosaic, by half of what the tile is smaller: 16 of 48 pixels.
    corner = np.array(found.affine) @ [0, 0, 0, 1]
    np.testing.assert_allclose(corner[:3], [24 - 16, 24 - 16, 10])


def _csa(**tags):
    """The private header of Siemens, of version 2, with numbers by name."""
    packed = b"SV10\4\3\2\1" + struct.pack("<2I", len(tags), 77)
    for name, values in tags.items():
        packed += struct.pack("<64si4siii", name.encode(), len(values), b"FD\0\0", 4, len(values), 77)
        for value in values:
            text = f"{value}".encode().ljust(12, b"\0")
            packed += struct.pack("<4i", len(text), len(text), 77, len(text)) + text
    return packed


@pytest.mark.parametrize(("normal", "lowest"), [((0, 0, 1), 10), ((0, 0, -1), 10 - 6 * 4)])
def test_a_mosaic_that_only_its_private_header_counts_is_cut_along_the_normal_there(normal, lowest):
    picture, elements = _mosaic(tiles=7)
    made = dataset(picture, **elements)
    block = made.private_block(0x0029, "SIEMENS CSA HEADER", create=True)
    block.add_new(0x10, "OB", _csa(NumberOfImagesInMosaic=[7], SliceNormalVector=normal))
    found = scan([written(made)])
    assert found.shape == (7, 16, 16)
    assert found.affine[2] == pytest.approx((4, 0, 0, lowest))
    # Slices run upward, those of the mosaic in the direction of its normal.
    tiles = [int(layer.min()) // 1000 for layer in found.pixels]
    assert tiles == (list(range(7)) if normal[2] > 0 else list(range(7))[::-1])


def test_objects_that_wait_for_the_others_take_little_memory():
    objects, files = DicomObjects(DEFAULT_LIMITS), slices(101)
    objects.add(StoredFile("first", bytes), files[0])
    tracemalloc.start()
    for data in files[1:]:
        objects.add(StoredFile("another", bytes), data)
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # Of as many as are accepted that is 100 MB at most.
    assert taken / 100 * DEFAULT_LIMITS.max_objects < 100e6


@pytest.mark.parametrize(("count", "series"), [(1, 1), (0, 1), (5000, 1), (100, 0)])
def test_a_count_that_makes_no_mosaic_leaves_the_image_whole_or_refuses_it(count, series):
    picture, elements = _mosaic(tiles=9)
    found = scans([written(_with_count(dataset(picture, **elements), count))])
    assert [getattr(one, "shape", None) for one in found] == ([(1, 48, 48)] if series else [None])


def test_enhanced_frames_have_their_own_places_and_slopes():
    frames = [
        (
            np.full((16, 16), 100 + number, np.uint16),
            {
                "PlanePositionSequence": {"ImagePositionPatient": [0, 0, 3.0 * place]},
                "PixelValueTransformationSequence": {"RescaleSlope": 1 + place, "RescaleIntercept": -place},
                "FrameVOILUTSequence": {"WindowCenter": 10 * place, "WindowWidth": 20},
                "FrameContentSequence": {"TemporalPositionIndex": 1},
            },
        )
        for number, place in enumerate((3, 1, 0, 2))
    ]
    shared = {
        "PlaneOrientationSequence": {"ImageOrientationPatient": AXIAL},
        "PixelMeasuresSequence": {"PixelSpacing": [2.0, 2.0], "SliceThickness": 3.0},
    }
    data = enhanced(frames, shared=shared)
    found = scan([data])
    assert found.spacing == (3, 2, 2)
    assert [float(layer[0, 0]) for layer in found.pixels] == [102, 101 * 2 - 1, 103 * 3 - 2, 100 * 4 - 3]
    assert facts([data])[0].window == (20, 20)


def test_two_kinds_of_frames_in_one_file_are_two_series():
    frames = [
        (
            head(16),
            {
                "PlanePositionSequence": {"ImagePositionPatient": [0, 0, 3.0 * place]},
                "MRImageFrameTypeSequence": {"FrameType": ["ORIGINAL", "PRIMARY", kind, kind]},
            },
        )
        for kind in ("M", "FIELD_MAP")
        for place in range(4)
    ]
    data = enhanced(frames, shared={"PlaneOrientationSequence": {"ImageOrientationPatient": AXIAL}})
    told = [(series.weighting, series.slices) for series in facts([data])]
    assert told == [(Weighting.T1, 4), (Weighting.FIELD_MAP, 4)]
