"""Which rows name the files of the vault; a file that none names is of no use to anybody, and goes."""

import time
from collections.abc import Collection, Iterable, Iterator, Mapping

from sqlalchemy import Connection, Engine, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from braintumor.database import unless_busy, writing
from braintumor.records.tables import DeskRow, FindingRow, ObjectRow, ReportRow, ResultRow, SeriesRow, VerdictRow
from braintumor.records.vault import Vault

Columns = tuple[InstrumentedAttribute[str] | InstrumentedAttribute[str | None], ...]

REFERENCES: Mapping[str, Columns] = {
    "patients": (
        SeriesRow.content,
        FindingRow.mask,
        VerdictRow.mask,
        ReportRow.content,
        ObjectRow.content,
        ResultRow.content,
    ),
    "desk": (DeskRow.content,),
}
"""For each part of the vault, every column that names a file of it."""
_ORPHAN_SECONDS = 3600
"""Age from which a file without a row is removed: somebody may just have stored it and not yet named it."""
_VALUES_A_STATEMENT = 500
"""Values in one statement, of which SQLite before 3.32 takes no more than 999."""


def named(db: Session | Connection, part: str, names: Collection[str]) -> set[str]:
    """Give those of at most 500 files of a part of the vault that a row names."""
    return {name for column in REFERENCES[part] for name in db.scalars(select(column).where(column.in_(names))) if name}


def drop_unnamed(engine: Engine, vault: Vault, part: str, names: Iterable[str]) -> int:
    """Remove those of some files that no row names, and give their number; a crash leaves the rest as it was."""
    count = 0
    for some in portions(names):
        # As one that changes, so that nobody names a file between the question and its removal.
        with unless_busy(), writing(engine).begin() as db:
            for name in set(some) - named(db, part, some):
                vault.delete(name)
                count += 1
    return count


def drop_orphans(engine: Engine, vault: Vault, part: str) -> int:
    """Remove all files that no row names and that are older than an hour, and give their number.

    Such a file is left where a process is killed after it stored a file and before it named it.
    """
    before = time.time() - _ORPHAN_SECONDS
    return drop_unnamed(engine, vault, part, (name for name in vault.list() if vault.stored_at(name) < before))


def portions(values: Iterable[str]) -> Iterator[list[str]]:
    """Split values into lists that one statement takes."""
    every = list(values)
    for start in range(0, len(every), _VALUES_A_STATEMENT):
        yield every[start : start + _VALUES_A_STATEMENT]
