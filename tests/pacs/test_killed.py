"""What was accepted outlives the node, wherever it is killed, and is answered once."""

import io
import random
import threading
import time

import numpy as np
import pytest
from pydicom import dcmread
from pynetdicom import AE
from pynetdicom.sop_class import MRImageStorage

from braintumor.database import open_database
from braintumor.records.arrivals import Jobs
from braintumor.records.vault import open_vault
from braintumor.scans import phantom
from scripts.app_process import ServerProcess
from tests.pacs import killable
from tests.pacs.nodes import TITLE, Hospital, series, until
from tests.scans.dicom_files import ROOT, dataset


def _send(hospital, datasets, accepted):
    """Send objects one by one, and note those that were accepted; ends where the node does."""
    entity = AE("SCANNER")
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = 10
    entity.add_requested_context(MRImageStorage)
    calling = entity.associate("127.0.0.1", hospital.port, ae_title=TITLE)
    for one in datasets:
        if not calling.is_established:
            return
        try:
            status = calling.send_c_store(one).get("Status")
        except (ValueError, RuntimeError):
            return
        if status == 0:
            accepted.add(one.SOPInstanceUID)
    calling.release()


class Scanner(threading.Thread):
    """Sends objects again and again, also those that were accepted, to a node that comes and goes."""

    def __init__(self, hospital, datasets):
        super().__init__(daemon=True)
        self.hospital, self.datasets, self.accepted, self.ended = hospital, datasets, set(), threading.Event()

    def run(self):
        while not self.ended.wait(0.1):
            _send(self.hospital, self.datasets, self.accepted)


def test_kills_at_random_points(tmp_path, pytestconfig):
    """Node and worker at once, as a power cut would; each study is one object, so that it is complete once it is here.

    ``--kills`` says how many; 50 take some minutes. Points are counted in computing time, so that they lie where they
    do on a busy machine, too.
    """
    kills = pytestconfig.getoption("kills")
    if not kills:
        pytest.skip("It is for a quiet machine: pytest tests/pacs/test_killed.py --kills 50")
    chance, context = random.Random(11), killable.context()
    studies = [
        dataset(StudyInstanceUID=f"{ROOT}70.{number}", SeriesInstanceUID=f"{ROOT}70.{number}.1", PatientID=f"K{number}")
        for number in range(4)
    ]
    hospital = Hospital(tmp_path, "SCANNER@127.0.0.1", results="")
    assert hospital.clinic
    scanner = Scanner(hospital, studies)
    scanner.start()
    for _ in range(kills):
        node = context.Process(target=killable.serve, args=(hospital.settings,), daemon=True)
        node.start()
        process = ServerProcess(node.pid)
        most, end = chance.choice((0.5, 0.5, 2.0)) * chance.random(), time.monotonic() + 3
        while process.cpu_seconds < most and time.monotonic() < end:
            node.join(0.002)
        assert node.exitcode is None, "it ran until it was killed"
        node.kill()
        node.join()
    engine = open_database(hospital.settings)
    jobs = Jobs(engine, open_vault(hospital.settings, "patients"))
    jobs.retry()
    node = context.Process(target=killable.serve, args=(hospital.settings,), daemon=True)
    node.start()
    until(lambda: len(scanner.accepted) == len(studies))
    scanner.ended.set()
    scanner.join()
    until(lambda: jobs.counts()["done"] == len(studies), 600)
    node.kill()
    node.join()
    with engine.connect() as db:
        tables = ("arrivals", "arrival_objects", "arrival_units", "patients", "studies", "series", "findings")
        rows = [db.exec_driver_sql(f"SELECT COUNT(*) FROM {table}").scalar() for table in tables]
    engine.dispose()
    assert scanner.accepted == {one.SOPInstanceUID for one in studies}
    assert rows == [len(studies)] * len(tables)


def test_nothing_accepted_is_lost_and_nothing_is_answered_twice(tmp_path):
    head = phantom(96, seed=3).astype(np.uint16) * 16
    datasets = [dcmread(path) for path in series(tmp_path / "files", pixels=head, count=40)]
    hospital, accepted = Hospital(tmp_path, "SCANNER@127.0.0.1", results=""), set()
    with hospital.running() as node:
        sending = threading.Thread(target=_send, args=(hospital, datasets, accepted))
        sending.start()
        until(lambda: len(accepted) > 5)
        node.kill()
        sending.join()
    assert 5 < len(accepted) < len(datasets), "killed in the middle"
    with hospital.running() as node:
        _send(hospital, datasets, accepted)
        assert len(accepted) == len(datasets)
        until(lambda: "answering" in hospital.states())
        time.sleep(0.3)
        node.kill()
    with hospital.running():
        until(lambda: hospital.states() == {"done": 1})
    engine = open_database(hospital.settings)
    with engine.connect() as db:
        tables = ("arrivals", "arrival_objects", "arrival_units", "patients", "studies", "series", "findings")
        rows = [db.exec_driver_sql(f"SELECT COUNT(*) FROM {table}").scalar() for table in tables]
        contents = db.exec_driver_sql("SELECT content FROM arrival_objects").scalars().all()
    engine.dispose()
    assert rows == [1, len(datasets), 1, 1, 1, 1, 1]
    vault = open_vault(hospital.settings, "patients")
    read = {dcmread(io.BytesIO(vault.read(name))).SOPInstanceUID for name in contents}
    assert read == accepted
