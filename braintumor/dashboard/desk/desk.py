"""A desk and its job: files to cases to answers, in a thread of its own, whoever looks on."""

import hashlib
import logging
import threading
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace

from braintumor.dashboard import server
from braintumor.dashboard.allocator import release_freed_memory
from braintumor.dashboard.answers import (
    MOST_OF_A_VOLUME,
    MOST_SLICES_KEPT,
    Answer,
    Outcome,
    answer_scan,
    limits,
    model_of,
)
from braintumor.dashboard.desk.case import Case
from braintumor.dashboard.desk.shelves import MemoryShelf, Shelf
from braintumor.errors import InputError
from braintumor.inference import Predictors
from braintumor.scans import (
    Limits,
    NotJudgedError,
    PixelBudget,
    Scan,
    ScanError,
    StoredFile,
    Unit,
    bounded,
    gather,
    safe_name,
)
from braintumor.scans import outcome as read_outcome

_LOG = logging.getLogger(__name__)
_CUT = "cut"
"""Key of the case that stands for all that were too many."""
_MOST_OPENED = 4
"""Whole answers that a desk keeps at hand, of some 20 MB each where they are of volumes."""


@dataclass(frozen=True)
class Progress:
    """Where a job stands: scans done, of how many, the one at hand, and how many of other users wait ahead of it.

    ``total`` is None while files are still looked at.
    """

    name: str = ""
    done: int = 0
    total: int | None = None
    ahead: int = 0


@dataclass(frozen=True)
class Intake:
    """What became of files that were put on a desk: new ones, those that lay there already, and those refused."""

    added: int = 0
    known: int = 0
    refused: tuple[ScanError, ...] = ()


@dataclass(frozen=True)
class Bounds:
    """What a desk holds: scans and bytes of files.

    Where it is a guest's, all of its scans share one budget of pixels, and its job the places at work that guests have.
    """

    scans: int
    size: int
    is_guest: bool


class _StoppedError(Exception):
    """The job was stopped while it waited for its turn."""


@dataclass
class _State:
    """What a desk's lock guards."""

    cases: dict[str, Case] = field(default_factory=dict)
    waiting: dict[str, Unit] = field(default_factory=dict)
    opened: dict[str, Answer] = field(default_factory=dict)
    pixels: dict[str, int] = field(default_factory=dict)
    progress: Progress = field(default_factory=Progress)
    trouble: str = ""
    thread: threading.Thread | None = None
    is_loaded: bool = False
    is_unsorted: bool = True
    is_stopped: bool = False
    is_closed: bool = False


class Desk:
    """The scans of one user, seen alike by all of the user's tabs; safe to use from several threads.

    Answering is a job in a thread of its own. It takes its turn for every scan among all that the server answers, goes
    on when nobody looks, and computes nothing twice: a case is known by its content and the model that answered.
    """

    def __init__(self, shelf: Shelf, bounds: Bounds, may_work: Callable[[], bool] = lambda: True) -> None:
        """Lay out what is on a shelf; while ``may_work`` says no, the job ends and waits for the next ``start``."""
        self._may_work = may_work
        self._shelf = shelf
        self._bounds = bounds
        self._lock = threading.RLock()
        # One at a time changes what is kept: a job that stores an answer, and a user who clears it.
        self._keeping = threading.RLock()
        self._state = _State()

    @property
    def cases(self) -> list[Case]:
        """All cases, in the order of their files."""
        with self._lock:
            return list(self._state.cases.values())

    @property
    def progress(self) -> Progress | None:
        """Where the job stands; None where none runs."""
        with self._lock:
            return self._state.progress if self._state.thread else None

    @property
    def trouble(self) -> str:
        """Why the job ended early, in a sentence for the user; empty where it did not."""
        with self._lock:
            return self._state.trouble

    @property
    def is_stopped(self) -> bool:
        """Whether the user has stopped the job."""
        with self._lock:
            return self._state.is_stopped

    def take(self, files: Iterable[tuple[str, bytes]]) -> Intake:
        """Put files, by name and bytes, on the desk; raises like the shelf where they cannot be kept."""
        intake = Intake()
        new: dict[str, tuple[str, bytes]] = {}
        with self._keeping:
            present = set(self._shelf.files())
            room = self._bounds.size - self._shelf.used()
            for name, data in files:
                key = self._shelf.key_of(data)
                if key in present or key in new:
                    intake = replace(intake, known=intake.known + 1)
                elif len(data) > room:
                    full = ScanError(
                        "There is no room for this file on the desk.", "Clear some scans.", safe_name(name)
                    )
                    intake = replace(intake, refused=(*intake.refused, full))
                else:
                    new[key] = (safe_name(name), data)
                    room -= len(data)
            self._shelf.put_files(new)
        if new:
            self.resume()
            with self._lock:
                self._state.is_unsorted = True
        return replace(intake, added=len(new))

    def start(self, predictors: Predictors) -> None:
        """Let the job run unless it runs already, was stopped by its user or has nothing to do."""
        with self._lock:
            state = self._state
            has_work = state.is_unsorted or state.waiting
            if state.thread or state.is_closed or state.is_stopped or state.trouble or not has_work:
                return
            state.thread = threading.Thread(target=self._work, args=(predictors,), name="desk", daemon=True)
            state.progress = Progress()
            state.thread.start()

    def held(self) -> int:
        """Give how many bytes of files the desk holds, in memory or on the disk."""
        return self._shelf.used()

    def stop(self) -> None:
        """Let the job end after the scan at hand; what was answered stays."""
        with self._lock:
            self._state.is_stopped = True

    def resume(self) -> None:
        """Let a job that was stopped, or ended in trouble, go on at the next ``start``."""
        with self._lock:
            self._state.is_stopped, self._state.trouble = False, ""

    def close(self) -> None:
        """End the job for good and forget everything in memory; what is on the disk stays."""
        with self._lock:
            self._state = _State(is_stopped=True, is_closed=True, thread=self._state.thread)

    def wait(self, seconds: float | None = None) -> None:
        """Wait until the job has ended, or so many seconds."""
        thread = self._state.thread
        if thread:
            thread.join(seconds)

    def answer(self, key: str) -> Answer | None:
        """Give the whole answer of a case; None where there is none, or none that can be read any more.

        One that cannot be read is answered anew at the next ``start``.
        """
        with self._lock:
            case, opened = self._state.cases.get(key), self._state.opened
            if case is None or case.answer is None:
                return None
            if key in opened:
                return opened[key]
        answer = self._shelf.answer(key)
        with self._lock:
            if answer is None:
                self._state.cases[key] = replace(case, outcome=None, is_read=False)
                self._state.is_unsorted = True
                return None
            if not isinstance(self._shelf, MemoryShelf):
                self._state.opened[key] = answer
                while len(self._state.opened) > _MOST_OPENED:
                    del self._state.opened[next(iter(self._state.opened))]
        return answer

    def mark(self, keys: Collection[str], is_read: bool) -> None:
        """Mark cases as read, or as unread; keys that are not on the desk are passed over."""
        with self._keeping:
            with self._lock:
                known = [key for key in keys if key in self._state.cases]
            self._shelf.mark(known, is_read)
            with self._lock:
                for key in known:
                    if case := self._state.cases.get(key):
                        self._state.cases[key] = replace(case, is_read=is_read)

    def clear(self, keys: Collection[str]) -> None:
        """Take cases off the desk, and the files that no other case needs; foreign keys are passed over."""
        with self._keeping:
            with self._lock:
                cases = self._state.cases
                cleared = [cases[key] for key in keys if key in cases]
                left = {key: case for key, case in cases.items() if key not in set(keys)}
            if not left:
                self._shelf.clear()
            else:
                needed = {file for case in left.values() for file in case.files}
                spare = {file for case in cleared for file in case.files} - needed
                # A case of a file that others need would come back when that is looked at again.
                gone = [case.key for case in cleared if not case.files or set(case.files) & needed]
                self._shelf.remove([case.key for case in cleared], spare, gone)
            with self._lock:
                # There is room now for what was cut off.
                self._state.is_unsorted |= _CUT in cases
                for case in cleared:
                    for of_case in (self._state.cases, self._state.waiting, self._state.opened, self._state.pixels):
                        of_case.pop(case.key, None)

    def _work(self, predictors: Predictors) -> None:
        try:
            while (key := self._next()) is not None:
                if key:
                    self._answer(key, predictors)
                else:
                    self._sort(predictors)
        except _StoppedError:
            pass
        except InputError as error:
            self._end(str(error))
        except Exception:
            _LOG.exception("A job on a desk failed")
            self._end("Answering stopped; the server's log says why. Resume it, or tell who runs the server.")
        finally:
            with self._lock:
                if self._state.thread is threading.current_thread():
                    self._state.thread = None
            release_freed_memory()

    def _end(self, trouble: str) -> None:
        with self._lock:
            self._state.trouble = trouble

    def _next(self) -> str | None:
        """Give the key of the next case to answer, "" where files must be looked at first, None where all is done."""
        with self._lock:
            state = self._state
            if not state.is_stopped and state.is_unsorted:
                return ""
            if not state.is_stopped and state.waiting:
                return next(iter(state.waiting))
            # Under the same lock as ``start``, so that what is added now finds either this thread at work or none.
            state.thread = None
            return None

    def _sort(self, predictors: Predictors) -> None:
        """Look at all files, since DICOM files of a series may lie in several, and find the cases among them."""
        with self._lock:
            is_loaded, self._state.is_unsorted = self._state.is_loaded, False
        if not is_loaded:
            loaded = {case.key: case for case in self._shelf.cases()}
            with self._lock:
                self._state.cases, self._state.is_loaded = loaded, True
        files, gone = self._shelf.files(), self._shelf.gone()
        bounds = replace(limits(), max_files=self._bounds.scans)
        self._report(Progress())
        # One file is unpacked at a time.
        with server.turn(
            bounds.max_bytes, lambda ahead: self._report(Progress(ahead=ahead)), is_guest=self._bounds.is_guest
        ):
            units = [
                (_case(unit, files), unit)
                # By its number: the name of a file, or of a folder in an archive, often is a patient's.
                for unit in gather(files.values(), bounds, lambda number: self._report(Progress(f"file {number:,}")))
            ]
        units = [(case, unit) for case, unit in units if case.key not in gone]
        with self._keeping, self._lock:
            before, state = self._state.cases, self._state
            # Files that were cleared while they were looked at.
            present = set(self._shelf.files())
            units = [(case, unit) for case, unit in units if set(case.files) <= present]
            state.cases, state.waiting = {}, {}
            taken, left_out = bounded((unit for _, unit in units), self._bounds.scans)
            cases = {id(unit): case for case, unit in units}
            for unit in taken:
                case = cases[id(unit)]
                old = before.get(case.key)
                if isinstance(unit, ScanError):
                    state.cases[case.key] = replace(case, outcome=unit, is_read=bool(old and old.is_read))
                elif old and _lasts(old, predictors):
                    state.cases[case.key] = replace(old, files=case.files)
                else:
                    state.cases[case.key], state.waiting[case.key] = case, unit
            if left_out:
                error = ScanError(left_out, "Clear some, then add the others again.", "Files")
                state.cases[_CUT] = Case(_CUT, "Files", (), error)
            dropped = set(before) - set(state.cases)
            state.opened = {key: answer for key, answer in state.opened.items() if key not in state.waiting}
            state.pixels = {key: taken for key, taken in state.pixels.items() if key in state.cases}
            self._shelf.remove(dropped, (), ())

    def _answer(self, key: str, predictors: Predictors) -> None:
        with self._lock:
            unit, case = self._state.waiting.get(key), self._state.cases.get(key)
            total, done = len(self._state.cases), len(self._state.cases) - len(self._state.waiting)
            left = limits().max_total_pixels
            if self._bounds.is_guest:
                left -= sum(self._state.pixels.values())
        if unit is None or case is None:
            return  # Cleared meanwhile.
        here = Progress(unit.name, done, total)
        turn = _Turn(
            left, limits(), lambda ahead: self._report(replace(here, ahead=ahead)), is_guest=self._bounds.is_guest
        )
        self._report(here)
        with turn:
            outcome, model = self._outcome(unit, predictors, turn)
        answer = outcome if isinstance(outcome, Answer) else None
        case = case.answered(outcome, model)
        with self._keeping:
            with self._lock:
                if key not in self._state.waiting:
                    return
            self._shelf.put_case(case, answer)
            with self._lock:
                if self._state.waiting.pop(key, None) is not None:
                    self._state.cases[key] = case
                    self._state.pixels[key] = left - turn.left

    def _outcome(self, unit: Unit, predictors: Predictors, turn: "_Turn") -> tuple[Outcome, str]:
        scan = read_outcome(unit, limits(), turn, predictors.modalities)
        if isinstance(scan, ScanError):
            return scan, model_of(predictors.first)
        try:
            predictor = predictors.answering(scan)
        except ScanError as error:
            return error, model_of(predictors.first)
        model = model_of(predictor)
        return self._known(scan, unit, model) or answer_scan(scan, unit, predictor, self._room()), model

    def _known(self, scan: Scan, unit: Unit, model: str) -> Answer | None:
        """Give the answer to the same content that came in another file, with its own name."""
        with self._lock:
            same = [
                case.key
                for case in self._state.cases.values()
                if case.answer and case.model == model and case.answer.prediction.sha256 == scan.sha256
            ]
        answer = self._shelf.answer(same[0]) if same else None
        if answer is None:
            return None
        prediction = replace(answer.prediction, source=scan.source, series=scan.series)
        return replace(answer, key=unit.key, prediction=prediction, unit=unit)

    def _room(self) -> int:
        """Give how many pictures of a volume's slices there is room for."""
        if not self._bounds.is_guest:
            return MOST_OF_A_VOLUME
        with self._lock:
            answers = [self._shelf.answer(case.key) for case in self._state.cases.values() if case.answer]
        return MOST_SLICES_KEPT - sum(len(answer.slices) for answer in answers if answer)

    def _report(self, progress: Progress) -> None:
        may_work = self._may_work()
        with self._lock:
            if self._state.is_stopped or not may_work:
                self._state.is_unsorted |= progress.total is None
                raise _StoppedError
            self._state.progress = progress


class _Turn(PixelBudget, ExitStack):
    """The pixels of one scan, which waits for its turn on the server before it is decoded."""

    def __init__(self, pixels: int, bounds: Limits, on_wait: Callable[[int], object], *, is_guest: bool) -> None:
        PixelBudget.__init__(self, pixels)
        ExitStack.__init__(self)
        self._bounds = bounds
        self._on_wait = on_wait
        self._is_guest = is_guest
        self._has_turn = False

    def take(self, pixels: int, slices: int = 1) -> None:
        super().take(pixels, slices)
        if not self._has_turn:
            # A picture may have more pages, which together have no more pixels than the largest picture.
            size = 4 * max(pixels, self._bounds.max_pixels)
            self.enter_context(server.turn(size, self._on_wait, is_guest=self._is_guest))
            self._has_turn = True


def _case(unit: Unit | ScanError, files: Mapping[str, StoredFile]) -> Case:
    """Make the case of what was found; of a failure the files are those whose name it has."""
    if isinstance(unit, ScanError):
        key = hashlib.sha256(f"{unit.source}\0{unit}".encode()).hexdigest()
        return Case(key, unit.source, _named(unit.source, files))
    return Case(unit.key, unit.name, tuple(dict.fromkeys(key.partition("/")[0] for key in unit.file_keys)))


def _named(source: str, files: Mapping[str, StoredFile]) -> tuple[str, ...]:
    return tuple(key for key, file in files.items() if source == file.name or source.startswith(f"{file.name}/"))


def _lasts(case: Case, predictors: Predictors) -> bool:
    """Tell whether an outcome stays as it is; a failure may have been for want of room, and a model may be replaced."""
    if not isinstance(case.outcome, Answer | NotJudgedError):
        return False
    modality = case.series.modality if case.answer and case.series else None
    return case.model == model_of(predictors.of_modality(modality))
