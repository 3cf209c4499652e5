"""Reports from answers: of one scan, or of a study from all of its series."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date

import numpy as np
from numpy.typing import NDArray

from braintumor.bundles import GRAPH_FILE, Bundle
from braintumor.decision import Outcome, SeriesAnswer, answer_study
from braintumor.evaluation import AreaAgreement, area_agreement_of
from braintumor.inference import SLICES_UNEVEN, Prediction
from braintumor.reports.key_image import key_image
from braintumor.reports.model import Report, ReportFinding, ReportMeasures, ReportModel, ReportStudy
from braintumor.reports.sentences import headline
from braintumor.reports.values import OF_DIAMETER, estimate
from braintumor.scans import WEIGHTING_WORDS, NotJudgedError, Patient, ScanError, Series, Weighting
from braintumor.segmentation import bidirectional_diameters, measure


@dataclass(frozen=True)
class Judged:
    """A scan's answer, the slice that answers as uint8 (height, width), and the model that answered.

    ``agreement`` tells how far readers' areas lie from that model's, see ``model_of``.
    """

    prediction: Prediction
    picture: NDArray[np.uint8]
    model: ReportModel
    agreement: AreaAgreement | None = None


def model_of(bundle: Bundle) -> tuple[ReportModel, AreaAgreement | None]:
    """Name the model of a bundle, and tell how far the areas that readers outlined lie from its own.

    The latter is measured on the test images whose scores lie in the bundle; None for a model that does not locate.
    """
    card = bundle.card
    return ReportModel(card.name, card.version, card.sha256[GRAPH_FILE]), area_agreement_of(bundle.folder)


def report_of(
    judged: Judged,
    patient: Patient | None = None,
    day: date | None = None,
    accession: str = "",
    is_synthetic: bool = False,
) -> Report:
    """Make the report of one scan, a draft; ``day`` and ``accession`` are those of its study."""
    prediction = judged.prediction
    slices, height, width = prediction.shape
    spacing, number = prediction.spacing, prediction.slice_number
    mask = prediction.mask() if prediction.finding else None
    finding = _finding(prediction)
    is_even = SLICES_UNEVEN not in prediction.notes
    measures = None if mask is None else measures_of(mask, spacing, judged.agreement, has_volume=is_even)
    return Report(
        study=ReportStudy(
            scan=prediction.source,
            sha256=prediction.sha256,
            slices=slices,
            uid=prediction.series.study if prediction.series else "",
            accession=accession,
            day=day,
            sequence=series_words(prediction.series) if prediction.series else "",
        ),
        finding=finding,
        model=judged.model,
        patient=patient or Patient(),
        # Sizes of what may be no tumor would pass for those of one.
        measures=measures if finding.shows_tumor else None,
        key_image=key_image(
            judged.picture,
            None if mask is None else mask[number],
            (height * spacing[1], width * spacing[2]) if spacing else None,
            number,
            slices,
        ),
        is_synthetic=is_synthetic,
    )


def study_report(
    judged: Sequence[Judged],
    patient: Patient | None = None,
    day: date | None = None,
    accession: str = "",
    failed: Sequence[ScanError] = (),
) -> Report:
    """Make one report of a DICOM study: that of the series that answers for it, see ``answer_study``.

    What other series say stands beside it; where they contradict it the answer is withheld. ``failed`` are those that
    were not judged or could not be read. Raises ``ValueError`` without an answered series.
    """
    if not judged:
        raise ValueError("a study without an answered series has no report")
    answers = [_series_answer(item.prediction) for item in judged]
    given = answer_study(answers)
    lead = given.lead if given else 0
    report = report_of(judged[lead], patient, day, accession)
    others = [item.prediction for number, item in enumerate(judged) if number != lead]
    lines = [(item.finding is None, f"{_named(item.series)}: {headline(_finding(item))}.") for item in others]
    unread = [
        f"{_named(error.series) if isinstance(error, NotJudgedError) else error.source}: {error.reason}"
        for error in failed
    ]
    is_doubted = given is not None and given.decision != report.finding.decision
    return replace(
        report,
        finding=replace(report.finding, decision=Outcome.REFER, is_contradicted=True) if is_doubted else report.finding,
        other_series=tuple(line for is_unfit, line in lines if not is_unfit),
        not_assessed=(*(line for is_unfit, line in lines if is_unfit), *unread),
    )


def series_words(series: Series) -> str:
    """Say what kind of images a series holds, as ``T1 after contrast, axial``."""
    return ", ".join(part for part in (WEIGHTING_WORDS[series.weighting], series.plane) if part)


def _named(series: Series | None) -> str:
    if series is None:
        return "Scan"
    number = "Series" if series.number is None else f"Series {series.number}"
    return f"{number} ({WEIGHTING_WORDS[series.weighting] if series.slices else series.modality or 'no images'})"


def _finding(prediction: Prediction) -> ReportFinding:
    return ReportFinding(
        decision=prediction.decision,
        finding=prediction.finding,
        p_tumor=prediction.p_tumor,
        probabilities=prediction.probabilities,
        reasons=prediction.reasons,
        notes=prediction.notes,
        is_tumor_sure=prediction.unsure_of_kind_alone,
    )


def _series_answer(prediction: Prediction) -> SeriesAnswer:
    weighting = prediction.series.weighting if prediction.series else Weighting.UNKNOWN
    return SeriesAnswer(weighting, prediction.decision, prediction.finding, prediction.p_tumor)


def measures_of(
    mask: NDArray[np.bool_],
    spacing: tuple[float, float, float] | None,
    agreement: AreaAgreement | None,
    *,
    has_volume: bool = True,
) -> ReportMeasures:
    """Measure a mask, bool (slices, height, width), with the ranges that ``agreement`` gives; see ``ReportMeasures``.

    Without ``has_volume``, as where slices are missing, there is none.
    """
    measured = measure(mask, None, spacing)
    diameters = bidirectional_diameters(mask, spacing) if spacing else None
    longest, perpendicular = diameters or (None, None)
    return ReportMeasures(
        lesions=measured.lesions,
        longest=estimate(longest, agreement, OF_DIAMETER),
        perpendicular=estimate(perpendicular, agreement, OF_DIAMETER),
        area=estimate(measured.area_mm2, agreement),
        volume=estimate(measured.volume_ml, agreement) if has_volume else None,
        range_share=agreement.share if agreement else None,
        range_images=agreement.images if agreement else 0,
    )
