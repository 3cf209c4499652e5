"""What was accepted outlives the node, wherever it is killed, and is answered once."""

import io
import threading
import time

import numpy as np
from pydicom import dcmread
from pynetdicom import AE
from pynetdicom.sop_class import MRImageStorage

from braintumor.database import open_database
from braintumor.records.vault import open_vault
from braintumor.scans import phantom
from tests.pacs.nodes import TITLE, Hospital, series, until


def _send(hospital, datasets, accepted):
    """Send objects one by one, and note those that were accepted; ends where the node does."""
    entity = AE("SCANNER")
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = 10
    entity.add_requested_context(MRImageStorage)
    calling = entity.associate("127.0.0.1", hospital.port, ae_title=TITLE)
    for dataset in datasets:
        if not calling.is_established:
            return
        try:
            status = calling.send_c_store(dataset).get("Status")
        except (ValueError, RuntimeError):
            return
        if status == 0:
            accepted.add(dataset.SOPInstanceUID)
    calling.release()


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
