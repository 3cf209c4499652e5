from dataclasses import astuple, replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from braintumor.bundles import GRAPH_FILE, load_bundle
from braintumor.decision import Outcome, Reason, ReasonCode
from braintumor.evaluation import AreaAgreement
from braintumor.reports.composition import Judged, measures_of, model_of, report_of, study_report
from braintumor.reports.model import Estimate, ReportModel
from braintumor.reports.sentences import headline
from braintumor.scans import NotJudgedError, Patient, ScanError, Series, SeriesNote, Unjudged, Weighting, phantom
from tests.conftest import SHIPPED
from tests.reports.made_predictions import prediction

MODEL = ReportModel("made", "1", "a" * 64)
AGREEMENT = AreaAgreement(low=0.64, high=2.25, share=0.9, images=100)


def judged(weighting=Weighting.T1_CONTRAST, number=1, **options):
    series = Series("1.2.3", f"1.2.3.{number}", number=number, weighting=weighting, plane="axial", slices=2)
    made = replace(prediction(p_tumors=(0.875, 0.875), **options), series=series)
    return Judged(made, phantom(40), MODEL, AGREEMENT)


def test_sizes_have_the_ranges_of_the_areas_that_readers_drew():
    mask = np.zeros((2, 20, 20), bool)
    mask[0, 5:15, 4:8] = True
    measures = measures_of(mask, (5.0, 1.0, 0.5), AGREEMENT)
    area, volume, longest = 10 * 2.0, 10 * 2.0 * 5 / 1000, np.hypot(10, 2)
    assert astuple(measures.area) == pytest.approx((area, 0.64 * area, 2.25 * area))
    assert astuple(measures.volume) == pytest.approx((volume, 0.64 * volume, 2.25 * volume))
    assert astuple(measures.longest) == pytest.approx((longest, 0.8 * longest, 1.5 * longest))
    assert measures.perpendicular.value < longest
    assert (measures.lesions, measures.range_share, measures.range_images) == (1, 0.9, 100)


def test_without_millimeters_only_lesions_are_counted_and_without_agreement_there_is_no_range():
    mask = np.zeros((1, 20, 20), bool)
    mask[0, 5:15, 4:8] = mask[0, :2, :2] = True
    measures = measures_of(mask, None, AGREEMENT)
    assert (measures.lesions, measures.longest, measures.area, measures.volume) == (2, None, None, None)
    assert measures_of(mask, (1.0, 1.0, 1.0), None).area == Estimate(44.0)


def test_the_report_of_a_scan_holds_what_was_answered():
    item = judged()
    report = report_of(item, Patient("Doe^Jane"), date(2026, 3, 4), "A1")
    assert report.finding.decision == Outcome.TUMOR
    assert report.finding.probabilities == item.prediction.probabilities
    assert report.measures.volume is not None
    assert (report.study.uid, report.study.day, report.study.slices) == ("1.2.3", date(2026, 3, 4), 2)
    assert report.study.sequence == "T1 after contrast, axial"
    assert report.key_image.is_outlined
    assert report.is_draft


def test_a_series_with_missing_slices_has_no_volume():
    item = judged()
    gaps = replace(item.prediction.series, notes=(SeriesNote.GAPS,))
    measures = report_of(replace(item, prediction=replace(item.prediction, series=gaps))).measures
    assert measures.longest is not None
    assert measures.volume is None


def test_what_is_not_judged_has_neither_sizes_nor_an_outline():
    item = judged(decision="refer", finding=None, reasons=(Reason(ReasonCode.BLANK),))
    report = report_of(item)
    assert report.measures is None
    assert not report.key_image.is_outlined


@pytest.mark.parametrize(
    ("options", "has_sizes"),
    [
        ({"decision": Outcome.TUMOR}, True),
        ({"decision": Outcome.REFER, "reasons": (Reason(ReasonCode.KIND_UNCERTAIN, 0.4, high=0.6),)}, True),
        ({"decision": Outcome.NO_TUMOR, "finding": "notumor"}, False),
    ],
)
def test_only_a_tumor_in_no_doubt_has_sizes(options, has_sizes):
    assert (report_of(judged(**options)).measures is not None) is has_sizes


def test_where_a_tumor_is_unsure_its_outline_is_shown_without_sizes():
    item = judged(decision=Outcome.REFER, reasons=(Reason(ReasonCode.TUMOR_UNCERTAIN, 0.875, 0.3, 0.9),))
    report = report_of(replace(item, prediction=replace(item.prediction, sure_from=0.9)))
    assert report.key_image.is_outlined
    assert report.measures is None


def test_a_study_is_answered_by_its_leading_series_and_says_what_the_others_do():
    localizer = NotJudgedError(Series("1.2.3", "1.2.3.9", number=9, unjudged=Unjudged.LOCALIZER, slices=3), "scan")
    unfit = judged(Weighting.T2, 3, decision="refer", finding=None, reasons=(Reason(ReasonCode.BLANK),))
    report = study_report(
        [judged(Weighting.FLAIR, 2), unfit, judged()],
        failed=[localizer, ScanError("It is cut short.", "Export it again.", "Study 1, series 7")],
    )
    assert report.study.sequence == "T1 after contrast, axial"
    assert [line.split(" (")[0] for line in report.other_series] == ["Series 2"]
    assert [line.split(" (")[0] for line in report.not_assessed[:2]] == ["Series 3", "Series 9"]
    assert report.not_assessed[2] == "Study 1, series 7: It is cut short."
    assert not report.finding.is_contradicted


def test_a_tumor_on_another_series_withholds_the_answer_that_there_is_none():
    report = study_report([judged(decision=Outcome.NO_TUMOR, finding="notumor"), judged(Weighting.FLAIR, 2)])
    assert report.finding.decision == Outcome.REFER
    assert report.finding.is_contradicted
    assert headline(report.finding) != headline(replace(report.finding, is_contradicted=False))


def test_a_study_of_which_nothing_could_be_judged_has_a_report_and_one_without_series_none():
    unfit = judged(decision="refer", finding=None, reasons=(Reason(ReasonCode.BLANK),))
    assert study_report([unfit]).finding.finding is None
    with pytest.raises(ValueError, match="series"):
        study_report([])


def test_the_shipped_model_is_named_with_its_graph_and_its_ranges():
    bundle = load_bundle(Path(SHIPPED))
    model, agreement = model_of(bundle)
    assert f"{model.name}-{model.version}" == bundle.name
    assert model.sha256 == bundle.card.sha256[GRAPH_FILE]
    assert 0.3 < agreement.low < 1 < agreement.high < 4
    assert agreement.images > 100
