"""The page's search of an archive: dcmtk's dcmqrscp, and whom it is open to."""

import pytest
from sqlalchemy.orm import Session

from braintumor import settings
from braintumor.accounts import Role
from braintumor.dashboard.patients import archive as shown
from braintumor.database import Wanted, audit
from braintumor.pacs.query import Query
from braintumor.records import Groups
from tests.accounts import app_users
from tests.accounts.app_users import fill, log_in, press, said_beside, start
from tests.pacs.archives import searchable, uid
from tests.pacs.nodes import free_port

environment, engine, accounts, ada, bob = app_users.FIXTURES


@pytest.fixture(scope="module")
def peer(tmp_path_factory):
    with searchable(tmp_path_factory.mktemp("archive") / "archive", free_port()) as peer:
        yield peer


@pytest.fixture(autouse=True)
def node(environment, peer, monkeypatch):
    """The app beside a node whose account is in bob's group; it does not run."""
    monkeypatch.setenv("BRAINTUMOR_PACS_PEERS", peer)
    monkeypatch.setenv("BRAINTUMOR_PACS_ACCOUNT", "node")
    settings.load.cache_clear()
    shown._fetches.cache_clear()


@pytest.fixture
def group(engine, accounts, ada, bob):
    filing = accounts.approve(ada, accounts.register("node", "The node", app_users.PASSWORD).id)
    groups = Groups(engine)
    number = groups.create(ada, "Neurology")
    groups.set_members(ada, number, [bob.id, filing.id])
    return groups, number, filing


def opened(username="bob"):
    app = log_in(start(), username)
    app.switch_page("pages/patients.py").run()
    assert not app.exception
    return app


def search(app, **typed):
    fill(app, "archive", **{"number": "", "name": "", "since": "", "until": "", **typed})
    return press(app, "Search the archive")


def names(app):
    return [name for table in app.dataframe if "State" in table.value for name in table.value["Name"]]


def trail(engine):
    with Session(engine) as db:
        return [
            line for line in audit.entries(db, Wanted(), 20) if line.action in ("archive searched", "study fetched")
        ]


def test_a_study_is_found_and_fetched(group, engine):
    app = search(opened(), name="Do")
    assert names(app) == ["Doyle, John", "Doe, Jane"]
    app.selectbox(key="archive_chosen").set_value(uid("P1")).run()
    app.button(key="archive_fetch").click().run()
    assert not app.exception
    assert shown._fetches().of(uid("P1")) is not None
    lines = trail(engine)
    assert [line.action for line in lines] == ["study fetched", "archive searched"]
    assert lines[1].details == {"archive": "ARCHIVE", "studies": 2}
    assert not any("Do" in str(line) or uid("P1") in str(line) for line in lines)
    assert not names(search(app, number="P9"))


@pytest.mark.parametrize(
    ("typed", "field"),
    [({}, "number"), ({"name": "*"}, "name"), ({"since": "\x00"}, "since")],
)
def test_what_is_no_query_is_said_beside_its_field(group, engine, typed, field):
    app = search(opened(), **typed)
    assert said_beside(app, f"archive_{field}")
    assert not trail(engine)


def test_what_was_not_on_offer_or_is_no_text_is_not_asked(monkeypatch):
    sent = {"archive_title": "OTHER", "archive_modality": "*", "archive_number": "1", "archive_name": 7}
    monkeypatch.setattr(shown.st, "session_state", sent)
    assert shown._query(None) == ("ARCHIVE", Query(number="1"))


@pytest.mark.parametrize("change", ["leaves the group", "becomes a researcher", "the node has no account"])
def test_it_is_open_to_who_sees_names_in_the_group_of_the_node(group, accounts, ada, bob, change, monkeypatch):
    app = search(opened(), name="Do")
    assert names(app)
    if change == "leaves the group":
        group[0].set_members(ada, group[1], [group[2].id])
    elif change == "becomes a researcher":
        accounts.set_role(ada, bob.id, Role.RESEARCHER)
    else:
        group[0].set_members(ada, group[1], [bob.id])
    app.run()
    assert not app.exception
    assert not names(app)
    assert "archive_number" not in [field.key for field in app.text_input]
