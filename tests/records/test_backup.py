"""A backup restores into an empty place, and nothing else than a whole one does."""

import hashlib
import hmac
import io
import shutil
import sqlite3
import tarfile
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from sqlalchemy.orm import Session

from braintumor.cli import main
from braintumor.database import Wanted, audit
from braintumor.records import DeskStore, backup
from braintumor.records.backup import DATABASE, MANIFEST, SEAL, back_up
from braintumor.records.errors import BackupError
from braintumor.records.restore import restore
from braintumor.records.vault import VaultError, open_vault
from braintumor.settings import Settings
from tests.database.servers import SITE_KEY
from tests.records import clinic as made_clinic
from tests.records.clinic import NAME, SCAN

NAME_OF_A_FILE = "vault/patients/" + "ab" * 32


def settings_of(folder, **changes):
    values = {"data_dir": folder, "site_key": SITE_KEY.decode()} | changes
    return Settings(**values)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A folder with the data of a clinic, and a backup of it; nobody changes it."""
    folder = tmp_path_factory.mktemp("source")
    clinic = made_clinic.made(f"sqlite:///{folder / 'data' / DATABASE}", folder / "data")
    clinic.filed(clinic.patient())
    clinic.studies.judge(clinic.people["bob"], 1, "correct", mask=b"a better mask")
    desk = DeskStore(clinic.engine, open_vault(settings_of(folder / "data"), "desk"), 7)
    desk.put(clinic.people["bob"].id, "file", {"a": b"a scan on the desk"})
    clinic.engine.dispose()
    back_up(settings_of(folder / "data"), folder / "backup.tar")
    return folder


@pytest.fixture
def data(source, tmp_path):
    """The data of the clinic, to be changed."""
    return Path(shutil.copytree(source / "data", tmp_path / "data"))


@pytest.fixture
def archive(source, tmp_path):
    return Path(shutil.copy2(source / "backup.tar", tmp_path))


@pytest.fixture
def place(source, tmp_path):
    """An empty place with the vault's key."""
    folder = tmp_path / "new"
    folder.mkdir()
    shutil.copy2(source / "data" / "vault.key", folder)
    return folder


@contextmanager
def opened(folder):
    """Open the records in a folder, and find who works there."""
    engine, vault, patients, studies = made_clinic.open_clinic(f"sqlite:///{folder / DATABASE}", folder)
    with Session(engine) as db:
        bob = made_clinic.account(db, "bob")
    yield engine, vault, patients, studies, bob
    engine.dispose()


def left_in(place):
    return sorted(path.name for path in place.iterdir())


def test_a_study_is_opened_with_its_scan_where_it_was_restored(archive, place):
    assert archive.stat().st_mode & 0o777 == 0o600
    restored = restore(settings_of(place), archive)
    assert restored.files == 4
    assert restored.trail.is_whole
    with opened(place) as (engine, vault, patients, studies, bob):
        assert patients.search(bob, "zoe")[0].name == NAME
        assert studies.scan(bob, studies.history(bob, 1)[0].series[0].id) == SCAN
        assert [vault.read(name) for name in vault.list()].count(b"a better mask") == 1
        desk = DeskStore(engine, open_vault(settings_of(place), "desk"), 7)
        assert desk.open(desk.entries(bob.id)[0].content).read() == b"a scan on the desk"
        with Session(engine) as db:
            assert audit.verify(db).is_whole
            assert "backup restored" in [line.action for line in audit.entries(db, Wanted(), 9)]
            assert audit.holds(db, restored.trail.newest_seal)
        assert patients.remove_orphans() == 0
    assert all(path.stat().st_mode & 0o077 == 0 for path in place.rglob("*"))
    assert [name for name in left_in(place) if name.startswith(".")] == []


def test_it_holds_no_key_and_no_name_and_others_read_its_manifest(source, archive, tmp_path):
    content = archive.read_bytes()
    for secret in ((source / "data" / "vault.key").read_bytes().strip(), SITE_KEY, NAME.encode(), SCAN[:40]):
        assert secret not in content
    with tarfile.open(archive) as tar:
        tar.extractall(tmp_path / "plain", filter="data")
    for line in (tmp_path / "plain" / MANIFEST).read_text().splitlines():
        digest, name = line.split("  ")
        assert hashlib.sha256((tmp_path / "plain" / name).read_bytes()).hexdigest() == digest


def test_what_is_filed_and_deleted_meanwhile_is_whole_afterwards(data, tmp_path, place, monkeypatch):
    verify = audit.verify

    def meanwhile(db):
        monkeypatch.undo()
        with opened(data) as (_, _, patients, studies, bob):
            group = patients.search(bob)[0].group_id
            patients.delete(bob, 1)
            studies.file(bob, patients.add(bob, group, "Jane Doe").id, "late", None, [made_clinic.SERIES])
        return verify(db)

    # Between the two looks at the vault.
    monkeypatch.setattr(audit, "verify", meanwhile)
    back_up(settings_of(data), tmp_path / "backup.tar")
    restore(settings_of(place), tmp_path / "backup.tar")
    with opened(place) as (_, _, patients, studies, bob):
        (found,) = patients.search(bob)
        assert found.name == "Jane Doe"
        assert studies.scan(bob, studies.history(bob, found.id)[0].series[0].id) == SCAN


class TestRefused:
    """In each case nothing is restored."""

    def refuse(self, place, archive, match, **changes):
        before = left_in(place)
        with pytest.raises((BackupError, VaultError), match=match):
            restore(settings_of(place, **changes), archive)
        assert left_in(place) == before

    @pytest.mark.parametrize("taken", ["braintumor.sqlite3", "braintumor.sqlite3-wal", "vault/patients"])
    def test_a_place_that_is_not_empty(self, archive, place, taken):
        (place / taken).mkdir(parents=True)
        self.refuse(place, archive, "empty place")

    @pytest.mark.parametrize(
        ("changes", "match"),
        [
            ({"site_key": ""}, "site's key is missing"),
            ({"site_key": "another key of 32 letters or more"}, "does not fit the site's key"),
            ({"vault_key_file": "/nowhere/vault.key"}, "vault's key is missing"),
            ({"vault_key": "A" * 43 + "="}, "opens with none"),
            ({"database_url": "postgresql://app@127.0.0.1/records"}, "pg_dump"),
        ],
    )
    def test_other_keys_and_another_database(self, archive, place, changes, match):
        self.refuse(place, archive, match, **changes)

    @pytest.mark.parametrize(
        "kind",
        ["..", "absolute", "symlink", "hard link", "fifo", "twice", "other file", "sparse", "long name", "folder"],
    )
    def test_members_of_no_backup(self, archive, place, tmp_path, kind):
        member, content = tarfile.TarInfo(NAME_OF_A_FILE), b"x"
        changes = {
            "..": {"name": "../outside"},
            "absolute": {"name": str(tmp_path / "outside")},
            "symlink": {"type": tarfile.SYMTYPE, "linkname": "/etc/passwd"},
            "hard link": {"type": tarfile.LNKTYPE, "linkname": DATABASE},
            "fifo": {"type": tarfile.FIFOTYPE},
            "folder": {"type": tarfile.DIRTYPE},
            "sparse": {"type": tarfile.GNUTYPE_SPARSE},
            "other file": {"name": "vault.key"},
            "long name": {"name": "vault/" + "x" * 3_000_000},
            "twice": {},
        }[kind]
        for field, value in changes.items():
            setattr(member, field, value)
        hostile = tmp_path / "hostile.tar"
        add_sealed(archive, hostile, [member] * (1 + (kind == "twice")), content)
        self.refuse(place, hostile, "no backup")
        assert not (tmp_path / "outside").exists()

    @pytest.mark.parametrize("what", [DATABASE, "vault/", MANIFEST, SEAL])
    def test_a_changed_byte(self, archive, place, what):
        with tarfile.open(archive) as tar:
            member = next(member for member in tar if member.name.startswith(what))
        with archive.open("r+b") as file:
            file.seek(member.offset_data + member.size // 2)
            byte = file.read(1)
            file.seek(-1, 1)
            file.write(bytes([byte[0] ^ 1]))
        self.refuse(place, archive, "no backup|does not fit")

    @pytest.mark.parametrize("share", [0, 0.3, 0.6, 0.9])
    def test_a_part_of_one(self, archive, place, share):
        data = archive.read_bytes()
        archive.write_bytes(data[: int(len(data) * share)])
        self.refuse(place, archive, "no backup")

    def test_one_whose_row_lacks_its_file(self, data, place, tmp_path):
        for path in (data / "vault" / "desk").glob("[0-9a-f]*"):
            path.unlink()
        back_up(settings_of(data), tmp_path / "lost.tar")
        self.refuse(place, tmp_path / "lost.tar", "lacks its file")

    def test_one_of_a_broken_trail(self, data, place, tmp_path):
        with closing(sqlite3.connect(data / DATABASE)) as db:
            triggers = db.execute("SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'audit'")
            for (name,) in triggers.fetchall():
                db.execute(f"DROP TRIGGER {name}")
            db.execute("UPDATE audit SET actor_id = 7 WHERE id = 2")
            db.commit()
        assert back_up(settings_of(data), tmp_path / "broken.tar").trail.broken_at == 2
        self.refuse(place, tmp_path / "broken.tar", "broken at line 2")


def add_sealed(archive, target, members, content):
    """Write a backup whose manifest and seal fit, with members before its own."""
    with tarfile.open(archive) as source, tarfile.open(target, "w", format=tarfile.GNU_FORMAT) as tar:
        lines = b""
        for member in members:
            is_file = member.type in (tarfile.REGTYPE, tarfile.GNUTYPE_SPARSE)
            member.size = len(content) if is_file else 0
            tar.addfile(member, io.BytesIO(content) if is_file else None)
            lines += f"{hashlib.sha256(content).hexdigest()}  {member.name}\n".encode()
        for member in source:
            data = source.extractfile(member).read()
            if member.name == MANIFEST:
                data = lines = lines + data
            if member.name == SEAL:
                data = hmac.digest(SITE_KEY, lines, "sha256").hex().encode()
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda folder: {"data_dir": folder / "nowhere"}, "no database"),
        (lambda folder: {"database_url": "postgres://app@127.0.0.1/records"}, "pg_dump"),
    ],
)
def test_where_there_is_nothing_to_back_up_no_file_is_left(tmp_path, make, match):
    with pytest.raises(BackupError, match=match):
        back_up(settings_of(tmp_path, **make(tmp_path)), tmp_path / "backup.tar")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_exists_stays(archive, data):
    before = archive.read_bytes()
    with pytest.raises(BackupError, match="exists already"):
        back_up(settings_of(data), archive)
    assert archive.read_bytes() == before


def test_memory_holds_no_file_whole(data, tmp_path, monkeypatch):
    sizes = []
    read = backup._Hashed.read
    monkeypatch.setattr(backup._Hashed, "read", lambda self, size=-1: sizes.append(size) or read(self, size))
    back_up(settings_of(data), tmp_path / "backup.tar")
    assert 0 < max(sizes) <= 2**20
    assert min(sizes) > 0


def test_the_commands(data, place, tmp_path, capsys, monkeypatch):
    from braintumor import settings

    def run(folder, *words):
        monkeypatch.setenv("BRAINTUMOR_DATA_DIR", str(folder))
        settings.load.cache_clear()
        return main(["vault", *words])

    monkeypatch.setenv("BRAINTUMOR_SITE_KEY", SITE_KEY.decode())
    file = str(tmp_path / "backup.tar")
    try:
        assert run(data, "backup", file) == 0
        seal = capsys.readouterr().out.split()[-1]
        assert run(place, "restore", file) == 0
        assert capsys.readouterr().out.split()[-1] == seal
        assert run(place, "restore", file) == 2
        assert "empty place" in capsys.readouterr().err
        assert run(place, "sweep") == 0
        assert capsys.readouterr().out.startswith("0 files")
    finally:
        settings.load.cache_clear()
