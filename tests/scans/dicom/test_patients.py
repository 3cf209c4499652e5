"""What belongs to two patients, or two volumes, is never taken for one."""

import numpy as np

from braintumor.scans import Scan
from tests.scans.dicom_files import AXIAL, CORONAL, enhanced, head, scans, slices, units

JANE, BOB = {"PatientName": "Jane", "PatientID": "1"}, {"PatientName": "Bob", "PatientID": "2"}


def test_patients_without_uids_of_study_and_series_stay_apart():
    files = [
        *slices(5, StudyInstanceUID=None, SeriesInstanceUID=None, **JANE),
        *slices(5, StudyInstanceUID=None, SeriesInstanceUID=None, **BOB),
    ]
    found = units(files)
    assert [unit.series.slices for unit in found] == [5, 5]
    assert {unit.patient.name for unit in found} == {"Jane", "Bob"}
    assert {unit.series.study_number for unit in found} == {1, 2}


def test_volumes_of_one_file_are_told_apart():
    def frames(orientation, count, bright):
        normal = np.cross(orientation[:3], orientation[3:])
        return [
            (
                head(seed=number) + np.uint16(bright),
                {
                    "PlanePositionSequence": {"ImagePositionPatient": [float(part) for part in normal * 4 * number]},
                    "PlaneOrientationSequence": {"ImageOrientationPatient": orientation},
                },
            )
            for number in range(count)
        ]

    shared = {"PixelMeasuresSequence": {"PixelSpacing": [1, 1], "SliceThickness": 4}}
    found = scans([enhanced([*frames(AXIAL, 6, 0), *frames(CORONAL, 3, 9)], shared=shared)])
    assert all(isinstance(one, Scan) for one in found)
    assert len({one.sha256 for one in found}) == len(found) == 2
