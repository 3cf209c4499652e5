"""Patients: added, found, edited, merged, and deleted with everything that is kept of them."""

import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import Engine, Select, delete, insert, select
from sqlalchemy.orm import Session, sessionmaker

from braintumor.accounts import Account, names
from braintumor.accounts.tables import AccountRow
from braintumor.database import audit, unless_busy, writing
from braintumor.database.audit import utc_now
from braintumor.records import access, removal
from braintumor.records.confidential import Confidential, words
from braintumor.records.errors import PatientError
from braintumor.records.groups import existing_group, member
from braintumor.records.references import drop_orphans
from braintumor.records.tables import MemberRow, PatientRow, TokenRow
from braintumor.records.vault import Vault

_MOST_FOUND = 50
_LONGEST_NUMBER = 64
_LONGEST_SEARCH = 200
_EARLIEST_BIRTH = date(1850, 1, 1)
# Without signs that are taken for one another; 32**8 codes, so that nobody guesses one.
_CODE_SIGNS = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
_CODE_LENGTH = 8


@dataclass(frozen=True)
class Patient:
    """One patient as an account may see it; name, birth date and number are None for a researcher.

    ``merged_into`` is the number of the patient whom it was merged into; ``merged`` are those merged into it.
    """

    id: int
    code: str
    group_id: int
    name: str | None
    birth_date: date | None
    number: str | None
    merged_into: int | None = None
    merged: tuple[int, ...] = ()


class Patients:
    """The patients in one database; all methods raise ``RefusedError``, and ``VaultError`` for damaged records.

    What a page got from a widget may be given as it is, whatever its type: it is checked here. ``actor`` is the account
    on whose behalf a function acts; its role and its groups are read afresh. Whatever is done is in the audit trail.
    """

    def __init__(self, engine: Engine, vault: Vault, *, clock: Callable[[], datetime] = utc_now) -> None:
        """Keep scans in ``vault``, a part that belongs to patients only, and their identities under its keys."""
        self._vault = vault
        self._confidential = Confidential(vault)
        self._clock = clock
        self._engine = engine
        self._writers = sessionmaker(writing(engine))

    def add(
        self, actor: Account, group_id: object, name: object, birth_date: object = None, number: object = ""
    ) -> Patient:
        """Add a patient to a group of the actor; ``birth_date`` is a date or its text, as 1970-01-31, or empty."""
        identity = _identity(name, birth_date, number)
        with self._writing() as db:
            return self._added(db, actor, group_id, identity)

    def identified(self, actor: Account, group_id: object, name: object, birth_date: object, number: object) -> Patient:
        """Give the patient of a group who has a number, added where nobody has it.

        Raises ``PatientError`` where the number has no letter or digit, or whoever has it is called otherwise or was
        born on another day: which is right only people can tell.
        """
        identity = incoming_identity(name, birth_date, number)
        with self._writing() as db:
            row = self._known(db, actor, group_id, identity)
            return self._added(db, actor, group_id, identity) if row is None else self._seen(db, row, by_name=True)

    def known(
        self, actor: Account, group_id: object, name: object, birth_date: object, number: object
    ) -> Patient | None:
        """Give whom ``identified`` would give, None where it would add somebody; raises like it."""
        identity = incoming_identity(name, birth_date, number)
        with unless_busy(), Session(self._engine) as db:
            row = self._known(db, actor, group_id, identity)
            return None if row is None else self._seen(db, row, by_name=True)

    def edit(
        self, actor: Account, patient_id: object, name: object, birth_date: object = None, number: object = ""
    ) -> Patient:
        """Replace what is known of who a patient is."""
        identity = _identity(name, birth_date, number)
        with self._writing() as db:
            row = access.to_change(db, actor, patient_id).patient
            row.identity = self._confidential.seal(identity, row.code)
            self._index(db, row.id, identity)
            self._note(db, actor, "patient edited", row.id)
            return self._seen(db, row, by_name=True)

    def view(self, actor: Account, patient_id: object) -> Patient:
        """Give one patient."""
        with self._writing() as db:
            found = access.to_patient(db, actor, patient_id)
            self._note(db, actor, "patient viewed", found.patient.id)
            return self._seen(db, found.patient, by_name=found.by_name)

    def may_see(self, actor: Account, patient_ids: Sequence[int]) -> set[int]:
        """Give those of the patients on a screen whom the account may still see, as its role says that it does."""
        with unless_busy(), Session(self._engine) as db:
            row = db.get(AccountRow, actor.id)
            account = None if row is None else Account.of(row)
            if account is None or not account.is_active or access.sees_names(account) != access.sees_names(actor):
                return set()
            mine = select(MemberRow.group_id).where(MemberRow.account_id == actor.id)
            return set(
                db.scalars(select(PatientRow.id).where(PatientRow.id.in_(patient_ids), PatientRow.group_id.in_(mine)))
            )

    def search(self, actor: Account, text: object = "") -> list[Patient]:
        """Give up to 50 patients whose names or numbers have words that begin with those of the text.

        Of a word, its first 3 to 24 characters or all of it find it. Without words the newest are given. A researcher
        finds by the patient's code only.
        """
        if not isinstance(text, str) or len(text) > _LONGEST_SEARCH:
            raise PatientError(f"Search for at most {_LONGEST_SEARCH} characters.")
        with self._writing() as db:
            account = db.get(AccountRow, actor.id)
            if account is None or not Account.of(account).is_active:
                raise PatientError("This account is not active; ask an administrator.")
            by_name = access.sees_names(Account.of(account))
            mine = select(MemberRow.group_id).where(MemberRow.account_id == actor.id)
            query = select(PatientRow).where(PatientRow.group_id.in_(mine), PatientRow.merged_into_id.is_(None))
            code = text.strip().upper()
            if len(code) == _CODE_LENGTH and set(code) <= set(_CODE_SIGNS):
                query = query.where(PatientRow.code == code)
            elif text.strip() and not by_name:
                raise PatientError(
                    f"Search by a code of {_CODE_LENGTH} letters and digits; names are not shown to you."
                )
            else:
                query = self._having(query, text)
            rows = db.scalars(query.order_by(PatientRow.id.desc()).limit(_MOST_FOUND)).all()
            self._note(db, actor, "patients searched", None, found=len(rows))
            merged = self._merged(db, [row.id for row in rows])
            return [self._patient(row, merged.get(row.id, []), by_name=by_name) for row in rows]

    def merge(self, actor: Account, kept_id: object, merged_id: object) -> Patient:
        """Show one patient's studies with another's of the same group, as one; ``unmerge`` undoes it exactly."""
        with self._writing() as db:
            kept, merged = (access.to_change(db, actor, number).root for number in (kept_id, merged_id))
            if kept.id == merged.id:
                raise PatientError("These are one patient already; choose another one.")
            if kept.group_id != merged.group_id:
                raise PatientError("Only patients of one group can be merged.")
            merged.merged_into_id = kept.id
            self._note(db, actor, "patient merged", kept.id, merged=merged.id)
            db.flush()
            return self._seen(db, kept, by_name=True)

    def unmerge(self, actor: Account, merged_id: object) -> Patient:
        """Undo a merge: the patient stands alone again, with the studies that it had and was given since."""
        with self._writing() as db:
            row = access.to_change(db, actor, merged_id).patient
            if row.merged_into_id is None:
                raise PatientError("This patient is not merged into another; reload the page.")
            self._note(db, actor, "merge undone", row.merged_into_id, merged=row.id)
            row.merged_into_id = None
            db.flush()
            return self._seen(db, row, by_name=True)

    def delete(self, actor: Account, patient_id: object) -> int:
        """Delete a patient, all merged into it, and all that is kept of them; give the number of files removed.

        The audit trail keeps the numbers of what was deleted, and a line once the files are gone. A crash in between
        leaves that to ``finish_removals``.
        """
        with self._writing() as db:
            root = access.to_change(db, actor, patient_id).root
            counts = removal.remove_family(db, access.family(db, root.id), root.id)
            self._note(db, actor, "patient deleted", root.id, **counts)
        return self.finish_removals()

    def finish_removals(self) -> int:
        """Remove what deleted patients left in the vault, and give the number of files; called at start as well."""
        with self._writing() as db:
            return removal.finish(db, self._vault, self._clock())

    def remove_orphans(self) -> int:
        """Remove files that no row names, and give their number; those of the last hour stay.

        Such a file is left where a process is killed after it stored a file and before it named it.
        """
        count = drop_orphans(self._engine, self._vault, "patients")
        if count:
            with self._writing() as db:
                audit.append(db, self._clock(), "orphans removed", details={"files": count})
        return count

    def _known(self, db: Session, actor: Account, group_id: object, identity: dict[str, str]) -> PatientRow | None:
        query = select(PatientRow).where(PatientRow.group_id == existing_group(db, group_id).id)
        same = []
        for row in db.scalars(self._having(query, identity["number"])):
            known = self._confidential.open(row.identity, row.code)
            if known["number"] == identity["number"]:
                same.append((access.to_change(db, actor, row.id).root, known))
        if not same:
            return None
        if len({root.id for root, _ in same}) > 1 or not any(_is_same(known, identity) for _, known in same):
            raise PatientError("This number belongs to somebody else in the group; correct one of the two.")
        return same[0][0]

    def _added(self, db: Session, actor: Account, group_id: object, identity: dict[str, str]) -> Patient:
        group = existing_group(db, group_id)
        account = member(db, actor, group.id)
        if account is None:
            raise PatientError("You are not in this group; ask an administrator to add you.")
        if not access.sees_names(account):
            raise PatientError("A researcher adds no patients; ask a clinician of the group.")
        code = "".join(secrets.choice(_CODE_SIGNS) for _ in range(_CODE_LENGTH))
        sealed = self._confidential.seal(identity, code)
        row = PatientRow(code=code, group_id=group.id, identity=sealed, created_at=self._clock())
        db.add(row)
        db.flush()
        self._index(db, row.id, identity)
        self._note(db, actor, "patient added", row.id)
        return self._seen(db, row, by_name=True)

    def _having(self, query: Select[PatientRow], text: str) -> Select[PatientRow]:
        for token in sorted(self._confidential.wanted(text)):
            query = query.where(PatientRow.id.in_(select(TokenRow.patient_id).where(TokenRow.token == token)))
        return query

    def _seen(self, db: Session, row: PatientRow, *, by_name: bool) -> Patient:
        return self._patient(row, self._merged(db, [row.id]).get(row.id, []), by_name=by_name)

    @staticmethod
    def _merged(db: Session, patient_ids: Sequence[int]) -> dict[int, list[int]]:
        """Give the numbers of those merged into each of some patients, in one query."""
        merged: dict[int, list[int]] = {}
        query = select(PatientRow.merged_into_id, PatientRow.id).where(PatientRow.merged_into_id.in_(patient_ids))
        for root, number in db.execute(query.order_by(PatientRow.id)):
            if root is not None:
                merged.setdefault(root, []).append(number)
        return merged

    def _patient(self, row: PatientRow, merged: Sequence[int], *, by_name: bool) -> Patient:
        identity = self._confidential.open(row.identity, row.code) if by_name else {}
        born = identity.get("birth_date")
        return Patient(
            id=row.id,
            code=row.code,
            group_id=row.group_id,
            name=identity.get("name"),
            birth_date=date.fromisoformat(born) if born else None,
            number=identity.get("number"),
            merged_into=row.merged_into_id,
            merged=tuple(merged),
        )

    def _index(self, db: Session, patient_id: int, identity: dict[str, str]) -> None:
        db.execute(delete(TokenRow).where(TokenRow.patient_id == patient_id))
        tokens = self._confidential.tokens(identity["name"], identity["number"])
        db.execute(insert(TokenRow), [{"token": token, "patient_id": patient_id} for token in sorted(tokens)])

    def _note(self, db: Session, actor: Account, action: str, patient_id: int | None, **details: int) -> None:
        subject = None if patient_id is None else ("patient", patient_id)
        audit.append(db, self._clock(), action, actor.id, subject, address=actor.address, details=details)

    @contextmanager
    def _writing(self) -> Iterator[Session]:
        with unless_busy(), self._writers.begin() as db:
            yield db


def _identity(name: object, birth_date: object, number: object) -> dict[str, str]:
    """Check who a patient is said to be, and give it as texts; raises ``RefusedError``."""
    if not isinstance(number, str) or len(number) > _LONGEST_NUMBER or not number.isprintable():
        raise PatientError(
            f"A patient number has at most {_LONGEST_NUMBER} printable characters; correct it.", "number"
        )
    born = _date(birth_date)
    return {
        "name": names.display_name(name),
        "birth_date": "" if born is None else born.isoformat(),
        "number": number.strip(),
    }


def incoming_identity(name: object, birth_date: object, number: object) -> dict[str, str]:
    """Check who a patient is said to be by another machine, like ``Patients.identified``; raises ``RefusedError``."""
    identity = _identity(name, birth_date, number)
    if not words(identity["number"]):
        raise PatientError("A patient who comes from another machine needs a number; correct it there.")
    return identity


def _is_same(known: dict[str, str], identity: dict[str, str]) -> bool:
    """Tell whether two identities may be one person's: names in any order of words, and no two days of birth."""
    is_named_so = sorted(words(known["name"])) == sorted(words(identity["name"]))
    born = {known["birth_date"], identity["birth_date"]} - {""}
    return is_named_so and len(born) <= 1


def _date(value: object) -> date | None:
    if value in (None, ""):
        return None
    try:
        born = date.fromisoformat(value.strip()) if isinstance(value, str) else value
    except ValueError:
        born = None
    if type(born) is not date or not _EARLIEST_BIRTH <= born <= utc_now().date():
        raise PatientError("This date of birth cannot be right; write it as 1970-01-31, or leave it empty.", "born")
    return born
