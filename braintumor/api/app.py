"""The API's paths; whoever asks shows a token, and sees what was sent with it and nothing else."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, FastAPI, HTTPException, Path, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel

from braintumor import __version__
from braintumor.accounts.clients import Clients
from braintumor.database import BusyError, open_database
from braintumor.records.arrivals import ArrivalState, Intake, Upload, Uploads
from braintumor.records.vault import VaultError, open_vault
from braintumor.settings import Settings

_MOST_UPLOADS_AT_ONCE = 4
"""Each is held in memory until it lies in the vault."""
_BODY_SECONDS = 300
"""For a file to come in: 200 MB at 6 Mbit/s. Who sends a byte a minute would keep the others out."""
_TYPES = {"answer.json": "application/json", "report.pdf": "application/pdf"}
_BINARY = "application/octet-stream"
Number = Annotated[int, Path(ge=1, le=2**31 - 1)]


class Accepted(BaseModel):
    """What an upload is asked for by."""

    id: int


class ScanPart(BaseModel):
    """One scan of an upload; ``outcome`` is answered, not judged or failed, ``reason`` says why it is not answered."""

    part: int
    outcome: str
    reason: str
    files: list[str]


class ScanStatus(BaseModel):
    """One upload; ``parts`` are there once ``state`` is done."""

    id: int
    state: ArrivalState
    parts: list[ScanPart]


_FILE_BODY = {
    "requestBody": {"required": True, "content": {_BINARY: {"schema": {"type": "string", "format": "binary"}}}}
}


router = APIRouter(prefix="/v1/scans")


@dataclass(frozen=True)
class _Storage:
    clients: Clients
    uploads: Uploads
    intake: Intake
    most_bytes: int
    room: asyncio.Semaphore


def make_app(settings: Settings) -> FastAPI:
    """Make the API over the database and vault that settings name; raises ``VaultError`` and ``BusyError``."""
    engine, vault = open_database(settings), open_vault(settings, "patients")

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        engine.dispose()

    # Its pages for people would load scripts from elsewhere.
    app = FastAPI(title="braintumor", version=__version__, docs_url=None, redoc_url=None, lifespan=lifespan)
    app.state.storage = _Storage(
        Clients(engine),
        Uploads(engine, vault),
        Intake(engine, vault, timedelta(0)),
        settings.max_upload_mb * 2**20,
        asyncio.Semaphore(_MOST_UPLOADS_AT_ONCE),
    )
    app.include_router(router)
    for kind in (BusyError, VaultError):
        app.add_exception_handler(kind, _unavailable)
    return app


def _storage(request: Request) -> _Storage:
    storage: _Storage = request.app.state.storage
    return storage


Storage = Annotated[_Storage, Depends(_storage)]
Shown = Annotated[HTTPAuthorizationCredentials | None, Depends(HTTPBearer(auto_error=False))]


def _allowed(scope: str) -> Callable[..., str]:
    """Make a check that gives under which name the holder of a token sends; raises what the caller is told."""

    def check(storage: Storage, shown: Shown) -> str:
        client = storage.clients.holder(shown.credentials) if shown else None
        if client is None:
            raise HTTPException(401, "Show a token that is valid.", {"WWW-Authenticate": "Bearer"})
        if scope not in client.scopes:
            raise HTTPException(403, f"This token may not {scope}.")
        # No title of a DICOM node has a space here.
        return f"api {client.name}"

    return check


SenderThatSends = Annotated[str, Depends(_allowed("send"))]
SenderThatReads = Annotated[str, Depends(_allowed("read"))]


@router.post("", status_code=202, openapi_extra=_FILE_BODY)
async def send(request: Request, storage: Storage, sender: SenderThatSends) -> Accepted:
    """Send a picture, a volume, a DICOM object or a ZIP archive as the body; the same file again is the same scan."""
    async with storage.room:
        content = await _body(request, storage.most_bytes)
        return Accepted(id=await run_in_threadpool(storage.intake.add_upload, sender, content))


@router.get("/{number}")
def status(number: Number, storage: Storage, sender: SenderThatReads) -> ScanStatus:
    """Tell what became of a file."""
    found = storage.uploads.upload(sender, number)
    if found is None:
        raise _missing()
    return _status(found)


@router.get("/{number}/{part}/answer")
def answer(number: Number, part: Number, storage: Storage, sender: SenderThatReads) -> Response:
    """Give the answer as ``braintumor predict --json`` does."""
    return _file(storage, sender, number, part, "answer.")


@router.get("/{number}/{part}/mask")
def mask(number: Number, part: Number, storage: Storage, sender: SenderThatReads) -> Response:
    """Give the tumor's mask, NIfTI of a volume and PNG of a picture."""
    return _file(storage, sender, number, part, "mask")


@router.get("/{number}/{part}/report")
def report(number: Number, part: Number, storage: Storage, sender: SenderThatReads) -> Response:
    """Give the report as a page in PDF, a draft."""
    return _file(storage, sender, number, part, "report.pdf")


def _file(storage: _Storage, sender: str, number: int, part: int, beginning: str) -> Response:
    found = storage.uploads.file(sender, number, part, beginning)
    if found is None:
        raise _missing()
    kind, content = found
    headers = {"Content-Disposition": f'attachment; filename="{number}-{part}-{kind}"', "Cache-Control": "no-store"}
    return Response(content, media_type=_TYPES.get(kind, _BINARY), headers=headers)


def _unavailable(request: Request, error: Exception) -> Response:
    return JSONResponse({"detail": "The server cannot do this now; try again in a moment."}, 503)


def _missing() -> HTTPException:
    return HTTPException(404, "There is no such scan, part or file among yours.")


def _status(found: Upload) -> ScanStatus:
    parts = [
        ScanPart(part=one.number, outcome=one.outcome, reason=one.reason, files=list(one.files)) for one in found.parts
    ]
    return ScanStatus(id=found.id, state=found.state, parts=parts)


async def _body(request: Request, most: int) -> bytes:
    content = bytearray()
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            async for chunk in request.stream():
                content += chunk
                if len(content) > most:
                    raise HTTPException(413, f"A file has at most {most // 2**20} MB.")
    except TimeoutError:
        raise HTTPException(408, f"The file did not come within {_BODY_SECONDS} seconds.") from None
    if not content:
        raise HTTPException(422, "Send the file as the body of the request.")
    return bytes(content)
