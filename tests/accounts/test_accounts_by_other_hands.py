"""Accounts as an older version, or somebody with access to the database, may have left them."""

import pytest
from sqlalchemy import delete
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from braintumor.accounts import AccountError, Role, State
from braintumor.accounts.tables import AccountRow, NameRow
from tests.accounts import test_accounts
from tests.accounts.app_users import PASSWORD

ada, bob, clock, empty, engine, accounts = test_accounts.FIXTURES


class TestLookAlikes:
    @pytest.mark.parametrize("name", ["bob", "b0b", "b.o.b", "Bob", "BOB-", "b_0.b"])
    def test_are_refused_while_the_other_is_there(self, accounts, ada, bob, name):
        with pytest.raises(AccountError, match="not available"):
            accounts.register(name, "Bob", PASSWORD)
        accounts.delete(ada, bob.id)
        assert accounts.register(name, "Bob", PASSWORD).username == name.lower()

    def test_are_refused_by_the_database(self, accounts, bob, engine):
        with pytest.raises(IntegrityError), Session(engine) as db, db.begin():
            db.add(NameRow(skeleton="bob", account_id=1))

    def test_of_an_older_database_go_on_and_hold_their_name(self, accounts, ada, bob, engine):
        twin = accounts.register("eve", "Eve", PASSWORD)
        with Session(engine) as db, db.begin():
            db.execute(delete(NameRow))
            db.get(AccountRow, twin.id).username = "b0b"
        accounts.approve(ada, twin.id)
        for name in ("bob", "b0b", "ada"):
            assert accounts.authenticate(name, PASSWORD).username == name
        for taken in ("b-o-b", "a.da"):
            with pytest.raises(AccountError, match="not available"):
                accounts.register(taken, "Eve", PASSWORD)
        accounts.delete(ada, bob.id)
        with pytest.raises(AccountError, match="not available"):
            accounts.register("bob", "Eve", PASSWORD)
        accounts.delete(ada, twin.id)
        assert accounts.register("bob", "Bob", PASSWORD)


class TestUnknownRoleOrState:
    """What somebody wrote to the database by hand, or an older version did, while the app runs."""

    @pytest.fixture(params=[("role", "nonsense"), ("role", ""), ("state", "nonsense"), ("state", "Active")])
    def odd(self, request, accounts, bob, engine):
        column, value = request.param
        if engine.dialect.name != "sqlite":
            pytest.skip("only SQLite lets its checks be put aside by one connection")
        token = accounts.start_session(bob)
        with engine.connect() as db:
            db.exec_driver_sql("PRAGMA ignore_check_constraints = ON")
            db.exec_driver_sql(f"UPDATE accounts SET {column} = '{value}' WHERE id = {bob.id}")
            db.commit()
            db.exec_driver_sql("PRAGMA ignore_check_constraints = OFF")
        return token

    def test_is_a_disabled_account(self, accounts, ada, bob, odd):
        people = {person.username: (person.role, person.state) for person in accounts.everybody(ada)}
        assert people == {
            "ada": (Role.ADMINISTRATOR, State.ACTIVE),
            "bob": (Role.CLINICIAN, State.DISABLED),
        }
        assert accounts.verify_session(odd) is None
        with pytest.raises(AccountError, match="disabled"):
            accounts.authenticate("bob", PASSWORD)
        with pytest.raises(AccountError, match="not active"):
            accounts.start_session(bob)
        with pytest.raises(AccountError, match="Only an administrator"):
            accounts.everybody(bob)

    @pytest.mark.parametrize(
        ("action", "arguments", "enters"),
        [
            ("approve", (), True),
            ("disable", (), False),
            ("set_role", ("researcher",), False),
        ],
    )
    def test_is_set_right_by_what_an_administrator_does(self, accounts, ada, bob, odd, action, arguments, enters):
        getattr(accounts, action)(ada, bob.id, *arguments)
        if enters:
            assert accounts.authenticate("bob", PASSWORD).role is Role.CLINICIAN
        else:
            with pytest.raises(AccountError, match="disabled"):
                accounts.authenticate("bob", PASSWORD)

    def test_can_be_deleted(self, accounts, ada, bob, odd):
        accounts.delete(ada, bob.id)
        assert [person.username for person in accounts.everybody(ada)] == ["ada"]
