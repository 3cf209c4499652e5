"""Units, of one file or of several that belong together, to findings, in several processes.

The command line, a PACS and an archive answer through it.

Only what a caller needs is loaded here: the processes that answer load the rest, each for itself.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING

from braintumor.errors import InputError
from braintumor.processes import context, default_processes, started_apart
from braintumor.scans import (
    DEFAULT_LIMITS,
    Limits,
    PixelBudget,
    Scan,
    ScanError,
    Series,
    Unit,
    in_window,
    with_square_pixels,
)
from braintumor.scans import outcome as read_outcome

if TYPE_CHECKING:
    from braintumor.decision import Reason
    from braintumor.inference import Prediction, Predictor, Predictors
    from braintumor.reports.case_files import Case
    from braintumor.reports.model import ReportPrior
    from braintumor.segmentation import Measurements

_UNITS_A_TASK = 8
"""Units that a process takes at once: of pictures, each takes 15 ms to answer and 0.5 ms to hand over alone."""
_TASKS_AHEAD = 3
"""Tasks a process that are handed out before the first is done, so that none waits and few results pile up."""


class BatchError(InputError):
    """A batch that cannot go on; the message says why and what to do."""


@dataclass(frozen=True)
class Finding:
    """What can be stored of the answer for one scan: numbers, codes and names; fields are those of ``Prediction``.

    ``measurements`` are None where they were not asked for, ``mask``, the tumor's mask as the bytes of a file, and
    ``mask_ending``, the ending of its name, where no mask was; and all three where the network does not locate.
    ``segmentation`` is a DICOM series' mask as the bytes of a DICOM Segmentation, None of an empty one and of one that
    cannot be written, of which ``no_segmentation`` says why in a sentence. ``report`` holds the files of its report
    by the endings of their names, empty where none was asked for.
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
    segmentation: bytes | None = None
    no_segmentation: str | None = None
    report: "Mapping[str, bytes]" = field(default_factory=dict)


Outcome = Finding | ScanError


@dataclass(frozen=True)
class Judged:
    """A unit, its scan, and what was predicted of it by which model, while all of it is in memory."""

    unit: Unit
    scan: Scan
    predictor: "Predictor"
    prediction: "Prediction"


@dataclass(frozen=True)
class Batch:
    """How to answer: with the model in the folder ``bundle``, or one of a series' modality beside it.

    ``measurements``, ``masks`` and ``reports`` come where they are asked for.
    """

    bundle: Path
    measurements: bool = False
    masks: bool = False
    reports: bool = False
    limits: Limits = DEFAULT_LIMITS

    @cached_property
    def bundle_name(self) -> str:
        """Name and version of the model; raises ``BundleError`` when it cannot be used."""
        from braintumor.bundles import read_card

        return read_card(self.bundle).full_name

    def answer(self, units: Iterable[Unit | ScanError], processes: int | None = None) -> Iterator[Outcome]:
        """Give a finding or a failure for each unit, in order; what is a failure already is handed on.

        ``processes`` is how many answer at once (default: one a core, at most eight, and no more than there is work
        for); 1 answers in this process. Raises ``BundleError`` when the model cannot be used and ``BatchError`` when a
        process dies.
        """
        waiting = iter(units)
        most = processes or default_processes()
        first = list(islice(waiting, most * _UNITS_A_TASK))
        tasks = _tasks(chain(first, waiting))
        count = min(most, -(-len(first) // _UNITS_A_TASK))
        return self._answer_apart(tasks, count) if count > 1 else self._answer_here(tasks)

    def answer_unit(self, predictors: "Predictors", unit: Unit | ScanError) -> Outcome:
        """Read one unit and answer it; of its scan no more than the finding stays in memory."""
        judged = self.judge(predictors, unit)
        return judged if isinstance(judged, ScanError) else self.finding(judged)

    def judge(self, predictors: "Predictors", unit: Unit | ScanError) -> "Judged | ScanError":
        """Read one unit and predict it."""
        if isinstance(unit, ScanError):
            return unit
        budget = PixelBudget(self.limits.max_total_pixels)
        scan = read_outcome(unit, self.limits, budget, predictors.modalities)
        if isinstance(scan, ScanError):
            return scan
        try:
            predictor = predictors.answering(scan)
        except ScanError as error:
            return error
        return Judged(unit, scan, predictor, predictor.predict([scan])[0])

    def finding(
        self, judged: "Judged", prior_of: "Callable[[Case], ReportPrior | None]" = lambda case: None
    ) -> Finding:
        """Give what can be stored of what was judged; ``prior_of`` gives what its report is compared with."""
        report = self._report(judged, prior_of) if self.reports else {}
        return self._finding(judged.prediction, judged.unit, report)

    def _answer_here(self, tasks: Iterable[Sequence[Unit | ScanError]]) -> Iterator[Outcome]:
        from braintumor.inference import Predictors

        predictors = Predictors(self.bundle)
        for unit in chain.from_iterable(tasks):
            yield self.answer_unit(predictors, unit)

    def _answer_apart(self, tasks: Iterator[Sequence[Unit | ScanError]], processes: int) -> Iterator[Outcome]:
        coming: deque[Future[list[Outcome]]] = deque()
        ahead = processes * _TASKS_AHEAD
        pool = ProcessPoolExecutor(processes, context())
        try:
            with started_apart():
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

    def _report(self, judged: "Judged", prior_of: "Callable[[Case], ReportPrior | None]") -> Mapping[str, bytes]:
        from braintumor.reports.case_files import case_files, case_of
        from braintumor.reports.key_image import LONGEST_SIDE

        prediction, scan, bundle = judged.prediction, judged.scan, judged.predictor.bundle
        shown = with_square_pixels(scan.pixels[prediction.slice_number], scan.pixel_aspect, LONGEST_SIDE)
        case = case_of(prediction, in_window(shown, shown), bundle, judged.unit, self.limits)
        return case_files(replace(case, report=replace(case.report, prior=prior_of(case))))

    def _finding(self, prediction: "Prediction", unit: Unit, report: Mapping[str, bytes]) -> Finding:
        mask, ending, segmentation, no_segmentation = None, None, None, None
        if self.masks and prediction.locates:
            from braintumor.reports import has_outline, mask_ending, mask_file

            mask, ending = mask_file(prediction), mask_ending(prediction)
            if unit.sources and has_outline(prediction):
                from braintumor.reports.dicom_segmentation import segmentation_file

                try:
                    segmentation = segmentation_file(prediction, unit.sources(self.limits))
                except ScanError as error:
                    no_segmentation = error.reason
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
            segmentation=segmentation,
            no_segmentation=no_segmentation,
            report=report,
        )


def _tasks(units: Iterator[Unit | ScanError]) -> Iterator[Sequence[Unit | ScanError]]:
    while task := list(islice(units, _UNITS_A_TASK)):
        yield task


def _answer(batch: Batch, task: Sequence[Unit | ScanError]) -> list[Outcome]:
    """Answer a task in a process of its own, which loads the model once."""
    predictors = _predictors(batch.bundle)
    return [batch.answer_unit(predictors, unit) for unit in task]


@cache
def _predictors(bundle: Path) -> "Predictors":
    from braintumor.inference import Predictors

    return Predictors(bundle, threads=1)
