import csv
import io
import sqlite3

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session
from streamlit.testing.v1 import AppTest

from braintumor.accounts import AccountError, Role, State
from braintumor.accounts.tables import AccountRow
from braintumor.settings import ROOT
from tests.accounts import app_users
from tests.accounts.app_users import PASSWORD, end_sessions, is_outside, log_in, press, said, start

environment, engine, accounts, ada, bob = app_users.FIXTURES

PAGE = ROOT / "pages" / "administration.py"


@pytest.fixture
def eve(accounts, ada):
    return accounts.register("eve", "Eve", PASSWORD)


@pytest.fixture
def app(bob, eve):
    app = log_in(start(), "ada")
    app.switch_page("pages/administration.py").run()
    assert [title.value for title in app.title] == ["Administration"]
    return app


def choose(app, account):
    app.selectbox(key="managed").set_value(account.id).run()
    return app


def click(app, key):
    app.button(key=key).click().run()
    assert not app.exception
    return app


def stored(engine):
    """Everything that the page could change, by username."""
    with Session(engine) as db:
        people = db.scalars(select(AccountRow))
        return {person.username: (person.role, person.state, person.password_hash) for person in people}


def state_of(engine, username):
    return stored(engine)[username][1]


def test_approve(app, engine, eve):
    click(app, f"approve_{eve.id}")
    assert state_of(engine, "eve") is State.ACTIVE


def test_refuse(app, engine, eve):
    click(app, f"refuse_{eve.id}")
    assert "eve" not in stored(engine)


def test_set_role(app, engine, bob):
    choose(app, bob)
    app.selectbox(key=f"role_{bob.id}_clinician").set_value(Role.RESEARCHER).run()
    press(app, "Set role")
    assert stored(engine)["bob"][0] is Role.RESEARCHER


def test_disable_and_enable(app, engine, bob):
    press(choose(app, bob), "Disable")
    assert state_of(engine, "bob") is State.DISABLED
    press(app, "Enable")
    assert state_of(engine, "bob") is State.ACTIVE


def test_the_last_administrator_stays(app, engine, ada):
    press(choose(app, ada), "Disable")
    assert "last administrator" in said(app)[0]
    assert state_of(engine, "ada") is State.ACTIVE


def test_delete_asks_first(app, engine, bob):
    press(choose(app, bob), "Delete")
    assert "bob" in stored(engine)
    click(app, "delete_confirmed")
    assert "bob" not in stored(engine)


def test_reset_asks_first_and_makes_a_temporary_password(app, accounts, bob):
    press(choose(app, bob), "Reset password")
    assert accounts.authenticate("bob", PASSWORD)
    click(app, "reset_confirmed")
    # The dialog takes it from there at once in a browser; here a click in it runs the page without it.
    temporary = app.session_state["administration_temporary"]
    assert accounts.authenticate("bob", temporary).must_change_password
    with pytest.raises(AccountError):
        accounts.authenticate("bob", PASSWORD)


@pytest.mark.parametrize("column", ["role", "state"])
def test_an_unknown_role_or_state_is_shown_as_a_disabled_account_that_can_be_mended(app, engine, bob, column):
    with engine.connect() as db:
        db.exec_driver_sql("PRAGMA ignore_check_constraints = ON")
        db.exec_driver_sql(f"UPDATE accounts SET {column} = 'nonsense' WHERE id = {bob.id}")
        db.commit()
    app.run()
    assert not app.exception
    shown = app.dataframe[0].value.set_index("Username").loc["bob"]
    assert (shown["Role"], shown["State"]) == ("clinician", "disabled")
    press(choose(app, bob), "Enable")
    assert stored(engine)["bob"][:2] == (Role.CLINICIAN, State.ACTIVE)


def test_a_locked_database_is_said_and_nothing_is_changed(monkeypatch, tmp_path, request):
    monkeypatch.setattr("braintumor.database.engine._SECONDS_TO_WAIT", 0.05)
    app, engine, eve = (request.getfixturevalue(name) for name in ("app", "engine", "eve"))
    other = sqlite3.connect(tmp_path / "data" / "braintumor.sqlite3", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    click(app, f"approve_{eve.id}")
    other.close()
    assert "records are busy" in said(app)[0]
    assert state_of(engine, "eve") is State.PENDING
    click(app, f"approve_{eve.id}")
    assert state_of(engine, "eve") is State.ACTIVE


def test_failed_logins_are_shown(app, accounts):
    with pytest.raises(AccountError):
        accounts.authenticate("bob", "not the password at all")
    app.run()
    assert app.dataframe[0].value.set_index("Username")["Failed logins"].to_dict() == {"ada": 0, "bob": 1, "eve": 0}


def test_trail_names_who_did_what(app, eve):
    click(app, f"approve_{eve.id}")
    trail = app.dataframe[1].value
    assert list(trail.columns) == ["Time", "By", "Action", "Subject", "From", "Details"]
    assert trail.iloc[0][["By", "Action", "Subject"]].tolist() == ["ada", "account approved", "eve"]


def test_trail_is_filtered(app, bob, eve):
    app.selectbox(key="trail_by").set_value(eve.id).run()
    assert app.dataframe[1].value["Action"].tolist() == ["registered"]
    app.selectbox(key="trail_subject").set_value("patient").run()
    assert app.dataframe[1].value.empty


def test_trail_is_checked_and_exported_and_the_export_is_in_it(app, engine):
    press(app, "Check the trail")
    assert not app.error
    press(app, "Export as CSV")
    rows = list(csv.DictReader(io.StringIO(app.session_state["audit_trail_export"])))
    assert rows[-1]["Action"] == "first administrator created"
    assert app.dataframe[1].value.iloc[0][["Action", "Details"]].tolist() == [
        "audit trail exported",
        f"lines: {len(rows)}",
    ]


def test_a_forged_trail_is_said(app, engine):
    with engine.begin() as db:
        db.exec_driver_sql("DROP TRIGGER audit_refuses_update")
        db.exec_driver_sql("UPDATE audit SET actor_id = 9 WHERE id = 2")
    press(app, "Check the trail")
    assert "line 2" in said(app)[0]


@pytest.mark.parametrize("action", ["Approve", "Refuse", "Set role", "Disable", "Reset password", "Delete"])
def test_an_ended_session_changes_nothing(app, engine, bob, eve, action):
    before = stored(engine)
    choose(app, bob)
    if action == "Set role":
        app.selectbox(key=f"role_{bob.id}_clinician").set_value(Role.ADMINISTRATOR).run()
    confirmation = {"Reset password": "reset_confirmed", "Delete": "delete_confirmed"}.get(action)
    if confirmation:
        press(app, action)
    end_sessions(engine)
    if confirmation:
        click(app, confirmation)
    else:
        press(app, action)
    assert stored(engine) == before
    assert is_outside(app)
    assert "session has ended" in said(app)[0]


@pytest.mark.parametrize("key", ["reset_confirmed", "delete_confirmed"])
def test_a_former_administrator_changes_nothing(app, accounts, ada, engine, bob, eve, key):
    accounts.approve(ada, eve.id)
    press(choose(app, bob), "Reset password" if key == "reset_confirmed" else "Delete")
    accounts.set_role(ada, eve.id, Role.ADMINISTRATOR)
    accounts.set_role(ada, ada.id, Role.CLINICIAN)
    before = stored(engine)
    click(app, key)
    assert stored(engine) == before
    assert not app.dataframe


def test_a_clinician_sees_nothing_of_it(bob):
    inside = log_in(start())
    page = AppTest.from_file(str(PAGE), default_timeout=30)
    page.session_state["_session_token"] = inside.session_state["_session_token"]
    page.run()
    assert not page.exception
    assert "Only an administrator" in said(page)[0]
    assert not page.dataframe
    assert not page.button
    assert not page.header
