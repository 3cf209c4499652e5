import dataclasses
from datetime import date

import numpy as np
import pytest

from braintumor.dashboard.patients import outline_edits, report
from braintumor.records import PatientError, VerdictKind
from braintumor.records.scan_file import mask_file, read_scan_file, scan_file
from braintumor.segmentation import edited
from tests.accounts import app_users
from tests.pages import clinic_pages
from tests.pages.clinic_pages import actions, choose, text_of
from tests.records.clinic import FINDING, SERIES

environment, engine, accounts, ada, bob = app_users.FIXTURES
clinic, app = clinic_pages.FIXTURES

SPACING = (5.0, 1.0, 1.0)
KEPT, REJECTED = "Shrink by 1 mm", "Reject"


@pytest.fixture
def mask():
    """A large lesion and a small one."""
    made = np.zeros((6, 40, 40), bool)
    made[1:4, 5:20, 5:20] = True
    made[3:5, 30:33, 30:33] = True
    return made


@pytest.fixture
def outlined(clinic, bob, mask):
    """A patient with such a scan."""
    patients, studies, _, group, _ = clinic
    patient = patients.add(bob, group, "Jane Doe")
    pixels = np.random.default_rng(1).integers(0, 900, mask.shape).astype(np.float32)
    finding = dataclasses.replace(FINDING, mask=mask_file(mask, None, SPACING))
    series = dataclasses.replace(SERIES, content=scan_file(pixels, None, SPACING), findings=(finding,))
    studies.file(bob, patient.id, "4.5.6", date(2026, 1, 1), [series])
    return patient


def latest(clinic, bob, patient):
    return clinic[1].history(bob, patient.id)[0].series[0].findings[0]


def test_a_reader_corrects_an_outline_lesion_by_lesion(outlined, app, clinic, bob, engine, mask):
    choose(app, outlined)
    number = latest(clinic, bob, outlined).id
    app.toggle(key=f"outline_{number}").set_value(True).run()
    assert not app.exception
    assert app.button(key=f"outline_keep_{number}").disabled
    app.selectbox(key=f"outline_{number}_1").set_value(KEPT)
    app.selectbox(key=f"outline_{number}_2").set_value(REJECTED).run()
    assert "2.5 mL, before 3.5 mL" in text_of(app)
    app.button(key=f"outline_keep_{number}").click().run()
    assert not app.exception
    outline = clinic[1].outline(bob, number)
    assert outline.model is None
    assert (read_scan_file(outline.content).pixels > 0).tolist() == edited(mask, {1: -1.0, 2: None}, SPACING).tolist()
    (verdict,) = latest(clinic, bob, outlined).verdicts
    assert (verdict.kind, verdict.label, verdict.has_mask) == (VerdictKind.CORRECT, None, True)
    assert "the outline is another" in text_of(app)
    # Who corrects an outline says nothing of the type, and signs no report.
    assert report.verdict_of(latest(clinic, bob, outlined)) is None
    assert actions(engine).count("verdict added") == 1
    # What is offered next is the corrected outline, with the one lesion that is left.
    assert [one.key for one in app.selectbox if str(one.key).startswith(f"outline_{number}_")] == [
        f"outline_{number}_1"
    ]


def test_an_outline_that_another_reader_corrected_meanwhile_is_not_overwritten(outlined, clinic, bob, mask):
    finding = latest(clinic, bob, outlined)
    shown = outline_edits._read(bob, clinic[1].history(bob, outlined.id)[0].series[0].id, finding.id)
    clinic[1].judge(bob, finding.id, "correct", mask=mask_file(~mask, None, SPACING))
    with pytest.raises(PatientError, match="meanwhile"):
        outline_edits.keep_outline(bob, finding.id, {1: REJECTED}, shown.sha256)
    assert len(latest(clinic, bob, outlined).verdicts) == 1
