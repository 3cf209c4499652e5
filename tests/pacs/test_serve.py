"""The node as it is run, with dcmtk's own programs around it."""

import json
import re

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pynetdicom import AE, evt
from pynetdicom.sop_class import StorageCommitmentPushModel, StorageCommitmentPushModelInstance

from braintumor.scans import phantom
from tests.pacs.nodes import TITLE, Hospital, archive, free_port, run, series, until

STUDY = "1.2.826.0.1.3680043.8.498.77"
HEAD = phantom(96, seed=3).astype(np.uint16) * 16
SECOND = {
    "StudyInstanceUID": STUDY,
    "SeriesInstanceUID": f"{STUDY}.1",
    "PatientID": "777",
    "PatientName": "Roe^Richard",
}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A running node, with the folder that it sends results to and one of files to send."""
    folder, ports = tmp_path_factory.mktemp("pacs"), (free_port(), free_port())
    peers = f"SCANNER@127.0.0.1 ARCHIVE@127.0.0.1:{ports[0]} KEEPER@127.0.0.1:{ports[1]}"
    hospital = Hospital(folder, peers)
    hospital.keeper_port = ports[1]
    hospital.files = series(folder / "files", pixels=HEAD, count=3)
    with archive(folder / "archive", ports[0]) as received, hospital.running():
        hospital.received = received
        yield hospital


def send(place, *files, title="SCANNER"):
    return run("storescu", "-aet", title, "-aec", TITLE, "127.0.0.1", place.port, *files)


def echo(place, *options):
    return run("echoscu", *options, "127.0.0.1", place.port)[0]


def results(place, study):
    found = [pydicom.dcmread(path) for path in place.received.iterdir()]
    return sorted(one.SOPClassUID.name for one in found if one.StudyInstanceUID == study and one.PatientName)


def history(place, number):
    bob = place.clinic.people["bob"]
    (patient,) = place.clinic.patients.search(bob, number)
    return patient, place.clinic.studies.history(bob, patient.id)


def test_a_series_is_answered_filed_and_its_results_arrive(place):
    assert send(place, *place.files)[0] == 0
    until(lambda: place.states() == {"done": 1})
    study = pydicom.dcmread(place.files[0]).StudyInstanceUID
    kinds = ["Comprehensive 3D SR Storage", "Encapsulated PDF Storage", "Secondary Capture Image Storage"]
    assert [name for name in results(place, study) if not name.startswith("Segmentation")] == kinds
    patient, (filed,) = history(place, "12345")
    assert (patient.name, str(patient.birth_date)) == ("Doe, Jane", "1970-01-01")
    assert [(one.modality, one.slices, len(one.findings)) for one in filed.series] == [("MR", 3, 1)]
    arrived = len(list(place.received.iterdir()))
    assert send(place, *place.files)[0] == 0, "the same again is the same study"
    assert (place.states(), len(list(place.received.iterdir()))) == ({"done": 1}, arrived)
    assert json.loads(place.status("health")) == {"status": "well", "faults": []}


def test_two_halves_are_one_study(place, tmp_path):
    files = series(tmp_path, pixels=HEAD, count=4, **SECOND)
    before = place.states().get("done", 0)
    send(place, *files[:2])
    until(lambda: place.states() == {"done": before + 1})
    send(place, *files[2:])
    until(lambda: place.states() == {"done": before + 1} and len(history(place, "777")[1][0].series) == 2)
    _, (filed,) = history(place, "777")
    assert [one.slices for one in filed.series] == [2, 4]


@pytest.mark.parametrize(
    ("options", "refused"),
    [
        (("-aet", "SCANNER", "-aec", TITLE), False),
        (("-aet", "NOBODY", "-aec", TITLE), True),
        (("-aet", "SCANNER", "-aec", "OTHER"), True),
    ],
)
def test_only_known_titles_are_heard(place, options, refused):
    assert (echo(place, *options) != 0) is refused


def test_what_is_kept_is_committed(place):
    reports = []
    keeper = AE("KEEPER")
    keeper.add_supported_context(StorageCommitmentPushModel, scu_role=False, scp_role=True)
    handlers = [(evt.EVT_N_EVENT_REPORT, lambda event: reports.append(event) or (0, None))]
    listening = keeper.start_server(("127.0.0.1", place.keeper_port), block=False, evt_handlers=handlers)
    keeper.add_requested_context(StorageCommitmentPushModel)
    calling = keeper.associate("127.0.0.1", place.port, ae_title=TITLE)
    first = pydicom.dcmread(place.files[0])
    asked = Dataset()
    asked.TransactionUID = "1.2.3.4"
    asked.ReferencedSOPSequence = [Dataset(), Dataset()]
    for item, uid in zip(asked.ReferencedSOPSequence, (first.SOPInstanceUID, "1.2.3"), strict=True):
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = first.SOPClassUID, uid
    send(place, place.files[0])
    status, _ = calling.send_n_action(asked, 1, StorageCommitmentPushModel, StorageCommitmentPushModelInstance)
    assert status.Status == 0
    (report,) = until(lambda: reports)
    calling.release()
    said = report.event_information
    listening.shutdown()
    assert (report.event_type, said.TransactionUID) == (2, "1.2.3.4")
    assert [one.ReferencedSOPInstanceUID for one in said.ReferencedSOPSequence] == [first.SOPInstanceUID]
    assert [(one.ReferencedSOPInstanceUID, one.FailureReason) for one in said.FailedSOPSequence] == [("1.2.3", 0x0112)]


def test_the_log_and_the_counts_name_nobody(place):
    """Last, behind all that was sent and refused above."""
    assert echo(place, "-aet", "JANEDOE", "-aec", TITLE) != 0
    for text in (place.log.read_text(), place.status("metrics"), place.status("health")):
        # Numbers of patients as such: a count or a time may hold their digits.
        assert not re.findall(r"doe|jane|roe|\b(?:12345|777)\b", text.lower()), text
    assert "refused" in place.log.read_text()
