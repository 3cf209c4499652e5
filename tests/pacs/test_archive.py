"""Query and retrieve against dcmtk's dcmqrscp, and against archives that answer otherwise than they should."""

import json
import struct
import threading
import time

import pytest
from pydicom.dataset import Dataset
from pynetdicom import AE, evt
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelFind as Find
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelMove as Move
from sqlalchemy.orm import Session

from braintumor import settings
from braintumor.cli import main
from braintumor.database import Wanted, audit
from braintumor.pacs import archive as archives
from braintumor.pacs import connection
from braintumor.pacs.archive import Archive, archive_peer
from braintumor.pacs.errors import PacsError
from braintumor.pacs.fetches import Fetches
from braintumor.pacs.query import Progress, QueryError, read_query, read_uid
from braintumor.settings import Settings
from tests.pacs.archives import searchable, uid
from tests.pacs.door import opened
from tests.pacs.nodes import free_port, until


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A node and an archive that sends to it; gives the node, and the archive as what is asked."""
    folder, port = tmp_path_factory.mktemp("place"), free_port()
    with searchable(folder / "archive", port) as peer:
        for door in opened(folder / "node", pacs_peers=peer, pacs_port=port):
            yield door, Archive(door.settings, archive_peer(door.settings))


def found(place, *typed):
    answer = place[1].find(read_query(*typed))
    assert answer.is_all
    return [study.number for study in answer.studies]


@pytest.mark.parametrize(
    ("typed", "numbers"),
    [
        (("P1", "", "", "", ""), ["P1"]),
        (("P", "", "", "", ""), []),
        (("", "Do", "", "", ""), ["P2", "P1"]),
        (("", "Doe, Ja", "", "", ""), ["P1"]),
        (("", "Mül", "", "", ""), ["P3"]),
        (("", "", "2026-01-02", "", "MR"), ["P3", "P2"]),
        (("", "Do", "2026-01-01", "2026-01-01", ""), ["P1"]),
        (("P1", "Müller", "", "", ""), []),
    ],
)
def test_studies_are_found(place, typed, numbers):
    assert found(place, *typed) == numbers


def test_what_an_archive_says_is_read(place):
    (study,) = place[1].find(read_query("P1", "", "", "", "")).studies
    assert (study.uid, study.name, str(study.birth_date)) == (uid("P1"), "Doe, Jane", "1970-01-01")
    assert (str(study.taken_on), study.description) == ("2026-01-01", "Head")


@pytest.mark.parametrize(
    ("typed", "field"),
    [
        (("", "", "", "", "MR"), "number"),
        (("", ", ,", "", "", ""), "name"),
        (("*", "", "", "", ""), "number"),
        (("1\\2", "", "", "", ""), "number"),
        (("", "Do?", "", "", ""), "name"),
        (("", "a b c d e f", "", "", ""), "name"),
        (("", "D\x00oe", "", "", ""), "name"),
        (("x" * 100_000, "", "", "", ""), "number"),
        ((None, 7, [], {}, 0.5), "number"),
        (("1", "", "1.2.2026", "", ""), "since"),
        (("1", "", "", "20260101\\", ""), "until"),
        (("1", "", "2026-01-02", "2026-01-01", ""), "until"),
        (("1", "", "", "", "M*"), "modality"),
    ],
)
def test_what_would_list_the_archive_or_is_no_query_is_not_asked(typed, field):
    with pytest.raises(QueryError) as refused:
        read_query(*typed)
    assert refused.value.field == field


@pytest.mark.parametrize("text", ["", "1", "1.2*", "1.2\\1.3", "1." + "2" * 64, None, 1.2])
def test_a_study_is_fetched_by_its_uid_only(text):
    with pytest.raises(QueryError):
        read_uid(text)


def test_a_study_is_fetched_once_and_stands_in_the_trail(place, monkeypatch, capsys):
    door, archive = place
    for name in ("data_dir", "site_key", "pacs_peers"):
        monkeypatch.setenv(f"BRAINTUMOR_{name.upper()}", str(getattr(door.settings, name)))
    settings.load.cache_clear()
    assert main(["pacs", "find", "--name", "Doe"]) == 0
    (study,) = json.loads(capsys.readouterr().out)["studies"]
    assert (study["uid"], study["taken_on"]) == (uid("P1"), "2026-01-01")
    assert main(["pacs", "fetch", study["uid"]]) == 0
    settings.load.cache_clear()
    assert door.jobs.counts()["receiving"] == 1
    assert archive.fetch(uid("P1")) == Progress(sent=2)
    assert door.jobs.counts()["receiving"] == 1, "the same again is the same study"
    with Session(door.engine) as db:
        lines = audit.entries(db, Wanted(), 10)
    assert [line.action for line in lines] == ["study fetched", "archive searched"]
    assert lines[1].details == {"archive": "ARCHIVE", "studies": 1}
    assert not any("Doe" in str(line) or uid("P1") in str(line) for line in lines)


def test_fetching_goes_on_in_the_background(place):
    fetches = Fetches()
    fetches.start(place[1], uid("P2"))
    fetch = until(lambda: (one := fetches.of(uid("P2"))).is_over and one)
    assert (fetch.progress, fetch.trouble, fetches.of("1.2")) == (Progress(sent=2), "", None)
    fetches.start(Archive(Settings(pacs_title="STRANGER"), archive_peer(place[0].settings)), uid("P2"))
    assert until(lambda: (one := fetches.of(uid("P2"))).is_over and one).trouble


def test_only_a_peer_with_a_port_is_asked():
    peers = Settings(pacs_peers="SCANNER@127.0.0.1 ARCHIVE@127.0.0.1:104 OTHER@127.0.0.1:105")
    assert archive_peer(peers, "OTHER").port == 105
    for title in ("", "SCANNER", "NOBODY"):
        with pytest.raises(PacsError):
            archive_peer(peers, title)


def answering(handlers, contexts=(Find, Move)):
    """Serve an archive whose answers are made up; gives how it is asked, and what ends it."""
    entity, port = AE("ARCHIVE"), free_port()
    for context in contexts:
        entity.add_supported_context(context)
    server = entity.start_server(("127.0.0.1", port), block=False, evt_handlers=handlers)
    configured = Settings(pacs_peers=f"ARCHIVE@127.0.0.1:{port}")
    return Archive(configured, archive_peer(configured)), server.shutdown


def many(event):
    for number in range(10_000):
        made = Dataset()
        made.StudyInstanceUID = f"1.2.{number}"
        yield 0xFF00, made


def odd(event):
    """Without a UID, with one that is none, of another modality, and with words where numbers belong."""
    for elements in (
        {"PatientID": "1"},
        {"StudyInstanceUID": "1.2/../3"},
        {"StudyInstanceUID": "1.2.3", "ModalitiesInStudy": ["CT", "SR"]},
        {
            "StudyInstanceUID": "1.2.4",
            "ModalitiesInStudy": "MR",
            "PatientName": "\x07Doe",
            "StudyDate": "yesterday",
        },
    ):
        made = Dataset()
        for name, value in elements.items():
            setattr(made, name, value)
        yield 0xFF00, made


def test_an_archive_that_lists_everything_is_stopped():
    archive, end = answering([(evt.EVT_C_FIND, many)])
    answer = archive.find(read_query("1", "", "", "", ""))
    end()
    assert (len(answer.studies), answer.is_all) == (200, False)


def test_odd_answers_are_left_out_or_cleaned():
    archive, end = answering([(evt.EVT_C_FIND, odd)])
    (study,) = archive.find(read_query("1", "", "", "", "MR")).studies
    end()
    assert (study.uid, study.name, study.taken_on) == ("1.2.4", "Doe", None)


@pytest.mark.parametrize("status", [0xA700, 0xA702, 0xA801, 0xC000])
def test_a_refusal_is_said(status):
    archive, end = answering([(evt.EVT_C_FIND, lambda event: iter([(status, None)]))])
    with pytest.raises(QueryError):
        archive.find(read_query("1", "", "", "", ""))
    with pytest.raises(QueryError):
        archive.fetch("1.2.3")
    end()


def test_a_peer_that_answers_no_queries_or_nothing_is_said(monkeypatch):
    archive, end = answering([], contexts=("1.2.840.10008.1.1",))
    for ask in (lambda: archive.find(read_query("1", "", "", "", "")), lambda: archive.fetch("1.2.3")):
        with pytest.raises(QueryError):
            ask()
    end()
    with pytest.raises(QueryError):
        archive.find(read_query("1", "", "", "", ""))
    monkeypatch.setattr(archives, "_SEARCH_SECONDS", 1)
    archive, end = answering([(evt.EVT_C_FIND, lambda event: time.sleep(3) or iter(()))])
    began = time.monotonic()
    with pytest.raises(QueryError):
        archive.find(read_query("1", "", "", "", ""))
    assert time.monotonic() - began < 3
    end()


def refused(archive):
    """Search from a thread of its own, since what hangs would hang the test, and tell whether that was refused."""
    told = []

    def search():
        with pytest.raises(QueryError):
            archive.find(read_query("1", "", "", "", ""))
        told.append(True)

    threading.Thread(target=search, daemon=True).start()
    return until(lambda: told, 20)


def test_half_an_answer_holds_no_search(monkeypatch):
    monkeypatch.setattr(connection, "UNIT_SECONDS", 1)
    monkeypatch.setattr(archives, "_SEARCH_SECONDS", 1)
    over = threading.Event()

    def half(event):
        event.assoc.dul.socket.socket.sendall(struct.pack(">BBLLB", 4, 0, 1000, 996, 1))
        over.wait(30)
        yield 0x0000, None

    archive, end = answering([(evt.EVT_C_FIND, half)])
    assert refused(archive)
    over.set()
    end()


def test_an_answer_without_an_end_is_not_collected():
    came = []

    def endless(event):
        piece = struct.pack(">BBLLBB", 4, 0, 2**16 + 6, 2**16 + 2, event.context.context_id, 0) + bytes(2**16)
        try:
            while len(came) < 2**10:
                event.assoc.dul.socket.socket.sendall(piece)
                came.append(len(piece))
        except OSError:
            pass
        yield 0x0000, None

    archive, end = answering([(evt.EVT_C_FIND, endless)])
    assert refused(archive)
    end()
    assert sum(came) < 2**25, "what the network holds on its way, too"
