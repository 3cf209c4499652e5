import dataclasses
import gzip
from datetime import date

import numpy as np
import pytest
from sqlalchemy.orm import Session
from streamlit.testing.v1 import AppTest

from braintumor import settings
from braintumor.accounts import Role
from braintumor.bundles import GRAPH_FILE, load_bundle
from braintumor.dashboard.desk import desk_of
from braintumor.dashboard.patients import report, side_by_side, store
from braintumor.database import Wanted, audit
from braintumor.inference import Predictors
from braintumor.records import Groups, PatientError, Patients, Studies
from braintumor.records.follow_up import Followed
from braintumor.records.scan_file import mask_file, scan_file
from braintumor.records.vault import open_vault
from braintumor.reports.follow_up import Change, Quantity, prior_of
from braintumor.reports.pdf import pdf_report
from braintumor.scans import phantom
from braintumor.settings import ROOT
from tests.accounts import app_users
from tests.accounts.app_users import PASSWORD, end_sessions, fill, is_outside, log_in, press, said, said_beside, start
from tests.conftest import SHIPPED, png_bytes
from tests.records.clinic import BORN, FINDING, NAME, NUMBER, SERIES
from tests.registration.made_heads import ball, head, motion, scan

environment, engine, accounts, ada, bob = app_users.FIXTURES

ODD = "Jane *Doe* `x` =1+1"


@pytest.fixture
def clinic(engine, ada, bob):
    """The repositories of the app's own data, a group with bob in it, and a patient with a study."""
    vault = open_vault(settings.load(), "patients")
    patients, studies, groups = Patients(engine, vault), Studies(engine, vault), Groups(engine)
    group = groups.create(ada, "Neurology")
    groups.set_members(ada, group, [bob.id])
    patient = patients.add(bob, group, NAME, BORN, NUMBER)
    studies.file(bob, patient.id, "1.2.3", None, [SERIES])
    return patients, studies, groups, group, patient


@pytest.fixture
def app(clinic):
    return opened()


def opened(username="bob"):
    app = log_in(start(), username)
    app.switch_page("pages/patients.py").run()
    assert not app.exception
    assert [title.value for title in app.title] == ["Patients"]
    return app


def choose(app, patient):
    app.selectbox(key="patients_chosen").set_value(patient.id).run()
    assert not app.exception
    return app


def text_of(app):
    return "\n".join(element.value for kind in (app.markdown, app.caption, app.text) for element in kind)


def actions(engine):
    with Session(engine) as db:
        return [line.action for line in audit.entries(db, Wanted(), 20)]


def test_search_finds_by_beginnings(app, clinic):
    for text, rows in (("zoe mul", 1), ("nobody", 0), ("00417", 1)):
        app.text_input(key="patients_search").set_value(text).run()
        assert len(app.dataframe) == rows
    assert app.dataframe[0].value["Name"].tolist() == [NAME]


def test_drawing_the_page_again_is_not_viewing_it_again(app, clinic, engine):
    choose(app, clinic[4])
    before = actions(engine)
    app.run()
    assert actions(engine) == before
    assert before[0] == "history viewed"


def test_add_edit_and_delete(app, clinic, engine):
    app.text_input(key="new_name").set_value(ODD)
    app.text_input(key="new_born").set_value("1980-02-03")
    press(app, "Add patient")
    assert set(app.dataframe[0].value["Name"]) == {NAME, ODD}
    added = clinic[0].search(app_users_account(clinic), "jane")[0]
    choose(app, added)
    app.text_input(key=f"edit_{added.id}_name").set_value("Jane Roe")
    press(app, "Save")
    assert set(app.dataframe[0].value["Name"]) == {NAME, "Jane Roe"}
    press(choose(app, added), "Delete patient")
    app.button(key="patient_delete_confirmed").click().run()
    assert not app.exception
    assert app.dataframe[0].value["Name"].tolist() == [NAME]
    assert actions(engine).count("patient deleted") == 1


def app_users_account(clinic):
    """Bob, as whoever is in the group."""
    from braintumor.accounts import Accounts
    from braintumor.database import open_database

    return Accounts(open_database(settings.load()), settings.load(), rounds=4).authenticate("bob", PASSWORD)


@pytest.mark.parametrize(("field", "value"), [("name", ""), ("name", "x\u202ey"), ("born", "3.2.1980")])
def test_what_cannot_be_right_is_said_and_nothing_is_added(app, field, value):
    app.text_input(key="new_name").set_value("Jane Doe")
    app.text_input(key=f"new_{field}").set_value(value)
    press(app, "Add patient")
    assert len(app.error) == 1
    assert app.dataframe[0].value["Name"].tolist() == [NAME]


def test_merge_and_undo(app, clinic, bob):
    patients, _, _, group, patient = clinic
    other = patients.add(bob, group, "Zoe Muller")
    app.text_input(key="patients_search").set_value("zoe").run()
    choose(app, other)
    app.selectbox(key=f"merge_{other.id}").set_value(patient.id).run()
    press(app, "Merge")
    assert app.dataframe[0].value["Name"].tolist() == ["Zoe Muller"]
    assert "Glioma" in text_of(app)
    press(app, f"Undo the merge of record {patient.id}")
    assert set(app.dataframe[0].value["Name"]) == {NAME, "Zoe Muller"}


def test_history_and_verdicts(app, clinic, bob):
    choose(app, clinic[4])
    assert "Glioma" in text_of(app)
    app.selectbox(key="kind_1").set_value("correct").run()
    app.selectbox(key="label_1").set_value("meningioma").run()
    app.text_input(key="comment_1").set_value("<b>At</b> the *edge*").run()
    app.button(key="judge_1").click().run()
    assert not app.exception
    (finding,) = clinic[1].history(bob, clinic[4].id)[0].series[0].findings
    assert [(verdict.version, verdict.label) for verdict in finding.verdicts] == [(1, "meningioma")]
    assert "meningioma" in text_of(app)
    assert "*edge*" not in text_of(app)


def outlined(side, day, sha="ab" * 32):
    """A study with a box of some voxels of 1 mm a side outlined."""
    mask = np.zeros((30, 40, 40), bool)
    mask[2 : 2 + side, 5 : 5 + side, 5 : 5 + side] = True
    finding = dataclasses.replace(FINDING, mask=mask_file(mask, None, (1.0, 1.0, 1.0)), bundle_sha256=sha)
    return dataclasses.replace(SERIES, sequence="t1_contrast", content=str(day).encode(), findings=(finding,)), day


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
    (toggle,) = [one for one in app.toggle if one.label == "Side by side, aligned"]
    toggle.set_value(True).run(timeout=120)
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
    assert side_by_side.edge_letters(affine) == letters


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
    app.toggle[-1].set_value(True).run()
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


def test_a_researcher_sees_how_far_readers_agree_and_no_name(clinic, accounts, ada, bob):
    clinic[1].judge(bob, 1, "correct", "meningioma")
    accounts.set_role(ada, bob.id, Role.RESEARCHER)
    app = opened()
    app.session_state["patients_tabs"] = "Agreement with readers"
    app.run()
    assert not app.exception
    metrics = {metric.label: metric.value for metric in app.metric}
    assert (metrics["Sensitivity"], metrics["Specificity"]) == ("100.0%", "–")
    assert [table.value.iloc[0, 1] for table in app.dataframe[-2:]] == [1, 1]
    assert app.dataframe[-1].value.iloc[0, 0] == "10 to 20 mm"
    assert not any(NAME in str(table.value) for table in app.dataframe)


def test_a_researcher_sees_codes_only_and_changes_nothing(clinic, accounts, ada, bob):
    accounts.set_role(ada, bob.id, Role.RESEARCHER)
    app = choose(opened(), clinic[4])
    row = app.dataframe[0].value.iloc[0]
    assert (row["Name"], row["Number"], row["Code"]) == ("", "", clinic[4].code)
    assert "Zo" not in text_of(app)
    labels = {button.label for button in app.button}
    assert not labels & {"Add patient", "Save", "Merge", "Delete patient", "Add verdict"}


@pytest.mark.parametrize("change", ["leaves the group", "becomes a researcher"])
def test_what_is_on_the_screen_goes_when_the_right_to_see_it_goes(app, clinic, accounts, ada, bob, change):
    choose(app, clinic[4])
    if change == "leaves the group":
        clinic[2].set_members(ada, clinic[3], [])
    else:
        accounts.set_role(ada, bob.id, Role.RESEARCHER)
    app.run()
    assert not app.exception
    shown = text_of(app) + "".join(str(table.value) for table in app.dataframe)
    assert "Zo" not in shown
    assert "Glioma" not in shown or change == "becomes a researcher"


def test_an_ended_session_changes_nothing(app, clinic, engine, bob):
    choose(app, clinic[4])
    end_sessions(engine)
    press(app, "Save")
    assert is_outside(app)
    assert clinic[0].view(bob, clinic[4].id).name == NAME


def test_a_guest_and_an_account_without_a_group_see_nobody(clinic, ada):
    assert "in no group" in said(opened("ada"))[0]
    page = AppTest.from_file(str(ROOT / "pages" / "patients.py"), default_timeout=30).run()
    assert not page.dataframe


def test_an_administrator_makes_groups_and_says_who_is_in_them(engine, ada, bob):
    app = log_in(start(), "ada")
    app.switch_page("pages/administration.py").run()
    app.text_input(key="group_new").set_value("Neurology")
    press(app, "Create group")
    (group,) = store.groups().everyone(ada)
    app.multiselect(key=f"members_{group.id}").set_value([bob.id]).run()
    app.button(key=f"members_save_{group.id}").click().run()
    assert not app.exception
    assert store.groups().own(bob) == {group.id: "Neurology"}


def test_a_study_is_filed_from_the_desk(clinic, bob):
    desk = desk_of(bob)
    desk.take([("Canary^Jane.png", png_bytes(phantom(64, seed=4)))])
    desk.start(Predictors(SHIPPED, threads=1))
    desk.wait()
    _, studies, _, _, patient = clinic
    app = choose(opened(), patient)
    (case,) = desk.cases
    app.selectbox(key=f"file_study_{patient.id}").set_value(case.key).run()
    app.text_input(key=f"file_date_{patient.id}").set_value("2026-03-04").run()
    app.button(key=f"file_{patient.id}").click().run()
    assert not app.exception
    assert not app.error
    filed = studies.history(bob, patient.id)[0]
    assert str(filed.taken_on) == "2026-03-04"
    (finding,) = filed.series[0].findings
    card = load_bundle(SHIPPED).card
    assert (finding.bundle_name, finding.bundle_version) == (card.name, card.version)
    assert finding.tumor_probability == pytest.approx(case.answer.prediction.p_tumor)
    assert b"Canary" not in gzip.decompress(studies.scan(bob, filed.series[0].id))
    app.button(key=f"file_{patient.id}").click().run()
    assert "already" in app.error[0].value


@pytest.mark.parametrize(
    ("values", "field"),
    [({"name": " "}, "name"), ({"born": "31.01.1970"}, "born"), ({"number": "7\u202e"}, "number")],
)
@pytest.mark.usefixtures("clinic")
def test_what_is_wrong_with_a_new_patient_stands_beside_its_field(values, field):
    app = opened()
    fill(app, "new", **({"name": "Zoe Muller", "born": "1970-01-31", "number": "1"} | values))
    press(app, "Add patient")
    assert said_beside(app, f"new_{field}")
    assert len(app.error) == 1
    fill(app, "new", name="Zoe Muller", born="1970-01-31", number="1")
    press(app, "Add patient")
    assert not app.error
