import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from braintumor.accounts import AccountError, passwords

LONG = " ".join(f"w{number}x" for number in range(40))


@pytest.mark.parametrize(
    ("password", "username", "message"),
    [
        ("elevenchars", "bob", "too short"),
        ("twelve chars", "bob", None),
        ("x y z ü ß 日本語 🙂 ok", "bob", None),
        ("all lower case words here", "bob", None),
        (LONG[:128], "bob", None),
        (LONG[:129], "bob", "too long"),
        ("x" * 1_000_000, "bob", "too long"),
        ("bob.the.builder", "Bob.The.Builder", "contains the username"),
        (" BOB.THE.BUILDER ", "bob.the.builder", "contains the username"),
        ("violet ｂｏｂ harbor trumpet", "bob", "contains the username"),
        ("violet braintumor harbor", "bob", "name of this app"),
        ("violet Brain-Tumour harbor", "bob", "name of this app"),
        *[
            (common, "bob", "anybody would guess")
            for common in (
                "password1234",
                "PassWord1234",
                "P@ssw0rd1234",
                "Password2026!",
                "Hospital2026!",
                "Radiology2026!",
                "qwertyuiop12",
                "1q2w3e4r5t6y",
                "adminadminadmin",
                "iloveyou12345",
                "drowssap4321",
                "ababababababab",
                "日日日日日日日日日日日日",
                " " * 12,
                "abcd" * 32,
                "password1234" * 10 + "zebra",
            )
        ],
    ],
)
def test_rule(password, username, message):
    if message is None:
        assert passwords.check_rule(password, username) == password
    else:
        with pytest.raises(AccountError, match=message):
            passwords.check_rule(password, username)


@pytest.mark.parametrize("password", [None, 123456789012, b"correct horse battery", ["correct horse battery"], True])
def test_what_is_no_text_is_no_password(password):
    with pytest.raises(AccountError):
        passwords.check_rule(password, "bob")
    assert not passwords.matches(password, passwords.hash_password("correct horse battery", 4))


def test_parts_of_the_username_are_no_strength():
    passwords.check_rule("zaqoxiwertun", "bob")
    with pytest.raises(AccountError, match="anybody would guess"):
        passwords.check_rule("zaqoxiwertun", "zaqoxi.wertun")


def test_the_estimate_is_bounded_for_texts_made_to_be_slow():
    # 5 s for 64 of these signs if they were all looked at.
    start = time.thread_time()
    passwords.check_rule(("4@8({[<6&9#!1|70$5+%2" * 7)[:128], "bob")
    assert time.thread_time() - start < 1


def test_a_text_that_is_too_long_to_be_a_password_is_none():
    text = "violet harbor trumpet " * 100
    assert not passwords.matches(text, passwords.hash_password(text, 4))


@given(st.text(max_size=200))
def test_length_bounds_hold_for_all_text(password):
    try:
        passwords.check_rule(password, "bob")
    except AccountError:
        return
    assert 12 <= len(password) <= 128


@settings(max_examples=25)
@given(st.text(min_size=1, max_size=128), st.integers(0, 127))
def test_every_character_counts(password, position):
    stored = passwords.hash_password(password, 4)
    assert passwords.matches(password, stored)
    at = position % len(password)
    changed = password[:at] + ("b" if password[at] == "a" else "a") + password[at + 1 :]
    assert not passwords.matches(changed, stored)
    assert not passwords.matches(password + "x", stored)


@pytest.mark.parametrize("start", ["x" * 72, "x" * 127, "ü" * 36, "x\0", ""])
def test_what_bcrypt_alone_would_not_read_counts(start):
    stored = passwords.hash_password(start + "a", 4)
    assert passwords.matches(start + "a", stored)
    assert not passwords.matches(start + "b", stored)


@pytest.mark.parametrize(("typed", "set_"), [("cafe\u0301 au lait 12", "caf\u00e9 au lait 12")])
def test_the_same_text_in_two_encodings_is_the_same_password(typed, set_):
    assert passwords.matches(typed, passwords.hash_password(set_, 4))


def test_nothing_matches_the_hash_of_nothing():
    assert not passwords.matches("", passwords.hash_of_nothing(4))


def test_temporary_passwords_differ_and_keep_the_rule():
    made = {passwords.temporary_password() for _ in range(50)}
    assert len(made) == 50
    for password in made:
        passwords.check_rule(password, "bob")
