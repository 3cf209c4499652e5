"""The node's door, in this process: hostile objects and connections, TLS, and a full disk."""

import re
import socket
import struct
import subprocess

import pytest
from pynetdicom import AE
from pynetdicom.sop_class import MRImageStorage, Verification

from braintumor.pacs import connection, node
from braintumor.pacs.connection import Flood
from braintumor.records.vault import VaultError
from tests.pacs.door import opened
from tests.pacs.nodes import TITLE, until
from tests.scans.dicom_files import ROOT, dataset


@pytest.fixture(scope="module")
def door(tmp_path_factory):
    yield from opened(tmp_path_factory.mktemp("node"))


HOSTILE = {
    # what: (elements, status)
    "no number": ({"PatientID": None}, 0xC001),
    "a number without a letter or digit": ({"PatientID": "---"}, 0xC001),
    "no name": ({"PatientName": ""}, 0xC001),
    "a name that mixes alphabets": ({"PatientName": "D\u043ee^Jane"}, 0xC001),
    "a birthday that is none": ({"PatientBirthDate": "19701399"}, 0xC001),
    "no study": ({"StudyInstanceUID": None}, 0xC000),
    "a study that is no identifier": ({"StudyInstanceUID": "1.2/../3"}, 0xC000),
    "no pixels": ({"PixelData": b""}, 0xC000),
    "another patient of the same study": ({"PatientID": "2"}, 0xC002),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_an_object_that_a_record_would_have_to_bend_is_refused(door, what, caplog):
    elements, status = HOSTILE[what]
    good = dataset(SOPInstanceUID=f"{ROOT}4.1")
    made = dataset(**{"SpecificCharacterSet": "ISO_IR 192", **elements})
    assert door.store(good, made, good) == [0, status, 0]
    refusals = [record.getMessage() for record in caplog.records if record.name.startswith("braintumor")]
    assert len(refusals) == 1
    assert not re.search(r"doe|jane|12345|1\.2", refusals[0].lower())
    assert door.jobs.counts()["receiving"] == 1


def test_the_first_object_of_an_identifier_stays(door):
    first = dataset(SOPInstanceUID=f"{ROOT}4.2")
    assert door.store(first, dataset(SOPInstanceUID=f"{ROOT}4.2", SeriesDescription="changed"), first) == [0, 0xC002, 0]


def test_an_object_that_is_too_large_ends_its_association_only(door):
    large = dataset(PixelData=bytes(4 * 2**20))
    assert door.store(large)[0] not in (0, 0xA700)
    assert door.store(dataset()) == [0]


def test_a_unit_that_announces_gigabytes_is_not_read(door):
    with socket.create_connection(("127.0.0.1", door.settings.pacs_port), 10) as caller:
        caller.sendall(struct.pack(">BBL", 1, 0, 2**32 - 1))
        assert caller.recv(1) == b""
    assert door.store(dataset()) == [0]


def test_connections_that_are_cut_in_the_middle_take_nothing_and_leave_room(door):
    """More of them than the node has at once; each is cut within an object, without a word."""
    before = door.jobs.counts()
    for _ in range(30):
        calling = door.associated()
        plain = calling.dul.socket.socket
        plain.sendall(struct.pack(">BBLLBB", 4, 0, 2**14, 2**14 - 4, 1, 3) + b"Doe^Jane" * 100)
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        plain.close()
    assert door.store(dataset()) == [0]
    assert door.jobs.counts() == before


@pytest.mark.parametrize(
    ("title", "called", "open_before", "begins_with", "reason"),
    [
        ("STRANGER", TITLE, 0, b"", "its title is not known at its address"),
        ("SCANNER", "NOBODY", 0, b"", "it calls a title that is not ours"),
        ("SCANNER", TITLE, 1, b"", "too many are open"),
        ("SCANNER", TITLE, 0, struct.pack(">BBL", 1, 0, 2**31), "a unit of the protocol is too large"),
    ],
    ids=["title", "called", "full", "unit"],
)
def test_each_refusal_is_logged_with_its_reason_and_counted(
    tmp_path, monkeypatch, caplog, title, called, open_before, begins_with, reason
):
    monkeypatch.setattr(node, "_MOST_ASSOCIATIONS", 1)
    for door in opened(tmp_path):
        held = [door.associated() for _ in range(open_before)]
        if begins_with:
            with socket.create_connection(("127.0.0.1", door.settings.pacs_port)) as calling:
                calling.sendall(begins_with)
                until(lambda: refusals(caplog), 10)
        else:
            entity = AE(title)
            entity.add_requested_context(Verification)
            assert not entity.associate("127.0.0.1", door.settings.pacs_port, ae_title=called).is_established
            until(lambda: refusals(caplog), 10)
        assert refusals(caplog) == [f"An association was refused: {reason}."]
        counted = "braintumor_pacs_associations_total", {"outcome": "refused"}
        assert door.counts.registry.get_sample_value(*counted) == 1
        for one in held:
            one.release()


def refusals(caplog):
    return [record.getMessage() for record in caplog.records if "association was refused" in record.getMessage()]


def test_half_a_unit_holds_no_place(tmp_path, monkeypatch):
    """As many as the node has at once begin a unit, and then keep silent."""
    monkeypatch.setattr(connection, "UNIT_SECONDS", 1)
    monkeypatch.setattr(node, "_MOST_ASSOCIATIONS", 2)
    for door in opened(tmp_path):
        calling = [door.associated() for _ in range(2)]
        for one in calling:
            one.dul.socket.socket.sendall(struct.pack(">BBL", 4, 0, 1000))
        until(door.has_room, 30)


def test_who_asks_much_and_never_answers_gets_no_more_threads(tmp_path, monkeypatch):
    monkeypatch.setattr(node, "_MOST_REPORTS", 2)
    # It takes calls and says nothing.
    with socket.create_server(("127.0.0.1", 0)) as silent:
        for door in opened(tmp_path, pacs_peers=f"SCANNER@127.0.0.1:{silent.getsockname()[1]}"):
            assert door.asked_for_commitment(4) == [0, 0, 0x0213, 0x0213]


def test_bytes_are_counted_from_object_to_object():
    flood = Flood(10)
    assert [flood.take(6), flood.take(4), flood.take(1)] == [False, False, True]
    flood.reset()
    assert not flood.take(10)


def test_a_full_disk_refuses_and_takes_again_once_there_is_room(tmp_path):
    """On a small file system of its own, as only its owner may make one."""
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=200k", "none", small], capture_output=True)
    if mounted.returncode:
        pytest.skip("a file system of its own needs root: mount was refused")
    database = f"sqlite:///{tmp_path / 'app.sqlite3'}"
    try:
        for door in opened(small, database_url=database):
            sent = [dataset(SOPInstanceUID=f"{ROOT}5.{number}", PixelData=bytes(2**15)) for number in range(8)]
            statuses = door.store(*sent)
            assert set(statuses) == {0, 0xA700}
            kept = door.intake.held([(MRImageStorage, one.SOPInstanceUID) for one in sent])
            assert kept == [status == 0 for status in statuses]
            subprocess.run(["mount", "-o", "remount,size=2m", small], check=True)
            assert door.store(*sent) == [0] * 8
            with pytest.raises(VaultError):
                door.vault.read("0" * 64)
    finally:
        subprocess.run(["umount", small], check=True)


def _certificates(folder):
    """Make an authority, a server, and a client that the authority signed."""

    def openssl(*words):
        subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)

    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2")
    openssl("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=authority")
    (folder / "names").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
    for name in ("node", "scanner"):
        openssl("req", *key[:-2], "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        signed = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "names")
        openssl("x509", "-req", "-in", f"{name}.csr", "-out", f"{name}.pem", *signed)
    openssl("req", "-x509", *key, "-keyout", "stranger.key", "-out", "stranger.pem", "-subj", "/CN=stranger")


def test_without_a_certificate_of_the_authority_nobody_is_heard(tmp_path, caplog):
    _certificates(tmp_path)
    files = {"certificate": "node.pem", "key": "node.key", "authority": "ca.pem"}
    options = {f"pacs_{name}": str(tmp_path / file) for name, file in files.items()}
    for door in opened(tmp_path / "data", **options):
        known = ("+tls", tmp_path / "scanner.key", tmp_path / "scanner.pem", "+cf", tmp_path / "ca.pem")
        stranger = ("+tls", tmp_path / "stranger.key", tmp_path / "stranger.pem", "+cf", tmp_path / "ca.pem")
        # Who keeps silent holds up nobody.
        with socket.create_connection(("127.0.0.1", door.settings.pacs_port)):
            assert door.echoes(*known)
        assert not door.echoes(*stranger)
        assert not door.echoes("+tla", "+cf", tmp_path / "ca.pem")
        assert not door.echoes()
        assert set(refusals(caplog)) == {"An association was refused: TLS was not agreed on."}
        assert door.echoes(*known)
