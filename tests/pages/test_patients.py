import gzip

import pytest
from streamlit.testing.v1 import AppTest

from braintumor import settings
from braintumor.accounts import Role
from braintumor.bundles import load_bundle
from braintumor.dashboard.desk import desk_of
from braintumor.dashboard.patients import store
from braintumor.inference import Predictors
from braintumor.scans import phantom
from braintumor.settings import ROOT
from tests.accounts import app_users
from tests.accounts.app_users import PASSWORD, end_sessions, fill, is_outside, log_in, press, said, said_beside, start
from tests.conftest import SHIPPED, png_bytes
from tests.pages import clinic_pages
from tests.pages.clinic_pages import actions, choose, opened, text_of
from tests.records.clinic import NAME

environment, engine, accounts, ada, bob = app_users.FIXTURES
clinic, app = clinic_pages.FIXTURES

ODD = "Jane *Doe* `x` =1+1"


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


@pytest.mark.parametrize("change", ["leaves the group", "becomes a researcher", "is logged out"])
def test_an_open_dialog_deletes_nothing_when_the_right_to_it_goes(app, clinic, accounts, engine, ada, bob, change):
    press(choose(app, clinic[4]), "Delete patient")
    if change == "leaves the group":
        clinic[2].set_members(ada, clinic[3], [])
    elif change == "becomes a researcher":
        accounts.set_role(ada, bob.id, Role.RESEARCHER)
    else:
        end_sessions(engine)
    app.button(key="patient_delete_confirmed").click().run()
    assert not app.exception
    assert "Zo" not in text_of(app)
    assert "patient deleted" not in actions(engine)


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
