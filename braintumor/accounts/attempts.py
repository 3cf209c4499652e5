"""How guessing at passwords is slowed down: wrong passwords are counted, and each further one costs a longer wait.

They are counted by username and address together. From addresses where nobody has logged in to the account before,
they are counted by username as well, so that many addresses do not help; the holder, at an address of theirs, is
not touched by that count. Names that do not exist are counted alike, so a wait tells nothing about them.
"""

import hashlib
import ipaddress
import math
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from braintumor.accounts.tables import KnownAddressRow, WrongPasswordRow
from braintumor.settings import Settings

_EVERYWHERE = ""
# A name has as many wrong passwords free, from all unknown addresses together, as this number of addresses has: ten
# colleagues may mistake it for theirs, and a guesser with any number of addresses gains some fifty tries.
_ADDRESSES_FREE = 10
_FORGOTTEN_AFTER = timedelta(days=1)
_MOST_COUNTS = 10_000
_MOST_KNOWN = 20


@dataclass(frozen=True)
class Count:
    """What wrong passwords are counted for, as hashes, and how many are free before waits begin."""

    name_hash: str
    address_hash: str
    free: int


def counts(db: Session, settings: Settings, username: str, account_id: int, address: object) -> list[Count]:
    """Give the counts that bear on one try; ``account_id`` is 0 where there is no account of that name."""
    name_hash, address_hash = _hash(username), _hash(_network(address))
    free = settings.max_failed_logins
    here = Count(name_hash, address_hash, free)
    known = db.get(KnownAddressRow, (account_id, address_hash)) is not None
    return [here] if known else [here, Count(name_hash, _EVERYWHERE, free * _ADDRESSES_FREE)]


def seconds_to_wait(db: Session, settings: Settings, tried: list[Count], now: datetime) -> int:
    """Give the whole seconds until the next try is heard, 0 for at once: 1, 2, 4, 8 ... up to the longest wait."""
    longest = settings.lockout_minutes * 60
    waits = [0.0]
    for count in tried:
        row = db.get(WrongPasswordRow, (count.name_hash, count.address_hash))
        if row is not None and row.failures >= count.free:
            delay = min(2.0 ** min(row.failures - count.free, 40), longest)
            waits.append(delay - max(0.0, (now - row.last_at).total_seconds()))
    return math.ceil(max(waits))


def count_failure(db: Session, tried: list[Count], now: datetime) -> bool:
    """Add a wrong password to each count; tells whether a wait begins with it that was none before."""
    begins = False
    for count in tried:
        row = db.get(WrongPasswordRow, (count.name_hash, count.address_hash))
        if row is None or row.last_at <= now - _FORGOTTEN_AFTER:
            _make_room(db, now)
            row = db.merge(WrongPasswordRow(name_hash=count.name_hash, address_hash=count.address_hash, failures=0))
        row.failures += 1
        row.last_at = now
        begins |= row.failures == count.free
    return begins


def remember(db: Session, username: str, account_id: int, address: object, now: datetime) -> None:
    """Note that the holder has logged in from this address, and forget the wrong passwords tried from there."""
    address_hash = _hash(_network(address))
    db.execute(
        delete(WrongPasswordRow).where(
            WrongPasswordRow.name_hash == _hash(username), WrongPasswordRow.address_hash == address_hash
        )
    )
    db.merge(KnownAddressRow(account_id=account_id, address_hash=address_hash, last_used_at=now))
    db.flush()
    newest = (
        select(KnownAddressRow.address_hash)
        .where(KnownAddressRow.account_id == account_id)
        .order_by(KnownAddressRow.last_used_at.desc(), KnownAddressRow.address_hash)
    )
    surplus = list(db.scalars(newest.offset(_MOST_KNOWN)))
    db.execute(
        delete(KnownAddressRow).where(
            KnownAddressRow.account_id == account_id, KnownAddressRow.address_hash.in_(surplus)
        )
    )


def forget(db: Session, username: str) -> None:
    """Forget all wrong passwords for a username."""
    db.execute(delete(WrongPasswordRow).where(WrongPasswordRow.name_hash == _hash(username)))


def _make_room(db: Session, now: datetime) -> None:
    """Drop what is a day old, and of a full table the tenth with the fewest wrong passwords, the oldest first.

    So filling the table with made-up names clears no count that is far advanced.
    """
    db.execute(delete(WrongPasswordRow).where(WrongPasswordRow.last_at <= now - _FORGOTTEN_AFTER))
    if (db.scalar(select(func.count()).select_from(WrongPasswordRow)) or 0) < _MOST_COUNTS:
        return
    order = select(WrongPasswordRow).order_by(WrongPasswordRow.failures, WrongPasswordRow.last_at)
    for row in db.scalars(order.limit(_MOST_COUNTS // 10)):
        db.delete(row)
    db.flush()


def _network(address: object) -> str:
    """Give what stands for one user of the network: an IPv4 address or an IPv6 /64; "" for what is not an address.

    Streamlit gives None for a connection from the server itself.
    """
    try:
        parsed = ipaddress.ip_address(address) if isinstance(address, str) else None
    except ValueError:
        return ""
    if isinstance(parsed, ipaddress.IPv6Address):
        # Providers hand out whole /64 networks, each with more addresses than can be counted.
        return str(parsed.ipv4_mapped or ipaddress.ip_network((int(parsed), 64), strict=False))
    return str(parsed or "")


def _hash(text: str) -> str:
    # Not for secrecy: some people type their password into the field of the name.
    return hashlib.sha256(text.encode("utf-8", errors="surrogatepass")).hexdigest()
