"""What became of the files that programs sent; each program sees its own."""

from dataclasses import dataclass

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from braintumor.database import unless_busy
from braintumor.records.tables import ArrivalRow, ArrivalState, ResultRow, UnitRow
from braintumor.records.vault import Vault


@dataclass(frozen=True)
class Part:
    """One scan of an upload: what became of it, why, and the endings of the files that were made of it."""

    number: int
    outcome: str
    reason: str
    files: tuple[str, ...]


@dataclass(frozen=True)
class Upload:
    """One upload: its state, and its scans once they are answered."""

    id: int
    state: ArrivalState
    parts: tuple[Part, ...]


class Uploads:
    """Reads the uploads of one database; all methods raise ``BusyError``."""

    def __init__(self, engine: Engine, vault: Vault) -> None:
        self._engine = engine
        self._vault = vault

    def upload(self, sender: str, number: int) -> Upload | None:
        """Give an upload of a sender; None where there is none of this number."""
        with unless_busy(), Session(self._engine) as db:
            row = db.get(ArrivalRow, number)
            if row is None or row.sender != sender or row.is_filed:
                return None
            units = db.scalars(select(UnitRow).where(UnitRow.arrival_id == number).order_by(UnitRow.id)).all()
            parts = []
            for place, unit in enumerate(units, 1):
                kinds = db.scalars(select(ResultRow.kind).where(ResultRow.unit_id == unit.id).order_by(ResultRow.kind))
                parts.append(Part(place, unit.outcome, unit.reason, tuple(kinds)))
            return Upload(number, row.state, tuple(parts))

    def file(self, sender: str, number: int, part: int, beginning: str) -> tuple[str, bytes] | None:
        """Give the ending and content of a part's file whose ending begins so; None where there is none.

        Raises ``VaultError``.
        """
        with unless_busy(), Session(self._engine) as db:
            row = db.get(ArrivalRow, number)
            if row is None or row.sender != sender or row.is_filed:
                return None
            units = db.scalars(select(UnitRow.id).where(UnitRow.arrival_id == number).order_by(UnitRow.id)).all()
            if not 0 < part <= len(units):
                return None
            mine = (ResultRow.unit_id == units[part - 1], ResultRow.kind.startswith(beginning, autoescape=True))
            found = db.execute(select(ResultRow.kind, ResultRow.content).where(*mine).limit(1)).first()
        return None if found is None else (found.kind, self._vault.read(found.content))
