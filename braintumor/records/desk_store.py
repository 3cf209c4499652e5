"""What users have on their desks: encrypted in the vault, listed in the database, gone when its time is over."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import BinaryIO

from sqlalchemy import Connection, Engine, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from braintumor.accounts import AccountError, State
from braintumor.accounts.tables import AccountRow
from braintumor.database import unless_busy, writing
from braintumor.records.references import drop_orphans, drop_unnamed, portions
from braintumor.records.tables import DeskRow
from braintumor.records.vault import Vault

_PART = "desk"


class NoDeskError(AccountError):
    """The account is disabled or deleted, so nothing can be put on its desk."""

    def __init__(self) -> None:
        super().__init__("This account may not keep scans any more; ask an administrator.")


@dataclass(frozen=True)
class DeskEntry:
    """One thing on a desk: its kind and key, its name in the vault (None where there is no content), bytes, mark."""

    kind: str
    key: str
    content: str | None
    size: int
    is_read: bool


class DeskStore:
    """The desks of all accounts. All methods raise ``BusyError``, and those that touch content ``VaultError``."""

    def __init__(self, engine: Engine, vault: Vault, days: int) -> None:
        """Keep things for ``days`` days in a part of the vault that belongs to desks only."""
        self._engine = engine
        self._vault = vault
        self._time = timedelta(days=days)

    def put(self, account_id: int, kind: str, contents: Mapping[str, bytes | None]) -> None:
        """Put things of one kind on a desk by their keys, over those of the same key, which lose their marks.

        Raises ``NoDeskError`` for an account that is not active.
        """
        given = {key: content for key, content in contents.items() if content is not None}
        names: dict[str, str] = dict(zip(given, self._vault.put_all(given.values()), strict=True))
        now = datetime.now(UTC)
        with self._changing() as db:
            state = db.scalar(select(AccountRow.state).where(AccountRow.id == account_id))
            if state is not State.ACTIVE:
                raise NoDeskError
            for key, content in given.items():
                # Who cleared a desk meanwhile may have removed what nobody had listed yet.
                if not self._vault.contains(names[key]):
                    self._vault.put(content)
            replaced = self._take(db, account_id, {kind: contents})
            db.execute(
                insert(DeskRow),
                [
                    {
                        **{"account_id": account_id, "kind": kind, "key": key, "content": names.get(key)},
                        **{"size": len(content or b""), "is_read": False},
                        **{"added_at": now, "expires_at": now + self._time},
                    }
                    for key, content in contents.items()
                ],
            )
        self._drop(replaced)

    def entries(self, account_id: int) -> list[DeskEntry]:
        """Give what lies on a desk and whose time is not over, oldest first."""
        columns = (DeskRow.kind, DeskRow.key, DeskRow.content, DeskRow.size, DeskRow.is_read)
        query = select(*columns).where(DeskRow.account_id == account_id, DeskRow.expires_at > datetime.now(UTC))
        with unless_busy(), self._engine.connect() as db:
            return [DeskEntry(*row) for row in db.execute(query.order_by(DeskRow.id))]

    def key_of(self, content: bytes) -> str:
        """Give the name of content in the vault, which tells it from any other and says nothing of it."""
        return self._vault.name_of(content)

    def used(self, account_id: int) -> int:
        """Give how many bytes an account has on its desk."""
        query = select(func.coalesce(func.sum(DeskRow.size), 0)).where(DeskRow.account_id == account_id)
        with unless_busy(), self._engine.connect() as db:
            return int(db.scalar(query) or 0)

    def open(self, content: str) -> BinaryIO:
        """Open content by its name in the vault; raises ``VaultError`` like ``Vault.open``."""
        return self._vault.open(content)

    def mark(self, account_id: int, kind: str, keys: Collection[str], is_read: bool) -> None:
        """Mark things as read, or as unread."""
        with self._changing() as db:
            for some in portions(keys):
                mine = (DeskRow.account_id == account_id, DeskRow.kind == kind, DeskRow.key.in_(some))
                db.execute(update(DeskRow).where(*mine).values(is_read=is_read))

    def remove(self, account_id: int, keys: Mapping[str, Collection[str]]) -> None:
        """Take things off a desk, by kind and key, and remove content that nobody else has on theirs."""
        with self._changing() as db:
            removed = self._take(db, account_id, keys)
        self._drop(removed)

    def clear(self, account_id: int) -> None:
        """Take everything off a desk, as ``remove`` does."""
        with self._changing() as db:
            mine = DeskRow.account_id == account_id
            removed = set(db.scalars(select(DeskRow.content).where(mine, DeskRow.content.is_not(None))))
            db.execute(delete(DeskRow).where(mine))
        self._drop(removed)

    def sweep(self) -> int:
        """Remove what has had its time, and content that no desk lists, as that of deleted accounts.

        Gives the number of files that no desk listed.
        """
        over = DeskRow.expires_at <= datetime.now(UTC)
        with self._changing() as db:
            removed = set(db.scalars(select(DeskRow.content).where(over, DeskRow.content.is_not(None))))
            db.execute(delete(DeskRow).where(over))
        self._drop(removed)
        return drop_orphans(self._engine, self._vault, _PART)

    @contextmanager
    def forgetting(self, account_id: int) -> Iterator[None]:
        """Delete an account within this block; where that is done, what it had on its desk is removed behind it."""
        with unless_busy(), self._engine.connect() as db:
            contents = db.scalars(select(DeskRow.content).where(DeskRow.account_id == account_id)).all()
        yield
        self._drop(contents)

    def _take(self, db: Connection, account_id: int, keys: Mapping[str, Collection[str]]) -> set[str | None]:
        removed: set[str | None] = set()
        for kind, of_kind in keys.items():
            for some in portions(of_kind):
                mine = (DeskRow.account_id == account_id, DeskRow.kind == kind, DeskRow.key.in_(some))
                removed.update(db.scalars(select(DeskRow.content).where(*mine)))
                db.execute(delete(DeskRow).where(*mine))
        return removed

    def _drop(self, names: Iterable[str | None]) -> None:
        """Remove content that no row lists any more; a crash before it leaves that to ``sweep``."""
        drop_unnamed(self._engine, self._vault, _PART, {name for name in names if name is not None})

    @contextmanager
    def _changing(self) -> Iterator[Connection]:
        try:
            with unless_busy(), writing(self._engine).begin() as db:
                yield db
        except IntegrityError as error:
            raise NoDeskError from error
