"""The app with its first users, and the steps that they take in it without a browser."""

import pytest
from sqlalchemy import update
from sqlalchemy.orm import Session
from streamlit.testing.v1 import AppTest

from braintumor import settings
from braintumor.accounts import Accounts
from braintumor.accounts.tables import SessionRow
from braintumor.database import open_database
from braintumor.database.audit import utc_now
from braintumor.settings import ROOT

PASSWORD = "correct horse battery staple"
OTHER = "some other long password"
NAME = "Bob *the* `builder` <script> :smile: $x$"


@pytest.fixture(autouse=True)
def environment(tmp_path, monkeypatch):
    monkeypatch.setenv("BRAINTUMOR_DATA_DIR", str(tmp_path / "data"))
    others = ("BRAINTUMOR_DEMO", "BRAINTUMOR_DATABASE_URL", "BRAINTUMOR_REGISTRATION", "BRAINTUMOR_SETUP_CODE")
    for name in ("DATABASE_URL", *others):
        monkeypatch.delenv(name, raising=False)
    settings.load.cache_clear()
    yield
    settings.load.cache_clear()


@pytest.fixture
def engine(environment, put_sqlite, tmp_path):
    put_sqlite(tmp_path / "data" / "braintumor.sqlite3")
    engine = open_database(settings.load())
    yield engine
    engine.dispose()


@pytest.fixture
def accounts(engine):
    accounts = Accounts(engine, settings.load(), rounds=4)
    accounts.create_first_administrator("ada", "Ada", PASSWORD)
    return accounts


@pytest.fixture
def ada(accounts):
    return accounts.authenticate("ada", PASSWORD)


@pytest.fixture
def bob(accounts, ada):
    return accounts.approve(ada, accounts.register("bob", NAME, PASSWORD).id)


FIXTURES = environment, engine, accounts, ada, bob
"""For a test module to take over by name: an imported fixture looks unused to the linter."""


def start():
    app = AppTest.from_file(str(ROOT / "Home.py"), default_timeout=30).run()
    assert not app.exception
    return app


def fill(app, form, **values):
    for name, value in values.items():
        app.text_input(key=f"{form}_{name}").set_value(value)


def press(app, label):
    next(button for button in app.button if button.label == label).click()
    app.run()
    assert not app.exception
    return app


def log_in(app, username="bob", password=PASSWORD):
    fill(app, "login", username=username, password=password)
    return press(app, "Log in")


def end_sessions(engine):
    """End every session behind the back of the open tabs."""
    with Session(engine) as db, db.begin():
        db.execute(update(SessionRow).values(revoked_at=utc_now()))


def is_inside(app):
    return any(button.label in ("Log out", "Log in") for button in app.sidebar.button)


def is_outside(app):
    """Whether the login page is all there is; unlike ``is_inside`` it also holds on a page opened from the menu."""
    return "Log in" in [tab.label for tab in app.tabs] and not app.title and not app.dataframe


def said(app):
    return [element.value for kind in (app.error, app.info, app.success) for element in kind]


def said_beside(app, key):
    """What stands right after a text field, where it is an error; empty where it is anything else."""
    elements = list(app.main)
    [place] = [number for number, element in enumerate(elements) if getattr(element, "key", None) == key]
    after = elements[place + 1]
    return after.value if after.type == "error" else ""
