"""The worker: takes one job after the other, answers and records it, and sends the results; one on each machine."""

import fcntl
import logging
import threading
import time
from functools import partial

from braintumor.batch import Batch
from braintumor.bundles import BundleError
from braintumor.database import BusyError, RefusedError, open_database
from braintumor.pacs.answers import Answering, Study
from braintumor.pacs.calls import UnreachablePeerError
from braintumor.pacs.peers import Peers, read_peers
from braintumor.pacs.priors import Priors, identity_of
from braintumor.pacs.results import Sender
from braintumor.pacs.stow import StowSender
from braintumor.records import Patients, Studies
from braintumor.records.arrivals import ArrivalState, Job, Jobs, SupersededError, filer
from braintumor.records.vault import VaultError, open_vault
from braintumor.records.vault.keys import locked
from braintumor.scans import Limits
from braintumor.settings import Settings

_LOG = logging.getLogger(__name__)
_PAUSE_SECONDS = 0.5
_SWEEP_SECONDS = 3600


class Worker:
    """Does what is due, step by step; a step that fails is noted with its arrival and tried again later."""

    def __init__(self, settings: Settings) -> None:
        """Open the storage that settings name, and prepare.

        Raises ``PacsError`` where the node is not set up, ``VaultError`` and ``BusyError`` where the storage is not.
        """
        self._settings = settings
        engine = open_database(settings)
        self._vault = vault = open_vault(settings, "patients")
        self._jobs = Jobs(engine, vault)
        self._patients, self._studies = Patients(engine, vault), Studies(engine, vault)
        self._filing = partial(filer, engine, settings.pacs_account)
        self._priors = Priors(self._patients, self._studies, self._filing, settings.models_dir)
        self._peers: Peers = read_peers(settings.pacs_peers)
        self._sender = Sender(settings)
        self._stow = StowSender(settings) if settings.pacs_stow else None
        limits = Limits(max_bytes=settings.max_upload_mb * 2**20)
        bundle = settings.models_dir / settings.model
        self._answering = Answering(Batch(bundle, measurements=True, masks=True, reports=True, limits=limits), vault)

    def begin(self) -> None:
        """Take up what was left in the middle, and remove arrivals whose days are over."""
        self._jobs.resume()
        self._jobs.sweep(self._settings.pacs_days)
        self._patients.remove_orphans()

    def step(self) -> bool:
        """Do what is due first, and tell whether there was anything; raises ``BusyError``."""
        job = self._jobs.claim()
        if job is None:
            return False
        try:
            if job.state is ArrivalState.SENDING:
                self._send(job)
            else:
                self._answer(job)
        except SupersededError:
            self._jobs.give_back(job)
        except BusyError:
            raise
        except RefusedError:
            self._failed(job, "identity", is_final=True)
        except BundleError:
            self._failed(job, "model")
        except VaultError:
            self._failed(job, "storage")
        except UnreachablePeerError:
            self._failed(job, "peer")
        except Exception as error:
            # Its message may quote an object.
            self._failed(job, type(error).__name__[:40])
        return True

    def _failed(self, job: Job, reason: str, *, is_final: bool = False) -> None:
        _LOG.warning("Study %d could not be done: %s.", job.id, reason)
        self._jobs.failed(job, reason, is_final=is_final)

    def _answer(self, job: Job) -> None:
        # What a program uploads is of no patient.
        study = self._answering.answer(job, self._priors.of_study()) if job.is_filed else self._answering.answer(job)
        if not job.is_filed or study.patient is None:
            self._jobs.enter(job, study.answered)
        else:
            self._file(job, study)
        _LOG.info("Study %d is answered: %d units.", job.id, len(study.answered))

    def _file(self, job: Job, study: Study) -> None:
        filing, said = self._filing(), study.patient
        assert said is not None
        patient = self._patients.identified(filing.account, filing.group_id, *identity_of(said))
        self._studies.file(
            filing.account,
            patient.id,
            study.identifier,
            study.taken_on,
            study.series,
            may_add=True,
            also=self._jobs.record(job, study.answered),
        )

    def _send(self, job: Job) -> None:
        peer = self._peers.receiver(self._settings.pacs_results or job.sender)
        if peer is None and self._stow is None:
            self._jobs.keep(job, "nowhere to send")
            return
        contents = [self._vault.read(one.content) for one in job.results]
        if self._stow is not None:
            sending = self._stow.send(contents)
        else:
            assert peer is not None
            sending = self._sender.send(peer, contents)
        refused = 0
        for result, is_taken in zip(job.results, sending, strict=True):
            if is_taken:
                self._jobs.sent(job, [result.id])
            refused += not is_taken
        if refused:
            self._failed(job, "results refused")


def work(settings: Settings, stop: threading.Event) -> None:
    """Work until it is asked to stop; waits for its turn where another worker has this data folder.

    Raises like ``Worker``.
    """
    worker = Worker(settings)
    with locked(settings.data_dir / "pacs-worker.lock", fcntl.LOCK_EX):
        began: float | None = None
        while not stop.is_set():
            try:
                if began is None or time.monotonic() - began > _SWEEP_SECONDS:
                    worker.begin()
                    began = time.monotonic()
                is_idle = not worker.step()
            except BusyError:
                # Also what it was at is to be taken up again.
                is_idle, began = True, None
            if is_idle:
                stop.wait(_PAUSE_SECONDS)
