"""SIGKILL in the middle of whatever is done with patients: what is left is whole."""

import random
import sqlite3
import time
from contextlib import closing
from datetime import date
from multiprocessing import get_context

import pytest
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from braintumor.database import audit
from braintumor.records import NewSeries
from braintumor.records.tables import FindingRow, PatientRow, RemovalRow, SeriesRow, VerdictRow
from braintumor.records.vault import rotate
from braintumor.settings import Settings
from tests.records import clinic as made_clinic
from tests.records.clinic import FINDING, open_clinic

KILLS = 4


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "data"
    clinic = made_clinic.made(url(folder), folder)
    clinic.filed(clinic.patient())
    clinic.engine.dispose()
    return folder


def url(folder):
    return f"sqlite:///{folder / 'app.sqlite3'}"


def work(folder):
    """File, judge, merge, delete and rotate the vault's key, in an order of chance, for ever."""
    engine, _, patients, studies = open_clinic(url(folder), folder)
    chance = random.Random()
    with Session(engine) as db:
        bob = made_clinic.account(db, "bob")
        group = db.scalar(select(PatientRow.group_id))
    while True:
        patient = patients.add(bob, group, "Jane Doe")
        scan = chance.randbytes(chance.randint(1, 200_000))
        series = NewSeries("MR", "t1", 9, scan, (FINDING,))
        studies.file(bob, patient.id, str(chance.random()), date(2026, 1, 2), [series])
        finding = studies.history(bob, patient.id)[0].series[0].findings[0].id
        studies.judge(bob, finding, "correct", mask=chance.randbytes(1000))
        patients.merge(bob, 1, patient.id)
        patients.unmerge(bob, patient.id)
        if chance.random() < 0.6:
            patients.delete(bob, patient.id)
        if chance.random() < 0.3:
            rotate(Settings(data_dir=folder))


def lines(folder):
    with closing(sqlite3.connect(folder / "app.sqlite3")) as db:
        return db.execute("SELECT COUNT(*) FROM audit").fetchone()[0]


def kill_at_work(folder, chance):
    """Start a process that works, and kill it a moment of chance after the first that it has done."""
    before = lines(folder)
    process = get_context("fork").Process(target=work, args=(folder,))
    process.start()
    while lines(folder) == before:
        assert process.is_alive()
        time.sleep(0.01)
    time.sleep(chance.uniform(0, 0.5))
    process.kill()
    process.join()


def test_what_is_left_is_whole(folder, pytestconfig):
    chance = random.Random(7)
    for _ in range(pytestconfig.getoption("kills") or KILLS):
        kill_at_work(folder, chance)
        engine, vault, patients, _ = open_clinic(url(folder), folder)
        patients.finish_removals()
        with Session(engine) as db:
            assert audit.verify(db).is_whole
            assert db.execute(text("PRAGMA integrity_check")).all() == [("ok",)]
            assert db.execute(text("PRAGMA foreign_key_check")).all() == []
            columns = (SeriesRow.content, FindingRow.mask, VerdictRow.mask)
            kept = {name for column in columns for name in db.scalars(select(column)) if name}
            assert db.scalars(select(RemovalRow.content)).all() == []
            # Each finding has the series that it is of, and so its scan.
            homeless = select(FindingRow.id).where(FindingRow.series_id.not_in(select(SeriesRow.id)))
            assert db.scalars(homeless).all() == []
        assert all(vault.read(name) for name in vault.list())
        assert kept <= set(vault.list())
        engine.dispose()
