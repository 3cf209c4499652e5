"""What of a patient must not be read in a stolen database: encrypted, and found by keyed hashes of its beginnings."""

import hmac
import json
import re
import secrets
import unicodedata
from collections.abc import Mapping
from datetime import timedelta

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from braintumor.records.vault import Vault, VaultError

_NONCE_BYTES = 12
"""Of AES-GCM, NIST SP 800-38D; random ones serve 2**32 messages under one key."""
_TOKEN_CHARACTERS = 32
_SHORTEST_BEGINNING = 3
_LONGEST_BEGINNING = 24
_MOST_PARTS = 8
_WORD = re.compile(r"[^\W_]+")
_MOST_DAYS = 3650


class Confidential:
    """Encrypts the identities of patients, and makes hashes, under keys that the vault's key wraps."""

    def __init__(self, vault: Vault) -> None:
        """Take the keys from a part of the vault; rotation leaves them as they are."""
        self._cipher = AESGCM(vault.derived_key("identities"))
        self._searching = vault.derived_key("search")
        self._dating = vault.derived_key("dates")
        self._naming = vault.derived_key("studies")

    def seal(self, values: Mapping[str, str], owner: str) -> bytes:
        """Encrypt texts by name; they open only as those of the same owner, so that rows cannot be exchanged."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        plain = json.dumps(values, ensure_ascii=False, sort_keys=True).encode("utf-8")
        return nonce + self._cipher.encrypt(nonce, plain, owner.encode("utf-8"))

    def open(self, sealed: bytes, owner: str) -> dict[str, str]:
        """Decrypt what ``seal`` made; raises ``VaultError`` where it was altered, or is another owner's."""
        try:
            plain = self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], owner.encode("utf-8"))
        except (InvalidTag, ValueError) as error:
            raise VaultError("A patient's record is damaged; restore the database from a backup.") from error
        values: dict[str, str] = json.loads(plain)
        return values

    def tokens(self, *texts: str) -> set[str]:
        """Give keyed hashes of each word of the texts and of its beginnings of 3 to 24 characters.

        Who has the database and not the key learns how many patients share a beginning, but not which it is.
        """
        found = set()
        for word in {word for text in texts for word in words(text)}:
            beginnings = range(_SHORTEST_BEGINNING, min(len(word), _LONGEST_BEGINNING) + 1)
            found |= {self._token(word[:length]) for length in beginnings} | {self._token(word)}
        return found

    def wanted(self, text: str) -> set[str]:
        """Give the hashes that a patient must all have to be found by a text; none for a text without words."""
        return {self._token(word) for word in words(text)[:_MOST_PARTS]}

    def study_key(self, identifier: str) -> str:
        """Give a keyed hash of what makes a study this study, as its UID; 64 hexadecimals."""
        return hmac.digest(self._naming, identifier.encode("utf-8"), "sha256").hex()

    def date_shift(self, code: str) -> timedelta:
        """Give by how much the dates of one patient move where no name may be seen: 1 to 3,650 days back.

        The same for all dates of a patient, so that what lies between them stays true.
        """
        number = int.from_bytes(hmac.digest(self._dating, code.encode("ascii"), "sha256")[:8], "big")
        return -timedelta(days=1 + number % _MOST_DAYS)

    def _token(self, word: str) -> str:
        return hmac.digest(self._searching, word.encode("utf-8"), "sha256").hex()[:_TOKEN_CHARACTERS]


def words(text: str) -> list[str]:
    """Split a name or number into words without case, accents and signs: ``Müller-Weiß`` is muller and weiss."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    return _WORD.findall("".join(sign for sign in plain if unicodedata.category(sign) != "Mn"))
