import io
import zipfile
from types import SimpleNamespace

import numpy as np
import pytest
import streamlit as st

from braintumor import settings
from braintumor.dashboard import answers
from braintumor.dashboard.answers import MOST_SLICES_KEPT, Answer, Progress
from braintumor.scans import LeftOutError, Limits, ScanError, StoredFile, gather, phantom
from braintumor.scans.limits import SMALLEST_SLICE
from tests.conftest import png_bytes
from tests.scans.dicom_files import dicom, slices

BROKEN = dicom()[:200]


def upload(file_id, name, data):
    return SimpleNamespace(file_id=file_id, name=name, getvalue=lambda: data)


def packed(file_id, count, first=0):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for number in range(first, first + count):
            archive.writestr(f"{number}.png", png_bytes(phantom(64, seed=number)))
    return upload(file_id, f"{file_id}.zip", file.getvalue())


@pytest.fixture
def session(monkeypatch):
    """A session whose answers are the names of the scans, on a server that takes four of them."""
    read = []

    def named(scan, key, room):
        read.append(scan.source)
        return scan.source

    monkeypatch.setattr(st, "session_state", {})
    monkeypatch.setattr(answers, "_answer", named)
    monkeypatch.setenv("BRAINTUMOR_MAX_FILES", "4")
    settings.load.cache_clear()
    yield read
    settings.load.cache_clear()


def test_limits_are_those_of_the_settings_in_force(session, monkeypatch):
    assert answers.limits().max_files == 4
    monkeypatch.setenv("BRAINTUMOR_MAX_FILES", "7")
    settings.load.cache_clear()
    assert answers.limits().max_files == 7


def test_two_archives_together_are_bounded_with_one_sentence(session):
    uploads = [packed("a", 3), packed("b", 3, first=3)]
    outcomes = answers.answer_uploads(uploads)
    assert outcomes[:4] == session == ["a.zip/0.png", "a.zip/1.png", "a.zip/2.png", "b.zip/3.png"]
    (left_out,) = outcomes[4:]
    assert isinstance(left_out, LeftOutError)
    assert "6 pictures" in str(left_out)
    assert "4 of them" in str(left_out)
    assert [str(outcome) for outcome in answers.answer_uploads(uploads)] == [str(outcome) for outcome in outcomes]
    assert len(session) == 4


def test_an_archive_above_the_limit_says_what_was_left_out(session):
    outcomes = answers.answer_uploads([packed("a", 6), packed("b", 1), packed("c", 1)])
    assert len(session) == 4
    assert [isinstance(outcome, ScanError) for outcome in outcomes] == [False] * 4 + [True] * 2
    assert [int(str(outcome).split(" pictures")[0].split()[-1]) for outcome in outcomes[4:]] == [6, 6]


def test_nothing_beside_a_study_crowds_it_out(session):
    """Neither pictures, nor files that cannot be read, nor series that none judges."""
    picture = png_bytes(phantom(32))
    others = [
        *(upload(f"p{number}", f"{number}.png", picture) for number in range(5)),
        *(upload(f"n{number}", f"{number}.dcm", BROKEN) for number in range(9)),
    ]
    study = [
        data
        for number in range(1, 8)
        for data in slices(
            2,
            SeriesInstanceUID=f"1.2.{number}",
            SeriesNumber=number,
            SeriesDescription="t1_se" if number > 5 else "localizer",
        )
    ]
    uploads = [*others, *(upload(f"d{number}", f"{number}", data) for number, data in enumerate(study))]
    units = list(gather([StoredFile(one.name, one.getvalue, one.file_id) for one in uploads], answers.limits()))
    bounded = answers._bounded(units, 4)
    assert [unit.series.number for unit in bounded[:4]] == [1, 2, 6, 7]
    assert [unit.name for unit in bounded[4:8]] == [f"{number}.png" for number in range(4)]
    assert [str(error).split(" were uploaded")[0] for error in bounded[-3:]] == [
        "7 series",
        "5 pictures and volumes",
        "9 files that cannot be used",
    ]


def test_as_many_as_allowed_are_no_error(session):
    assert len(answers.answer_uploads([packed("a", 3), packed("b", 1)])) == len(session) == 4


def test_files_that_cannot_be_read_count_apart(session):
    uploads = [packed("a", 2), *(upload(f"{number}", f"{number}.dcm", BROKEN) for number in range(9))]
    *scans, left_out = answers.answer_uploads(uploads)
    assert [isinstance(outcome, ScanError) for outcome in scans] == [False] * 2 + [True] * 4
    assert "9 files" in str(left_out)


def test_files_taken_away_make_room_for_those_that_were_cut(session):
    first, second = packed("a", 3), packed("b", 3, first=3)
    answers.answer_uploads([first, second])
    assert answers.answer_uploads([second]) == ["b.zip/3.png", "b.zip/4.png", "b.zip/5.png"]
    assert set(st.session_state["_answers"].kept) == {"b/0", "b/1", "b/2"}


def test_only_new_scans_are_announced_once_all_files_were_looked_at(session):
    told = []
    one, two = packed("a", 2), packed("b", 1)
    answers.answer_uploads([one], told.append)
    # By their numbers: a folder in an archive often is named as the patient.
    looked_at = [Progress("file 1"), Progress("file 2")]
    assert told == [*looked_at, Progress("a.zip/0.png", 0, 2), Progress("a.zip/1.png", 1, 2)]
    del told[:]
    answers.answer_uploads([one, two], told.append)
    assert told == [*looked_at, Progress("file 3"), Progress("b.zip/0.png", 2, 3)]
    del told[:]
    answers.answer_uploads([one, two], told.append)
    assert told == []


def test_work_ends_where_the_progress_cannot_be_shown_and_what_was_answered_is_kept(session):
    """As when the user has left: Streamlit then ends the run at its next call."""

    def leave(progress):
        if progress.done == 2:
            raise InterruptedError

    upload = packed("a", 4)
    with pytest.raises(InterruptedError):
        answers.answer_uploads([upload], leave)
    assert session == ["a.zip/0.png", "a.zip/1.png"]
    answers.answer_uploads([upload])
    assert session == [f"a.zip/{number}.png" for number in range(4)]


def test_outcomes_are_told_as_they_come(session):
    told = []
    answers.answer_uploads([packed("a", 3)], on_outcome=lambda outcomes: told.append(len(outcomes)))
    assert told == [1, 2, 3]


@pytest.mark.parametrize(
    ("count", "own", "most", "numbers"),
    [
        (24, 5, 160, list(range(24))),
        (160, 0, 160, list(range(160))),
        (10, 4, 5, [0, 2, 4, 6, 8]),
        (10, 5, 3, [1, 5, 9]),
        (11, 7, 4, [1, 4, 7, 10]),
        (2, 1, 2, [0, 1]),
        (1, 0, 160, []),
        (24, 5, 1, []),
        (24, 5, 0, []),
    ],
)
def test_slices_are_kept_evenly_and_the_one_that_answers_among_them(count, own, most, numbers):
    assert list(answers._spread(count, own, most)) == numbers


@pytest.mark.parametrize("count", [3, 100, 1023])
@pytest.mark.parametrize("most", [2, 7, 160])
def test_no_more_slices_are_kept_than_there_is_room_for(count, most):
    for own in range(0, count, 13):
        numbers = answers._spread(count, own, most)
        assert len(numbers) <= most
        assert own in numbers


@pytest.fixture
def rooms(session, monkeypatch):
    """Room for slices that each scan was given; every scan is a volume that keeps up to 300."""
    given = []

    def keeping(scan, key, room):
        given.append(room)
        kept = dict.fromkeys(range(min(room, 300)), np.zeros((1, 1), np.uint8))
        return Answer(key, None, None, np.zeros((1, 1), np.uint8), kept)

    monkeypatch.setattr(answers, "_answer", keeping)
    return given


def test_a_session_keeps_slices_up_to_its_limit_over_all_files(rooms):
    first, second = packed("a", 2), packed("b", 1, first=2)
    answers.answer_uploads([first])
    outcomes = answers.answer_uploads([first, second])
    assert rooms == [MOST_SLICES_KEPT, MOST_SLICES_KEPT - 300, 0]
    assert sum(len(outcome.slices) for outcome in outcomes) == MOST_SLICES_KEPT


def test_volumes_taken_away_make_room_for_the_slices_of_others(rooms):
    first, second = packed("a", 1), packed("b", 1, first=1)
    answers.answer_uploads([first])
    answers.answer_uploads([second])
    assert rooms == [MOST_SLICES_KEPT] * 2


def test_all_files_that_a_session_holds_share_its_pixels(session, monkeypatch):
    monkeypatch.setattr(answers, "limits", lambda: Limits(max_files=9, max_total_pixels=3 * SMALLEST_SLICE))
    one, two = packed("a", 2), packed("b", 2)
    assert answers.answer_uploads([one]) == ["a.zip/0.png", "a.zip/1.png"]
    third, refused = answers.answer_uploads([one, two])[2:]
    assert third == "b.zip/0.png"
    assert isinstance(refused, ScanError)
    assert answers.answer_uploads([packed("c", 2)]) == ["c.zip/0.png", "c.zip/1.png"]


def test_answers_for_files_that_may_come_again_are_bounded_by_their_bytes(monkeypatch):
    """Each of these takes a megabyte; a single one is kept however large it is."""
    asked = []

    class Made:
        bundle = SimpleNamespace(card=SimpleNamespace(sha256={answers.GRAPH_FILE: "model"}))

        def predict(self, scans):
            asked.append(scans[0].sha256)
            return [SimpleNamespace(nbytes=2**20, finding=None)]

    monkeypatch.setattr(st, "session_state", {})
    monkeypatch.setattr(answers, "predictors", lambda: SimpleNamespace(answering=lambda scan: Made()))
    monkeypatch.setattr(answers, "_MOST_BYTES", 3 * 2**20)
    for name in "abcadda":
        answers._predict(SimpleNamespace(sha256=name))
    assert asked == ["a", "b", "c", "d", "a"]
