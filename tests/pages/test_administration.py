import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session
from streamlit.testing.v1 import AppTest

from braintumor.records import AccountError, Role, State
from braintumor.records.tables import AccountRow
from braintumor.settings import ROOT
from tests.records import app_users
from tests.records.app_users import PASSWORD, end_sessions, is_outside, log_in, press, said, start

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


def test_trail_names_who_did_what(app, eve):
    click(app, f"approve_{eve.id}")
    trail = app.dataframe[1].value
    assert list(trail.columns) == ["Time", "By", "Action", "Account"]
    assert trail.iloc[0][["By", "Action", "Account"]].tolist() == ["ada", "account approved", "eve"]


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
    assert not page.subheader
