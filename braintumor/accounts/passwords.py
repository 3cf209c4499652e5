"""The password rule, and how passwords are hashed."""

import base64
import hmac
import re
import secrets
import unicodedata
from threading import Lock

import bcrypt
from zxcvbn import zxcvbn

from braintumor.accounts.errors import AccountError

SHORTEST = 12
LONGEST = 128
LONGEST_TYPED = 1024
"""The most characters of a field for a password; above ``LONGEST``, since what a field cuts off goes unnoticed."""

RULE = f"{SHORTEST} to {LONGEST} characters of any kind; a few unrelated words are easy to remember."

# zxcvbn's score 3, "safely unguessable" (Wheeler 2016, USENIX Security): 10**8 guesses or more.
_LOWEST_SCORE = 3
# What zxcvbn takes for an estimate grows steeply with the length: 0.3 s for the worst 24 characters, 5 s for 64.
_LONGEST_ESTIMATED = 24
_PRODUCT = ("braintumor", "braintumour")
# What a guesser tries here first, besides what is common everywhere; zxcvbn's own years end with 2019.
_CONTEXT = (
    *("brain", "tumor", "tumour", "glioma", "meningioma", "pituitary", "radiology", "radiologist", "neurology"),
    *("oncology", "hospital", "clinic", "clinician", "researcher", "doctor", "dashboard", "scanner"),
    *(str(year) for year in range(2020, 2051)),
)
_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"
# zxcvbn keeps the words it is given in a dictionary that all threads share.
_ESTIMATING = Lock()


def check_rule(password: object, username: str) -> str:
    """Give a new password back if it keeps the rule; raises ``AccountError`` naming the part that it breaks."""
    if not isinstance(password, str) or len(password) < SHORTEST:
        raise AccountError(f"The password is too short; use at least {SHORTEST} characters.", "new")
    if len(password) > LONGEST:
        raise AccountError(f"The password is too long; use at most {LONGEST} characters.", "new")
    plain = unicodedata.normalize("NFKC", password).casefold()
    if username.casefold() in plain or any(name in re.sub(r"[\W_]", "", plain) for name in _PRODUCT):
        raise AccountError("The password contains the username or the name of this app; choose a different one.", "new")
    if _score(plain, username) < _LOWEST_SCORE:
        raise AccountError("The password is among the first that anybody would guess; choose another one.", "new")
    return password


def _score(password: str, username: str) -> int:
    """Give zxcvbn's score from 0 to 4 of the first characters of a password."""
    words = [*re.split(r"[._-]", username), *_CONTEXT]
    with _ESTIMATING:
        score: int = zxcvbn(password[:_LONGEST_ESTIMATED], user_inputs=[word for word in words if word])["score"]
    return score


def hash_password(password: str, rounds: int) -> str:
    """Hash a password with bcrypt at a cost of two to the power of ``rounds``."""
    return bcrypt.hashpw(_digest(password), bcrypt.gensalt(rounds)).decode("ascii")


def matches(password: object, password_hash: str) -> bool:
    """Tell whether ``password``, which may be anything, is the one behind ``password_hash``."""
    sound = isinstance(password, str) and len(password) <= LONGEST_TYPED
    return bcrypt.checkpw(_digest(str(password) if sound else ""), password_hash.encode("ascii")) and sound


def hash_of_nothing(rounds: int) -> str:
    """Give a hash that no password has, and that takes as long to check as a real one."""
    return f"$2b${rounds:02d}${'.' * 53}"


def temporary_password() -> str:
    """Make a password that is easy to read out: four groups of four, about 79 random bits."""
    return "-".join("".join(secrets.choice(_ALPHABET) for _ in range(4)) for _ in range(4))


def _digest(password: str) -> bytes:
    # The same key on two systems can arrive as one code point or as two; NFC makes them one.
    # bcrypt reads 72 bytes and stops at a zero byte. The fixed key keeps plain SHA-256 lists stolen elsewhere
    # from being tried here.
    text = unicodedata.normalize("NFC", password).encode("utf-8", errors="surrogatepass")
    return base64.b64encode(hmac.digest(b"braintumor/password", text, "sha256"))
