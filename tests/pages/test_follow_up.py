import dataclasses
from datetime import date

import numpy as np
import pytest

from braintumor.accounts import Role
from braintumor.bundles import GRAPH_FILE, load_bundle
from braintumor.dashboard.patients import report, side_by_side, store
from braintumor.dashboard.patients.outlined_slice import edge_letters
from braintumor.dashboard.patients.room import Room
from braintumor.records import PatientError
from braintumor.records.follow_up import Followed
from braintumor.records.scan_file import mask_file, scan_file
from braintumor.reports.follow_up import Change, Quantity, prior_of
from braintumor.reports.pdf import pdf_report
from tests.accounts import app_users
from tests.conftest import SHIPPED
from tests.pages import clinic_pages
from tests.pages.clinic_pages import actions, choose, opened, text_of
from tests.records.clinic import FINDING, SERIES
from tests.registration.made_heads import ball, head, motion, scan

environment, engine, accounts, ada, bob = app_users.FIXTURES
clinic, app = clinic_pages.FIXTURES


def outlined(side, day, sha="ab" * 32):
    """A study with a box of some voxels of 1 mm a side outlined."""
    mask = np.zeros((30, 40, 40), bool)
    mask[2 : 2 + side, 5 : 5 + side, 5 : 5 + side] = True
    finding = dataclasses.replace(FINDING, mask=mask_file(mask, None, (1.0, 1.0, 1.0)), bundle_sha256=sha)
    return dataclasses.replace(SERIES, sequence="t1_contrast", content=str(day).encode(), findings=(finding,)), day


def show_both(app):
    (toggle,) = [one for one in app.toggle if one.label == "Side by side, aligned"]
    toggle.set_value(True).run(timeout=120)


@pytest.fixture
def followed(clinic, bob):
    """Three studies of one patient, whose outlines by the shipped model grow a little, then much."""
    patients, studies, _, group, _ = clinic
    patient = patients.add(bob, group, "Jane Doe")
    shipped = load_bundle(SHIPPED).card.sha256[GRAPH_FILE]
    for month, side in ((1, 10), (3, 11), (5, 24)):
        series, day = outlined(side, date(2026, month, 1), shipped)
        studies.file(bob, patient.id, str(day), day, [series])
    return patient


def test_two_studies_are_compared_and_growth_is_said_beyond_the_error_only(followed, app, engine):
    choose(app, followed)
    assert "grew beyond measurement error" in text_of(app)
    assert list(app.table[0].value.columns[:2]) == ["Before: 2026-03-01", "Now: 2026-05-01"]
    assert app.table[0].value.iloc[0, 0] == "1.3 mL"
    assert list(app.table[-1].value["Progression from"]) == ["+40%", "+25%", "+20% and 5 mm"]
    assert actions(engine)[:2] == ["outline viewed"] * 2
    # Studies are numbered in the order in which they were filed; the first is that of the clinic.
    app.selectbox(key=f"follow_now_{followed.id}").set_value(3).run()
    assert not app.exception
    assert "No change beyond measurement error" in text_of(app)
    assert "grew" not in text_of(app)


def test_a_reader_s_outline_is_measured_and_claims_nothing(followed, app, clinic, bob):
    larger, _ = outlined(28, date(2026, 5, 1))
    newest = clinic[1].history(bob, followed.id)[0].series[0].findings[0]
    clinic[1].judge(bob, newest.id, "correct", mask=larger.findings[0].mask)
    choose(app, followed)
    assert app.table[0].value.iloc[0, 1] == "22.0 mL"
    assert "no change is claimed" in text_of(app)
    assert "A reader corrected an outline" in text_of(app)


def scanned(radius, true, sha):
    """A head with a ball outlined, that has moved; its outline is right."""
    mask = ball((20, -15, 10), (radius,) * 3)
    marked = np.where(mask, 950, head()).astype(np.float32)
    volume, outline = scan(marked, (6.0, 2.0, 2.0), true), scan(mask.astype(np.float32), (6.0, 2.0, 2.0), true)
    spacing = (6.0, 2.0, 2.0)
    finding = dataclasses.replace(FINDING, mask=mask_file(outline.pixels > 0.5, volume.affine, spacing))
    finding = dataclasses.replace(finding, bundle_sha256=sha)
    content = scan_file(volume.pixels, volume.affine, spacing)
    return dataclasses.replace(SERIES, sequence="t1_contrast", content=content, findings=(finding,))


@pytest.fixture
def aligned(clinic, bob):
    """A patient whose head moved between two studies, while the tumor grew."""
    patients, studies, _, group, _ = clinic
    patient = patients.add(bob, group, "Jane Doe")
    shipped = load_bundle(SHIPPED).card.sha256[GRAPH_FILE]
    for month, radius, true in ((1, 9, motion([6, -4, 8], [8, -6, 5])), (5, 20, None)):
        day = date(2026, month, 1)
        studies.file(bob, patient.id, str(day), day, [scanned(radius, true, shipped)])
    return patient


def test_two_scans_are_aligned_on_demand_and_their_lesions_matched(aligned, app, engine):
    choose(app, aligned)
    assert not app.get("image")
    show_both(app)
    assert not app.exception
    assert len(app.get("image")) == 1
    assert actions(engine).count("scan viewed") == 2
    matched = next(table.value for table in app.dataframe if "Change of volume" in table.value)
    assert len(matched) == 1
    assert "beyond error" in matched["Change of volume"][0]
    (slider,) = [one for one in app.slider if one.label == "Slice of the later scan"]
    slider.set_value(slider.value + 2).run()
    assert not app.exception
    assert len(app.get("image")) == 1
    assert actions(engine).count("scan viewed") == 2


def test_scans_that_gave_room_to_those_of_others_are_read_again(aligned, clinic, engine, monkeypatch):
    monkeypatch.setattr(store, "_ROOM", Room(1))
    first, second = (choose(opened(), aligned) for _ in "ab")
    for app in (first, second, first):
        show_both(app)
        (slider,) = [one for one in app.slider if one.label == "Slice of the later scan"]
        slider.set_value(slider.value + 1).run()
        assert not app.exception
        assert len(app.get("image")) == 1
    assert actions(engine).count("scan viewed") == 6


def test_both_pictures_show_the_same_place_of_the_head(aligned, clinic, bob):
    newest, oldest = (study.series[0] for study in clinic[1].history(bob, aligned.id))
    followed = tuple(Followed(series, series.findings[0]) for series in (oldest, newest))
    pair = side_by_side._read(bob, followed)
    at = int(np.count_nonzero(pair.now.mask, axis=(1, 2)).argmax())
    before, now = (picture[..., 0].ravel() for picture in side_by_side.slices_of(pair, at))
    assert np.corrcoef(before, now)[0, 1] > 0.9


TOWARDS = {"R": (1, 0, 0), "L": (-1, 0, 0), "A": (0, 1, 0), "P": (0, -1, 0), "S": (0, 0, 1), "I": (0, 0, -1)}


@pytest.mark.parametrize(
    ("axes", "letters"), [("SPL", ("R", "A")), ("SPR", ("L", "A")), ("LIP", ("A", "S")), ("AIL", ("R", "S"))]
)
def test_edges_are_named_by_the_side_of_the_patient_they_point_to(axes, letters):
    affine = np.eye(4)
    affine[:3, :3] = np.array([TOWARDS[axis] for axis in axes]).T * (6, 2, 2) + 0.3
    assert edge_letters(affine) == letters


def test_the_pictures_of_both_scans_lie_beside_each_other():
    before, now = np.zeros((4, 6, 3), np.uint8), np.full((4, 6, 3), 9, np.uint8)
    both = side_by_side.beside(before, now)
    assert (both[:, :6] == before).all()
    assert (both[:, -6:] == now).all()


@pytest.mark.parametrize(
    ("volume", "has_mask", "allowed"), [(9.0, True, True), (None, True, False), (None, False, True)]
)
def test_no_volume_is_told_where_the_model_could_tell_none_of_its_own_outline(
    aligned, clinic, bob, volume, has_mask, allowed
):
    studies = clinic[1].history(bob, aligned.id)
    later, earlier = (
        Followed(one.series[0], dataclasses.replace(one.series[0].findings[0], volume_mm3=volume, has_mask=has_mask))
        for one in studies
    )
    assert later.finding.allows_volume == allowed
    filed = report.filed_report(bob, aligned, studies[0], later, "T1 after contrast")
    assert (filed.measures.volume is not None) == allowed
    assert filed.measures.longest is not None
    assert isinstance(side_by_side._read(bob, (earlier, later)), str) != allowed


def test_a_report_that_is_written_stands_in_the_audit_trail(aligned, clinic, bob, engine):
    (series,) = clinic[1].history(bob, aligned.id)[0].series
    study, shown = clinic[1].history(bob, aligned.id)[0], Followed(series, series.findings[0])
    page = report.filed_page(bob, aligned, study, shown, "T1 after contrast", prior_of(study.taken_on, []))
    assert page.startswith(b"%PDF")
    assert actions(engine).count("report exported") == 1


@pytest.mark.parametrize("change", ["leaves the group", "becomes a researcher"])
def test_who_may_not_see_a_patient_so_any_more_is_given_no_page_of_it(clinic, accounts, ada, bob, change):
    """The browser asks for the file later, and nothing draws the page anew before."""
    _, studies, groups, group, patient = clinic
    (study,) = studies.history(bob, patient.id)
    shown = Followed(study.series[0], study.series[0].findings[0])
    offered = report.filed_page, bob, patient, study, shown, "T1", prior_of(study.taken_on, [])
    if change == "leaves the group":
        groups.set_members(ada, group, [])
    else:
        accounts.set_role(ada, bob.id, Role.RESEARCHER)
    with pytest.raises(PatientError):
        offered[0](*offered[1:])


def test_the_page_of_a_filed_finding_carries_the_prior_and_the_latest_verdict(aligned, clinic, bob):
    newest, oldest = clinic[1].history(bob, aligned.id)
    number = newest.series[0].findings[0].id
    clinic[1].judge(bob, number, "correct", "meningioma", "At the edge.")
    clinic[1].judge(bob, number, "comment", None, "Seen again.")
    (series,) = clinic[1].history(bob, aligned.id)[0].series
    prior = prior_of(oldest.taken_on, [Change(Quantity.VOLUME, 3.1, 33.5, 2.3)])
    filed = report.filed_report(bob, aligned, newest, Followed(series, series.findings[0]), "T1 after contrast", prior)
    assert (filed.prior.day, filed.prior.volume, filed.prior.is_beyond_error) == (date(2026, 1, 1), 3.1, True)
    assert (filed.verdict.agrees, filed.verdict.tumor_type, filed.verdict.comment) == (
        False,
        "Meningioma",
        "At the edge.",
    )
    assert filed.is_corrected
    assert filed.measures.volume.value == pytest.approx(33.5, rel=0.1)
    assert pdf_report([filed]).startswith(b"%PDF")


def test_scans_without_a_place_are_not_shown_side_by_side(followed, app, clinic, bob):
    for study in clinic[1].history(bob, followed.id):
        assert not clinic[1].scan(bob, study.series[0].id).startswith(b"\x1f\x8b")
    choose(app, followed)
    show_both(app)
    assert not app.exception
    assert not app.get("image")
    assert "grew beyond measurement error" in text_of(app)


def test_one_study_or_none_in_common_is_not_compared(app, clinic, bob):
    patients, studies, _, group, first = clinic
    choose(app, first)
    assert "Follow-up" not in [element.value for element in app.subheader]
    patient = patients.add(bob, group, "Jane Doe")
    for day, sequence in ((date(2026, 1, 1), "t2"), (date(2026, 2, 1), "flair")):
        series = dataclasses.replace(outlined(9, day)[0], sequence=sequence)
        studies.file(bob, patient.id, str(day), day, [series])
    app.text_input(key="patients_search").set_value("jane").run()
    choose(app, patient)
    assert "share no sequence" in app.info[0].value
    assert len(app.table) == 0
