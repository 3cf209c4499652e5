import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from braintumor.accounts import AccountError, names

NO_TEXT = [None, True, 5, 1.5, float("nan"), b"bob", [], ["bob"], {"bob": 1}, object()]


@pytest.mark.parametrize("value", NO_TEXT)
@pytest.mark.parametrize("check", [names.new_username, names.display_name, names.email])
def test_what_is_no_text_is_refused(check, value):
    with pytest.raises(AccountError):
        check(value)
    assert names.existing_username(value) == ""


@pytest.mark.parametrize("unit", ["a", "\u0301", "a\u0301\u0323", "ﷺ", "\u200b", "\x00"])
@pytest.mark.parametrize("check", [names.new_username, names.display_name, names.email])
def test_a_megabyte_is_refused_at_once(check, unit):
    start = time.process_time()
    with pytest.raises(AccountError):
        check(unit * 1_000_000)
    assert time.process_time() - start < 0.5


@pytest.mark.parametrize("name", [
    "admin", "Admin", "a.d.m.i.n", "adm1n", "admin1", "admin_2", "administrator", "adrninistrator", "root", "r00t",
    "system", "supp0rt", "support-24", "guest", "postmaster", "brain.tumor", "sys-admin", "null",
])  # fmt: skip
def test_reserved_names_and_their_like_are_refused(name):
    with pytest.raises(AccountError, match="not available"):
        names.new_username(name)


@pytest.mark.parametrize(
    "name", ["ada", "bob", "o.neill", "anna3", "user1", "rootes", "admiral", "guestavo", "1st-year"]
)
def test_names_that_only_resemble_reserved_ones_are_fine(name):
    assert names.new_username(name) == name


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("bob", "b0b", True),
        ("bob", "b.ob", True),
        ("bob", "b_o-b.", True),
        ("bob", "BOB", True),
        ("paul", "pau1", True),
        ("mila", "mlla", True),
        ("ron.arnold", "ron.amold", True),
        ("willow", "vvillow", True),
        ("bob", "rob", False),
        ("user1", "user2", False),
        ("anna", "hanna", False),
    ],
)
def test_names_that_look_alike_have_one_skeleton(one, other, same):
    assert (names.skeleton(one) == names.skeleton(other)) is same


@given(st.from_regex(r"[a-z0-9][a-z0-9._-]{2,31}", fullmatch=True))
def test_a_skeleton_is_its_own_and_fits_its_column(name):
    skeleton = names.skeleton(name)
    assert 1 <= len(skeleton) <= 32
    assert names.skeleton(skeleton) == skeleton


@pytest.mark.parametrize(
    ("typed", "stored"),
    [
        ("Ada Lovelace", "Ada Lovelace"),
        ("  Ada \n Lovelace ", "Ada Lovelace"),
        ("Ａｄａ", "Ada"),
        ("𝐀𝐝𝐚", "Ada"),
        ("Jose\u0301 O'Neill-Núñez, Jr.", "José O'Neill-Núñez, Jr."),
        ("Παπαδόπουλος", "Παπαδόπουλος"),
        ("Анна Petrova", "Анна Petrova"),
        ("田中 太郎", "田中 太郎"),
        ("さくらDr", "さくらDr"),
        ("김민준", "김민준"),
        ("محمد علي", "محمد علي"),
        ("שָׁלוֹם", "שָׁלוֹם"),
        ("अनुष्का", "अनुष्का"),
        ("Nguyễn Thị Ánh", "Nguyễn Thị Ánh"),
        ("Bob *the* `builder` <script> $x$", "Bob *the* `builder` <script> $x$"),
    ],
)
def test_names_of_people_are_taken(typed, stored):
    assert names.display_name(typed) == stored


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "   ",
        "x" * 81,
        "123",
        "- -",
        "\u3164",
        "\u2800\u2800",
        "\u115f",
        "Ada\u200b",
        "Ada\u200d",
        "Ada\u00ad",
        "Ada\u034f",
        "Ada\ufe0f",
        "Ada\U000e0101",
        "Ada\u202egnp",
        "\u2066Ada\u2069",
        "Ada\x00",
        "Ada\x1b[31m",
        "Ada\ud800",
        "Ada\ue000",
        "Ada\u0378",
        "\u0301Ada",
        "A" + "\u0316" * 5 + "da",
        "\u0410da",
        "Lov\u0435lace",
        "\u039fNeill",
        "A\u13a0",
    ],
)
def test_names_that_hide_something_are_refused(typed):
    with pytest.raises(AccountError):
        names.display_name(typed)


@given(st.text())
def test_any_name_that_is_taken_stays_as_it_is(typed):
    try:
        name = names.display_name(typed)
    except AccountError:
        return
    assert 1 <= len(name) <= 80
    assert name.isprintable()
    assert names.display_name(name) == name


@pytest.mark.parametrize("typed", ["", "  "])
def test_no_address_is_none(typed):
    assert names.email(typed) is None


@pytest.mark.parametrize(
    "typed", ["b\u200bob@example.org", "bob\u3164@example.org", "bob@exam\u034fple.org", "\u202ebob@example.org"]
)
def test_addresses_with_invisible_signs_are_refused(typed):
    with pytest.raises(AccountError):
        names.email(typed)
