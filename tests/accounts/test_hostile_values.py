"""Whatever a browser sends in the place of a value, it works or is an ``AccountError``, and then nothing is changed."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from braintumor.accounts import AccountError, Accounts, State
from braintumor.database import connect
from braintumor.settings import Settings
from tests.accounts.app_users import PASSWORD
from tests.database.servers import SITE_KEY

NEW = "violet harbor trumpet"

TEXTS = st.one_of(
    st.text(max_size=60),
    st.sampled_from(
        ["", " ", "x" * 1_000_000, "bob\x00", "bob\u200b", "b\u043eb", "\u202ebob", "\ud800", "=1+1", "1", "%"]
    ),
)
VALUES = st.one_of(
    TEXTS,
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([-1, 0, 2**31, 2**63, 10**30]),
    st.floats(),
    st.binary(max_size=20),
    st.lists(st.integers() | st.text(max_size=5), max_size=3),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
    st.just(object()),
)
WHATEVER = settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


@pytest.fixture(scope="module")
def engine():
    engine = connect("sqlite://", SITE_KEY)
    yield engine
    engine.dispose()


@pytest.fixture(scope="module")
def accounts(engine):
    accounts = Accounts(engine, Settings(max_failed_logins=10**6), rounds=4)
    accounts.create_first_administrator("ada", "Ada", PASSWORD)
    return accounts


@pytest.fixture(scope="module")
def ada(accounts):
    return accounts.authenticate("ada", PASSWORD)


def content(engine):
    """Everything stored but the counts of wrong passwords."""
    with engine.connect() as db:
        tables = ("accounts", "name_skeletons", "known_addresses", "sessions", "audit")
        return {
            table: [
                {name: value for name, value in row.items() if name not in ("failed_login_attempts", "last_used_at")}
                for row in db.execute(text(f"SELECT * FROM {table} ORDER BY 1")).mappings()
                if row.get("action") != "login failed"
            ]
            for table in tables
        }


def unchanged_if_refused(engine, act, *arguments, **options):
    before = content(engine)
    try:
        return act(*arguments, **options)
    except AccountError:
        assert content(engine) == before
        return None


@WHATEVER
@given(st.tuples(VALUES, VALUES, VALUES, VALUES, VALUES))
def test_register(engine, accounts, ada, values):
    account = unchanged_if_refused(engine, accounts.register, *values)
    if account is not None:
        accounts.delete(ada, account.id)


@WHATEVER
@given(st.sampled_from(range(5)), VALUES)
def test_register_with_one_odd_value(engine, accounts, ada, place, value):
    person = ["bob", "Bob", PASSWORD, "bob@example.org", "clinician"]
    person[place] = value
    account = unchanged_if_refused(engine, accounts.register, *person)
    if account is not None:
        assert (account.state, account.is_administrator) == (State.PENDING, False)
        accounts.delete(ada, account.id)


@WHATEVER
@given(VALUES, VALUES, VALUES)
def test_authenticate(engine, accounts, username, password, address):
    assert unchanged_if_refused(engine, accounts.authenticate, username, password, address) is None
    assert unchanged_if_refused(engine, accounts.authenticate, "ada", password, address) is None
    assert accounts.authenticate("ada", PASSWORD, address).username == "ada"


@WHATEVER
@given(VALUES, VALUES, VALUES)
def test_change_password(engine, accounts, ada, odd, token, address):
    before = content(engine)
    for current, new in ((odd, NEW), (odd, odd), (PASSWORD, PASSWORD)):
        with pytest.raises(AccountError):
            accounts.change_password(ada, current, new, token, address)
    assert [row["password_hash"] for row in content(engine)["accounts"]] == [
        row["password_hash"] for row in before["accounts"]
    ]
    try:
        accounts.change_password(ada, PASSWORD, odd, token, address)
    except AccountError:
        assert accounts.authenticate("ada", PASSWORD).username == "ada"
    else:
        accounts.change_password(ada, odd, PASSWORD)


@WHATEVER
@given(VALUES)
def test_tokens(engine, accounts, value):
    before = content(engine)
    assert accounts.verify_session(value) is None
    accounts.end_session(value)
    assert content(engine) == before


@WHATEVER
@given(st.sampled_from(["approve", "disable", "delete", "reset_password"]), VALUES)
def test_account_numbers(engine, accounts, ada, action, value):
    if not (type(value) is int and value == ada.id):
        before = content(engine)
        with pytest.raises(AccountError):
            getattr(accounts, action)(ada, value)
        assert content(engine) == before


@pytest.mark.parametrize("value", [[1], "1", 1.0, True, float("nan"), None, -1, 0, 2**31, 10**30, b"1", (1,)])
def test_what_only_resembles_a_number_is_no_account(accounts, ada, value):
    for action, arguments in (("approve", ()), ("disable", ()), ("delete", ()), ("set_role", ("researcher",))):
        with pytest.raises(AccountError, match="no longer exists"):
            getattr(accounts, action)(ada, value, *arguments)


@WHATEVER
@given(VALUES)
def test_set_role(engine, accounts, ada, value):
    if value != "administrator":
        assert unchanged_if_refused(engine, accounts.set_role, ada, ada.id, value) is None


@WHATEVER
@given(VALUES)
def test_lines_of_the_trail(accounts, ada, value):
    if type(value) is int and 1 <= value <= 10_000:
        assert len(accounts.audit_trail(ada, value)) <= value
    else:
        with pytest.raises(AccountError):
            accounts.audit_trail(ada, value)


@WHATEVER
@given(VALUES)
def test_recover(engine, accounts, value):
    assert unchanged_if_refused(engine, accounts.recover, value) is None


@WHATEVER
@given(st.tuples(VALUES, VALUES, VALUES, VALUES, VALUES))
def test_first_administrator(values):
    engine = connect("sqlite://", SITE_KEY)
    accounts = Accounts(engine, Settings(setup_code="open sesame"), rounds=4)
    with pytest.raises(AccountError):
        accounts.create_first_administrator(*values)
    assert not accounts.exist()
    engine.dispose()
