"""An archive that can be queried: dcmtk's dcmqrscp, with three made studies of two days."""

import subprocess
from contextlib import contextmanager

from tests.pacs.nodes import TITLE, free_port, needed, run, series, until
from tests.scans.dicom_files import ROOT

STUDIES = {
    # number: (name, day)
    "P1": ("Doe^Jane", "20260101"),
    "P2": ("Doyle^John", "20260102"),
    "P3": ("Müller^Zoë", "20260102"),
}
_CONFIGURATION = """
NetworkTCPPort = {port}
MaxPDUSize = 16384
MaxAssociations = 16
HostTable BEGIN
node = ({title}, 127.0.0.1, {node_port})
HostTable END
VendorTable BEGIN
VendorTable END
AETable BEGIN
ARCHIVE {folder} RW (200, 1024mb) ANY
AETable END
"""


def uid(number):
    return f"{ROOT}77.{number.removeprefix('P')}"


@contextmanager
def searchable(folder, node_port):
    """Run an archive that sends to a node at a port, and give the peer that it is, as settings name it."""
    (folder / "stored").mkdir(parents=True)
    port, configuration = free_port(), folder / "dcmqrscp.cfg"
    filled = _CONFIGURATION.format(port=port, title=TITLE, node_port=node_port, folder=folder / "stored")
    configuration.write_text(filled)
    server = subprocess.Popen([needed("dcmqrscp"), "-c", str(configuration)], stderr=subprocess.DEVNULL)
    try:
        until(lambda: run("echoscu", "-aec", "ARCHIVE", "127.0.0.1", port)[0] == 0)
        for number, (name, day) in STUDIES.items():
            said = {"StudyInstanceUID": uid(number), "SeriesInstanceUID": f"{uid(number)}.1", "StudyDate": day}
            said |= {"PatientID": number, "PatientName": name, "SpecificCharacterSet": "ISO_IR 192"}
            files = series(folder / number, count=2, StudyDescription="Head", **said)
            assert run("storescu", "-aec", "ARCHIVE", "127.0.0.1", port, *files)[0] == 0
        yield f"ARCHIVE@127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(10)
