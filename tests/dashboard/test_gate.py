import os
import re
import subprocess
import sys
from datetime import timedelta

import jwt
import pytest
from streamlit.testing.v1 import AppTest

from braintumor import settings
from braintumor.accounts import AccountError, Accounts
from braintumor.dashboard import gate, login_cookie
from braintumor.database import BusyError, UnusableDatabaseError
from braintumor.database.audit import utc_now
from braintumor.settings import ROOT
from tests.accounts import app_users
from tests.accounts.app_users import (
    NAME,
    OTHER,
    PASSWORD,
    end_sessions,
    fill,
    is_inside,
    log_in,
    press,
    said,
    said_beside,
    start,
)

environment, engine, accounts, ada, bob = app_users.FIXTURES


def test_first_start_offers_only_the_first_administrator():
    app = start()
    assert [heading.value for heading in app.subheader] == ["Create the first administrator"]
    assert not is_inside(app)
    fill(app, "first", name="Ada", username="ada", new=PASSWORD, repeat=PASSWORD)
    press(app, "Create administrator")
    assert is_inside(app)
    assert [text.value for text in app.sidebar.text] == ["Ada"]
    assert not start().subheader


@pytest.mark.parametrize(
    ("values", "field", "message"),
    [
        ({"new": PASSWORD, "repeat": PASSWORD + "!"}, "repeat", "two passwords differ"),
        ({"new": "short", "repeat": "short"}, "new", "too short"),
        ({"username": "a"}, "username", "username cannot be used"),
        ({"name": ""}, "name", "Enter a name"),
        ({"email": "ada"}, "email", "e-mail address"),
    ],
)
def test_first_administrator_refused(values, field, message):
    app = start()
    fill(app, "first", **({"name": "Ada", "username": "ada", "new": PASSWORD, "repeat": PASSWORD} | values))
    press(app, "Create administrator")
    assert not is_inside(app)
    assert message in said_beside(app, f"first_{field}")
    assert len(said(app)) == 1


@pytest.mark.parametrize(("typed", "enters"), [("open sesame", True), ("open sesam", False), ("", False)])
def test_setup_code_guards_the_first_administrator(monkeypatch, typed, enters):
    monkeypatch.setenv("BRAINTUMOR_SETUP_CODE", "open sesame")
    settings.load.cache_clear()
    app = start()
    fill(app, "first", name="Ada", username="ada", new=PASSWORD, repeat=PASSWORD, code=typed)
    press(app, "Create administrator")
    assert is_inside(app) is enters
    assert gate.accounts().exist() is enters
    assert enters or "setup code is wrong" in said_beside(app, "first_code")


def test_no_setup_code_is_asked_for_where_none_is_set():
    assert "Setup code" not in [field.label for field in start().text_input]


@pytest.mark.usefixtures("bob")
def test_login_shows_who_is_in_as_plain_text():
    app = log_in(start(), "BOB ")
    assert is_inside(app)
    assert [text.value for text in app.sidebar.text] == [NAME]
    assert not any(NAME in element.value for element in app.markdown)
    assert not app.text_input


@pytest.mark.usefixtures("bob")
@pytest.mark.parametrize(
    ("username", "password", "field", "message"),
    [
        ("bob", "wrong password here", "password", "username or the password is wrong"),
        ("nobody", PASSWORD, "password", "username or the password is wrong"),
        ("bob", PASSWORD + " ", "password", "username or the password is wrong"),
        ("", PASSWORD, "username", "Enter your username"),
        ("bob", "", "password", "Enter your username"),
    ],
)
def test_login_refused(username, password, field, message):
    app = log_in(start(), username, password)
    assert not is_inside(app)
    assert message in said_beside(app, f"login_{field}")
    assert len(said(app)) == 1
    assert app.text_input(key="login_password").value == ""


@pytest.mark.usefixtures("bob")
def test_the_wait_after_wrong_passwords_holds_across_browser_sessions(engine):
    earlier = utc_now() - timedelta(hours=1)
    elsewhere = Accounts(engine, settings.load(), rounds=4, clock=lambda: earlier)
    for _ in range(15):
        with pytest.raises(AccountError):
            elsewhere.authenticate("bob", "wrong password here")
        earlier += timedelta(minutes=4)
    app = log_in(start())
    assert not is_inside(app)
    assert re.search(r"again in \d+ minutes", said(app)[0])


def _held_back(error):
    def fail(*_arguments):
        raise error

    return fail


@pytest.mark.usefixtures("bob")
@pytest.mark.parametrize("call", ["authenticate", "start_session"])
def test_busy_records_are_said_at_the_login(monkeypatch, call):
    app = start()
    monkeypatch.setattr(Accounts, call, _held_back(BusyError()))
    assert "records are busy" in said(log_in(app))[0]
    assert not is_inside(app)
    monkeypatch.undo()
    assert is_inside(log_in(app))


@pytest.mark.usefixtures("accounts")
def test_busy_records_are_said_at_the_registration(monkeypatch):
    app = start()
    monkeypatch.setattr(Accounts, "register", _held_back(BusyError()))
    fill(app, "register", name=NAME, username="bob", new=PASSWORD, repeat=PASSWORD)
    assert "records are busy" in said(press(app, "Register"))[0]


@pytest.mark.usefixtures("bob")
def test_a_logout_that_did_not_happen_is_not_claimed(monkeypatch):
    app = log_in(start())
    monkeypatch.setattr(Accounts, "end_session", _held_back(BusyError()))
    press(app, "Log out")
    assert is_inside(app)
    assert "records are busy" in said(app)[0]
    monkeypatch.undo()
    assert not is_inside(press(app, "Log out"))


@pytest.mark.parametrize("call", ["exist", "verify_session"])
@pytest.mark.usefixtures("bob")
def test_busy_records_stop_a_page_with_a_sentence(monkeypatch, call):
    app = log_in(start()) if call == "verify_session" else start()
    monkeypatch.setattr(Accounts, call, _held_back(BusyError()))
    app.run()
    assert not app.exception
    assert "records are busy" in said(app)[0]


@pytest.mark.usefixtures("bob")
def test_a_database_that_cannot_be_used_stops_a_page_with_a_sentence(monkeypatch):
    app = start()
    monkeypatch.setattr(Accounts, "exist", _held_back(UnusableDatabaseError("Install the newer version again.")))
    app.run()
    assert not app.exception
    assert said(app)[0] == "Install the newer version again."


@pytest.mark.parametrize("form", ["login", "register", "first", "own"])
def test_every_text_field_is_bounded(form, request):
    if form != "first":
        request.getfixturevalue("bob")
    app = start()
    if form == "own":
        app = log_in(app).switch_page("pages/account.py").run()
    fields = [field for field in app.text_input if field.key.startswith(form)]
    assert fields
    assert all(0 < field.proto.max_chars <= 1024 for field in fields)


@pytest.mark.usefixtures("accounts")
@pytest.mark.parametrize("value", [5, True, 0.5, ["bob"], b"bob", None])
@pytest.mark.parametrize("form", ["login", "register"])
def test_values_that_are_no_text_are_refused_in_words(form, value):
    tab = AppTest.from_function(_submitted, kwargs={"form": form, "value": value}, default_timeout=30)
    tab.run()
    assert not tab.exception
    assert tab.session_state["_form_note"][0] == "error"


def _submitted(form, value):
    import streamlit as st

    from braintumor.dashboard import gate

    for field in ("username", "password", "name", "email", "new", "repeat", "role"):
        st.session_state[f"{form}_{field}"] = value
    if form == "login":
        gate._Authenticator(gate.accounts(), "k" * 32, 1)._submit()
    else:
        gate._register()


def test_registration_waits_for_approval(accounts, ada):
    app = start()
    fill(app, "register", name=NAME, username="bob", new=PASSWORD, repeat=PASSWORD)
    press(app, "Register")
    assert "approved" in said(app)[0]
    log_in(app)
    assert "waiting for approval" in said(app)[0]
    [bob] = [person for person in accounts.everybody(ada) if person.username == "bob"]
    accounts.approve(ada, bob.id)
    assert is_inside(log_in(app))


def test_registration_can_be_open(accounts, monkeypatch):
    monkeypatch.setenv("BRAINTUMOR_REGISTRATION", "open")
    settings.load.cache_clear()
    app = start()
    fill(app, "register", name=NAME, username="bob", new=PASSWORD, repeat=PASSWORD)
    press(app, "Register")
    assert is_inside(log_in(app))


@pytest.mark.usefixtures("bob")
def test_logout_shows_nothing_of_the_page_and_leaves_nothing_behind():
    app = log_in(start())
    token = app.session_state["_session_token"]
    app.session_state["scan_of_the_patient"] = "private"
    press(app, "Log out")
    assert not is_inside(app)
    assert not app.title
    assert said(app) == ["You are logged out."]
    assert "scan_of_the_patient" not in app.session_state
    assert gate.accounts().verify_session(token) is None


@pytest.mark.parametrize("end", ["delete", "disable", "reset_password"])
def test_administrator_puts_a_user_out_at_the_next_run(accounts, ada, bob, end):
    app = log_in(start())
    app.session_state["scan_of_the_patient"] = "private"
    getattr(accounts, end)(ada, bob.id)
    app.run()
    assert not app.exception
    assert not is_inside(app)
    assert "session has ended" in said(app)[0]
    assert "scan_of_the_patient" not in app.session_state


def test_a_temporary_password_is_not_replaced_from_an_ended_session(accounts, ada, bob, engine):
    temporary = accounts.reset_password(ada, bob.id)
    app = log_in(start(), "bob", temporary)
    end_sessions(engine)
    fill(app, "own", current=temporary, new=OTHER, repeat=OTHER)
    press(app, "Change password")
    assert not is_inside(app)
    assert accounts.authenticate("bob", temporary).must_change_password


class TestActor:
    @staticmethod
    def actor(app):
        """What a callback in this tab would get."""

        def script():
            import streamlit as st

            from braintumor.dashboard import gate

            st.session_state.answer = gate.actor()

        tab = AppTest.from_function(script, default_timeout=30)
        if "_session_token" in app.session_state:
            tab.session_state["_session_token"] = app.session_state["_session_token"]
        tab.run()
        assert not tab.exception
        return tab.session_state.answer

    def test_is_the_account_of_this_session(self, bob):
        assert self.actor(log_in(start())) == bob

    def test_is_nobody_once_the_session_is_over(self, bob, engine):
        app = log_in(start())
        end_sessions(engine)
        assert self.actor(app) is None

    def test_is_nobody_before_the_login_and_for_a_temporary_password(self, accounts, ada, bob):
        assert self.actor(start()) is None
        assert self.actor(log_in(start(), "bob", accounts.reset_password(ada, bob.id))) is None


def test_temporary_password_must_be_changed_first(accounts, ada, bob):
    temporary = accounts.reset_password(ada, bob.id)
    app = log_in(start(), "bob", temporary)
    assert [heading.value for heading in app.subheader] == ["Choose your own password"]
    assert not app.sidebar.button
    fill(app, "own", current=temporary, new=PASSWORD, repeat=OTHER)
    assert "two passwords differ" in said(press(app, "Change password"))[0]
    fill(app, "own", current=temporary, new=OTHER, repeat=OTHER)
    assert is_inside(press(app, "Change password"))


@pytest.mark.usefixtures("accounts")
@pytest.mark.parametrize(("demo", "offered"), [("0", False), ("1", True)])
def test_guest(monkeypatch, demo, offered):
    monkeypatch.setenv("BRAINTUMOR_DEMO", demo)
    settings.load.cache_clear()
    app = start()
    assert ("Try it as a guest" in [button.label for button in app.button]) is offered
    if offered:
        press(app, "Try it as a guest")
        assert [text.value for text in app.sidebar.text] == ["Guest"]
        press(app, "Log in")
    assert not is_inside(app)


@pytest.mark.usefixtures("accounts")
def test_guest_mark_means_nothing_without_demo_mode():
    app = AppTest.from_file(str(ROOT / "Home.py"), default_timeout=30)
    app.session_state[gate.GUEST] = True
    assert not is_inside(app.run())


@pytest.mark.usefixtures("bob")
def test_administration_is_no_page_for_others():
    app = log_in(start())
    with pytest.raises(ValueError, match="administration"):
        app.switch_page("pages/administration.py").run()


@pytest.mark.parametrize("page", ["account", "administration"])
@pytest.mark.usefixtures("accounts")
def test_a_page_run_without_home_is_still_gated(page):
    app = AppTest.from_file(str(ROOT / "pages" / f"{page}.py"), default_timeout=30).run()
    assert not app.exception
    assert not app.title
    assert "Log in" in [tab.label for tab in app.tabs]


class TestCookie:
    """The signed cookie, through the library's own model, outside of a browser."""

    @pytest.fixture
    def cookie(self):
        cookie = object.__new__(login_cookie.SessionCookie)
        cookie.cookie_key = "k" * 32
        return cookie

    @pytest.mark.parametrize(
        ("claims", "key", "algorithm", "valid"),
        [
            ({"username": "bob", "session": "t", "exp_date": 1}, "k" * 32, "HS256", True),
            ({"username": "bob", "exp_date": 1}, "k" * 32, "HS256", False),
            ({"username": "bob", "session": "t"}, "k" * 32, "HS256", False),
            ({"username": "bob", "session": "t", "exp_date": 1}, "x" * 32, "HS256", False),
            ({"username": "bob", "session": "t", "exp_date": 1}, None, "none", False),
            ({"username": "bob", "session": "t", "exp_date": 1}, "k" * 64, "HS512", False),
        ],
    )
    def test_token(self, cookie, claims, key, algorithm, valid):
        cookie.token = jwt.encode(claims, key, algorithm=algorithm)
        assert cookie._token_decode() == (claims if valid else False)

    @pytest.mark.parametrize("text", ["", "x", "a.b.c", "\x00", "é"])
    def test_garbage(self, cookie, text):
        cookie.token = text
        assert cookie._token_decode() is False


def test_login_page_loads_no_network():
    code = "import sys, braintumor.dashboard.gate; print(*sorted(m for m in sys.modules if '.' not in m))"
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=os.environ, capture_output=True, text=True, check=True
    )
    loaded = set(run.stdout.split())
    assert "streamlit_authenticator" in loaded
    assert not loaded & {"tensorflow", "keras", "pandas", "scipy", "sklearn", "ai_edge_litert"}
