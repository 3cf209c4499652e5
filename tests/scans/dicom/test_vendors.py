"""Series in the shapes in which scanners of six vendors write them, as small files."""

import numpy as np
import pytest
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    RLELossless,
)

from braintumor.scans import Scan
from braintumor.scans.series import Unjudged, Weighting
from tests.scans.dicom_files import (
    AXIAL,
    CORONAL,
    SAGITTAL,
    dataset,
    dicom,
    enhanced,
    head,
    scans,
    slices,
    units,
    written,
)

GE, SIEMENS, PHILIPS = "GE MEDICAL SYSTEMS", "SIEMENS", "Philips Medical Systems"
OBLIQUE = [0.8, 0.6, 0, 0, 0, -1]
SIGNED = head().astype(np.int16) - 2000
T1, DWI, FMRI, LOC = Weighting.T1, Weighting.DIFFUSION, Weighting.FUNCTIONAL, Weighting.LOCALIZER
KIND, MAP = Unjudged.WEIGHTING, Unjudged.DERIVED


def _directions(count, places, vendor, name, **elements):
    """A diffusion series: at each place an image without diffusion and others in so many directions."""
    told = {"Manufacturer": vendor, "SeriesDescription": name, "BodyPartExamined": "HEAD", **elements}
    return [
        data
        for number in range(count)
        for data in slices(places, step=2.0, DiffusionBValue=1000.0 * (number > 0), start=number * places, **told)
    ]


def _mosaic(compressed=None, pixels=None, **elements):
    picture = np.tile(head(16) if pixels is None else pixels, (3, 3))
    kinds = ["ORIGINAL", "PRIMARY", "M", "ND", "MOSAIC"]
    made = dataset(picture, Manufacturer=SIEMENS, ImageType=kinds, SpacingBetweenSlices=4.0, **elements)
    made.private_block(0x0019, "SIEMENS MR HEADER", create=True).add_new(0x0A, "US", 7)
    if compressed:
        made.compress(compressed, generate_instance_uid=False)
    return [written(made)]


def _frames(count, kinds, name, step=2.0, **elements):
    """One file of many frames, of each kind as many."""
    frames = [
        (
            head(16, seed=number) + np.uint16(number),
            {
                "PlanePositionSequence": {"ImagePositionPatient": [0, 0, step * number]},
                "MRImageFrameTypeSequence": {"FrameType": kind},
                "MREchoSequence": {"EffectiveEchoTime": 0.0 if "FIELD_MAP" in kind else 1.52},
                "PixelValueTransformationSequence": {"RescaleSlope": 1.28, "RescaleIntercept": 0},
            },
        )
        for kind in kinds
        for number in range(count)
    ]
    shared = {
        "PlaneOrientationSequence": {"ImageOrientationPatient": AXIAL},
        "PixelMeasuresSequence": {"PixelSpacing": [2.0, 2.0], "SliceThickness": step},
    }
    return [enhanced(frames, shared=shared, SeriesDescription=name, **elements)]


def _packed(syntax, **elements):
    made = dataset(**elements)
    made.compress(syntax, generate_instance_uid=False)
    return written(made)


ONE = {"SOPInstanceUID": "1.2.7", "SeriesDescription": None, "ScanningSequence": "SE"}
ONE_T2 = {**ONE, "RepetitionTime": 4000, "EchoTime": 240, "BodyPartExamined": None}
PLAIN = (ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian)
NO_PIXELS = dict.fromkeys(("Rows", "Columns", "PixelData"))
COLOR_PIXELS = {"PixelData": bytes(32 * 32 * 3), "BitsAllocated": 8, "BitsStored": 8, "SamplesPerPixel": 3}

VENDORS = {
    # what: (files, [(kind, slices, volumes, spacing of what is judged or why it is not), ...])
    "Canon, diffusion": (_directions(3, 2, "CANON_MEC", "DTI"), [(DWI, 2, 1, KIND), (DWI, 2, 2, KIND)]),
    "Toshiba, diffusion": (_directions(4, 3, "TOSHIBA_MEC", "dti_ax"), [(DWI, 3, 1, KIND), (DWI, 3, 3, KIND)]),
    "Philips, diffusion, b 0": (_directions(1, 5, PHILIPS, "DTI SENSE"), [(DWI, 5, 1, KIND)]),
    "GE, oblique diffusion at one place": (
        _directions(3, 1, GE, "DWI", ImageOrientationPatient=OBLIQUE),
        [(DWI, 1, 1, KIND), (DWI, 1, 2, KIND)],
    ),
    "GE, functional, signed": (
        slices(5, pixels=SIGNED, Manufacturer=GE, SeriesDescription="Axial EPI-FMRI"),
        [(FMRI, 5, 1, KIND)],
    ),
    "GE, localizer of three planes": (
        [
            data
            for number, plane in enumerate((AXIAL, SAGITTAL, CORONAL))
            for data in slices(3, orientation=plane, SeriesDescription="3-Plane Loc", start=3 * number)
        ],
        [(LOC, 3, 1, Unjudged.LOCALIZER)] * 3,
    ),
    "GE, sagittal T1, thinned": (
        slices(12, orientation=SAGITTAL, step=-19.2, Manufacturer=GE, SeriesDescription="Accelerated SAG IR-SPGR"),
        [(T1, 12, 1, (19.2, 1, 1))],
    ),
    "Siemens, sagittal T1": (
        slices(6, orientation=SAGITTAL, step=4.8, Manufacturer=SIEMENS, SeriesDescription="t1_fl2d_sag"),
        [(T1, 6, 1, (4.8, 1, 1))],
    ),
    "Siemens, the same inverted": (
        slices(5, orientation=SAGITTAL, step=4.8, PhotometricInterpretation="MONOCHROME1"),
        [(T1, 5, 1, (4.8, 1, 1))],
    ),
    "Philips, sagittal MPRAGE": (
        slices(7, orientation=SAGITTAL, step=2.0, Manufacturer=PHILIPS, SeriesDescription="WIP MPRAGE SENSE"),
        [(T1, 7, 1, (2, 1, 1))],
    ),
    "Siemens, T1 in one file": (
        _frames(6, [["ORIGINAL", "PRIMARY", "M", "NONE"]], "t1_tfl", Manufacturer=SIEMENS),
        [(T1, 6, 1, (2, 2, 2))],
    ),
    "Siemens, ADC in one file": (
        _frames(4, [["DERIVED", "PRIMARY", "DIFFUSION", "ADC"]], "ep2d_diff"),
        [(Weighting.ADC, 4, 1, MAP)],
    ),
    "Siemens, FA in color": (
        [dicom(SeriesDescription="DWI_ColFA", PhotometricInterpretation="RGB", PlanarConfiguration=0, **COLOR_PIXELS)],
        [(Weighting.DERIVED_MAP, 1, 1, Unjudged.COLOR)],
    ),
    "Philips, field map of two kinds in one file": (
        _frames(4, [["ORIGINAL", "PRIMARY", kind, "NONE"] for kind in ("M", "FIELD_MAP")], "B0 NS"),
        [(Weighting.FIELD_MAP, 4, 1, MAP)] * 2,
    ),
    "Philips, functional, a phantom": (
        [
            data
            for time in (1, 2, 3)
            for data in slices(3, TemporalPositionIdentifier=time, SeriesDescription="fMRI", PatientName="Phantom")
        ],
        [(FMRI, 3, 3, Unjudged.PHANTOM)],
    ),
    "Siemens, mosaic": (_mosaic(SeriesDescription="ax_asc_36sl", ScanningSequence="EP"), [(FMRI, 7, 1, KIND)]),
    "Siemens, mosaic in JPEG 2000": (
        _mosaic(JPEG2000Lossless, SeriesDescription="ep2d_bold"),
        [(FMRI, 7, 1, KIND)],
    ),
    "Siemens, mosaic, signed": (
        _mosaic(pixels=SIGNED[:16, :16], SeriesDescription="ep2d_bold", BitsStored=12),
        [(FMRI, 7, 1, KIND)],
    ),
    "Siemens, report": (
        [dicom(Modality="SR", SOPClassUID="1.2.840.10008.5.1.4.1.1.88.22", SeriesNumber=99, **NO_PIXELS)],
        [(Weighting.UNKNOWN, 0, 1, Unjudged.NO_IMAGES)],
    ),
    "one image in six transfer syntaxes": (
        [
            *(dicom(syntax=syntax, **ONE_T2) for syntax in PLAIN),
            *(_packed(s, **ONE_T2) for s in (RLELossless, JPEG2000Lossless)),
        ],
        [(Weighting.T2, 1, 1, (5, 1, 1))],
    ),
    "a radiograph": (
        [dicom(Modality="CR", BodyPartExamined="PELVIS", SeriesDescription=None, ImagePositionPatient=None)],
        [(Weighting.UNKNOWN, 1, 1, Unjudged.OTHER_BODY_PART)],
    ),
    "a knee by its study's name": (
        [dicom(BodyPartExamined=None, SeriesDescription="T1W/SE/1024", StudyDescription="e+1 KNEE-RT.")],
        [(T1, 1, 1, Unjudged.OTHER_BODY_PART)],
    ),
    "Philips, the real part of an inversion": (
        [dicom(SeriesDescription=None, ImageType=["DERIVED", "PRIMARY", "OTHER", "R", "IR"], StudyDescription="BRAIN")],
        [(Weighting.FIELD_MAP, 1, 1, MAP)],
    ),
}


@pytest.mark.parametrize("what", VENDORS)
def test_series_of_a_vendor_have_their_kind_order_spacing_and_verdict(what):
    files, expected = VENDORS[what]
    mixed = [files[place] for place in np.random.default_rng(1).permutation(len(files))]
    told = [(unit.series, outcome) for unit, outcome in zip(units(mixed), scans(mixed), strict=True)]
    assert [(series.weighting, series.slices, series.volumes) for series, _ in told] == [row[:3] for row in expected]
    for (series, outcome), (*_, wanted) in zip(told, expected, strict=True):
        if isinstance(wanted, Unjudged):
            assert series.unjudged is wanted
            assert outcome.series.unjudged is wanted
        else:
            assert isinstance(outcome, Scan)
            assert outcome.spacing == pytest.approx(wanted)
            # Each slice is as much brighter as it lies further on.
            lowest = [float(layer.min()) for layer in outcome.pixels]
            assert lowest in (sorted(lowest), sorted(lowest, reverse=True))
