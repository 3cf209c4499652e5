"""The parent of all tables, and the column types they share."""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import DateTime, Dialect, Enum, MetaData, TypeDecorator
from sqlalchemy.orm import DeclarativeBase


class UtcDateTime(TypeDecorator[datetime]):
    """A moment in time, kept as UTC without a zone and handed back with one, on every database."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a moment without a time zone cannot be stored; pass one in UTC")
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.replace(tzinfo=UTC)


class OneOf(TypeDecorator[StrEnum]):
    """A member of an enumeration, kept as its value; anything else is refused, and read as None where it stands.

    A database of an older version, or one that somebody has written to by hand, may hold other values.
    """

    impl = Enum
    cache_ok = True

    def __init__(self, kind: type[StrEnum], constraint: str = "") -> None:
        super().__init__(
            kind,
            native_enum=False,
            length=16,
            name=constraint or f"known_{kind.__name__.lower()}",
            # Without these two any text would be stored as it came, from here and from elsewhere.
            validate_strings=True,
            create_constraint=True,
            values_callable=lambda members: [member.value for member in members],
        )

    def result_processor(self, dialect: Dialect, coltype: object) -> Any:
        parse = self.impl_instance.result_processor(dialect, coltype)
        assert parse is not None

        def read(value: Any) -> Any:
            try:
                return parse(value)
            except LookupError:
                return None

        return read


class Base(DeclarativeBase):
    """Parent of every table; what the tables are at each version, the revisions in ``migrations`` say."""

    # As PostgreSQL names what has no name, so that tables which older versions made have the same names.
    metadata = MetaData(
        naming_convention={
            "pk": "%(table_name)s_pkey",
            "uq": "%(table_name)s_%(column_0_N_name)s_key",
            "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
            "ix": "ix_%(column_0_N_label)s",
            "ck": "%(constraint_name)s",
        }
    )
    type_annotation_map = {datetime: UtcDateTime()}  # noqa: RUF012 - SQLAlchemy reads it as a plain dict
