import gzip
import io
import tempfile
import zipfile
from base64 import b64decode
from pathlib import Path

import gdcm
import nibabel
import numpy as np
import pytest
from PIL import Image
from pydicom.encaps import encapsulate
from pydicom.uid import (
    HTJ2K,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from braintumor.scans import Scan, ScanError, phantom, read
from tests.conftest import png_bytes
from tests.scans.dicom_files import dataset, dicom, enhanced, head, item, reasons, scan, scans, slices, volume, written

NATIVE = [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian]
PACKED = [RLELossless, JPEGLSLossless, JPEG2000Lossless, JPEGLosslessSV1]
SIGNED = head().astype(np.int16) - 2000


def _packed(pixels, syntax, **elements):
    """A file with packed pixels, lossless JPEG by GDCM, which pydicom cannot write."""
    made = dataset(pixels, **elements)
    if syntax == JPEGLosslessSV1:
        return _by_gdcm(written(made))
    made.compress(syntax, generate_instance_uid=False)
    return written(made)


def _by_gdcm(data):
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "a", Path(folder) / "b"
        source.write_bytes(data)
        reader = gdcm.ImageReader()
        reader.SetFileName(str(source))
        assert reader.Read()
        change = gdcm.ImageChangeTransferSyntax()
        change.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.JPEGLosslessProcess14_1))
        change.SetInput(reader.GetImage())
        assert change.Change()
        writer = gdcm.ImageWriter()
        writer.SetFile(reader.GetFile())
        writer.SetImage(change.GetOutput())
        writer.SetFileName(str(target))
        assert writer.Write()
        return target.read_bytes()


@pytest.mark.parametrize("syntax", NATIVE, ids=lambda uid: uid.name)
@pytest.mark.parametrize("pixels", [head(), SIGNED, phantom(32)], ids=["unsigned", "signed", "8 bit"])
def test_every_way_to_store_plain_pixels_is_read(syntax, pixels):
    np.testing.assert_array_equal(scan([dicom(pixels, syntax=syntax)]).pixels[0], pixels)


@pytest.mark.parametrize("syntax", PACKED, ids=lambda uid: uid.name)
@pytest.mark.parametrize(
    ("pixels", "bits"),
    [(head(), 12), (head(), 16), (SIGNED, 16), (SIGNED // 16, 12), (phantom(32), 8)],
    ids=["12 bit", "16 bit", "signed", "signed 12 bit", "8 bit"],
)
def test_every_lossless_way_to_pack_pixels_is_read(syntax, pixels, bits):
    np.testing.assert_array_equal(scan([_packed(pixels, syntax, BitsStored=bits)]).pixels[0], pixels)


def test_lossy_jpeg_is_read():
    stream = io.BytesIO()
    Image.fromarray(phantom(64)).save(stream, "JPEG", quality=95)
    made = dataset(phantom(64), PixelData=encapsulate([stream.getvalue()], has_bot=False))
    made["PixelData"].VR, made["PixelData"].is_undefined_length = "OB", True
    made.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    assert np.abs(scan([written(made)]).pixels[0] - phantom(64)).mean() < 2


RAMP = np.add.outer(np.arange(16) * 100, np.arange(16)).astype(np.uint16)
HIGH_THROUGHPUT = b64decode(
    b"/0//UQApQAAAAAAQAAAAEAAAAAAAAAAAAAAAEAAAABAAAAAAAAAAAAABDwEB/1AACAACAAAACv9SAAwAAgABAAUEBEAB/1wAEyCI"
    b"kJCQkJCQkJCQkJCQiIiI/2QAFwABT3BlbkpQSCBWZXIgMC4yNi4zLv+QAAoAAAAAAHEAAf+TwAAmY/wFB3QAAMAAEsAAEoDwAMd0"
    b"ACICh3QAwAASwAATgMAAQnQAjjv+AINUAMAAEsAAFUDwtPJ0AMCBgYHAMYHstgDAACeAAFogAOfAKUvmAMZGo9FoNBr9iEB79iEB"
    b"7LoA/9k="
)
"""The ramp as a codestream of high-throughput JPEG 2000, by OpenJPH 0.26.3, since nothing here writes one."""


@pytest.mark.parametrize("syntax", [HTJ2KLossless, HTJ2KLosslessRPCL, HTJ2K], ids=lambda uid: uid.name)
def test_high_throughput_jpeg_2000_is_read(syntax):
    made = dataset(RAMP, PixelData=encapsulate([HIGH_THROUGHPUT], has_bot=False))
    made["PixelData"].VR, made["PixelData"].is_undefined_length = "OB", True
    made.file_meta.TransferSyntaxUID = syntax
    np.testing.assert_array_equal(scan([written(made)]).pixels[0], RAMP)


@pytest.mark.parametrize("syntax", PACKED[:3], ids=lambda uid: uid.name)
def test_frames_of_a_packed_file_are_read_one_by_one(syntax):
    frames = np.stack([head(seed=number) + np.uint16(number) for number in range(4)])
    data = _packed(frames, syntax, NumberOfFrames=4, ImagePositionPatient=None)
    np.testing.assert_array_equal(scan([data]).pixels, frames)


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian], ids=lambda uid: uid.name)
def test_files_without_a_preamble_are_read(syntax):
    np.testing.assert_array_equal(scan([dicom(syntax=syntax, preamble=False)]).pixels[0], head())


def test_files_packed_with_gzip_and_archives_are_read():
    files = slices(4)
    expected = scan(files).pixels
    np.testing.assert_array_equal(scan([gzip.compress(data) for data in files]).pixels, expected)
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for number, data in enumerate(files):
            archive.writestr(f"DICOM/{number}", data)
        archive.writestr("notes.png", png_bytes(phantom(64)))
    found = {one.source: one for one in scans({"study.zip": stream.getvalue()})}
    np.testing.assert_array_equal(found["Study 1, series 2, T1"].pixels, expected)
    assert isinstance(found["study.zip/notes.png"], Scan)


def test_other_files_and_an_index_lie_between_the_slices():
    index = dataset(SOPClassUID="1.2.840.10008.1.3.10", Modality=None, Rows=None, Columns=None, PixelData=None)
    files = slices(4)
    mixed = {"DICOMDIR": written(index), "a": files[0], "b.png": png_bytes(phantom(64)), "c": files[1]}
    found = scans({**mixed, "d.txt": b"text", "e": files[2], "f": files[3]})
    assert [one.source if isinstance(one, Scan) else one.reason for one in found] == [
        "b.png",
        "This is a text file, not a scan.",
        "Study 1, series 2, T1",
    ]
    assert reasons([written(index)]) == ["This is the index of a CD."]


@pytest.mark.parametrize(
    ("elements", "change"),
    [
        ({"RescaleSlope": 2.5, "RescaleIntercept": -10}, lambda gray: gray * 2.5 - 10),
        ({"RescaleSlope": 0, "RescaleIntercept": 0}, lambda gray: gray),
        ({"PhotometricInterpretation": "MONOCHROME1"}, lambda gray: gray.max() + gray.min() - gray),
        ({"PhotometricInterpretation": None}, lambda gray: gray),
        (
            {"PixelPaddingValue": 0, "RescaleIntercept": 50, "RescaleSlope": 1},
            lambda gray: gray.clip(gray[gray > 0].min()) + 50,
        ),
        ({"WindowCenter": [10, 40], "WindowWidth": [5, 80]}, lambda gray: gray),
        ({"VOILUTSequence": [item(LUTDescriptor=[2, 0, 16], LUTData=b"\0\0\1\0")]}, lambda gray: gray),
    ],
)
def test_values_are_what_the_file_says_of_them(elements, change):
    # The window is a fact, and neither it nor a table for viewing changes a value.
    expected = change(head().astype(np.float32))
    np.testing.assert_allclose(scan([dicom(**elements)]).pixels[0], expected, rtol=1e-6)


def test_a_range_of_padding_is_no_value():
    found = scan([dicom(PixelPaddingValue=0, PixelPaddingRangeLimit=100)]).pixels
    assert found.min() == head()[head() > 100].min()


@pytest.mark.parametrize("kind", [np.uint16, np.int16])
def test_overlays_beside_the_pixels_bits_are_cleared_and_signs_kept(kind):
    signed = kind is np.int16
    pixels = ((head() >> 4).astype(np.int32) - (100 if signed else 0)).astype(kind)
    dirty = (pixels.view(np.uint16) & np.uint16(0x0FFF)) | np.uint16(0xA000)
    data = dicom(dirty.view(kind), BitsStored=12)
    np.testing.assert_array_equal(scan([data]).pixels[0], pixels)


def test_pixels_in_the_high_bits_are_shifted_down():
    np.testing.assert_array_equal(scan([dicom(head() << 4, BitsStored=12, HighBit=15)]).pixels[0], head())


def test_a_modality_table_replaces_values():
    table = item(LUTDescriptor=[256, 0, 16], ModalityLUTType="US")
    table.add_new(0x00283006, "OW", (np.arange(256, dtype=np.uint16)[::-1] * 3).tobytes())
    made = dataset(phantom(32))
    made.ModalityLUTSequence = [table]
    np.testing.assert_array_equal(scan([written(made)]).pixels[0], (255 - phantom(32).astype(int)) * 3)


OBLIQUE = np.linalg.qr([[0.9, 0.3, 0.1], [-0.3, 0.9, 0.2], [0.05, -0.2, 0.95]])[0]
TURNS = {
    "axial": np.diag([-1, -1, 1]),
    "coronal": np.array([[-1, 0, 0], [0, 0, -1], [0, -1, 0]]),
    "sagittal": np.array([[0, 0, -1], [-1, 0, 0], [0, -1, 0]]),
    "oblique": OBLIQUE * np.sign(np.linalg.det(OBLIQUE)),
}


@pytest.mark.parametrize("acquired", TURNS)
@pytest.mark.parametrize("step", [4.0, 0.8])
def test_a_volume_written_as_dicom_is_the_scan_that_its_nifti_is(acquired, step):
    """The same values, in the same order, at the same place in the patient, whatever the slices' direction."""
    affine = np.eye(4)
    affine[:3, :3] = TURNS[acquired] @ np.diag([0.9, 1.1, step])
    affine[:3, 3] = [80, -60, 25]
    # Slices of DICOM follow their normal, which is the right-handed one.
    affine[:3, 2] *= np.sign(np.linalg.det(affine[:3, :3]))
    voxels = np.stack([head(40, seed=number)[:36].T + np.uint16(number) for number in range(20)], axis=2)
    nifti = read(nibabel.Nifti1Image(voxels.astype(np.uint16), affine).to_bytes(), "volume.nii")
    files = volume(voxels, affine)
    dicoms = scan([files[place] for place in np.random.default_rng(1).permutation(len(files))])
    np.testing.assert_array_equal(dicoms.pixels, nifti.pixels)
    np.testing.assert_allclose(dicoms.affine, nifti.affine, atol=1e-4)
    np.testing.assert_allclose(dicoms.spacing, nifti.spacing, rtol=1e-5)
    assert dicoms.facts["plane"] == nifti.facts["plane"]
    assert dicoms.facts["oriented"]


def test_a_volume_in_one_file_is_the_scan_that_its_slices_are():
    affine = np.diag([-1.0, -1, 3, 1])
    voxels = np.stack([head(seed=number) for number in range(6)], axis=2)
    frames = [
        (voxels[:, :, number].T.copy(), {"PlanePositionSequence": {"ImagePositionPatient": [0, 0, 3.0 * number]}})
        for number in range(6)
    ]
    shared = {
        "PlaneOrientationSequence": {"ImageOrientationPatient": [1, 0, 0, 0, 1, 0]},
        "PixelMeasuresSequence": {"PixelSpacing": [1, 1], "SliceThickness": 3},
    }
    one, many = scan([enhanced(frames, shared=shared)]), scan(volume(voxels, affine))
    np.testing.assert_array_equal(one.pixels, many.pixels)
    assert one.affine == many.affine


@pytest.mark.parametrize(
    ("elements", "reason"),
    [
        ({"Modality": "CT", "SOPClassUID": "1.2.840.10008.5.1.4.1.1.2"}, "Its modality is CT; the model reads MR."),
        ({"Modality": "Doe^Jane"}, "Its modality is not stated; the model reads MR."),
        ({"BodyPartExamined": "KNEE"}, "It does not show the head."),
        ({"SeriesDescription": "ADC"}, "It is a map that was computed."),
        ({"SeriesDescription": "dti"}, "Its kind, diffusion, is not one that the model learned."),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.104.1", "Modality": "DOC"}, None),
    ],
)
def test_what_is_not_for_the_model_says_why(elements, reason):
    bare = dict.fromkeys(("Rows", "Columns", "PixelData")) if reason is None else {}
    expected = reason or "It holds no images but a report, a document or the like."
    assert reasons([dicom(**elements, **bare)]) == [expected]


def test_of_a_file_with_several_volumes_the_first_that_is_judged_is_read():
    data = dicom(SeriesDescription="localizer")
    with pytest.raises(ScanError, match="localizer"):
        read(data, "a.dcm")
    assert read(dicom(), "a.dcm").series.slices == 1


@pytest.mark.parametrize(
    ("elements", "spacing", "aspect"),
    [
        ({"PixelSpacing": [1, 2]}, (5.0, 1.0, 2.0), 2.0),
        ({"PixelSpacing": [1, 2], "ImagePositionPatient": None}, None, 2.0),
        ({"PixelSpacing": None, "PixelAspectRatio": ["3", "2"]}, None, 2 / 3),
        ({"PixelSpacing": None, "PixelAspectRatio": ["0", "2"]}, None, 1.0),
    ],
)
def test_pixels_that_are_not_square_are_said_to_be(elements, spacing, aspect):
    found = scan(slices(3, **elements))
    assert (found.spacing, found.pixel_aspect) == (spacing, pytest.approx(aspect))


def test_images_of_other_pixel_sizes_are_another_volume():
    first = slices(3)
    zoomed = slices(3, PixelSpacing=[0.5, 0.5], start=4, first=(0.0, 0.0, 15.0))
    assert [found.spacing for found in scans([*first, *zoomed])] == [(5, 1, 1), (5, 0.5, 0.5)]


def test_a_data_set_is_one_image_of_its_own_place():
    found = scan([dicom(PixelSpacing=[0.5, 0.75], SliceThickness=4)])
    assert (found.spacing, found.facts["plane"]) == ((4, 0.5, 0.75), "axial")
