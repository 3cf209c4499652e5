"""Small DICOM files in the shapes of real ones, made with pydicom."""

import io
import itertools

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filewriter import dcmwrite
from pydicom.uid import (
    EnhancedMRImageStorage,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    MRImageStorage,
)

from braintumor.scans import Scan, ScanError, StoredFile, gather, outcome, phantom
from braintumor.scans.limits import DEFAULT_LIMITS, PixelBudget

ROOT = "1.2.826.0.1.3680043.8.498."
STUDY = ROOT + "1"
AXIAL = [1, 0, 0, 0, 1, 0]
CORONAL = [1, 0, 0, 0, 0, -1]
SAGITTAL = [0, 1, 0, 0, 0, -1]
_numbers = itertools.count(1)


def head(size=32, seed=0):
    """A phantom head of 12 bits, uint16 (size, size)."""
    return phantom(size, seed=seed).astype(np.uint16) * 16


def dataset(pixels=None, **elements):
    """An MR slice of the head in explicit little endian; elements by keyword, None to leave one out."""
    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    pixels = head() if pixels is None else np.asarray(pixels)
    usual = {
        **{"SOPClassUID": MRImageStorage, "SOPInstanceUID": f"{ROOT}9.{next(_numbers)}"},
        **{"StudyInstanceUID": STUDY, "SeriesInstanceUID": ROOT + "2", "SeriesNumber": 2, "InstanceNumber": 1},
        **{"Modality": "MR", "ImageType": ["ORIGINAL", "PRIMARY", "M", "ND"], "BodyPartExamined": "BRAIN"},
        **{"SeriesDescription": "t1_se_tra", "Manufacturer": "Made here", "MagneticFieldStrength": 3},
        **{"PatientName": "Doe^Jane", "PatientID": "12345", "PatientBirthDate": "19700101", "PatientSex": "F"},
        **{"ImagePositionPatient": [0, 0, 0], "ImageOrientationPatient": AXIAL, "PixelSpacing": [1, 1]},
        **{"SliceThickness": 5, "SamplesPerPixel": 1, "PhotometricInterpretation": "MONOCHROME2"},
        **{"Rows": pixels.shape[-2], "Columns": pixels.shape[-1], "BitsAllocated": pixels.dtype.itemsize * 8},
        **{"BitsStored": pixels.dtype.itemsize * 8, "PixelRepresentation": int(pixels.dtype.kind == "i")},
    }
    for name, value in {**usual, **elements}.items():
        if value is not None:
            setattr(made, name, value)
    if "HighBit" not in elements:
        made.HighBit = made.BitsStored - 1
    if "PixelData" not in elements:
        made.PixelData = pixels.tobytes()
        made["PixelData"].VR = "OW" if made.BitsAllocated > 8 else "OB"
    return made


def written(made, *, preamble=True):
    """The bytes of a data set, as its file meta says."""
    syntax = made.file_meta.TransferSyntaxUID
    if syntax == ExplicitVRBigEndian and "PixelData" in made and made.BitsAllocated == 16:
        made.PixelData = np.frombuffer(made.PixelData, "<u2").byteswap().tobytes()
    made.file_meta.MediaStorageSOPClassUID = made.get("SOPClassUID", MRImageStorage)
    made.file_meta.MediaStorageSOPInstanceUID = made.get("SOPInstanceUID", ROOT + "5")
    stream = io.BytesIO()
    made.preamble = bytes(128)
    if preamble:
        dcmwrite(stream, made, enforce_file_format=True)
        return stream.getvalue()
    del made.file_meta, made.preamble
    dcmwrite(stream, made, implicit_vr=syntax == ImplicitVRLittleEndian, little_endian=True)
    return stream.getvalue()


def dicom(pixels=None, *, syntax=ExplicitVRLittleEndian, preamble=True, **elements):
    """The bytes of one file; see ``dataset``."""
    made = dataset(pixels, **elements)
    made.file_meta.TransferSyntaxUID = syntax
    return written(made, preamble=preamble)


def slices(count=5, *, orientation=AXIAL, step=5.0, first=(0.0, 0.0, 0.0), start=1, **elements):
    """The slices of a classic series in order of place, as bytes."""
    normal = np.cross(orientation[:3], orientation[3:])
    return [
        dicom(
            **{
                "pixels": head(seed=number) + np.uint16(number),
                "ImagePositionPatient": [float(part) for part in np.array(first) + normal * step * number],
                "ImageOrientationPatient": orientation,
                "InstanceNumber": start + number,
                **elements,
            }
        )
        for number in range(count)
    ]


def volume(voxels, affine, **elements):
    """Slices of voxels, (column, row, slice), that an affine (4, 4) takes to RAS+ millimeters."""
    lps = np.diag([-1, -1, 1, 1]) @ affine
    sizes = np.linalg.norm(lps[:3, :3], axis=0)
    return [
        dicom(
            np.ascontiguousarray(voxels[:, :, number].T),
            **{
                "ImagePositionPatient": [float(part) for part in (lps @ [0, 0, number, 1])[:3]],
                "ImageOrientationPatient": [float(part) for part in (lps[:3, :2] / sizes[:2]).T.ravel()],
                "PixelSpacing": [float(sizes[1]), float(sizes[0])],
                "SliceThickness": float(sizes[2]),
                "InstanceNumber": number + 1,
                **elements,
            },
        )
        for number in range(voxels.shape[2])
    ]


def item(**elements):
    made = Dataset()
    for name, value in elements.items():
        setattr(made, name, value)
    return made


def enhanced(frames, *, shared=None, **elements):
    """One file of many frames: ``frames`` are (pixels, items by sequence) for each, ``shared`` the items of all."""
    made = dataset(
        np.stack([pixels for pixels, _ in frames]),
        **{
            "SOPClassUID": EnhancedMRImageStorage,
            "NumberOfFrames": len(frames),
            **dict.fromkeys(("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness")),
            **elements,
        },
    )
    made.SharedFunctionalGroupsSequence = [_groups(shared or {})]
    made.PerFrameFunctionalGroupsSequence = [_groups(own) for _, own in frames]
    return written(made)


def _groups(groups):
    return item(**{name: [item(**elements)] for name, elements in groups.items()})


def stored(files):
    """Files by name, or in order, as they are uploaded."""
    named = files if isinstance(files, dict) else {f"IM{number}": data for number, data in enumerate(files)}
    return [StoredFile(name, lambda data=data: data) for name, data in named.items()]


def units(files, limits=DEFAULT_LIMITS):
    return list(gather(stored(files), limits))


def facts(files):
    """What is said of each series of some files, all of which can be read."""
    return [unit.series for unit in units(files)]


def scans(files, limits=DEFAULT_LIMITS):
    """The scan or the error of each unit of some files."""
    budget = PixelBudget(limits.max_total_pixels)
    return [outcome(unit, limits, budget) for unit in units(files, limits)]


def scan(files):
    """The only scan of some files."""
    (found,) = scans(files)
    assert isinstance(found, Scan), found
    return found


def reasons(files):
    return [found.reason for found in scans(files) if isinstance(found, ScanError)]
