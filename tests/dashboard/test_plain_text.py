import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from braintumor.dashboard.plain_text import plain

ACTIVE = "\\`*_{}[]()#+-.!|<>~:$&@/=^"


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("", ""),
        ("slice 3", "slice 3"),
        ("Schädel 脳", "Schädel 脳"),
        ("a.png", "a\\.png"),
        ("**bold**", "\\*\\*bold\\*\\*"),
        ("<img src=x>", "\\<img src\\=x\\>"),
        ("[a](javascript:b)", "\\[a\\]\\(javascript\\:b\\)"),
        (":red[x]", "\\:red\\[x\\]"),
        (":material/home:", "\\:material\\/home\\:"),
        ("$x^2$", "\\$x\\^2\\$"),
        ("back\\slash", "back\\\\slash"),
        ("`code`", "\\`code\\`"),
        ("# title\n- item", "\\# title \\- item"),
        ("&lt;", "\\&lt;"),
        ("~~gone~~", "\\~\\~gone\\~\\~"),
        ("a@b.c", "a\\@b\\.c"),
        ("|a|b|", "\\|a\\|b\\|"),
    ],
)
def test_signs_with_a_meaning_are_escaped(text, escaped):
    assert plain(text) == escaped


@given(st.text(st.sampled_from(ACTIVE + "ab \n1")))
def test_every_active_sign_has_its_own_backslash_and_nothing_is_lost(text):
    escaped = plain(text)
    assert re.fullmatch(rf"(?:\\[{re.escape(ACTIVE)}]|[^{re.escape(ACTIVE)}\n])*", escaped)
    assert re.sub(r"\\(.)", r"\1", escaped) == text.replace("\n", " ")
