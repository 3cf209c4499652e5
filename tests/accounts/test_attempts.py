from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import bcrypt
import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from braintumor.accounts import AccountError, Accounts, WaitError, attempts
from braintumor.accounts.tables import KnownAddressRow, WrongPasswordRow
from braintumor.database.audit import AuditRow
from braintumor.settings import Settings
from tests.accounts import test_accounts
from tests.accounts.app_users import PASSWORD

WRONG = "not the password at all"
HOME, AWAY = "203.0.113.7", "198.51.100.9"

ada, bob, clock, empty, engine, accounts = test_accounts.FIXTURES


def answer(accounts, username="bob", password=WRONG, address=AWAY):
    """0 for a login, else the seconds to wait; -1 for a wrong password that was heard."""
    try:
        accounts.authenticate(username, password, address)
    except WaitError as error:
        return error.seconds
    except AccountError:
        return -1
    return 0


def rows(engine, table):
    with Session(engine) as db:
        return db.scalar(select(func.count()).select_from(table))


def strangers(accounts, tries):
    """Guess at bob from that many addresses, once each."""
    return [answer(accounts, address=f"192.0.2.{number}") for number in range(tries)]


def waits_after(accounts, clock, tries, username="bob"):
    """The seconds to wait after each of so many wrong passwords that were heard."""
    waits = []
    while len(waits) < tries or waits[-1] == 0:
        seconds = answer(accounts, username)
        if seconds > 0:
            waits[-1] = seconds
            clock.pass_by(seconds=seconds)
        else:
            waits.append(0)
    return waits


@pytest.mark.parametrize("username", ["bob", "nobody.here"])
def test_waits_double_up_to_the_longest_and_tell_nothing_of_which_names_exist(accounts, bob, clock, username):
    expected = [0] * 4 + [1, 2, 4, 8, 16, 32, 64, 128, 256, 512] + [900] * 3
    assert waits_after(accounts, clock, len(expected), username) == expected


def test_the_right_password_must_wait_too_and_then_enters(accounts, bob, clock):
    for _ in range(5):
        answer(accounts)
    assert answer(accounts, password=PASSWORD) == 1
    clock.pass_by(seconds=0.5)
    assert answer(accounts, password=PASSWORD) == 1
    clock.pass_by(seconds=0.5)
    assert answer(accounts, password=PASSWORD) == 0


def test_a_try_that_comes_too_early_is_not_counted(accounts, bob, clock):
    for _ in range(60):
        answer(accounts)
    clock.pass_by(seconds=1)
    assert answer(accounts, password=PASSWORD) == 0


def test_a_login_clears_the_count_of_its_address(accounts, bob):
    for _ in range(4):
        assert [answer(accounts) for _ in range(4)] == [-1] * 4
        assert answer(accounts, password=PASSWORD) == 0


def test_counts_hold_across_processes(engine, clock, accounts, bob):
    for _ in range(5):
        answer(Accounts(engine, Settings(), rounds=4, clock=clock))
    assert answer(accounts) == 1


@pytest.mark.parametrize(("free", "minutes", "waits"), [(1, 1, [1, 2, 4, 8, 16, 32, 60, 60]), (3, 15, [0, 0, 1, 2, 4])])
def test_settings_say_how_many_are_free_and_how_long_the_longest_wait_is(engine, clock, bob, free, minutes, waits):
    accounts = Accounts(engine, Settings(max_failed_logins=free, lockout_minutes=minutes), rounds=4, clock=clock)
    assert waits_after(accounts, clock, len(waits)) == waits


class TestManyAddresses:
    def test_one_address_does_not_slow_another_down(self, accounts, bob):
        for _ in range(6):
            answer(accounts)
        assert answer(accounts) > 0
        assert answer(accounts, address=HOME) == -1

    def test_many_together_are_slowed_down(self, accounts, bob, clock):
        answers = strangers(accounts, 60)
        assert answers == [-1] * 50 + [1] * 10
        clock.pass_by(seconds=1)
        assert strangers(accounts, 3) == [-1, 2, 2]

    def test_the_holder_enters_from_a_known_address_and_is_counted_there_alone(self, accounts, bob):
        assert answer(accounts, password=PASSWORD, address=HOME) == 0
        strangers(accounts, 60)
        assert answer(accounts, password=PASSWORD, address=AWAY) > 0
        assert [answer(accounts, address=HOME) for _ in range(6)] == [-1] * 5 + [1]

    def test_a_login_from_a_known_address_does_not_help_the_strangers(self, accounts, bob):
        answer(accounts, password=PASSWORD, address=HOME)
        strangers(accounts, 50)
        answer(accounts, password=PASSWORD, address=HOME)
        assert strangers(accounts, 1) == [1]

    @pytest.mark.parametrize("action", ["reset_password", "recover"])
    def test_a_new_password_from_the_administrator_forgets_the_wrong_ones(self, accounts, ada, bob, action):
        strangers(accounts, 60)
        new = accounts.recover("bob") if action == "recover" else accounts.reset_password(ada, bob.id)
        assert answer(accounts, password=new) == 0

    @pytest.mark.parametrize(
        ("one", "other", "same"),
        [
            ("203.0.113.7", "203.0.113.7", True),
            ("203.0.113.7", "203.0.113.8", False),
            ("203.0.113.7", "::ffff:203.0.113.7", True),
            ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
            ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
            (None, "", True),
            (None, "garbage", True),
            (None, 5, True),
            (None, "203.0.113.7", False),
        ],
    )
    def test_what_is_one_address(self, accounts, bob, one, other, same):
        for _ in range(5):
            answer(accounts, address=one)
        assert (answer(accounts, address=other) > 0) is same


class TestBounds:
    def test_counts_are_dropped_after_a_day(self, accounts, bob, clock, engine):
        strangers(accounts, 20)
        clock.pass_by(days=1)
        answer(accounts)
        assert rows(engine, WrongPasswordRow) == 2

    def test_a_full_table_loses_the_counts_that_matter_least(self, accounts, bob, engine, monkeypatch):
        monkeypatch.setattr(attempts, "_MOST_COUNTS", 30)
        for _ in range(5):
            answer(accounts)
        for number in range(100):
            answer(accounts, f"made.up{number}")
        assert rows(engine, WrongPasswordRow) <= 31
        assert answer(accounts) == 1

    def test_only_the_addresses_last_used_are_known(self, accounts, bob, clock, engine):
        for number in range(25):
            answer(accounts, password=PASSWORD, address=f"192.0.2.{number}")
            clock.pass_by(seconds=1)
        with Session(engine) as db:
            known = db.scalars(select(KnownAddressRow).where(KnownAddressRow.account_id == bob.id)).all()
        assert len(known) == 20
        strangers(accounts, 5)
        for number in range(100, 150):
            answer(accounts, address=f"192.0.2.{number}")
        assert answer(accounts, address="192.0.2.24") == -1
        assert answer(accounts, address="192.0.2.4") > 0

    def test_known_addresses_go_with_their_account(self, accounts, ada, bob, engine):
        answer(accounts, password=PASSWORD)
        with Session(engine) as db:
            assert bob.id in db.scalars(select(KnownAddressRow.account_id)).all()
        accounts.delete(ada, bob.id)
        with Session(engine) as db:
            assert bob.id not in db.scalars(select(KnownAddressRow.account_id)).all()

    def test_a_clock_set_back_makes_nobody_wait_longer(self, accounts, bob, clock):
        for _ in range(5):
            answer(accounts)
        clock.now -= timedelta(days=3)
        assert answer(accounts) == 1


def test_nothing_that_was_typed_is_stored(accounts, engine):
    # Some people type their password into the field of the name.
    answer(accounts, "violet-harbor", address=HOME)
    with Session(engine) as db:
        stored = [vars(row) for row in db.scalars(select(WrongPasswordRow))]
    assert len(stored) == 2
    assert "violet" not in str(stored)
    assert HOME not in str(stored)


def test_guesses_at_the_same_moment_are_heard_only_up_to_the_wait(accounts, bob, engine):
    with ThreadPoolExecutor(10) as pool:
        answers = Counter(pool.map(lambda _: answer(accounts), range(20)))
    assert answers == {-1: 5, 1: 15}
    with Session(engine) as db:
        actions = Counter(db.scalars(select(AuditRow.action)))
    assert (actions["login failed"], actions["logins slowed down"]) == (5, 1)


def test_names_that_exist_take_as_long_as_others(engine, clock, monkeypatch):
    """One hash of the same cost is compared, which is what takes the time."""
    accounts = Accounts(engine, Settings(max_failed_logins=1000), rounds=5, clock=clock)
    accounts.create_first_administrator("bob", "Bob", PASSWORD)
    costs, checkpw = [], bcrypt.checkpw

    def counting(password, hashed):
        costs.append(hashed.split(b"$")[2])
        return checkpw(password, hashed)

    monkeypatch.setattr(bcrypt, "checkpw", counting)
    assert [answer(accounts, "bob"), answer(accounts, "nobody.here")] == [-1, -1]
    assert costs == [b"05", b"05"]
