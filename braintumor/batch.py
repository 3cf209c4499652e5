"""Units, of one file or of several that belong together, to findings, in several processes.

The command line, a PACS and an archive answer through it.

Only what a caller needs is loaded here: the processes that answer load the rest, each for itself.
"""

import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import chain, islice
from multiprocessing import get_all_start_methods, get_context
from multiprocessing.context import BaseContext
from pathlib import Path
from typing import TYPE_CHECKING

from braintumor.errors import InputError
from braintumor.scans import DEFAULT_LIMITS, Limits, PixelBudget, ScanError, Series, Unit
from braintumor.scans import outcome as read_outcome

if TYPE_CHECKING:
    from braintumor.decision import Reason
    from braintumor.inference import Prediction, Predictor
    from braintumor.segmentation import Measurements

_UNITS_A_TASK = 8
"""Units that a process takes at once: of pictures, each takes 15 ms to answer and 0.5 ms to hand over alone."""
_TASKS_AHEAD = 3
"""Tasks a process that are handed out before the first is done, so that none waits and few results pile up."""
_MOST_PROCESSES = 8
"""Each holds 200 MB; a caller that has the memory may ask for more."""
_START = "forkserver" if "forkserver" in get_all_start_methods() else "spawn"
"""How processes start: from a clean one, since one that runs threads, as a server does, cannot be forked."""


class BatchError(InputError):
    """A batch that cannot go on; the message says why and what to do."""


@dataclass(frozen=True)
class Finding:
    """What can be stored of the answer for one scan: numbers, codes and names; fields are those of ``Prediction``.

    ``measurements`` are None where they were not asked for, ``mask``, the tumor's mask as the bytes of a file, and
    ``mask_ending``, the ending of its name, where no mask was; and all three where the network does not locate.
    """

    source: str
    sha256: str
    probabilities: dict[str, float]
    p_tumor: float
    decision: str
    finding: str | None
    reasons: "tuple[Reason, ...]"
    notes: tuple[str, ...]
    slice_number: int
    rests_on: tuple[int, ...]
    seconds: float
    bundle: str
    series: Series | None = None
    measurements: "Measurements | None" = None
    mask: bytes | None = None
    mask_ending: str | None = None


Outcome = Finding | ScanError


@dataclass(frozen=True)
class Batch:
    """How to answer: with the model in the folder ``bundle``, with ``measurements`` and ``masks`` where asked for."""

    bundle: Path
    measurements: bool = False
    masks: bool = False
    limits: Limits = DEFAULT_LIMITS

    @cached_property
    def bundle_name(self) -> str:
        """Name and version of the model; raises ``BundleError`` when it cannot be used."""
        from braintumor.bundles import read_card

        card = read_card(self.bundle)
        return f"{card.name}-{card.version}"

    def answer(self, units: Iterable[Unit | ScanError], processes: int | None = None) -> Iterator[Outcome]:
        """Give a finding or a failure for each unit, in order; what is a failure already is handed on.

        ``processes`` is how many answer at once (default: one a core, at most eight, and no more than there is work
        for); 1 answers in this process. Raises ``BundleError`` when the model cannot be used and ``BatchError`` when a
        process dies.
        """
        waiting = iter(units)
        most = processes or min(_available_cores(), _MOST_PROCESSES)
        first = list(islice(waiting, most * _UNITS_A_TASK))
        tasks = _tasks(chain(first, waiting))
        count = min(most, -(-len(first) // _UNITS_A_TASK))
        return self._answer_apart(tasks, count) if count > 1 else self._answer_here(tasks)

    def answer_unit(self, predictor: "Predictor", unit: Unit | ScanError) -> Outcome:
        """Read one unit and answer it; of its scan no more than the finding stays in memory."""
        scan = read_outcome(unit, self.limits, PixelBudget(self.limits.max_total_pixels))
        return scan if isinstance(scan, ScanError) else self._finding(predictor.predict([scan])[0])

    def _answer_here(self, tasks: Iterable[Sequence[Unit | ScanError]]) -> Iterator[Outcome]:
        from braintumor.inference import Predictor

        predictor = Predictor.load(self.bundle)
        for unit in chain.from_iterable(tasks):
            yield self.answer_unit(predictor, unit)

    def _answer_apart(self, tasks: Iterator[Sequence[Unit | ScanError]], processes: int) -> Iterator[Outcome]:
        coming: deque[Future[list[Outcome]]] = deque()
        ahead = processes * _TASKS_AHEAD
        pool = ProcessPoolExecutor(processes, _context())
        try:
            with _one_thread_each():
                coming.extend(pool.submit(_answer, self, task) for task in islice(tasks, ahead))
            while coming:
                answered = coming.popleft().result()
                coming.extend(pool.submit(_answer, self, task) for task in islice(tasks, 1))
                yield from answered
        except BrokenProcessPool as error:
            raise BatchError(
                "A process that answers was ended, as happens when memory runs out; use fewer processes."
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)

    def _finding(self, prediction: "Prediction") -> Finding:
        mask, ending = None, None
        if self.masks and prediction.locates:
            from braintumor.reports import mask_ending, mask_file

            mask, ending = mask_file(prediction), mask_ending(prediction)
        return Finding(
            source=prediction.source,
            sha256=prediction.sha256,
            probabilities=prediction.probabilities,
            p_tumor=prediction.p_tumor,
            decision=prediction.decision,
            finding=prediction.finding,
            reasons=prediction.reasons,
            notes=prediction.notes,
            slice_number=prediction.slice_number,
            rests_on=prediction.rests_on,
            seconds=prediction.seconds,
            bundle=prediction.bundle,
            series=prediction.series,
            measurements=prediction.measurements() if self.measurements else None,
            mask=mask,
            mask_ending=ending,
        )


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Let processes that start here multiply matrices in one thread: two beside each other only get in their way."""
    name = "OPENBLAS_NUM_THREADS"
    before = os.environ.get(name)
    os.environ.setdefault(name, "1")
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]


def _context() -> BaseContext:
    context = get_context(_START)
    context.set_forkserver_preload([__name__, "braintumor.inference"])
    return context


def _tasks(units: Iterator[Unit | ScanError]) -> Iterator[Sequence[Unit | ScanError]]:
    while task := list(islice(units, _UNITS_A_TASK)):
        yield task


def _answer(batch: Batch, task: Sequence[Unit | ScanError]) -> list[Outcome]:
    """Answer a task in a process of its own, which loads the model once."""
    predictor = _predictor(batch.bundle)
    return [batch.answer_unit(predictor, unit) for unit in task]


@cache
def _predictor(bundle: Path) -> "Predictor":
    from braintumor.inference import Predictor

    return Predictor.load(bundle, threads=1)


def _available_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
