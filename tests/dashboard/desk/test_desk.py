import threading
from contextlib import nullcontext
from dataclasses import replace

import pytest

from braintumor.dashboard import server
from braintumor.dashboard.answers import MOST_SLICES_KEPT, answer_scan
from braintumor.dashboard.desk import desk as desks
from braintumor.dashboard.desk.desk import Bounds, Desk, Progress
from braintumor.dashboard.desk.shelves import MemoryShelf
from braintumor.inference import Predictor
from braintumor.scans import Limits, ScanError
from braintumor.scans.limits import SMALLEST_SLICE
from tests.dashboard.desk.desks import ROOMY, finish, guest, head, heads, names, predictors, zipped

FIXTURES = (predictors,)


def test_every_file_of_an_archive_is_a_case_with_a_whole_answer(predictors, scored):
    desk = guest()
    assert desk.take([zipped("a.zip", 1, 2), ("bad.png", b"nothing"), *heads(3)]).added == 3
    finish(desk, predictors)
    assert names(desk) == ["a.zip/1.png", "a.zip/2.png", "bad.png", "3.png"]
    assert scored == ["a.zip/1.png", "a.zip/2.png", "3.png"]
    answered = [case for case in desk.cases if case.answer]
    assert all(case.thumbnail.startswith(b"\xff\xd8") and len(case.thumbnail) < 2000 for case in answered)
    assert all(case.answer.prediction.slices == () for case in answered)
    assert [len(desk.answer(case.key).prediction.slices) for case in answered] == [1, 1, 1]
    assert isinstance(desk.cases[2].error, ScanError)
    assert desk.answer(desk.cases[2].key) is None


def test_nothing_is_computed_twice(predictors, scored):
    desk = guest()
    desk.take(heads(1, 2))
    finish(desk, predictors)
    assert desk.take([("other name.png", head(1))]).known == 1
    desk.take([zipped("a.zip", 2, 3)])
    finish(desk, predictors)
    assert scored == ["1.png", "2.png", "a.zip/3.png"]
    assert names(desk) == ["1.png", "2.png", "a.zip/2.png", "a.zip/3.png"]
    assert desk.answer(desk.cases[2].key).prediction.source == "a.zip/2.png"


def test_twice_in_one_drop_is_once_on_the_desk():
    assert guest().take([("a.png", head(1)), ("b.png", head(1))]).known == 1


def test_more_scans_than_the_desk_holds_have_one_sentence_until_there_is_room(predictors, scored):
    desk = guest(Bounds(4, 10**8, is_guest=True))
    desk.take([zipped("a.zip", 1, 2, 3), zipped("b.zip", 4, 5)])
    finish(desk, predictors)
    assert names(desk) == ["a.zip/1.png", "a.zip/2.png", "a.zip/3.png", "b.zip/4.png", "Files"]
    assert len(scored) == 4
    assert "1 of 5" in str(desk.cases[4].error)
    desk.clear([case.key for case in desk.cases[:3]])
    finish(desk, predictors)
    assert names(desk) == ["b.zip/4.png", "b.zip/5.png"]
    assert len(scored) == 5


def test_a_file_without_room_is_refused_and_the_others_are_taken(predictors):
    small = len(head(1)) + 10
    desk = guest(Bounds(50, small, is_guest=True))
    intake = desk.take([*heads(1), ("large.png", bytes(100)), *heads(1)])
    assert (intake.added, intake.known) == (1, 1)
    assert [refused.source for refused in intake.refused] == ["large.png"]
    assert desk.held() == len(head(1))


def test_stopped_and_resumed(predictors, scored, monkeypatch):
    desk = guest()
    original = Predictor.predict

    def stopping(self, scans):
        if len(scored) == 1:
            desk.stop()
        return original(self, scans)

    monkeypatch.setattr(Predictor, "predict", stopping)
    desk.take(heads(1, 2, 3, 4))
    finish(desk, predictors)
    assert desk.is_stopped
    assert [bool(case.outcome) for case in desk.cases] == [True, True, False, False]
    finish(desk, predictors)
    assert scored == ["1.png", "2.png"]
    desk.resume()
    finish(desk, predictors)
    assert scored == ["1.png", "2.png", "3.png", "4.png"]
    assert not desk.is_stopped


@pytest.mark.parametrize(("turns", "shown"), [(0, Progress(ahead=3)), (1, Progress("1.png", 0, 1, 3))])
def test_stopped_while_it_waits_for_its_turn(predictors, scored, monkeypatch, turns, shown):
    desk = guest()
    waits, left = threading.Event(), [nullcontext()] * turns

    def wait(size, on_wait, *, is_guest):
        assert is_guest
        if left:
            return left.pop()
        waits.set()
        while True:
            on_wait(3)

    monkeypatch.setattr(server, "turn", wait)
    desk.take(heads(1))
    desk.start(predictors)
    assert waits.wait(30)
    assert desk.progress == shown
    desk.stop()
    desk.wait()
    assert scored == []
    assert desk.progress is None


def test_progress_counts_all_files_of_an_archive(predictors, monkeypatch):
    told = []
    desk = guest()
    original = desk._report
    monkeypatch.setattr(desk, "_report", lambda progress: (told.append(progress), original(progress)))
    desk.take([zipped("a.zip", 1, 2)])
    finish(desk, predictors)
    # By their numbers: a folder in an archive often is named as the patient.
    looked_at = [Progress(), Progress("file 1"), Progress("file 2")]
    assert told == [*looked_at, Progress("a.zip/1.png", 0, 2), Progress("a.zip/2.png", 1, 2)]


def test_cleared_cases_stay_away_while_others_need_their_file(predictors, scored):
    desk = guest()
    desk.take([zipped("a.zip", 1, 2), *heads(3)])
    finish(desk, predictors)
    first, _, third = (case.key for case in desk.cases)
    desk.clear([first, third, "foreign"])
    assert names(desk) == ["a.zip/2.png"]
    desk.take(heads(4))
    finish(desk, predictors)
    assert names(desk) == ["a.zip/2.png", "4.png"]
    assert scored == ["a.zip/1.png", "a.zip/2.png", "3.png", "4.png"]
    desk.clear([case.key for case in desk.cases])
    assert (desk.cases, desk.held()) == ([], 0)


def test_marks_of_foreign_keys_are_passed_over(predictors):
    desk = guest()
    desk.take(heads(1, 2))
    finish(desk, predictors)
    desk.mark([desk.cases[0].key, "foreign", "x" * 10_000], True)
    assert [case.is_read for case in desk.cases] == [True, False]
    desk.mark([desk.cases[0].key], False)
    assert not desk.cases[0].is_read


def test_a_closed_desk_answers_nothing_more(predictors, scored):
    desk = guest()
    desk.take(heads(1))
    desk.close()
    finish(desk, predictors)
    assert (scored, desk.cases) == ([], [])


def test_an_unforeseen_failure_ends_the_job_with_a_sentence_and_it_can_be_resumed(predictors, monkeypatch):
    desk = guest()
    desk.take(heads(1))
    with monkeypatch.context() as patch:
        patch.setattr(Predictor, "predict", lambda self, scans: 1 / 0)
        desk.start(predictors)
        desk.wait()
    assert desk.trouble
    assert desk.cases[0].outcome is None
    desk.resume()
    finish(desk, predictors)
    assert desk.cases[0].answer


def test_scans_added_while_a_job_runs_are_answered_by_it(predictors, scored, monkeypatch):
    desk = guest()
    original = Predictor.predict

    def adding(self, scans):
        if len(scored) == 1:
            desk.take(heads(3))
        return original(self, scans)

    monkeypatch.setattr(Predictor, "predict", adding)
    desk.take(heads(1, 2))
    finish(desk, predictors)
    assert scored == ["1.png", "2.png", "3.png"]


def test_work_of_a_user_who_has_left_waits_for_the_return(predictors, scored):
    present = [True, True, True, True, False]
    desk = Desk(MemoryShelf(), ROOMY, lambda: present.pop(0) if present else True)
    desk.take(heads(1, 2))
    finish(desk, predictors)
    assert scored == ["1.png"]
    assert not desk.is_stopped
    finish(desk, predictors)
    assert scored == ["1.png", "2.png"]


def test_two_desks_take_turns(predictors, scored):
    one, other = guest(), guest()
    one.take(heads(*range(10)))
    other.take([(f"other {seed}.png", head(seed)) for seed in range(20, 23)])
    for desk in (one, other):
        desk.start(predictors)
    for desk in (one, other):
        desk.wait()
    last = max(number for number, name in enumerate(scored) if name.startswith("other"))
    assert last < len(scored) - 1


def test_all_scans_of_a_guest_share_the_pixels(predictors, monkeypatch):
    monkeypatch.setattr(desks, "limits", lambda: Limits(max_total_pixels=3 * SMALLEST_SLICE))
    desk = guest()
    desk.take(heads(1, 2, 3, 4))
    finish(desk, predictors)
    assert [bool(case.answer) for case in desk.cases] == [True, True, True, False]
    desk.clear([desk.cases[0].key])
    desk.take(heads(5))
    finish(desk, predictors)
    assert [bool(case.answer) for case in desk.cases] == [True, True, True, False]


def test_a_guest_keeps_pictures_of_so_many_slices(predictors, monkeypatch):
    given = []

    def keeping(scan, unit, predictor, room):
        given.append(room)
        answer = answer_scan(scan, unit, predictor)
        return replace(answer, slices=dict.fromkeys(range(min(room, 300)), answer.picture))

    monkeypatch.setattr(desks, "answer_scan", keeping)
    desk = guest()
    desk.take(heads(1, 2, 3))
    finish(desk, predictors)
    assert given == [MOST_SLICES_KEPT, MOST_SLICES_KEPT - 300, 0]
    desk.clear([desk.cases[0].key])
    desk.take(heads(4))
    finish(desk, predictors)
    assert given[3:] == [300]


@pytest.mark.parametrize("name", ["<b>.png", "../../etc.png", "a\u202eb.png", ""])
def test_names_are_safe_to_show(name, predictors):
    desk = guest()
    desk.take([(name, head(1))])
    finish(desk, predictors)
    assert "\u202e" not in desk.cases[0].name
    assert desk.cases[0].name
