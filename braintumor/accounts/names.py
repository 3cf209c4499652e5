"""What people are called: usernames, full names and e-mail addresses, checked as they come from a browser."""

import re
import unicodedata
from itertools import groupby

from braintumor.accounts.errors import AccountError

_USERNAME = re.compile(r"[a-z0-9][a-z0-9._-]{2,31}")
_EMAIL = re.compile(r"[^@\s]{1,64}@[^@\s.]+(\.[^@\s.]+)+")
_LONGEST_NAME = 80
_LONGEST_EMAIL = 254
# Far above all bounds, so that nobody makes the server normalize a megabyte.
_LONGEST_TEXT = 1000

_SEPARATORS = str.maketrans("", "", "._-")
# The pairs of UTS 39 (confusables.txt) whose signs a username may hold, and "vv", which reads as "w" in most fonts.
_LOOK_ALIKES = (("0", "o"), ("1", "l"), ("i", "l"), ("rn", "m"), ("vv", "w"))
_RESERVED_NAMES = """
abuse admin administration administrator anonymous braintumor deleted everybody everyone guest help helpdesk
hostmaster info moderator nobody none noreply null operator owner postmaster root security service somebody staff
superuser support sysadmin system undefined unknown webmaster
"""

# Signs that Unicode calls letters, marks or symbols and that show nothing (Default_Ignorable_Code_Point), and the
# empty Braille pattern.
_INVISIBLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
# UTS 39, section 5.4: more marks than this on one sign are no writing.
_MOST_MARKS = 4
# UTS 39, "highly restrictive": these go with one another and with Latin letters.
_EAST_ASIAN = frozenset({"CJK", "HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA", "HANGUL", "BOPOMOFO"})
_NO_SCRIPT = frozenset({"MODIFIER"})


def skeleton(username: str) -> str:
    """Give what all usernames that look like this one have in common: no separators, one sign of each look-alike."""
    text = username.lower().translate(_SEPARATORS)
    for sign, plain in _LOOK_ALIKES:
        text = text.replace(sign, plain)
    return text


_RESERVED = frozenset(map(skeleton, _RESERVED_NAMES.split()))


def existing_username(value: object) -> str:
    """Give a username as it is stored, or "" for what can be nobody's; some databases refuse certain signs."""
    name = value.strip().lower() if isinstance(value, str) and len(value) <= _LONGEST_TEXT else ""
    return name if _USERNAME.fullmatch(name) else ""


def new_username(value: object) -> str:
    """Check the username of a new account and give it as it is stored; raises ``AccountError``.

    Names that speak for the server are refused to everybody, the first administrator too: they are the first
    that anybody would guess at.
    """
    name = existing_username(value)
    if not name:
        raise AccountError(
            "This username cannot be used; take 3 to 32 letters, digits, dots, hyphens or underscores, "
            "beginning with a letter or digit.",
            "username",
        )
    if {skeleton(name), skeleton(name.rstrip("0123456789._-"))} & _RESERVED:
        raise unavailable()
    return name


def unavailable() -> AccountError:
    """Make the error for a username that is reserved, taken, or looks like one that is."""
    return AccountError("This username is not available; choose another one.", "username")


def display_name(value: object) -> str:
    """Check a full name and give it in one form of Unicode (NFKC) with single spaces; raises ``AccountError``.

    Any sign that shows is allowed. Refused are signs that show nothing or change the direction of writing, words
    that mix alphabets, and names without a letter: with them one name could be disguised as another.
    """
    name = " ".join(unicodedata.normalize("NFKC", _text(value)).split())
    if not name or len(name) > _LONGEST_NAME or not _is_legible(name) or any(map(_mixes_scripts, name.split())):
        raise AccountError(
            f"Enter a name of 1 to {_LONGEST_NAME} printable characters, each word in one alphabet.", "name"
        )
    return name


def email(value: object) -> str | None:
    """Check an e-mail address; None for an empty one; raises ``AccountError``."""
    address = _text(value).strip()
    if not address:
        return None
    plain = address.isprintable() and not _INVISIBLE.search(address)
    if len(address) > _LONGEST_EMAIL or not plain or not _EMAIL.fullmatch(address):
        raise AccountError("This e-mail address cannot be right; correct it or leave it empty.", "email")
    return address


def _text(value: object) -> str:
    if not isinstance(value, str) or len(value) > _LONGEST_TEXT:
        raise AccountError("This form holds something that cannot be read; fill it in again.")
    return value


def _is_legible(name: str) -> bool:
    kinds = [unicodedata.category(sign) for sign in name]
    marks = (len(list(run)) for is_mark, run in groupby(kinds, lambda kind: kind == "Mn") if is_mark)
    return (
        name.isprintable()
        and not _INVISIBLE.search(name)
        and kinds[0][0] != "M"
        and any(kind[0] == "L" for kind in kinds)
        and max(marks, default=0) <= _MOST_MARKS
    )


def _mixes_scripts(word: str) -> bool:
    # Unicode names a letter after its script: LATIN SMALL LETTER A.
    letters = (sign for sign in word if unicodedata.category(sign)[0] == "L")
    scripts = {unicodedata.name(sign, "").split(" ")[0] for sign in letters} - _NO_SCRIPT
    return len(scripts - _EAST_ASIAN) > 1
