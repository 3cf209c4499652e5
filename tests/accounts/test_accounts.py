import re
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import select
from sqlalchemy.orm import Session

from braintumor.accounts import AccountError, Accounts, Role, State, WaitError
from braintumor.accounts.tables import AccountRow, SessionRow
from braintumor.database import connect
from braintumor.database.audit import AuditRow
from braintumor.settings import Settings
from tests.accounts import app_users
from tests.accounts.app_users import PASSWORD
from tests.database.servers import SITE_KEY

OTHER = "Tr0ub4dor & three friends"
WRONG = "not the password at all"

ada, bob = app_users.ada, app_users.bob


class Clock:
    def __init__(self):
        self.now = datetime(2026, 1, 2, 12, tzinfo=UTC)

    def __call__(self):
        return self.now

    def pass_by(self, **time):
        self.now += timedelta(**time)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def engine(database_url):
    engine = connect(database_url, SITE_KEY)
    yield engine
    engine.dispose()


@pytest.fixture
def empty(engine, clock):
    return Accounts(engine, Settings(), rounds=4, clock=clock)


@pytest.fixture
def accounts(empty):
    empty.create_first_administrator("ada", "Ada Lovelace", PASSWORD)
    return empty


FIXTURES = ada, bob, clock, empty, engine, accounts
"""For a test module to take over by name: an imported fixture looks unused to the linter."""


def lines(engine):
    with Session(engine) as db:
        rows = db.scalars(select(AuditRow).order_by(AuditRow.id))
        return [(row.action, row.actor_id, row.subject_id) for row in rows]


class TestFirstAdministrator:
    def test_is_active_at_once(self, empty):
        assert not empty.exist()
        account = empty.create_first_administrator("Ada", "Ada Lovelace", PASSWORD, "ada@example.org")
        assert (account.username, account.role, account.state) == ("ada", Role.ADMINISTRATOR, State.ACTIVE)
        assert empty.exist()
        assert empty.authenticate("ADA ", PASSWORD) == account

    def test_only_once(self, accounts):
        with pytest.raises(AccountError, match="an administrator already"):
            accounts.create_first_administrator("eve", "Eve", PASSWORD)

    def test_only_one_of_many_at_the_same_moment(self, empty, engine):
        def attempt(number):
            try:
                return empty.create_first_administrator(f"user{number}", "Somebody", PASSWORD)
            except AccountError:
                return None

        with ThreadPoolExecutor(8) as pool:
            created = [account for account in pool.map(attempt, range(8)) if account]
        with Session(engine) as db:
            assert len(created) == len(db.scalars(select(AccountRow)).all()) == 1

    @pytest.mark.parametrize("code", ["", "open sesam", "open sesame ", "OPEN SESAME", "öpen sesame", "\ud800"])
    def test_not_without_the_setup_code(self, engine, code):
        accounts = Accounts(engine, Settings(setup_code="open sesame"), rounds=4)
        with pytest.raises(AccountError, match="setup code is wrong"):
            accounts.create_first_administrator("ada", "Ada Lovelace", PASSWORD, setup_code=code)
        assert not accounts.exist()
        assert lines(engine) == [("setup refused", None, None)]

    def test_with_the_setup_code(self, engine):
        accounts = Accounts(engine, Settings(setup_code="open sesame ü"), rounds=4)
        accounts.create_first_administrator("ada", "Ada Lovelace", PASSWORD, setup_code="open sesame ü")
        assert accounts.exist()
        with pytest.raises(AccountError, match="an administrator already"):
            accounts.create_first_administrator("eve", "Eve", PASSWORD)
        assert [line[0] for line in lines(engine)] == ["first administrator created"]

    def test_nobody_registers_before(self, empty):
        with pytest.raises(AccountError, match="no administrator yet"):
            empty.register("bob", "Bob", PASSWORD)


class TestRegistration:
    @pytest.mark.parametrize(("registration", "state"), [("approval", State.PENDING), ("open", State.ACTIVE)])
    def test_state(self, accounts, engine, registration, state):
        account = Accounts(engine, Settings(registration=registration), rounds=4).register("bob", "Bob", PASSWORD)
        assert account.state is state

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"username": "ada"}, "not available"),
            ({"username": " ADA "}, "not available"),
            ({"username": "a.da"}, "not available"),
            ({"username": "guest"}, "not available"),
            ({"username": ""}, "username cannot be used"),
            ({"username": "ab"}, "username cannot be used"),
            ({"username": "a" * 33}, "username cannot be used"),
            ({"username": "bob smith"}, "username cannot be used"),
            ({"username": "b\u043eb"}, "username cannot be used"),
            ({"username": "bob\n"}, None),
            ({"username": "<b>bob</b>"}, "username cannot be used"),
            ({"display_name": "  "}, "Enter a name"),
            ({"display_name": "x" * 81}, "Enter a name"),
            ({"display_name": "Bob\u202egnp.exe"}, "Enter a name"),
            ({"display_name": "Bob\x00"}, "Enter a name"),
            ({"email": "bob"}, "e-mail"),
            ({"email": "bob@host"}, "e-mail"),
            ({"email": "bob@exa mple.org"}, "e-mail"),
            ({"email": "b@" + "x" * 250 + ".org"}, "e-mail"),
            ({"email": " bob@example.org "}, None),
            ({"role": Role.ADMINISTRATOR}, "Nobody can register in this role"),
            ({"role": "administrator"}, "Nobody can register in this role"),
            *[
                ({"role": role}, "no such role")
                for role in ("Administrator", "nonsense", "", "<b>", None, 0, [], ["clinician"])
            ],
            ({"role": Role.RESEARCHER}, None),
            ({"password": "short"}, "too short"),
        ],
    )
    def test_fields(self, accounts, change, message):
        person = {"username": "bob", "display_name": "Bob", "password": PASSWORD} | change
        if message is None:
            account = accounts.register(**person)
            assert account.username == "bob"
            assert account.email in (None, "bob@example.org")
        else:
            with pytest.raises(AccountError, match=message):
                accounts.register(**person)

    def test_passwords_are_stored_as_bcrypt_hashes(self, accounts, engine):
        accounts.register("bob", "Bob", PASSWORD)
        with Session(engine) as db:
            hashes = db.scalars(select(AccountRow.password_hash)).all()
        assert len(set(hashes)) == 2
        assert all(re.fullmatch(r"\$2b\$04\$.{53}", stored) for stored in hashes)

    @hypothesis_settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(name=st.text(max_size=40))
    def test_any_username_is_plain_or_refused(self, accounts, name):
        try:
            account = accounts.register(name, "Somebody", PASSWORD)
        except AccountError:
            return
        assert re.fullmatch(r"[a-z0-9][a-z0-9._-]{2,31}", account.username)
        with pytest.raises(AccountError, match="not available"):
            accounts.register(name.upper(), "Somebody", PASSWORD)


class TestAuthentication:
    def test_pending_and_disabled_are_told_only_with_the_right_password(self, accounts, ada):
        bob = accounts.register("bob", "Bob", PASSWORD)
        for state, message in (("pending", "waiting for approval"), ("disabled", "is disabled")):
            if state == "disabled":
                accounts.disable(ada, bob.id)
            with pytest.raises(AccountError, match=message):
                accounts.authenticate("bob", PASSWORD)
            with pytest.raises(AccountError, match="is wrong"):
                accounts.authenticate("bob", WRONG)

    def test_unknown_and_wrong_sound_the_same(self, accounts, bob):
        def answer(username, password):
            with pytest.raises(AccountError) as refused:
                accounts.authenticate(username, password)
            return str(refused.value)

        answers = {answer("nobody.here", PASSWORD), answer("", ""), answer("bob\x00", "\ud800")}
        answers |= {answer("bob", WRONG) for _ in range(5)}
        assert len(answers) == 1

    def test_password_of_an_older_hash_is_no_way_in_after_a_change(self, accounts, bob):
        accounts.change_password(bob, PASSWORD, OTHER)
        with pytest.raises(AccountError, match="is wrong"):
            accounts.authenticate("bob", PASSWORD)

    def test_wrong_passwords_are_shown_until_the_holder_logs_in(self, accounts, ada, bob):
        def shown():
            return {person.username: person.failed_login_attempts for person in accounts.everybody(ada)}["bob"]

        for count in (1, 2):
            with pytest.raises(AccountError):
                accounts.authenticate("bob", WRONG)
            assert shown() == count
        accounts.authenticate("bob", PASSWORD)
        assert shown() == 0

    def test_password_with_spaces_around_is_kept_as_typed(self, accounts, ada):
        padded = f"  {PASSWORD} "
        accounts.approve(ada, accounts.register("eve", "Eve", padded).id)
        assert accounts.authenticate("eve", padded).username == "eve"
        with pytest.raises(AccountError):
            accounts.authenticate("eve", PASSWORD)


class TestSessions:
    def test_token_is_long_and_not_stored(self, accounts, bob, engine):
        token = accounts.start_session(bob)
        assert len(token) >= 43
        with Session(engine) as db:
            stored = db.scalars(select(SessionRow.token_hash)).one()
        assert token not in stored
        assert accounts.verify_session(token) == bob

    @pytest.mark.parametrize("token", ["", "x", "0" * 64, "\ud800"])
    def test_made_up_tokens(self, accounts, bob, token):
        accounts.start_session(bob)
        assert accounts.verify_session(token) is None
        accounts.end_session(token)

    def test_the_stored_hash_is_no_token(self, accounts, bob, engine):
        accounts.start_session(bob)
        with Session(engine) as db:
            assert accounts.verify_session(db.scalars(select(SessionRow.token_hash)).one()) is None

    @pytest.mark.parametrize(("hours", "alive"), [(11, True), (12, False)])
    def test_expiry(self, accounts, bob, clock, hours, alive):
        token = accounts.start_session(bob)
        clock.pass_by(hours=hours)
        assert (accounts.verify_session(token) is not None) is alive

    def test_ending_one_leaves_the_others(self, accounts, bob):
        first, second = accounts.start_session(bob), accounts.start_session(bob)
        accounts.end_session(first)
        assert accounts.verify_session(first) is None
        assert accounts.verify_session(second) == bob

    @pytest.mark.parametrize("action", ["disable", "delete", "reset_password"])
    def test_administrator_ends_them_at_once(self, accounts, ada, bob, action):
        token = accounts.start_session(bob)
        getattr(accounts, action)(ada, bob.id)
        assert accounts.verify_session(token) is None

    def test_enabling_again_does_not_revive_them(self, accounts, ada, bob):
        token = accounts.start_session(bob)
        accounts.disable(ada, bob.id)
        accounts.approve(ada, bob.id)
        assert accounts.verify_session(token) is None

    def test_none_for_an_account_that_is_not_active(self, accounts, ada, bob):
        accounts.disable(ada, bob.id)
        with pytest.raises(AccountError, match="not active"):
            accounts.start_session(bob)

    def test_expired_ones_are_cleared_away(self, accounts, bob, clock, engine):
        accounts.start_session(bob)
        clock.pass_by(hours=12)
        accounts.start_session(bob)
        with Session(engine) as db:
            assert len(db.scalars(select(SessionRow)).all()) == 1


class TestOwnPassword:
    def test_change(self, accounts, bob):
        here, elsewhere = accounts.start_session(bob), accounts.start_session(bob)
        accounts.change_password(bob, PASSWORD, OTHER, keep_token=here)
        assert accounts.verify_session(here) == bob
        assert accounts.verify_session(elsewhere) is None
        assert accounts.authenticate("bob", OTHER)
        with pytest.raises(AccountError):
            accounts.authenticate("bob", PASSWORD)

    @pytest.mark.parametrize(
        ("current", "new", "message"),
        [
            (WRONG, OTHER, "current password is wrong"),
            (PASSWORD, PASSWORD, "is the current one"),
            (PASSWORD, "short", "too short"),
        ],
    )
    def test_refused(self, accounts, bob, current, new, message):
        with pytest.raises(AccountError, match=message):
            accounts.change_password(bob, current, new)
        assert accounts.authenticate("bob", PASSWORD)

    def test_guessing_the_current_one_is_slowed_down(self, accounts, bob):
        for _ in range(5):
            with pytest.raises(AccountError, match="current password is wrong"):
                accounts.change_password(bob, WRONG, OTHER)
        with pytest.raises(WaitError):
            accounts.change_password(bob, PASSWORD, OTHER)

    def test_reset_gives_a_password_that_must_be_changed(self, accounts, ada, bob):
        for _ in range(5):
            with pytest.raises(AccountError):
                accounts.authenticate("bob", WRONG)
        temporary = accounts.reset_password(ada, bob.id)
        account = accounts.authenticate("bob", temporary)
        assert account.must_change_password
        accounts.change_password(account, temporary, OTHER)
        assert not accounts.authenticate("bob", OTHER).must_change_password


class TestRecovery:
    def test_lets_an_administrator_who_must_wait_back_in(self, accounts, ada, engine):
        token = accounts.start_session(ada)
        for _ in range(5):
            with pytest.raises(AccountError):
                accounts.authenticate("ada", WRONG)
        temporary = accounts.recover(" ADA ")
        assert accounts.verify_session(token) is None
        account = accounts.authenticate("ada", temporary)
        assert account.must_change_password
        assert ("password reset", None, ada.id) in lines(engine)

    def test_needs_an_account(self, accounts):
        with pytest.raises(AccountError, match="no account of that name"):
            accounts.recover("nobody")


class TestAdministration:
    ACTIONS = (
        ("approve", ()),
        ("disable", ()),
        ("delete", ()),
        ("set_role", (Role.ADMINISTRATOR,)),
        ("reset_password", ()),
    )

    @pytest.mark.parametrize(("action", "arguments"), ACTIONS)
    def test_only_for_administrators(self, accounts, ada, bob, action, arguments):
        with pytest.raises(AccountError, match="Only an administrator"):
            getattr(accounts, action)(bob, ada.id, *arguments)
        assert accounts.authenticate("ada", PASSWORD) == ada

    @pytest.mark.parametrize("action", ["everybody", "audit_trail"])
    def test_only_administrators_look(self, accounts, ada, bob, action):
        assert getattr(accounts, action)(ada)
        with pytest.raises(AccountError, match="Only an administrator"):
            getattr(accounts, action)(bob)

    @pytest.mark.parametrize("end", ["disable", "delete", "demote"])
    def test_former_administrators_lose_the_right_at_once(self, accounts, ada, bob, end):
        stale = accounts.set_role(ada, bob.id, Role.ADMINISTRATOR)
        if end == "demote":
            accounts.set_role(ada, bob.id, Role.CLINICIAN)
        else:
            getattr(accounts, end)(ada, bob.id)
        with pytest.raises(AccountError, match="Only an administrator"):
            accounts.disable(stale, ada.id)

    @pytest.mark.parametrize(
        ("action", "arguments"), [("disable", ()), ("delete", ()), ("set_role", (Role.RESEARCHER,))]
    )
    def test_the_last_administrator_stays(self, accounts, ada, bob, action, arguments):
        with pytest.raises(AccountError, match="last administrator"):
            getattr(accounts, action)(ada, ada.id, *arguments)
        accounts.set_role(ada, bob.id, Role.ADMINISTRATOR)
        getattr(accounts, action)(ada, ada.id, *arguments)

    def test_a_disabled_administrator_does_not_count(self, accounts, ada, bob):
        accounts.set_role(ada, bob.id, Role.ADMINISTRATOR)
        accounts.disable(ada, bob.id)
        with pytest.raises(AccountError, match="last administrator"):
            accounts.delete(ada, ada.id)

    @pytest.mark.parametrize(("action", "arguments"), ACTIONS)
    def test_missing_account(self, accounts, ada, action, arguments):
        with pytest.raises(AccountError, match="no longer exists"):
            getattr(accounts, action)(ada, 99, *arguments)

    def test_two_administrators_cannot_remove_each_other_at_once(self, accounts, ada, bob):
        eve = accounts.set_role(ada, bob.id, Role.ADMINISTRATOR)

        def remove(pair):
            try:
                accounts.delete(*pair)
            except AccountError:
                return 0
            return 1

        with ThreadPoolExecutor(2) as pool:
            assert sum(pool.map(remove, [(ada, eve.id), (eve, ada.id)])) == 1

    def test_all_who_wait_are_refused_and_nobody_else(self, accounts, ada, bob):
        for name in ("carol", "dave"):
            accounts.register(name, name.title(), PASSWORD)
        waiting = [person.id for person in accounts.everybody(ada) if person.state is State.PENDING]
        assert accounts.refuse_waiting(ada) == len(waiting)
        assert not {person.id for person in accounts.everybody(ada)} & set(waiting)
        refused = [line for line in accounts.audit_trail(ada) if line.action == "registration refused"]
        assert {(line.actor_id, line.subject_id) for line in refused} == {(ada.id, one) for one in waiting}
        with pytest.raises(AccountError):
            accounts.refuse_waiting(bob)

    def test_a_deleted_number_is_never_given_again(self, accounts, ada, bob):
        accounts.delete(ada, bob.id)
        assert accounts.register("bob", "Bob", PASSWORD).id > bob.id

    def test_trail(self, accounts, ada, bob, engine):
        accounts.set_role(ada, bob.id, Role.RESEARCHER)
        temporary = accounts.reset_password(ada, bob.id)
        token = accounts.start_session(bob)
        accounts.end_session(token)
        accounts.disable(ada, bob.id)
        accounts.approve(ada, bob.id)
        accounts.delete(ada, bob.id)
        written = lines(engine)
        assert written == [
            ("first administrator created", ada.id, ada.id),
            ("registered", bob.id, bob.id),
            ("account approved", ada.id, bob.id),
            ("role set to researcher", ada.id, bob.id),
            ("password reset", ada.id, bob.id),
            ("logged in", bob.id, bob.id),
            ("logged out", bob.id, bob.id),
            ("account disabled", ada.id, bob.id),
            ("account enabled", ada.id, bob.id),
            ("account deleted", ada.id, bob.id),
        ]
        assert temporary not in str(written)
