"""What ``test_orthanc`` runs in a network of its own: Orthanc, a node and storescu; prints what came of it as JSON.

Debian's Orthanc 1.10 listens on all addresses of its network, and no setting keeps it from that.
"""

import base64
import io
import json
import subprocess
import sys
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pydicom

from braintumor.pacs.archive import Archive, archive_peer
from braintumor.pacs.query import read_query
from braintumor.pacs.stow import StowSender
from braintumor.scans import phantom
from braintumor.settings import Settings
from tests.pacs.nodes import TITLE, Hospital, free_port, run, series, until

STUDY = "1.2.826.0.1.3680043.8.498.77"
SECOND = {"StudyInstanceUID": f"{STUDY}.2", "SeriesInstanceUID": f"{STUDY}.2.1", "PatientID": "777"}
LOGIN = "archive:a password of this test"


class Orthanc:
    """Orthanc with DICOMweb, in a folder, which knows a node."""

    def __init__(self, folder, node_port):
        self.port, self.web_port, self.folder = free_port(), free_port(), folder
        (folder / "orthanc").mkdir()
        self.configuration = {
            **{"Name": "archive", "DicomAet": "ORTHANC", "DicomPort": self.port, "HttpPort": self.web_port},
            **{"StorageDirectory": str(folder / "orthanc"), "IndexDirectory": str(folder / "orthanc")},
            **{"RemoteAccessAllowed": False, "AuthenticationEnabled": True},
            "RegisteredUsers": dict([LOGIN.split(":")]),
            "Plugins": ["/usr/share/orthanc/plugins/libOrthancDicomWeb.so"],
            "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
            "DicomModalities": {"node": [TITLE, "127.0.0.1", node_port]},
            "DicomCheckModalityHost": False,
            "DicomAlwaysAllowStore": True,
        }

    @contextmanager
    def running(self):
        path = self.folder / "orthanc.json"
        path.write_text(json.dumps(self.configuration))
        with (self.folder / "orthanc.log").open("w") as log:
            server = subprocess.Popen(["Orthanc", str(path)], stdout=log, stderr=log)
        try:
            until(lambda: run("echoscu", "-aec", "ORTHANC", "127.0.0.1", self.port)[0] == 0)
            yield self
        finally:
            server.terminate()
            server.wait(60)

    def ask(self, path, method="GET"):
        key = base64.b64encode(LOGIN.encode()).decode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.web_port}{path}", method=method)
        request.add_header("Authorization", f"Basic {key}")
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.read()

    def objects(self, study):
        """Give the files of all objects of a study, as bytes."""
        studies = [one for one in json.loads(self.ask("/studies?expand")) if _uid(one) == study]
        found = [json.loads(self.ask(f"/studies/{one['ID']}/instances")) for one in studies]
        return [self.ask(f"/instances/{one['ID']}/file") for instances in found for one in instances]

    def forget(self, study):
        for one in json.loads(self.ask("/studies?expand")):
            if _uid(one) == study:
                self.ask(f"/studies/{one['ID']}", "DELETE")


def _uid(study):
    return study["MainDicomTags"]["StudyInstanceUID"]


def references(dataset):
    """Give the UIDs of all objects that an object refers to."""
    found = [str(one.value) for one in dataset.iterall() if one.keyword == "ReferencedSOPInstanceUID"]
    return sorted(set(found))


def described(content):
    one = pydicom.dcmread(io.BytesIO(content))
    said = {name: str(one.get(name, "")) for name in ("SOPInstanceUID", "StudyInstanceUID", "PatientID", "PatientName")}
    return {"kind": one.SOPClassUID.name, "modality": one.Modality, "references": references(one), **said}


def history(hospital, number):
    bob = hospital.clinic.people["bob"]
    patients = hospital.clinic.patients.search(bob, number)
    return [
        {"name": patient.name, "findings": [len(one.findings) for study in filed for one in study.series]}
        for patient in patients
        for filed in [hospital.clinic.studies.history(bob, patient.id)]
    ]


def main(folder):
    hospital = Hospital(folder, "", results="ORTHANC")
    orthanc = Orthanc(folder, hospital.port)
    hospital.peers = f"SCANNER@127.0.0.1 ORTHANC@127.0.0.1:{orthanc.port}"
    # Large enough that the tumor is outlined.
    head = {"pixels": phantom(192, seed=3).astype(np.uint16) * 16, "count": 3}
    first, second = (
        series(folder / "first", **head, StudyInstanceUID=STUDY),
        series(folder / "second", **head, **SECOND),
    )
    report = {}
    with orthanc.running(), hospital.running():
        for files in (first, second):
            run("storescu", "-aet", "SCANNER", "-aec", "ORTHANC", "127.0.0.1", orthanc.port, *files)
        report["sent"] = run("storescu", "-aet", "SCANNER", "-aec", TITLE, "127.0.0.1", hospital.port, *first)[0]
        until(lambda: hospital.states() == {"done": 1}, 600)
        results = [one for one in orthanc.objects(STUDY) if described(one)["modality"] != "MR"]
        report["results"] = [described(one) for one in results]
        report["source"] = [pydicom.dcmread(path).SOPInstanceUID for path in first]
        archive = Archive(hospital.settings, archive_peer(hospital.settings))
        report["found"] = {
            modality: [one.uid for one in archive.find(read_query("", "doe", "", "", modality)).studies]
            for modality in ("MR", "SEG", "CT")
        }
        report["fetched"] = archive.fetch(SECOND["StudyInstanceUID"]).sent
        until(lambda: hospital.states() == {"done": 2}, 600)
        report["patients"] = [history(hospital, number) for number in ("12345", "777")]
        orthanc.forget(STUDY)
        web = {"pacs_stow": f"http://127.0.0.1:{orthanc.web_port}/dicom-web", "pacs_stow_login": LOGIN}
        report["stored"] = list(StowSender(Settings(**web)).send([*results, b"no DICOM"]))
        report["by_web"] = sorted(described(one)["SOPInstanceUID"] for one in orthanc.objects(STUDY))
    json.dump(report, sys.stdout)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
