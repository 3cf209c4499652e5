import io
from datetime import timedelta

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage

from braintumor.records.deidentify import BurnedInTextError, Deidentifier

KEY = b"k" * 32
NAMES = (b"Canary", b"canary", b"CANARY", b"Jane", b"MRN4711", b"Goodfellow")
IMAGE = "1.2.826.0.1.3680043.8.498.1"


def item(**values):
    dataset = pydicom.Dataset()
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    return dataset


def image(**values):
    """An MR image that names its patient in the usual places, and in those that are given."""
    dataset = item(
        SOPClassUID=MRImageStorage,
        SOPInstanceUID=IMAGE,
        StudyInstanceUID="1.2.826.0.1.3680043.8.498.2",
        FrameOfReferenceUID="1.2.826.0.1.3680043.8.498.3",
        Modality="MR",
        PatientName="Canary^Jane",
        PatientID="MRN4711",
        PatientBirthDate="19610405",
        StudyDate="20260102",
        AcquisitionDateTime="20260102113000.5",
        StudyTime="113000",
        MagneticFieldStrength="3",
        RepetitionTime="500",
        Manufacturer="SIEMENS",
        Rows=2,
        Columns=2,
        BitsAllocated=16,
        BitsStored=16,
        HighBit=15,
        PixelRepresentation=0,
        SamplesPerPixel=1,
        PhotometricInterpretation="MONOCHROME2",
        PixelData=np.arange(4, dtype="<u2").tobytes(),
        **values,
    )
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = MRImageStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = IMAGE
    dataset.file_meta.SourceApplicationEntityTitle = "CANARYWARD"
    return dataset


def private(dataset):
    block = dataset.private_block(0x0029, "CANARY MEDICAL", create=True)
    block.add_new(0x10, "OB", b"...Canary^Jane...")
    block.add_new(0x11, "LO", "Canary")
    return dataset


def cleaned(dataset, shift=-100):
    return Deidentifier(KEY, timedelta(days=shift), "CODE2345").deidentify(dataset)


def as_bytes(dataset):
    file = io.BytesIO()
    dataset.save_as(file, enforce_file_format=True)
    return file.getvalue()


ODD_PLACES = {
    "nothing more": {},
    "descriptions": {"StudyDescription": "Canary^Jane brain", "SeriesDescription": "t1 CANARY", "ProtocolName": "Jane"},
    "comments": {"ImageComments": "see MRN4711", "PatientComments": "Goodfellow's patient"},
    "people": {"ReferringPhysicianName": "Goodfellow^Robin", "OperatorsName": ["Canary^A", "Goodfellow^B"]},
    "places": {"InstitutionName": "Canary Hospital", "StationName": "CANARY1", "DeviceSerialNumber": "MRN4711"},
    "texts that the profile keeps": {"SequenceName": "canary_tse", "ScanOptions": ["FS", "JANE"]},
    "nested": {
        "RequestAttributesSequence": Sequence([item(ScheduledProcedureStepDescription="Canary")]),
        "AcquisitionContextSequence": Sequence(
            [item(ConceptNameCodeSequence=Sequence([item(CodeMeaning="Canary^Jane")]), PersonName="Canary^Jane")]
        ),
    },
    "a person deep below": {
        "AnatomicRegionSequence": Sequence(
            [item(CodeValue="1", AnatomicRegionModifierSequence=Sequence([item(CodeMeaning="Goodfellow canary")]))]
        )
    },
    "other numbers": {"OtherPatientIDs": ["MRN4711", "2"], "AccessionNumber": "MRN4711", "StudyID": "MRN4711"},
}


@pytest.mark.parametrize("place", ODD_PLACES)
def test_no_name_remains(place):
    written = as_bytes(cleaned(private(image(**ODD_PLACES[place]))))
    kept = [name for name in NAMES if name in written]
    assert kept == []


def test_what_is_not_theirs_remains():
    dataset = cleaned(image())
    assert (dataset.MagneticFieldStrength, dataset.RepetitionTime, dataset.Manufacturer) == (3, 500, "SIEMENS")
    assert (dataset.pixel_array == [[0, 1], [2, 3]]).all()
    assert dataset.SOPClassUID == MRImageStorage


def test_it_says_what_was_done():
    dataset = cleaned(image())
    assert (dataset.PatientName, dataset.PatientID, dataset.PatientIdentityRemoved) == ("CODE2345", "CODE2345", "YES")
    assert dataset.DeidentificationMethod
    assert [code.CodeValue for code in dataset.DeidentificationMethodCodeSequence] == ["113100", "113107"]


def test_dates_move_and_birth_goes():
    dataset = cleaned(image(), shift=-33)
    assert dataset.StudyDate == "20251130"
    assert str(dataset.AcquisitionDateTime) == "20251130113000.5"
    assert not dataset.PatientBirthDate


def test_uids_are_mapped_alike_everywhere_and_each_site_has_its_own():
    referenced = Sequence([item(ReferencedSOPClassUID=MRImageStorage, ReferencedSOPInstanceUID=IMAGE)])
    dataset = cleaned(image(SourceImageSequence=referenced))
    again = cleaned(image())
    assert dataset.SOPInstanceUID == again.SOPInstanceUID == dataset.file_meta.MediaStorageSOPInstanceUID
    assert dataset.SOPInstanceUID != IMAGE
    (one,) = dataset.SourceImageSequence
    assert (one.ReferencedSOPClassUID, one.ReferencedSOPInstanceUID) == (MRImageStorage, dataset.SOPInstanceUID)
    assert Deidentifier(b"x" * 32, timedelta(), "A").uid(IMAGE) != dataset.SOPInstanceUID
    assert len(dataset.SOPInstanceUID) <= 64


@pytest.mark.parametrize(
    "values",
    [
        {"BurnedInAnnotation": "YES"},
        {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7"},
        {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7.4"},
        {"Modality": "OT"},
    ],
)
def test_pixels_that_may_show_a_name_are_refused(values):
    dataset = image()
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    with pytest.raises(BurnedInTextError):
        cleaned(dataset)


def test_the_original_stays_as_it_is():
    original = private(image(**ODD_PLACES["nested"]))
    before = as_bytes(original)
    cleaned(original)
    assert as_bytes(original) == before


@settings(max_examples=60)
@given(
    name=st.text("abcdefghijklmnopqrstuvwxyz", min_size=5, max_size=12),
    keyword=st.sampled_from(
        ["StudyDescription", "SequenceName", "ImageType", "PatientAddress", "ImageComments", "ScanningSequence"]
    ),
    before=st.text("ABC _-", max_size=2),
)
def test_no_name_remains_wherever_it_stands(name, keyword, before):
    dataset = image(**{keyword: f"{before}{name}".upper()})
    dataset.PatientName = f"{name.title()}^Xu"
    dataset = cleaned(dataset)
    dataset.PatientName = dataset.PatientID = ""
    texts = " ".join(str(element.value) for element in dataset if element.VR not in ("SQ", "OW", "OB", "UI"))
    assert name not in texts.replace(dataset.DeidentificationMethod, "").lower()
