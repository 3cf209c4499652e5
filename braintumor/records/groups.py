"""Groups of accounts, each of which sees the patients of its own; administrators say who is in them."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Engine, delete, func, insert, select
from sqlalchemy.orm import Session, sessionmaker

from braintumor.accounts import Account, names, rules
from braintumor.accounts.tables import AccountRow
from braintumor.database import audit, unless_busy, writing
from braintumor.database.audit import utc_now
from braintumor.records.errors import PatientError
from braintumor.records.tables import GroupRow, MemberRow, PatientRow


@dataclass(frozen=True)
class Group:
    """A group and the numbers of the accounts in it."""

    id: int
    name: str
    members: frozenset[int]


class Groups:
    """The groups in one database. What a page got from a widget may be given as it is: it is checked here."""

    def __init__(self, engine: Engine, *, clock: Callable[[], datetime] = utc_now) -> None:
        self._clock = clock
        self._readers = sessionmaker(engine)
        self._writers = sessionmaker(writing(engine))

    def everyone(self, actor: Account) -> list[Group]:
        """List all groups by name, for an administrator."""
        with unless_busy(), self._readers() as db:
            rules.require_administrator(db, actor)
            members: dict[int, set[int]] = {}
            for row in db.scalars(select(MemberRow)):
                members.setdefault(row.group_id, set()).add(row.account_id)
            groups = db.scalars(select(GroupRow).order_by(GroupRow.name))
            return [Group(row.id, row.name, frozenset(members.get(row.id, ()))) for row in groups]

    def own(self, actor: Account) -> dict[int, str]:
        """Give the names of the groups that an account is in, by their numbers."""
        with unless_busy(), self._readers() as db:
            mine = select(GroupRow).join(MemberRow).where(MemberRow.account_id == actor.id).order_by(GroupRow.name)
            return {row.id: row.name for row in db.scalars(mine)}

    def create(self, actor: Account, name: object) -> int:
        """Add a group without members and give its number; its name follows the rule of names of people."""
        name = names.display_name(name)
        with unless_busy(), self._writers.begin() as db:
            rules.require_administrator(db, actor)
            if db.scalar(select(GroupRow.id).where(GroupRow.name == name)) is not None:
                raise PatientError("There is a group of this name already; choose another name.", "name")
            row = GroupRow(name=name)
            db.add(row)
            db.flush()
            self._note(db, actor, "group created", row.id)
            return row.id

    def set_members(self, actor: Account, group_id: object, account_ids: Collection[object]) -> None:
        """Say who is in a group; who is not named leaves it."""
        with unless_busy(), self._writers.begin() as db:
            rules.require_administrator(db, actor)
            number = existing_group(db, group_id).id
            wanted = {rules.existing(db, account_id).id for account_id in account_ids}
            present = set(db.scalars(select(MemberRow.account_id).where(MemberRow.group_id == number)))
            gone = MemberRow.account_id.in_(present - wanted)
            db.execute(delete(MemberRow).where(MemberRow.group_id == number, gone))
            for account_id in sorted(wanted - present):
                db.execute(insert(MemberRow).values(group_id=number, account_id=account_id))
                self._note(db, actor, "account added to group", number, account=account_id)
            for account_id in sorted(present - wanted):
                self._note(db, actor, "account removed from group", number, account=account_id)

    def remove(self, actor: Account, group_id: object) -> None:
        """Delete a group that has no patients."""
        with unless_busy(), self._writers.begin() as db:
            rules.require_administrator(db, actor)
            group = existing_group(db, group_id)
            patients = select(func.count()).select_from(PatientRow).where(PatientRow.group_id == group.id)
            if db.scalar(patients):
                raise PatientError("This group has patients; delete or merge them first.")
            db.delete(group)
            self._note(db, actor, "group deleted", group.id)

    def _note(self, db: Session, actor: Account, action: str, group_id: int, **details: int) -> None:
        audit.append(db, self._clock(), action, actor.id, ("group", group_id), address=actor.address, details=details)


def existing_group(db: Session, group_id: object) -> GroupRow:
    """Give the row of a group; ``group_id`` may be anything. Raises ``PatientError`` where there is none."""
    group = db.get(GroupRow, group_id) if rules.is_id(group_id) else None
    if group is None:
        raise PatientError("There is no such group; reload the page.")
    return group


def member(db: Session, actor: Account, group_id: int) -> Account | None:
    """Give the actor as the database knows it now, if it is active and in a group; else None."""
    row = db.get(AccountRow, actor.id)
    account = None if row is None else Account.of(row)
    if account is None or not account.is_active or db.get(MemberRow, (group_id, actor.id)) is None:
        return None
    return account
