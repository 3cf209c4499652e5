"""Where a desk keeps files and answers: a guest's in memory, an account's encrypted on the disk."""

import hashlib
import io
import logging
import pickle
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, BinaryIO, Protocol

from braintumor.dashboard.answers import Answer
from braintumor.dashboard.desk.case import Case
from braintumor.records import DeskEntry, DeskStore
from braintumor.records.vault import VaultError
from braintumor.scans import StoredFile

_NAME_LENGTH_BYTES = 2
_LOG = logging.getLogger(__name__)


class Shelf(Protocol):
    """Where a desk keeps files, cases and answers, and which cases were cleared though their files are still needed.

    What an account's shelf does may raise ``VaultError`` and ``AccountError``, each with a sentence for the user.
    """

    def key_of(self, data: bytes) -> str:
        """Give the key of a file, which is that of its content."""
        ...

    def put_files(self, files: Mapping[str, tuple[str, bytes]]) -> None:
        """Keep files, (name, bytes) by their keys."""
        ...

    def files(self) -> dict[str, StoredFile]:
        """Give the files by their keys, in the order in which they came."""
        ...

    def used(self) -> int:
        """Give how many bytes are kept."""
        ...

    def put_case(self, case: Case, answer: Answer | None) -> None:
        """Keep a case and, where it is answered, its whole answer."""
        ...

    def cases(self) -> list[Case]:
        """Give the cases, in the order in which they were kept first."""
        ...

    def answer(self, key: str) -> Answer | None:
        """Give the whole answer of a case; None where it cannot be read any more."""
        ...

    def mark(self, keys: Collection[str], is_read: bool) -> None:
        """Mark cases as read, or as unread."""
        ...

    def gone(self) -> set[str]:
        """Give the keys of cases that were cleared though their files are still needed."""
        ...

    def remove(self, cases: Collection[str], files: Collection[str], gone: Collection[str]) -> None:
        """Remove cases and files; ``gone`` are those of the cases that must not come back from other files."""
        ...

    def clear(self) -> None:
        """Remove everything."""
        ...


class MemoryShelf:
    """A guest's shelf: nothing of it ever touches the disk, and all of it goes with the session."""

    def __init__(self) -> None:
        self._files: dict[str, StoredFile] = {}
        self._answers: dict[str, Answer] = {}
        self._gone: set[str] = set()
        self._used = 0

    def key_of(self, data: bytes) -> str:
        return hashlib.sha256(data).hexdigest()

    def put_files(self, files: Mapping[str, tuple[str, bytes]]) -> None:
        for key, (name, data) in files.items():
            self._files[key] = StoredFile(name, partial(bytes, data), key)
            self._used += len(data)

    def files(self) -> dict[str, StoredFile]:
        return dict(self._files)

    def used(self) -> int:
        return self._used

    def put_case(self, case: Case, answer: Answer | None) -> None:
        if answer is not None:
            self._answers[case.key] = answer

    def cases(self) -> list[Case]:
        return []

    def answer(self, key: str) -> Answer | None:
        return self._answers.get(key)

    def mark(self, keys: Collection[str], is_read: bool) -> None:
        """Nothing to keep: the desk itself holds the marks."""

    def gone(self) -> set[str]:
        return set(self._gone)

    def remove(self, cases: Collection[str], files: Collection[str], gone: Collection[str]) -> None:
        for key in cases:
            self._answers.pop(key, None)
        for key in files:
            if file := self._files.pop(key, None):
                self._used -= len(file.load())
        self._gone |= set(gone)

    def clear(self) -> None:
        self.__init__()  # type: ignore[misc] # as it was at first


def packed(name: str, data: bytes) -> bytes:
    """Put a file's name, which may be a patient's, and its bytes in one content of the vault."""
    encoded = name.encode()
    return len(encoded).to_bytes(_NAME_LENGTH_BYTES, "big") + encoded + data


def read_name(file: BinaryIO) -> str:
    """Read the name of a file that was ``packed``; what follows in the stream are its bytes."""
    return file.read(int.from_bytes(file.read(_NAME_LENGTH_BYTES), "big")).decode()


class StoredShelf:
    """An account's shelf, encrypted in the vault.

    Cases and answers are pickled: only this server's key makes content that the vault opens, so nothing foreign is
    ever unpickled. What another version wrote and this one cannot read counts as not answered yet.
    """

    def __init__(self, store: DeskStore, account_id: int, load: Callable[[str], bytes]) -> None:
        """Keep things for one account; ``load`` reads content by its name, and can be pickled."""
        self._store = store
        self._account_id = account_id
        self._load = load
        self._contents: dict[str, str] = {}

    def key_of(self, data: bytes) -> str:
        return self._store.key_of(data)

    def put_files(self, files: Mapping[str, tuple[str, bytes]]) -> None:
        if files:
            contents = {key: packed(name, data) for key, (name, data) in files.items()}
            self._store.put(self._account_id, "file", contents)

    def files(self) -> dict[str, StoredFile]:
        return {
            entry.key: StoredFile(self._name(entry.content), partial(self._load, entry.content), entry.key)
            for entry in self._entries("file")
            if entry.content
        }

    def used(self) -> int:
        return self._store.used(self._account_id)

    def put_case(self, case: Case, answer: Answer | None) -> None:
        # One after the other, so that a list reads no more than the first.
        content = io.BytesIO()
        for part in (case, answer):
            pickle.dump(part, content, pickle.HIGHEST_PROTOCOL)
        self._store.put(self._account_id, "case", {case.key: content.getvalue()})
        self._contents.pop(case.key, None)

    def cases(self) -> list[Case]:
        read = [(entry, self._read(entry.content, 1)) for entry in self._entries("case") if entry.content]
        self._contents = {entry.key: entry.content for entry, parts in read if entry.content and parts}
        return [replace(parts[0], is_read=entry.is_read) for entry, parts in read if parts]

    def answer(self, key: str) -> Answer | None:
        if key not in self._contents:
            self._contents = {entry.key: entry.content for entry in self._entries("case") if entry.content}
        content = self._contents.get(key)
        parts = self._read(content, 2) if content else []
        answer: Answer | None = parts[1] if parts else None
        return answer

    def mark(self, keys: Collection[str], is_read: bool) -> None:
        self._store.mark(self._account_id, "case", keys, is_read)

    def gone(self) -> set[str]:
        return {entry.key for entry in self._entries("gone")}

    def remove(self, cases: Collection[str], files: Collection[str], gone: Collection[str]) -> None:
        if gone:
            self._store.put(self._account_id, "gone", dict.fromkeys(gone))
        self._store.remove(self._account_id, {"case": cases, "file": files})

    def clear(self) -> None:
        self._store.clear(self._account_id)

    def _entries(self, kind: str) -> list[DeskEntry]:
        return [entry for entry in self._store.entries(self._account_id) if entry.kind == kind]

    def _name(self, content: str) -> str:
        try:
            with self._store.open(content) as file:
                return read_name(file)
        except VaultError:
            # Reading the file itself will say so.
            return "Damaged file"

    def _read(self, content: str, count: int) -> list[Any]:
        """Read the first parts of a case; nothing where they cannot be read, and the log says why."""
        try:
            with self._store.open(content) as file:
                return [pickle.load(file) for _ in range(count)]  # noqa: S301 - see the class
        except VaultError as error:
            _LOG.warning("A case on a desk cannot be read: %s", error)
        # A class that has changed since makes pickle raise nearly anything.
        except Exception as error:
            _LOG.warning("A case on a desk is of another version: %s", type(error).__name__)
        return []
