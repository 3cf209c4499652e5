"""What a study that arrives is compared with: in the records of a clinic, and by the worker from end to end."""

import io
import shutil
import subprocess
from dataclasses import replace
from datetime import date, timedelta
from functools import partial

import highdicom as hd
import numpy as np
import pytest
from pydicom.uid import MRImageStorage
from sqlalchemy import select
from sqlalchemy.orm import Session

from braintumor.bundles import GRAPH_FILE, read_card
from braintumor.database.audit import AuditRow
from braintumor.decision import Outcome
from braintumor.pacs.objects import read_object
from braintumor.pacs.priors import Priors
from braintumor.pacs.worker import Worker
from braintumor.records.arrivals import Intake, filer
from braintumor.records.scan_file import mask_file
from braintumor.records.tables import ResultRow
from braintumor.reports.case_files import Case
from braintumor.reports.composition import Judged, report_of
from braintumor.reports.model import ReportModel
from braintumor.scans import DEFAULT_LIMITS, Patient, Series, Weighting, phantom
from tests.conftest import SHIPPED
from tests.pacs.nodes import Hospital
from tests.records import clinic as clinics
from tests.records.clinic import BORN, FINDING, NUMBER, SERIES
from tests.reports.made_predictions import SPACING, prediction
from tests.scans.dicom_files import slices

DAY = date(2026, 6, 1)
EARLIER = date(2026, 1, 15)
MODEL = ReportModel("efficient_unet", "5.2.1", read_card(SHIPPED).sha256[GRAPH_FILE])
SIDE = 4
VOLUME = 2 * SIDE**2 * float(np.prod(SPACING)) / 1000


@pytest.fixture
def clinic(tmp_path):
    clinic = clinics.made(f"sqlite:///{tmp_path / 'data' / 'app.sqlite3'}", tmp_path / "data")
    yield clinic
    clinic.engine.dispose()


@pytest.fixture
def priors(clinic):
    filing = partial(filer, clinic.engine, "bob")
    return Priors(clinic.patients, clinic.studies, filing, SHIPPED.parent)


@pytest.fixture
def prior_of(priors):
    """What compares a case that is a study of its own."""
    return lambda case: priors.of_study()(case)


def case(*, number=NUMBER, name="Müller-Weiß^Zoë", day=DAY, weighting=Weighting.T1_CONTRAST, **answer):
    series = Series("1.2.3", "1.2.3.4", weighting=weighting, modality="MR")
    made = replace(prediction(p_tumors=(0.875, 0.875), **answer), series=series)
    patient = Patient(name, number, f"{BORN:%Y%m%d}")
    return Case(report_of(Judged(made, phantom(40), MODEL), patient, day), made)


def outline(side):
    mask = np.zeros((2, 40, 40), bool)
    mask[:, 5 : 5 + side, 5 : 5 + side] = True
    return mask_file(mask, None, SPACING)


def series(side=SIDE, sequence="t1_contrast", slices=2, **finding):
    """A series to be stored, with a box outlined."""
    usual = {"bundle_sha256": MODEL.sha256, "mask": outline(side), "volume_mm3": 1.0}
    content = repr((side, sequence, slices)).encode()
    answered = replace(FINDING, **{**usual, **finding})
    return replace(SERIES, sequence=sequence, slices=slices, content=content, findings=(answered,))


def filed(clinic, patient, day=EARLIER, *stored):
    return clinic.filed(patient, identifier=f"1.2.{day}", taken_on=day, series=stored or (series(),))


def test_the_prior_has_the_sizes_of_its_outline_and_the_change_its_error(clinic, prior_of):
    patient = clinic.patient()
    filed(clinic, patient)
    found = prior_of(case())
    assert (found.day, found.volume) == (EARLIER, pytest.approx(VOLUME))
    assert found.longest == pytest.approx(np.hypot(SIDE, SIDE) * SPACING[1])
    assert found.is_beyond_error is True
    side = round((case().report.measures.volume.value / VOLUME) ** 0.5 * SIDE)
    filed(clinic, patient, date(2026, 2, 1), series(side))
    found = prior_of(case())
    assert (found.day, found.is_beyond_error) == (date(2026, 2, 1), False)


STUDIES = {
    # what is filed: (day, of its series, whether it is compared)
    "an answer withheld for the type alone": (EARLIER, {"label": None, "reasons": ("kind_uncertain",)}, True),
    "an answer withheld": (EARLIER, {"label": None, "reasons": ("tumor_uncertain", "kind_uncertain")}, False),
    "no tumor": (EARLIER, {"label": "notumor"}, False),
    "no outline": (EARLIER, {"mask": None}, False),
    "another sequence": (EARLIER, {"sequence": "t1"}, False),
    "another model": (EARLIER, {"bundle_sha256": "b" * 64}, False),
    "an outline that cannot be read": (EARLIER, {"mask": b"no mask"}, False),
    "the same day": (DAY, {}, False),
    "a later day": (DAY + timedelta(1), {}, False),
    "no day": (None, {}, False),
}


@pytest.mark.parametrize("what", STUDIES)
def test_only_an_earlier_tumor_on_the_same_sequence_by_the_same_model_is_a_prior(clinic, prior_of, what):
    day, stored, is_compared = STUDIES[what]
    filed(clinic, clinic.patient(), day, series(**stored))
    assert (prior_of(case()) is not None) is is_compared


CASES = {
    "no sequence is known": {"weighting": Weighting.UNKNOWN},
    "no day is known": {"day": None},
    "no tumor is seen": {"decision": Outcome.NO_TUMOR, "finding": "notumor"},
    "nobody has the number": {"number": "MRN-9"},
    "somebody else has the number": {"name": "Doe^Jane"},
    "there is no number": {"number": ""},
}


@pytest.mark.parametrize("what", CASES)
def test_a_case_has_no_prior_where(clinic, prior_of, what):
    filed(clinic, clinic.patient(), EARLIER, series(), series(sequence="unknown"))
    assert prior_of(case()) is not None
    assert prior_of(case(**CASES[what])) is None
    assert len(clinic.patients.search(clinic.people["bob"])) == 1


def test_the_patient_of_a_study_is_looked_up_once(clinic, priors):
    filed(clinic, clinic.patient())
    of_one_study, viewed = priors.of_study(), partial(history_views, clinic)
    before = viewed()
    assert [of_one_study(case()) for _ in range(2)] == 2 * [priors.of_study()(case())]
    assert viewed() == before + 2


def history_views(clinic):
    with Session(clinic.engine) as db:
        return len(db.scalars(select(AuditRow).where(AuditRow.action == "history viewed")).all())


def test_two_patients_of_one_number_have_no_prior(clinic, prior_of):
    for _ in range(2):
        filed(clinic, clinic.patient())
    assert prior_of(case()) is None


def test_of_two_series_the_one_with_most_slices_is_compared_also_of_a_merged_patient(clinic, prior_of):
    merged = clinic.patient()
    filed(clinic, merged, EARLIER, series(side=8, slices=9), series(slices=20), series(side=12, slices=19))
    clinic.patients.merge(clinic.people["bob"], clinic.patient().id, merged.id)
    assert prior_of(case()).volume == pytest.approx(VOLUME)


@pytest.mark.parametrize(
    ("verdict", "side", "is_beyond_error"),
    [
        ({"kind": "agree"}, SIDE, True),
        ({"kind": "correct", "label": "meningioma"}, SIDE, True),
        ({"kind": "correct", "mask": outline(6)}, 6, None),
        ({"kind": "correct", "label": "notumor"}, None, None),
    ],
)
def test_what_a_reader_said_of_the_prior_counts(clinic, prior_of, verdict, side, is_beyond_error):
    patient, bob = clinic.patient(), clinic.people["bob"]
    filed(clinic, patient)
    (finding,) = clinic.studies.history(bob, patient.id)[0].series[0].findings
    clinic.studies.judge(bob, finding.id, **verdict)
    clinic.studies.judge(bob, finding.id, "comment", None, "Seen.")
    found = prior_of(case())
    assert (found is None) is (side is None)
    if side is not None:
        assert (found.volume, found.is_beyond_error) == (pytest.approx(VOLUME * side**2 / SIDE**2), is_beyond_error)


class Node:
    """A worker in this process, and a door for whole studies."""

    def __init__(self, folder):
        self.hospital = Hospital(folder, "SCANNER@127.0.0.1")
        self.clinic = self.hospital.clinic
        self.intake = Intake(self.clinic.engine, self.clinic.vault, timedelta())
        self.worker = Worker(self.hospital.settings)

    def answered(self, day, spacing, **elements):
        """Send a study of a head whose pixels are so large, and give the files of its report by their endings."""
        study = f"1.2.826.0.1.3680043.8.498.{day}"
        said = {"StudyInstanceUID": study, "SeriesInstanceUID": f"{study}.1", "StudyDate": day}
        head = phantom(192, seed=3).astype(np.uint16) * 16
        said |= {"SeriesDescription": "t1_se_tra", "PixelSpacing": [spacing, spacing], **elements}
        before = self._results()
        for number in range(3):
            uid = f"{study}.1.{number}"
            (content,) = slices(1, pixels=head, first=(0, 0, 5 * number), start=number, SOPInstanceUID=uid, **said)
            assert self.intake.accept(read_object("SCANNER", MRImageStorage, uid, content, DEFAULT_LIMITS))
        while self.worker.step():
            pass
        made = self._results()
        return {made[number].kind: self.clinic.vault.read(made[number].content) for number in made.keys() - before}

    def _results(self):
        with Session(self.clinic.engine, expire_on_commit=False) as db:
            return {row.id: row for row in db.scalars(select(ResultRow))}


@pytest.fixture(scope="module")
def followed(tmp_path_factory):
    """The reports of a patient's first study, of the second some months later, and of another patient's first."""
    node = Node(tmp_path_factory.mktemp("node"))
    first, second = node.answered("20260115", 0.5), node.answered("20260601", 1.0)
    other = node.answered("20260602", 1.0, PatientID="777", PatientName="Roe^Richard")
    yield first, second, other
    node.clinic.engine.dispose()


def sizes(group):
    return {found.name.meaning.lower(): found.value for found in group.get_measurements()}


def change(group):
    return [one.value.value for one in group.get_qualitative_evaluations() if one.name.value == "change"]


def test_the_report_of_a_second_study_names_day_and_sizes_of_the_first_and_the_change(followed):
    first, second, other = (hd.sr.srread(io.BytesIO(one["report.dcm"])).content for one in followed)
    (now,) = second.get_volumetric_roi_measurement_groups()
    (prior,) = second.get_image_measurement_groups()
    (before,) = first.get_volumetric_roi_measurement_groups()
    assert b"prior study 2026-01-15" in followed[1]["report.dcm"]
    assert sizes(prior)["volume"] == pytest.approx(sizes(before)["volume"], abs=0.01)
    assert sizes(now)["volume"] == pytest.approx(4 * sizes(prior)["volume"], rel=0.01)
    assert prior.tracking_uid == now.tracking_uid
    assert change(now) == ["beyond_error"]
    for alone in (first, other):
        assert [change(one) for one in alone.get_volumetric_roi_measurement_groups()] == [[]]
        assert not alone.get_image_measurement_groups()


@pytest.mark.skipif(not shutil.which("pdftotext"), reason="pdftotext is not installed (Debian: poppler-utils)")
def test_the_page_of_a_second_study_says_it_too(followed):
    first, second, other = (
        subprocess.run(
            ["pdftotext", "-layout", "-", "-"], input=one["report.pdf"], capture_output=True, check=True
        ).stdout.decode()
        for one in followed
    )
    assert "2026-01-15" in second
    assert "+300%, beyond measurement error" in " ".join(second.split())
    assert not any("prior study" in text for text in (first, other))
