"""Desks of accounts: on the disk, encrypted, there again after a restart."""

import random
import resource
import stat

import pytest
from sqlalchemy import update

from braintumor import settings
from braintumor.accounts.tables import AccountRow, State
from braintumor.dashboard.desk import desk_of, desks, forgetting, sweep
from braintumor.inference import Predictors
from braintumor.records.tables import DeskRow
from braintumor.scans import DEFAULT_LIMITS, PixelBudget
from tests.accounts import app_users
from tests.bundles.made_card import changed, put_card
from tests.conftest import SHIPPED
from tests.dashboard.desk.desks import finish, head, heads, names, predictors, zipped
from tests.scans.dicom_files import slices

FIXTURES = (predictors,)
environment, engine, accounts, ada, bob = app_users.FIXTURES
FOLDER = "vault/desk"


@pytest.fixture(autouse=True)
def forgotten():
    """No desk of another test in memory."""
    desks._desks.clear()
    yield
    desks._desks.clear()


def restart():
    """Forget what only the memory holds, as a server that starts anew."""
    for desk, _ in desks._desks.values():
        desk.close()
    desks._desks.clear()
    desks._store.cache_clear()


def stored():
    return sorted(path for path in (settings.load().data_dir / FOLDER).glob("[0-9a-f]*") if path.is_file())


def test_all_is_there_again_and_nothing_is_computed_again(ada, predictors, scored):
    desk = desk_of(ada)
    desk.take([zipped("a.zip", 1, 2), *heads(3), ("bad.png", b"nothing")])
    finish(desk, predictors)
    desk.mark([desk.cases[1].key], True)
    before = desk.cases
    whole = desk.answer(before[0].key)
    restart()
    again = finish(desk_of(ada), predictors)
    assert again is not desk
    assert [(case.key, case.name, case.is_read, case.thumbnail) for case in again.cases] == [
        (case.key, case.name, case.is_read, case.thumbnail) for case in before
    ]
    assert len(scored) == 3
    opened = again.answer(before[0].key)
    assert opened.prediction.probabilities == whole.prediction.probabilities
    assert (opened.picture == whole.picture).all()
    assert opened.unit.read(DEFAULT_LIMITS, PixelBudget(10**9)).sha256 == opened.prediction.sha256


def test_a_series_can_be_read_again_with_its_patient(ada, predictors, scored):
    files = slices(5, PatientName="Canary^Jane", PatientID="4711")
    desk = desk_of(ada)
    desk.take([(f"IM{number}", data) for number, data in enumerate(files)])
    finish(desk, predictors)
    restart()
    (case,) = finish(desk_of(ada), predictors).cases
    assert len(scored) == 1
    answer = desk_of(ada).answer(case.key)
    assert answer.unit.patient.name == "Canary^Jane"
    assert answer.unit.sources(DEFAULT_LIMITS)
    assert len(case.files) == 5


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_restart_in_mid_job_goes_on_where_it_was(ada, predictors, scored, monkeypatch):
    desk = desk_of(ada)
    desk.take(heads(1, 2, 3, 4))
    original = desk._shelf.put_case

    def dying(case, answer):
        original(case, answer)
        if len(scored) == 2:
            raise SystemExit

    monkeypatch.setattr(desk._shelf, "put_case", dying)
    desk.start(predictors)
    desk.wait()
    restart()
    again = finish(desk_of(ada), predictors)
    assert scored == ["1.png", "2.png", "3.png", "4.png"]
    assert all(case.answer for case in again.cases)


def test_another_model_answers_anew(ada, predictors, scored, tmp_path):
    finish_with = desk_of(ada)
    finish_with.take(heads(1))
    finish(finish_with, predictors)
    desk_of(ada).mark([finish_with.cases[0].key], True)
    folder = tmp_path / "models" / SHIPPED.name
    folder.mkdir(parents=True)
    for file in SHIPPED.iterdir():
        (folder / file.name).symlink_to(file)
    (folder / "card.json").unlink()
    put_card(folder, changed(predictors.first.bundle.card, {"version": "99.0.0"}))
    restart()
    desk = finish(desk_of(ada), Predictors(folder, threads=1))
    assert scored == ["1.png", "1.png"]
    assert desk.cases[0].answer.prediction.bundle.endswith("99.0.0")
    assert not desk.cases[0].is_read


@pytest.mark.parametrize("damage", [b"", b"nonsense", None])
def test_a_damaged_answer_is_computed_again(damage, ada, predictors, scored):
    desk = desk_of(ada)
    desk.take(heads(1))
    finish(desk, predictors)
    (entry,) = [entry for entry in desks._store(settings.load()).entries(ada.id) if entry.kind == "case"]
    path = settings.load().data_dir / FOLDER / entry.content
    path.unlink()
    if damage is not None:
        path.write_bytes(damage)
    restart()
    finish(desk_of(ada), predictors)
    assert scored == ["1.png", "1.png"]
    assert desk_of(ada).cases[0].answer


def test_an_answer_that_vanishes_under_an_open_desk_is_computed_again(ada, predictors, scored):
    desk = desk_of(ada)
    desk.take(heads(1))
    finish(desk, predictors)
    for path in stored():
        if path.stat().st_size > 10_000:
            path.write_bytes(b"x")
    assert desk.answer(desk.cases[0].key) is None
    finish(desk, predictors)
    assert desk.answer(desk.cases[0].key)


def test_two_users_share_bytes_on_disk_and_nothing_else(ada, bob, predictors):
    for account in (ada, bob):
        desk_of(account).take(heads(1))
    assert len(stored()) == 1
    finish(desk_of(ada), predictors)
    assert desk_of(bob).cases == []
    desk_of(bob).clear([case.key for case in desk_of(ada).cases])
    desk_of(bob).mark([case.key for case in desk_of(ada).cases], True)
    assert len(desk_of(ada).cases) == 1
    assert not desk_of(ada).cases[0].is_read


def test_two_tabs_of_one_user_see_one_desk(ada, predictors):
    assert desk_of(ada) is desk_of(ada)


def test_clearing_leaves_nothing_on_the_disk(ada, predictors):
    desk = desk_of(ada)
    desk.take([*heads(1, 2), zipped("a.zip", 3, 4)])
    finish(desk, predictors)
    assert len(stored()) == 3 + 4
    desk.clear([desk.cases[0].key])
    assert len(stored()) == 2 + 3
    desk.clear([case.key for case in desk.cases])
    assert stored() == []
    restart()
    assert finish(desk_of(ada), predictors).cases == []


def test_no_name_and_no_pixel_lies_in_the_clear(ada, predictors):
    files = slices(5, PatientName="Canary^Jane")
    plain = [("Canary Jane.png", head(1)), *((f"IM{number}", data) for number, data in enumerate(files))]
    desk = desk_of(ada)
    desk.take(plain)
    finish(desk, predictors)
    pieces = [
        b"Canary",
        b"Jane",
        *(data[start : start + 24] for _, data in plain for start in (200, 400, len(data) // 2)),
    ]
    for path in settings.load().data_dir.rglob("*"):
        if path.is_file():
            written = path.read_bytes()
            assert not [piece for piece in pieces if piece in written and piece.strip(b"\0")], path
            assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


def test_a_full_disk_is_one_sentence_and_the_job_can_be_resumed(ada, predictors):
    desk = desk_of(ada)
    desk.take(heads(1))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
    try:
        desk.start(predictors)
        desk.wait()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "vault" in desk.trouble or "records" in desk.trouble
    assert desk.cases[0].outcome is None
    desk.resume()
    finish(desk, predictors)
    assert desk.cases[0].answer


def test_an_account_that_is_disabled_answers_no_further(ada, bob, predictors, scored, engine):
    desk = desk_of(bob)
    desk.take(heads(1, 2))
    with engine.begin() as db:
        db.execute(update(AccountRow).where(AccountRow.id == bob.id).values(state=State.DISABLED))
    desk.start(predictors)
    desk.wait()
    assert desk.trouble
    assert len(scored) == 1


def test_a_deleted_account_leaves_nothing(ada, bob, accounts, predictors):
    desk = desk_of(bob)
    desk.take(heads(1))
    finish(desk, predictors)
    with forgetting(bob.id):
        accounts.delete(ada, bob.id)
    assert stored() == []
    assert desk.cases == []


def test_what_has_had_its_time_is_gone(ada, predictors, engine):
    desk = desk_of(ada)
    desk.take(heads(1))
    finish(desk, predictors)
    with engine.begin() as db:
        db.execute(update(DeskRow).values(expires_at=DeskRow.added_at))
    restart()
    assert finish(desk_of(ada), predictors).cases == []
    sweep()
    assert stored() == []


def test_a_sweep_takes_idle_desks_out_of_memory_only(ada, predictors, scored, monkeypatch):
    desk = desk_of(ada)
    desk.take(heads(1))
    finish(desk, predictors)
    sweep()
    assert desk_of(ada) is desk
    monkeypatch.setattr(desks, "_IDLE_SECONDS", -1)
    sweep()
    assert desk_of(ada) is not desk
    assert len(finish(desk_of(ada), predictors).cases) == 1
    assert len(scored) == 1


def test_random_use_and_restarts_never_lose_a_file(ada, predictors):
    chance = random.Random(2)
    expected: set[str] = set()
    for _ in range(25):
        desk = desk_of(ada)
        seed = chance.randrange(6)
        match chance.randrange(4):
            case 0 | 1:
                desk.take(heads(seed))
                expected.add(f"{seed}.png")
            case 2:
                finish(desk, predictors)
                desk.clear([case.key for case in desk.cases if case.name == f"{seed}.png"])
                expected.discard(f"{seed}.png")
            case _:
                restart()
    desk = finish(desk_of(ada), predictors)
    assert set(names(desk)) == expected
    assert all(case.answer for case in desk.cases)
