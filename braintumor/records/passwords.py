"""The password rule, and how passwords are hashed."""

import base64
import hmac
import secrets
import unicodedata

import bcrypt

from braintumor.records.errors import AccountError

SHORTEST = 12
LONGEST = 128
RULE = f"{SHORTEST} to {LONGEST} characters of any kind; a few unrelated words are easy to remember."

_FEWEST_DIFFERENT = 4
_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"
_COMMON_TEXT = """
000000000000 111111111111 123123123123 121212121212 112233445566 123456123456 123456654321 123456789000
123456789012 1234567890123 12345678901234 123456789101112 1234567891011 1234567890qwerty 1q2w3e4r5t6y
1q2w3e4r5t6y7u 1qaz2wsx3edc 1qaz2wsx3edc4rfv abcd12345678 abcdefghijkl abcdefghijklm abcdefgh1234
administrator administrator1 adminadmin12 adminadminadmin asdfghjkl123 asdfasdfasdf braintumor123
braintumor1234 changeme1234 changemenow1 contrasena123 football1234 iloveyou1234 iloveyou12345
letmein12345 letmeinletmein motdepasse123 passw0rd1234 password0000 password1234 password12345
password123456 password2024 password2025 password2026 password@123 passwordpassword p@ssw0rd1234
p@ssword1234 qazwsxedcrfv qwerty123456 qwerty1234567 qwertyqwerty qwertyuiop12 qwertyuiop123
qwertyuiopasdf qwertyuiop[] qwertzuiop12 qwertzuiop123 sunshine1234 superman1234 trustno1trustno1
welcome12345 welcome123456 zaq12wsxcde3 zxcvbnm12345 zxcvbnmasdfg
"""
_COMMON = frozenset(_COMMON_TEXT.split())


def check_rule(password: str, username: str) -> None:
    """Accept a new password in silence; raises ``AccountError`` naming the part of the rule it breaks."""
    if len(password) < SHORTEST:
        raise AccountError(f"The password is too short; use at least {SHORTEST} characters.")
    if len(password) > LONGEST:
        raise AccountError(f"The password is too long; use at most {LONGEST} characters.")
    plain = unicodedata.normalize("NFKC", password).strip().casefold()
    if plain == username.strip().casefold():
        raise AccountError("The password is the username; choose a different one.")
    if plain in _COMMON or len(set(plain)) < _FEWEST_DIFFERENT:
        raise AccountError("The password is among the first that anybody would guess; choose another one.")


def hash_password(password: str, rounds: int) -> str:
    """Hash a password with bcrypt at a cost of two to the power of ``rounds``."""
    return bcrypt.hashpw(_digest(password), bcrypt.gensalt(rounds)).decode("ascii")


def matches(password: str, password_hash: str) -> bool:
    """Tell whether ``password`` is the one behind ``password_hash``."""
    return bcrypt.checkpw(_digest(password), password_hash.encode("ascii"))


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
