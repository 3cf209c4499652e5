"""Groups of files to findings, in several processes: what the command line, a PACS and an archive answer through.

What reads and answers is imported where it is used, so that the processes that do so load it and their caller does not.
"""

import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from itertools import chain, islice
from multiprocessing import get_all_start_methods, get_context
from multiprocessing.context import BaseContext
from pathlib import Path
from typing import TYPE_CHECKING

from braintumor.errors import InputError

if TYPE_CHECKING:
    from braintumor.decision import Outcome, Reason
    from braintumor.inference import Prediction, Predictor
    from braintumor.scans import Group, Scan, ScanError, Series
    from braintumor.segmentation import Measurements

_GROUPS_A_TASK = 8
"""Groups that a process takes at once: of pictures, each takes 15 ms to answer and 0.5 ms to hand over alone."""
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
    decision: "Outcome"
    finding: str | None
    reasons: tuple["Reason", ...]
    notes: tuple[str, ...]
    slice_number: int
    rests_on: tuple[int, ...]
    seconds: float
    bundle: str
    series: "Series | None" = None
    measurements: "Measurements | None" = None
    mask: bytes | None = None
    mask_ending: str | None = None


@dataclass(frozen=True)
class Answered:
    """A group of files, a finding or a failure for each scan in it, in order, and the model's name and version."""

    group: "Group"
    outcomes: "tuple[Finding | ScanError, ...]"
    bundle: str


@dataclass(frozen=True)
class Batch:
    """How to answer: with the model in the folder ``bundle``, with ``measurements`` and ``masks`` where asked for."""

    bundle: Path
    measurements: bool = False
    masks: bool = False

    def answer(self, groups: Iterable["Group"], processes: int | None = None) -> Iterator[Answered]:
        """Answer each group, in order.

        A file that cannot be read is a ``ScanError`` among the outcomes and never ends the others. ``processes`` is how
        many answer at once (default: one a core, at most eight, and no more than there is work for); 1 answers in this
        process. Raises ``BundleError`` when the model cannot be used and ``BatchError`` when a process dies.
        """
        waiting = iter(groups)
        most = processes or default_processes()
        first = list(islice(waiting, most * _GROUPS_A_TASK))
        tasks = _tasks(chain(first, waiting))
        count = min(most, -(-len(first) // _GROUPS_A_TASK))
        return self._answer_apart(tasks, count) if count > 1 else self._answer_here(tasks)

    def answer_group(self, predictor: "Predictor", group: "Group") -> Answered:
        """Read one group and answer its scans one by one; of each no more than its finding stays in memory."""
        from braintumor.scans import read_group

        outcomes = map(partial(self._outcome, predictor), read_group(group))
        return Answered(group, tuple(outcomes), predictor.bundle.name)

    def _answer_here(self, tasks: Iterable[Sequence["Group"]]) -> Iterator[Answered]:
        from braintumor.inference import Predictor

        predictor = Predictor.load(self.bundle)
        for group in chain.from_iterable(tasks):
            yield self.answer_group(predictor, group)

    def _answer_apart(self, tasks: Iterator[Sequence["Group"]], processes: int) -> Iterator[Answered]:
        coming: deque[Future[list[Answered]]] = deque()
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

    def _outcome(self, predictor: "Predictor", outcome: "Scan | ScanError") -> "Finding | ScanError":
        from braintumor.scans import ScanError

        return outcome if isinstance(outcome, ScanError) else self._finding(predictor.predict([outcome])[0])

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


def start_early(paths: Iterable[Path]) -> None:
    """Where paths, or folders among them, hold enough files for several processes, let the first of them start.

    It loads what answers, and its caller looks for groups and loads what reads: both take half a second.
    """
    files = (file for path in paths for file in (path.rglob("*") if path.is_dir() else [path]))
    is_worth_it = default_processes() > 1 and len(list(islice(files, _GROUPS_A_TASK + 1))) > _GROUPS_A_TASK
    if is_worth_it and _START == "forkserver":
        from multiprocessing import forkserver

        with _one_thread_each():
            _context()
            forkserver.ensure_running()


def _context() -> BaseContext:
    context = get_context(_START)
    context.set_forkserver_preload([__name__, "braintumor.inference"])
    return context


def _tasks(groups: Iterator["Group"]) -> Iterator[Sequence["Group"]]:
    while task := list(islice(groups, _GROUPS_A_TASK)):
        yield task


def _answer(batch: Batch, task: Sequence["Group"]) -> list[Answered]:
    """Answer a task in a process of its own, which loads the model once."""
    predictor = _predictor(batch.bundle)
    return [batch.answer_group(predictor, group) for group in task]


@cache
def _predictor(bundle: Path) -> "Predictor":
    from braintumor.inference import Predictor

    return Predictor.load(bundle, threads=1)


def default_processes() -> int:
    """Give how many processes answer where nobody says: one for each core that this process may use, at most eight."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, _MOST_PROCESSES)
