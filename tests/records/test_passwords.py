import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from braintumor.records import AccountError, passwords


@pytest.mark.parametrize(
    ("password", "username", "message"),
    [
        ("elevenchars", "bob", "too short"),
        ("twelve chars", "bob", None),
        ("x y z ü ß 日本語 🙂 ok", "bob", None),
        ("all lower case words here", "bob", None),
        ("abcd" * 32, "bob", None),
        ("abcd" * 32 + "e", "bob", "too long"),
        ("bob.the.builder", "Bob.The.Builder", "the username"),
        (" BOB.THE.BUILDER ", "bob.the.builder", "the username"),
        ("password1234", "bob", "anybody would guess"),
        ("PassWord1234", "bob", "anybody would guess"),
        ("ababababababab", "bob", "anybody would guess"),
        (" " * 12, "bob", "anybody would guess"),
    ],
)
def test_rule(password, username, message):
    if message is None:
        passwords.check_rule(password, username)
    else:
        with pytest.raises(AccountError, match=message):
            passwords.check_rule(password, username)


@settings(deadline=None)
@given(st.text(max_size=200))
def test_length_bounds_hold_for_all_text(password):
    try:
        passwords.check_rule(password, "bob")
    except AccountError:
        return
    assert 12 <= len(password) <= 128


@settings(max_examples=25, deadline=None)
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
