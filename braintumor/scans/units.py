"""Files that belong together and are read as one scan; DICOM series among them."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from braintumor.scans.files import StoredFile
from braintumor.scans.limits import Limits, PixelBudget
from braintumor.scans.scan import LeftOutError, Scan, ScanError
from braintumor.scans.series import Patient, Series, SeriesNote, Unjudged, Weighting

if TYPE_CHECKING:
    from braintumor.scans.dicom.instance import Instance
    from braintumor.scans.dicom.sources import SourceImages
    from braintumor.scans.dicom.stacks import ImageSeries

MR_ALONE = frozenset({"MR"})
"""Modalities that the shipped model reads."""

WEIGHTING_WORDS = {
    Weighting.T1_CONTRAST: "T1 after contrast",
    Weighting.T1: "T1",
    Weighting.T2: "T2",
    Weighting.FLAIR: "FLAIR",
    Weighting.PROTON_DENSITY: "proton density",
    Weighting.SUSCEPTIBILITY: "susceptibility",
    Weighting.ANGIOGRAPHY: "angiography",
    Weighting.DIFFUSION: "diffusion",
    Weighting.ADC: "ADC map",
    Weighting.PERFUSION: "perfusion",
    Weighting.FUNCTIONAL: "functional or echo planar",
    Weighting.SPECTROSCOPY: "spectroscopy",
    Weighting.FIELD_MAP: "field or phase map",
    Weighting.DERIVED_MAP: "derived map",
    Weighting.LOCALIZER: "localizer",
    Weighting.UNKNOWN: "sequence not stated",
}
"""How each kind of images is named to readers."""


def kind_words(series: Series) -> str:
    """Name what kind of images a series holds: of MRI its sequence, else its modality."""
    if series.modality == "MR" and series.slices:
        return WEIGHTING_WORDS[series.weighting]
    return series.modality or "modality not stated"


_REASONS = {
    Unjudged.NO_IMAGES: ("It holds no images but a report, a document or the like.", "Nothing needs to be done."),
    Unjudged.OTHER_MODALITY: ("Its modality is {modality}; the model reads MR.", "Send an MRI series of the head."),
    Unjudged.OTHER_BODY_PART: ("It does not show the head.", "Send an MRI series of the head."),
    Unjudged.PHANTOM: ("It shows a phantom.", "Send an MRI series of a patient's head."),
    Unjudged.LOCALIZER: ("It is a localizer.", "Send the diagnostic series of the study."),
    Unjudged.WEIGHTING: (
        "Its kind, {weighting}, is not one that the model learned.",
        "Send T1, T1 after contrast, T2 or FLAIR.",
    ),
    Unjudged.DERIVED: ("It is a map that was computed.", "Send T1, T1 after contrast, T2 or FLAIR."),
    Unjudged.COLOR: ("Its images are in color; an MRI is gray.", "Send the series that they were made from."),
}


class NotJudgedError(ScanError):
    """A series that can be read but that no model may judge; ``series`` holds its facts, ``reason`` says why."""

    def __init__(self, series: Series, source: str) -> None:
        reason, hint = _REASONS[series.unjudged or Unjudged.NO_IMAGES]
        said = reason.format(modality=series.modality or "not stated", weighting=WEIGHTING_WORDS[series.weighting])
        super().__init__(said, hint, source)
        self.series: Series = series


@dataclass(frozen=True)
class Unit:
    """Files that are one scan together: ``name`` is safe to show, of a series it names neither file nor patient.

    ``key`` is made from those of its files, ``file_keys``. ``series`` and ``patient`` are those of DICOM files.
    ``sources`` reads what a DICOM object made from them must refer to, and raises ``ScanError`` where none can;
    ``unreferable`` says why then, in a sentence, and is empty otherwise.
    """

    name: str
    key: str
    load: Callable[[Limits, PixelBudget, Collection[str]], Scan]
    series: Series | None = None
    patient: Patient | None = None
    sources: "Callable[[Limits], SourceImages] | None" = None
    file_keys: tuple[str, ...] = ()
    unreferable: str = ""

    def read(self, limits: Limits, budget: PixelBudget, modalities: Collection[str] = MR_ALONE) -> Scan:
        """Read it; raises ``ScanError``, a ``NotJudgedError`` for a series of another modality or not for a model."""
        return self.load(limits, budget, modalities)


_MOST_FRAMES = 100_000
"""Frames of DICOM objects that are listed in one upload, at 600 bytes each: functional series of 1,000 mosaics with 72
slices each are the largest known."""

_Identity = tuple[Patient, str, str]
"""Patient, study and series to which an object belongs."""


class DicomObjects:
    """DICOM objects as they come, in any order, until all are there to form series.

    Names of their files often are those of patients, so that they go by their numbers here, see ``next_name``.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._instances: list[Instance] = []
        self._count = self._frames = 0
        self._index: ScanError | None = None
        self._beyond: Counter[_Identity] = Counter()
        self._damaged: dict[_Identity, list[ScanError]] = defaultdict(list)
        self._studies: dict[tuple[Patient, str], int] = {}

    def next_name(self) -> str:
        """Name the next object by its number."""
        self._count += 1
        return f"DICOM file {self._count}"

    def add(self, file: StoredFile, data: bytes) -> None:
        """Take one object, whose file goes by a name safe to show; raises ``ScanError`` where it is damaged.

        Where its header still tells the series, that is said with the others of ``series``.
        """
        # Loading pydicom takes half a second.
        from braintumor.scans.dicom.instance import DamagedObjectError, read_instance

        try:
            instance = read_instance(file, data, self._limits)
        except DamagedObjectError as error:
            # Said with its series, which may have no other images.
            self._damaged[error.patient, error.study, error.uid].append(ScanError(error.reason, error.hint, file.name))
            return
        if instance.is_directory:
            self._index = ScanError("This is the index of a CD.", "Choose the folder in which it lies.", file.name)
            return
        frames = self._frames + len(instance.frames)
        if len(self._instances) == self._limits.max_objects or frames > _MOST_FRAMES:
            self._beyond[instance.patient, instance.study, instance.series] += 1
            return
        self._frames = frames
        self._instances.append(instance)

    def series(self) -> Iterator[Unit | ScanError]:
        """Yield a unit for each series, in order of study and number; an error for an index without its files.

        A series of which some images are beyond the limits is refused, since its answer would be that of a part; what
        images of others are, and series of which every image is damaged, are said.
        """
        if not (self._instances or self._damaged or self._beyond):
            yield from () if self._index is None else (self._index,)
            return
        from braintumor.scans.dicom.stacks import group

        for found in group(self._instances):
            identity = (found.instances[0].patient, found.facts.study, found.facts.uid)
            # Of several parts of a series, any may be the one that lacks them.
            unread = self._damaged.get(identity, [])
            notes = (*found.facts.notes, *([SeriesNote.UNREAD] if unread else ()))
            facts = replace(found.facts, study_number=self._study(identity), unread=len(unread), notes=notes)
            yield self._unit(replace(found, facts=facts), self._beyond.get(identity, 0))
        yield from self._failures({(of.patient, of.study, of.series) for of in self._instances})

    def _failures(self, formed: Collection[_Identity]) -> Iterator[ScanError]:
        """Say which images are damaged, which series have no others, and what is beyond the limits."""
        for identity, errors in self._damaged.items():
            if identity in formed:
                yield from errors[: self._limits.max_files]
                continue
            facts = Series(identity[1], identity[2], self._study(identity), unread=len(errors))
            all_of_it = f"All {len(errors)} images of this series are damaged or cut short."
            yield _failed(facts, errors[0].reason if len(errors) == 1 else all_of_it, errors[0].hint)
        beyond = [count for identity, count in self._beyond.items() if identity not in formed]
        if beyond:
            reason = f"{sum(beyond)} more DICOM images, of {len(beyond)} series, are more than is accepted."
            yield LeftOutError(reason, "Send fewer series at once.", "DICOM files")

    def _study(self, identity: _Identity) -> int:
        # Files that went through other hands may lack the study's UID, or share one.
        return self._studies.setdefault(identity[:2], len(self._studies) + 1)

    def _unit(self, found: "ImageSeries", beyond: int) -> Unit | ScanError:
        from braintumor.scans.dicom.sources import unreferable

        if beyond:
            reason = f"{beyond} images of this series are more than is accepted in one upload."
            return _failed(found.facts, reason, "Send it on its own.")
        name = _named(found.facts)
        return Unit(
            name,
            _key(found),
            partial(_read_series, found, name),
            found.facts,
            found.instances[0].patient,
            partial(_sources, found),
            tuple(sorted({instance.file.key for instance in found.instances})),
            unreferable(found),
        )


def _failed(series: Series, reason: str, hint: str) -> ScanError:
    error = ScanError(reason, hint, _named(series))
    error.series = series
    return error


def _key(series: "ImageSeries") -> str:
    keys = sorted(instance.file.key for instance in series.instances)
    return hashlib.sha256(
        repr((series.facts.study_number, series.facts.uid, series.facts.part, keys)).encode()
    ).hexdigest()


def _named(series: Series) -> str:
    number = f"series {series.number}" if series.number is not None else "series"
    parts = [f"Study {series.study_number}", number, kind_words(series)]
    return ", ".join([*parts, f"volume {series.part}"] if series.part > 1 else parts)


def _sources(series: "ImageSeries", limits: Limits) -> "SourceImages":
    from braintumor.scans.dicom.sources import read_sources

    return read_sources(series, limits)


def _read_series(
    series: "ImageSeries", name: str, limits: Limits, budget: PixelBudget, modalities: Collection[str]
) -> Scan:
    facts = series.facts
    if facts.unjudged is None and facts.modality not in modalities:
        facts = replace(facts, unjudged=Unjudged.OTHER_MODALITY)
    if facts.unjudged is not None:
        raise NotJudgedError(facts, name)
    from braintumor.scans.dicom.pixels import read_series

    try:
        return read_series(series, name, limits, budget)
    except ScanError as error:
        error.series = facts
        raise
