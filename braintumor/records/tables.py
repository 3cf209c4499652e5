"""The tables of what is kept of scans."""

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from braintumor.database import Base


class DeskRow(Base):
    """One thing on an account's desk; ``content`` names it in the vault, None where there is nothing to keep.

    ``size`` is that of its content in bytes. What things there are, and their keys, the desk itself decides.
    """

    __tablename__ = "desk"
    __table_args__ = (UniqueConstraint("account_id", "kind", "key"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    kind: Mapped[str] = mapped_column(String(8))
    key: Mapped[str] = mapped_column(String(80))
    content: Mapped[str | None] = mapped_column(String(64), index=True)
    size: Mapped[int] = mapped_column(BigInteger)
    is_read: Mapped[bool] = mapped_column(default=False)
    added_at: Mapped[datetime]
    expires_at: Mapped[datetime] = mapped_column(index=True)
