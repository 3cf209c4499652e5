"""Twenty studies at once: each is answered once, in order of arrival, however it was sent."""

import subprocess
from collections import Counter

import numpy as np
import pydicom

from braintumor.database import open_database
from braintumor.scans import phantom
from tests.pacs.nodes import TITLE, Hospital, archive, free_port, needed, series, until
from tests.scans.dicom_files import ROOT

STUDIES, TWICE, IN_HALVES = 20, 4, 4


def uid(number):
    return f"{ROOT}60.{number}"


def send(hospital, files_of_each):
    """Send each list of files by a storescu of its own, all at once; every one must say that all were accepted."""
    called = (needed("storescu"), "-aet", "SCANNER", "-aec", TITLE, "127.0.0.1", str(hospital.port))
    senders = [subprocess.Popen([*called, *map(str, files)]) for files in files_of_each]
    assert [sender.wait(120) for sender in senders] == [0] * len(senders)


def made(folder, number):
    head = phantom(64, seed=number).astype(np.uint16) * 16
    said = {"StudyInstanceUID": uid(number), "SeriesInstanceUID": f"{uid(number)}.1", "PatientID": f"P{number}"}
    return series(folder / str(number), pixels=head, count=2, **said)


def test_twenty_studies_at_once_are_answered_each_once_in_order_of_arrival(tmp_path):
    port = free_port()
    # Long enough that both halves are there before a study is complete, on a busy machine too.
    hospital = Hospital(tmp_path, f"SCANNER@127.0.0.1 ARCHIVE@127.0.0.1:{port}", quiet=8)
    studies = [made(tmp_path, number) for number in range(STUDIES)]
    halved = studies[-IN_HALVES:]
    with archive(tmp_path / "archive", port) as received, hospital.running():
        send(hospital, [*studies[:-IN_HALVES], *(files[:1] for files in halved)])
        send(hospital, [*studies[:TWICE], *(files[1:] for files in halved)])
        until(lambda: hospital.states() == {"done": STUDIES}, 600)
    engine = open_database(hospital.settings)
    with engine.connect() as db:
        answered = db.exec_driver_sql("SELECT arrival_id FROM arrival_units ORDER BY id").scalars().all()
        tables = ("patients", "studies", "series", "findings")
        rows = [db.exec_driver_sql(f"SELECT COUNT(*) FROM {table}").scalar() for table in tables]
        slices = set(db.exec_driver_sql("SELECT slices FROM series").scalars())
    engine.dispose()
    assert answered == list(range(1, STUDIES + 1))
    assert (rows, slices) == ([STUDIES] * 4, {2})
    results = [pydicom.dcmread(path) for path in received.iterdir()]
    kinds = Counter((one.StudyInstanceUID, one.PatientID, one.SOPClassUID.name) for one in results)
    assert set(kinds.values()) == {1}
    for number in range(STUDIES):
        found = {kind for study, patient, kind in kinds if (study, patient) == (uid(number), f"P{number}")}
        assert {"Comprehensive 3D SR Storage", "Encapsulated PDF Storage"} <= found
