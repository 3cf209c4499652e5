import pytest

from tests.accounts import app_users
from tests.accounts.app_users import (
    OTHER,
    PASSWORD,
    end_sessions,
    fill,
    is_inside,
    is_outside,
    log_in,
    press,
    said,
    start,
)

environment, engine, accounts, ada, bob = app_users.FIXTURES


@pytest.fixture
def app(bob):
    app = log_in(start())
    app.switch_page("pages/account.py").run()
    assert [title.value for title in app.title] == ["My account"]
    return app


def change(app, current, new, repeat=None):
    fill(app, "own", current=current, new=new, repeat=new if repeat is None else repeat)
    return press(app, "Change password")


def test_tells_what_is_known_as_plain_text(app, bob):
    shown = [text.value for text in app.main.text]
    assert {bob.display_name, "bob", "none given", "clinician"} <= set(shown)


def test_own_password_changes(app):
    change(app, PASSWORD, OTHER)
    assert "is changed" in said(app)[0]
    assert [title.value for title in app.title] == ["My account"]
    assert all(field.value == "" for field in app.text_input)
    assert is_inside(log_in(start(), "bob", OTHER))


@pytest.mark.parametrize(
    ("current", "new", "repeat", "message"),
    [
        ("not the password at all", OTHER, OTHER, "current password is wrong"),
        ("", OTHER, OTHER, "current password is wrong"),
        (PASSWORD, OTHER, PASSWORD, "two passwords differ"),
        (PASSWORD, "short", "short", "too short"),
    ],
)
def test_own_password_stays(app, accounts, current, new, repeat, message):
    change(app, current, new, repeat)
    assert message in said(app)[0]
    assert [title.value for title in app.title] == ["My account"]
    assert accounts.authenticate("bob", PASSWORD)


def test_an_ended_session_changes_no_password(app, accounts, engine):
    end_sessions(engine)
    change(app, PASSWORD, OTHER)
    assert is_outside(app)
    assert accounts.authenticate("bob", PASSWORD)
