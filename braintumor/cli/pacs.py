"""``braintumor pacs``: the DICOM node."""

import signal
import sys
import threading
from dataclasses import asdict, dataclass
from datetime import date
from typing import TYPE_CHECKING

from braintumor import settings
from braintumor.cli.app import OK, SOME_FAILED, Options, group, print_json

if TYPE_CHECKING:
    from braintumor.pacs.archive import Archive
    from braintumor.records.arrivals import ArchiveAccess

pacs = group("pacs", "Take studies from scanners and archives, answer them, and send the results back.")


@pacs.command
def serve() -> int:
    """Serve until it is stopped; `BRAINTUMOR_PACS_...` say who may call and where results go, see docs/pacs.md."""
    from braintumor.pacs.logs import log_own
    from braintumor.pacs.serve import serve as serve_node

    log_own("node")
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    serve_node(settings.load(), stop)
    return OK


@pacs.command
def retry() -> int:
    """Let studies that failed be tried again, once their cause is gone."""
    from braintumor.database import open_database
    from braintumor.records.arrivals import Jobs
    from braintumor.records.vault import open_vault

    configured = settings.load()
    count = Jobs(open_database(configured), open_vault(configured, "patients")).retry()
    sys.stdout.write(f"{count} studies are tried again.\n")
    return OK


@dataclass(frozen=True, kw_only=True)
class FindOptions:
    """Which studies are looked for."""

    number: str = ""
    """Patient number, in full."""
    name: str = ""
    """Beginnings of the words of a name, family name first; a shell may remember what is typed."""
    since: str = ""
    """First day, such as 2026-01-31."""
    until: str = ""
    """Last day."""
    modality: str = ""
    """Such as MR."""
    archive: str = ""
    """Title of the peer that is asked (default: the only one that has a port)."""


@dataclass(frozen=True, kw_only=True)
class FetchOptions:
    """From where a study is fetched."""

    archive: str = ""
    """Title of the peer that sends (default: the only one that has a port)."""


@pacs.command
def find(*, options: Options[FindOptions] = FindOptions()) -> int:
    """Find studies in an archive and print them as JSON; the audit trail notes it."""
    from braintumor.pacs.query import read_query

    query = read_query(options.number, options.name, options.since, options.until, options.modality)
    archive, title, access = _archive(options.archive)
    found = archive.find(query)
    access.note_search(None, title, len(found.studies))
    print_json({"is_all": found.is_all, "studies": [_row(asdict(one)) for one in found.studies]})
    return OK


@pacs.command
def fetch(study: str, /, *, options: Options[FetchOptions] = FetchOptions()) -> int:
    """Let an archive send a study, named by its UID, to the node; the audit trail notes it."""
    from braintumor.pacs.query import read_uid

    uid = read_uid(study)
    archive, title, access = _archive(options.archive)
    access.note_fetch(None, title, uid)
    progress = archive.fetch(uid)
    sys.stdout.write(f"{progress.sent} objects were sent, {progress.failed} were not.\n")
    return SOME_FAILED if progress.failed else OK


def _row(study: dict[str, object]) -> dict[str, object]:
    return {key: str(value) if isinstance(value, date) else value for key, value in study.items()}


def _archive(title: str) -> "tuple[Archive, str, ArchiveAccess]":
    from braintumor.database import open_database
    from braintumor.pacs.archive import Archive, archive_peer
    from braintumor.records.arrivals import ArchiveAccess
    from braintumor.records.vault import open_vault

    configured = settings.load()
    peer = archive_peer(configured, title)
    vault = open_vault(configured, "patients")
    access = ArchiveAccess(open_database(configured), vault, configured.pacs_account)
    return Archive(configured, peer), peer.title, access
