import dataclasses
import os
from datetime import date

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DatabaseError
from sqlalchemy.orm import Session

from braintumor.accounts import Role
from braintumor.database import RefusedError, Wanted, audit, writing
from braintumor.records import PatientError, VerdictKind
from braintumor.records.confidential import Confidential, words
from braintumor.records.studies import Outline
from braintumor.records.vault import VaultError, open_vault
from braintumor.settings import Settings
from tests.records import clinic as made_clinic
from tests.records.clinic import BORN, FINDING, NAME, NUMBER, SCAN, SERIES

clinic = made_clinic.clinic


def trail(clinic, **wanted):
    with Session(clinic.engine) as db:
        assert audit.verify(db).is_whole
        return [(line.actor_id, line.action, dict(line.details)) for line in audit.entries(db, Wanted(**wanted), 99)]


def shown(clinic, patient, by="bob"):
    return clinic.studies.history(clinic.people[by], patient.id)


class TestIdentity:
    def test_is_kept_and_can_be_edited(self, clinic):
        patient = clinic.patient()
        assert (patient.name, patient.birth_date, patient.number) == (NAME, BORN, NUMBER)
        bob = clinic.people["bob"]
        clinic.patients.edit(bob, patient.id, "Zoë Meyer", "1961-05-04", "")
        again = clinic.patients.view(bob, patient.id)
        assert (again.name, again.birth_date, again.number) == ("Zoë Meyer", date(1961, 5, 4), "")
        assert [found.id for found in clinic.patients.search(bob, "meyer")] == [patient.id]
        assert clinic.patients.search(bob, "muller") == []

    @pytest.mark.parametrize(
        "change",
        [
            *({"name": name} for name in ("", "x" * 81, "x" * 10_000, "Jane\x00Doe", "Jane\u202eDoe", None, 7, "123")),
            *({"birth_date": born} for born in ("1.2.1970", "2070-01-01", "1066-10-14", "1970-02-30", 7, b"1970")),
            *({"number": number} for number in ("1" * 65, "1\n2", None, 17)),
        ],
    )
    def test_what_cannot_be_right_is_refused(self, clinic, change):
        identity = {"name": NAME, "birth_date": BORN, "number": NUMBER} | change
        with pytest.raises(RefusedError):
            clinic.patients.add(clinic.people["bob"], clinic.neurology, **identity)
        assert clinic.patients.search(clinic.people["bob"]) == []

    def test_nothing_of_it_is_in_the_database_or_its_files_in_the_clear(self, clinic, tmp_path):
        clinic.filed(clinic.patient())
        clinic.studies.judge(clinic.people["bob"], 1, "comment", comment="Ask Zoë Müller about 1961-04-05")
        with clinic.engine.connect() as db:
            names = db.dialect.get_table_names(db)
            stored = [bytes(str(db.execute(text(f'SELECT * FROM "{name}"')).all()), "utf-8") for name in names]
        stored += [path.read_bytes() for path in (tmp_path / "data").rglob("*") if path.is_file()]
        for secret in (b"Zo\xc3\xab", b"ller-Wei", b"muller", b"1961-04-05", b"MRN-00417", b"mrn00417", SCAN[:40]):
            assert not any(secret in one for one in stored)

    def test_a_row_moved_to_another_patient_does_not_open(self, clinic):
        one, other = clinic.patient(), clinic.patient(name="Jane Doe")
        with clinic.engine.begin() as db:
            db.execute(
                text("UPDATE patients SET identity = (SELECT identity FROM patients WHERE id = :a) WHERE id = :b"),
                {"a": one.id, "b": other.id},
            )
        with pytest.raises(VaultError, match="damaged"):
            clinic.patients.view(clinic.people["bob"], other.id)


class TestSearch:
    @pytest.mark.parametrize(
        ("query", "is_found"),
        [
            *((query, True) for query in ("", "  ", "zoe", "ZOË", "mul", "müller weiss", "Weiß, Zoë", "mrn 00417")),
            *((query, True) for query in ("zoe mull weis", "004", "mrn-00417")),
            *((query, False) for query in ("mu", "oller", "zoe meier", "zoex", "00417 x", "' OR 1=1 --", "%", "zo_")),
        ],
    )
    def test_by_beginnings_of_words(self, clinic, query, is_found):
        patient = clinic.patient()
        found = [one.id for one in clinic.patients.search(clinic.people["bob"], query)]
        # A text of signs only has no words, and gives the newest patients as an empty one does.
        assert found == ([patient.id] if is_found or not words(query) else [])

    @pytest.mark.parametrize("query", ["x" * 201, None, 7, ["zoe"]])
    def test_what_is_no_text_is_refused(self, clinic, query):
        with pytest.raises(PatientError):
            clinic.patients.search(clinic.people["bob"], query)

    @pytest.mark.parametrize(
        ("name", "plain"),
        [("Müller-Weiß", ["muller", "weiss"]), ("O'Neill", ["o", "neill"]), ("李 小龍", ["李", "小龍"]), ("", [])],
    )
    def test_words(self, name, plain):
        assert words(name) == plain

    def test_two_sites_hash_differently(self, tmp_path):
        one, other = (Confidential(open_vault(Settings(data_dir=tmp_path / site), "patients")) for site in "ab")
        assert not one.tokens(NAME) & other.tokens(NAME)


class TestAccess:
    def actions(self, clinic, patient):
        """Everything that can be done with a patient, its study, series or finding."""
        patients, studies = clinic.patients, clinic.studies
        other = clinic.patient(name="Jane Doe")
        return {
            "view": lambda actor: patients.view(actor, patient.id),
            "history": lambda actor: studies.history(actor, patient.id),
            "scan": lambda actor: studies.scan(actor, 1),
            "outline": lambda actor: studies.outline(actor, 1),
            "edit": lambda actor: patients.edit(actor, patient.id, "Jane Roe"),
            "merge": lambda actor: patients.merge(actor, other.id, patient.id),
            "unmerge": lambda actor: patients.unmerge(actor, patient.id),
            "delete": lambda actor: patients.delete(actor, patient.id),
            "file": lambda actor: studies.file(actor, patient.id, "9.9", None, [SERIES]),
            "judge": lambda actor: studies.judge(actor, 1, "agree"),
            "add": lambda actor: patients.add(actor, patient.group_id, "Jane Poe"),
        }

    @pytest.mark.parametrize("who", ["eve", "ada", "a clinician who left", "a disabled clinician"])
    def test_of_another_group_is_none(self, clinic, who):
        patient = clinic.patient()
        clinic.filed(patient)
        actions = self.actions(clinic, patient)
        actor = clinic.people.get(who, clinic.people["bob"])
        if "left" in who:
            clinic.groups.set_members(clinic.people["ada"], clinic.neurology, [])
        if "disabled" in who:
            clinic.accounts.disable(clinic.people["ada"], actor.id)
        for action in actions.values():
            with pytest.raises(PatientError):
                action(actor)
        if "disabled" in who:
            with pytest.raises(PatientError):
                clinic.patients.search(actor, "zoe")
        else:
            assert clinic.patients.search(actor, "zoe") == []

    def test_of_a_researcher_shows_no_name_and_changes_nothing(self, clinic):
        patient = clinic.patient()
        clinic.filed(patient)
        clinic.studies.judge(clinic.people["bob"], 1, "comment", comment="Ask Zoë")
        rosa = clinic.people["rosa"]
        actions = self.actions(clinic, patient)
        seen = actions["view"](rosa)
        assert (seen.name, seen.birth_date, seen.number) == (None, None, None)
        (study,) = actions["history"](rosa)
        assert study.taken_on is not None
        assert 1 <= (date(2026, 1, 2) - study.taken_on).days <= 3650
        assert study.series[0].findings[0].verdicts[0].comment == ""
        for name in ("edit", "merge", "unmerge", "delete", "file", "judge", "add"):
            with pytest.raises(PatientError):
                actions[name](rosa)
        assert [one.id for one in clinic.patients.search(rosa, patient.code)] == [patient.id]
        with pytest.raises(PatientError):
            clinic.patients.search(rosa, "zoe")

    def test_of_those_on_a_screen_only_who_may_still_be_seen(self, clinic):
        one, other = clinic.patient(), clinic.patient(by="eve", group=clinic.pediatrics)
        numbers = [one.id, other.id, 99]
        seen = {name: clinic.patients.may_see(account, numbers) for name, account in clinic.people.items()}
        assert seen == {"ada": set(), "bob": {one.id}, "eve": {other.id}, "rosa": {one.id}}
        ada, bob, eve = (clinic.people[name] for name in ("ada", "bob", "eve"))
        clinic.accounts.set_role(ada, bob.id, Role.RESEARCHER)
        clinic.accounts.disable(ada, eve.id)
        assert clinic.patients.may_see(bob, numbers) == clinic.patients.may_see(eve, numbers) == set()

    def test_by_a_role_that_was_taken_away(self, clinic):
        patient = clinic.patient()
        stale = clinic.people["bob"]
        clinic.accounts.set_role(clinic.people["ada"], stale.id, Role.RESEARCHER)
        assert clinic.patients.view(stale, patient.id).name is None

    @pytest.mark.parametrize("number", [0, -1, 2**31, 2**70, True, "1", None, 1.0, [1], "1 OR 1=1"])
    def test_by_made_up_numbers(self, clinic, number):
        clinic.filed(clinic.patient())
        bob = clinic.people["bob"]
        for call in (
            lambda: clinic.patients.view(bob, number),
            lambda: clinic.patients.delete(bob, number),
            lambda: clinic.studies.scan(bob, number),
            lambda: clinic.studies.judge(bob, number, "agree"),
            lambda: clinic.patients.add(bob, number, NAME),
        ):
            with pytest.raises(PatientError):
                call()


class TestMerge:
    def test_shows_both_and_is_undone_exactly(self, clinic):
        one, other, third = (clinic.patient(name=name) for name in (NAME, "Zoe Muller", "Jane Doe"))
        before = [clinic.filed(one, identifier="1"), clinic.filed(other, identifier="2"), clinic.filed(third)]
        bob = clinic.people["bob"]
        clinic.patients.merge(bob, one.id, other.id)
        clinic.patients.merge(bob, third.id, one.id)
        assert {study.id for study in shown(clinic, third)} == set(before)
        assert {study.id for study in shown(clinic, other)} == set(before)
        assert clinic.patients.search(bob, "zoe") == []
        clinic.patients.unmerge(bob, one.id)
        clinic.patients.unmerge(bob, other.id)
        assert [[study.id for study in shown(clinic, patient)] for patient in (one, other, third)] == [
            [number] for number in before
        ]

    def test_is_refused_with_itself_and_across_groups(self, clinic):
        clinic.groups.set_members(clinic.people["ada"], clinic.pediatrics, [clinic.people["bob"].id])
        one, other = clinic.patient(), clinic.patient(group=clinic.pediatrics)
        bob = clinic.people["bob"]
        for kept, merged in ((one, one), (one, other)):
            with pytest.raises(PatientError):
                clinic.patients.merge(bob, kept.id, merged.id)
        with pytest.raises(PatientError, match="not merged"):
            clinic.patients.unmerge(bob, one.id)


class TestStudies:
    def test_are_filed_with_all_that_is_theirs(self, clinic):
        patient = clinic.patient()
        clinic.filed(patient)
        (study,) = shown(clinic, patient)
        (series,) = study.series
        (finding,) = series.findings
        assert (series.modality, series.sequence, series.slices) == ("MR", "t1ce", 24)
        assert (finding.bundle_name, finding.bundle_version, finding.bundle_sha256) == (
            "efficient_unet",
            "5.2.1",
            "ab" * 32,
        )
        assert (finding.label, finding.volume_mm3, finding.has_mask) == ("glioma", 1200.0, True)
        assert clinic.studies.scan(clinic.people["bob"], series.id) == SCAN

    def test_are_filed_once(self, clinic):
        patient = clinic.patient()
        clinic.filed(patient)
        with pytest.raises(PatientError, match="already"):
            clinic.filed(patient)
        assert len(shown(clinic, patient)) == 1

    def test_verdicts_are_versions(self, clinic):
        patient = clinic.patient()
        clinic.filed(patient)
        bob = clinic.people["bob"]
        clinic.studies.judge(bob, 1, VerdictKind.AGREE)
        clinic.studies.judge(bob, 1, "correct", "meningioma", "At the edge\x00\n= 1 + 1")
        (finding,) = shown(clinic, patient)[0].series[0].findings
        assert finding.label == "glioma"
        assert [(verdict.version, verdict.kind, verdict.label, verdict.comment) for verdict in finding.verdicts] == [
            (1, VerdictKind.AGREE, None, ""),
            (2, VerdictKind.CORRECT, "meningioma", "At the edge\n= 1 + 1"),
        ]
        with pytest.raises(DatabaseError, match="never changed"), writing(clinic.engine).begin() as db:
            db.execute(text("UPDATE verdicts SET label = 'glioma'"))

    def test_the_outline_is_the_readers_latest_or_else_the_models(self, clinic):
        clinic.filed(
            clinic.patient(),
            series=[SERIES, dataclasses.replace(SERIES, findings=(dataclasses.replace(FINDING, mask=None),))],
        )
        bob = clinic.people["bob"]
        assert clinic.studies.outline(bob, 1) == Outline(FINDING.mask, FINDING.bundle_sha256)
        for mask in (b"better", b"best", None):
            clinic.studies.judge(bob, 1, "correct", "glioma", mask=mask)
        assert clinic.studies.outline(clinic.people["rosa"], 1) == Outline(b"best", None)
        assert trail(clinic)[0] == (clinic.people["rosa"].id, "outline viewed", {})
        with pytest.raises(PatientError, match="no outline"):
            clinic.studies.outline(bob, 2)

    @pytest.mark.parametrize(
        "verdict",
        [
            {"kind": "nonsense"},
            {"kind": "correct"},
            {"kind": "correct", "label": "nonsense"},
            {"kind": "agree", "label": "glioma"},
            {"kind": "comment"},
            {"kind": "comment", "comment": "x" * 4001},
            {"kind": "comment", "comment": None},
            {"kind": None},
        ],
    )
    def test_what_is_no_verdict_is_refused(self, clinic, verdict):
        clinic.filed(clinic.patient())
        with pytest.raises(PatientError):
            clinic.studies.judge(clinic.people["bob"], 1, **verdict)


class TestDeletion:
    def test_takes_everything_and_proves_it(self, clinic):
        patient, merged = clinic.patient(), clinic.patient(name="Zoe Muller")
        clinic.filed(patient)
        clinic.filed(merged, series=[dataclasses.replace(SERIES, content=b"another scan")])
        bob = clinic.people["bob"]
        clinic.studies.judge(bob, 1, "correct", mask=b"a better mask")
        clinic.patients.merge(bob, patient.id, merged.id)
        assert len(list(clinic.vault.list())) == 4
        assert clinic.patients.delete(bob, merged.id) == 4
        assert list(clinic.vault.list()) == []
        with clinic.engine.connect() as db:
            for table in ("patients", "patient_tokens", "studies", "series", "findings", "verdicts", "removals"):
                assert db.scalar(text(f"SELECT COUNT(*) FROM {table}")) == 0
        counts = {"patients": 2, "studies": 2, "series": 2, "findings": 2, "verdicts": 1}
        counts |= {"reports": 0, "objects": 0, "results": 0, "files": 4}
        assert trail(clinic, subject_kind="patient", subject_id=patient.id)[:2] == [
            (None, "files removed", {"files": 4}),
            (bob.id, "patient deleted", counts),
        ]

    def test_leaves_files_that_another_patient_has(self, clinic):
        one, other = clinic.patient(), clinic.patient(name="Jane Doe")
        clinic.filed(one)
        clinic.filed(other)
        assert clinic.patients.delete(clinic.people["bob"], one.id) == 0
        assert clinic.studies.scan(clinic.people["bob"], 2) == SCAN
        assert clinic.patients.delete(clinic.people["bob"], other.id) == 2

    def test_is_finished_at_the_next_start_after_a_crash(self, clinic, monkeypatch):
        patient = clinic.patient()
        clinic.filed(patient)
        with monkeypatch.context() as patch:
            patch.setattr(clinic.patients, "finish_removals", lambda: (_ for _ in ()).throw(KeyboardInterrupt))
            with pytest.raises(KeyboardInterrupt):
                clinic.patients.delete(clinic.people["bob"], patient.id)
        assert len(list(clinic.vault.list())) == 2
        assert clinic.patients.finish_removals() == 2
        assert list(clinic.vault.list()) == []


def test_a_file_that_no_row_names_goes_once_it_is_an_hour_old(clinic, tmp_path):
    clinic.filed(clinic.patient())
    clinic.studies.judge(clinic.people["bob"], 1, "correct", mask=b"a better mask")
    named = set(clinic.vault.list())
    orphan, young = clinic.vault.put(b"left by a killed process"), clinic.vault.put(b"just stored")
    folder = tmp_path / "data" / "vault" / "patients"
    for name in named | {orphan}:
        os.utime(folder / name, (0, 0))
    assert clinic.patients.remove_orphans() == 1
    assert set(clinic.vault.list()) == named | {young}
    assert trail(clinic)[0] == (None, "orphans removed", {"files": 1})
    assert clinic.patients.remove_orphans() == 0
    assert trail(clinic)[0] == (None, "orphans removed", {"files": 1})


def test_everything_is_in_the_audit_trail(clinic):
    bob = dataclasses.replace(clinic.people["bob"], address="192.0.2.7")
    one, other = clinic.patient(), clinic.patient(name="Jane Doe")
    clinic.filed(one)
    clinic.patients.search(bob, "zoe")
    clinic.patients.view(bob, one.id)
    clinic.patients.edit(bob, one.id, NAME)
    clinic.studies.history(bob, one.id)
    clinic.studies.scan(bob, 1)
    clinic.studies.judge(bob, 1, "agree")
    clinic.patients.merge(bob, one.id, other.id)
    clinic.patients.unmerge(bob, other.id)
    clinic.patients.delete(bob, one.id)
    actions = [action for actor, action, _ in trail(clinic)[::-1] if actor in (bob.id, None)]
    assert actions[-13:] == [
        "patient added",
        "patient added",
        "study filed",
        "patients searched",
        "patient viewed",
        "patient edited",
        "history viewed",
        "scan viewed",
        "verdict added",
        "patient merged",
        "merge undone",
        "patient deleted",
        "files removed",
    ]
    with Session(clinic.engine) as db:
        assert audit.entries(db, Wanted(), 2)[1].address == "192.0.2.7"
