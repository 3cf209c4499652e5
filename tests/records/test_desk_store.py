import os
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, update

from braintumor import settings
from braintumor.records import DeskStore
from braintumor.records.desk_store import NoDeskError
from braintumor.records.tables import DeskRow
from braintumor.records.vault import open_vault
from tests.accounts import app_users

SCAN, OTHER = b"scan" * 1000, b"other" * 1000


environment, engine, accounts, ada, bob = app_users.FIXTURES


@pytest.fixture
def vault(environment):
    return open_vault(settings.load(), "desk")


@pytest.fixture
def store(engine, vault):
    return DeskStore(engine, vault, days=7)


def kinds(store, account):
    return [(entry.kind, entry.key, entry.size, entry.is_read) for entry in store.entries(account.id)]


def test_what_is_put_lies_there_for_its_owner_only(store, ada, bob):
    store.put(ada.id, "file", {"a": SCAN, "b": OTHER})
    store.put(ada.id, "gone", {"c": None})
    assert kinds(store, ada) == [
        ("file", "a", 4000, False),
        ("file", "b", 5000, False),
        ("gone", "c", 0, False),
    ]
    assert store.used(ada.id) == 9000
    assert kinds(store, bob) == []
    assert store.used(bob.id) == 0
    with store.open(store.entries(ada.id)[0].content) as file:
        assert file.read() == SCAN


def test_putting_again_replaces_and_takes_the_mark(store, vault, ada):
    store.put(ada.id, "case", {"a": SCAN})
    store.mark(ada.id, "case", ["a"], True)
    assert kinds(store, ada) == [("case", "a", 4000, True)]
    store.put(ada.id, "case", {"a": OTHER})
    assert kinds(store, ada) == [("case", "a", 5000, False)]
    assert len(list(vault.list())) == 1


def test_nobody_marks_or_removes_what_is_on_anothers_desk(store, ada, bob):
    store.put(ada.id, "case", {"a": SCAN})
    store.mark(bob.id, "case", ["a"], True)
    store.remove(bob.id, {"case": ["a"]})
    store.clear(bob.id)
    assert kinds(store, ada) == [("case", "a", 4000, False)]


@pytest.mark.parametrize("take", ["remove", "clear", "expire"])
def test_content_goes_with_the_last_desk_that_lists_it(take, store, vault, engine, ada, bob):
    for account in (ada, bob):
        store.put(account.id, "file", {"a": SCAN})
    assert len(list(vault.list())) == 1
    for account, left in ((ada, 1), (bob, 0)):
        if take == "remove":
            store.remove(account.id, {"file": ["a"]})
        elif take == "clear":
            store.clear(account.id)
        else:
            with engine.begin() as db:
                past = datetime.now(UTC) - timedelta(seconds=1)
                db.execute(update(DeskRow).where(DeskRow.account_id == account.id).values(expires_at=past))
            assert store.entries(account.id) == []
            store.sweep()
        assert len(list(vault.list())) == left


def test_a_deleted_account_deletes_its_desk_and_a_refused_deletion_does_not(store, vault, accounts, engine, ada, bob):
    store.put(bob.id, "file", {"a": SCAN})
    with pytest.raises(RuntimeError), store.forgetting(bob.id):
        raise RuntimeError
    assert len(list(vault.list())) == 1
    with store.forgetting(bob.id):
        accounts.delete(ada, bob.id)
    assert list(vault.list()) == []
    with engine.connect() as db:
        assert db.scalars(select(DeskRow.id)).all() == []
    with pytest.raises(NoDeskError):
        store.put(bob.id, "file", {"a": SCAN})


def test_content_that_nobody_lists_is_swept_once_it_is_old(store, vault, tmp_path, ada):
    store.put(ada.id, "file", {"a": SCAN})
    orphan = vault.put(OTHER)
    store.sweep()
    assert vault.contains(orphan)
    for path in (tmp_path / "data" / "vault" / "desk").iterdir():
        os.utime(path, (0, 0))
    store.sweep()
    assert not vault.contains(orphan)
    assert store.open(store.entries(ada.id)[0].content).read() == SCAN


def test_content_that_was_swept_before_it_was_listed_is_stored_again(store, vault, ada, monkeypatch):
    original = vault.put_all
    monkeypatch.setattr(vault, "put_all", lambda contents: _then_delete(vault, original, contents, monkeypatch))
    store.put(ada.id, "file", {"a": SCAN})
    assert store.open(store.entries(ada.id)[0].content).read() == SCAN


def _then_delete(vault, put_all, contents, patch):
    patch.setattr(vault, "put_all", put_all)
    names = put_all(contents)
    for name in names:
        vault.delete(name)
    return names


def test_many_things_are_removed_at_once(store, vault, ada):
    store.put(ada.id, "gone", {str(number): None for number in range(1200)})
    store.remove(ada.id, {"gone": [str(number) for number in range(1200)]})
    assert kinds(store, ada) == []
