import pytest

from braintumor.bundles.figures import HospitalStacks, SequenceStacks, StackAnswers
from braintumor.model_cards import hospitals_markdown
from tests.bundles.made_card import made_card
from tests.evaluation.test_hospitals import ROWS

ANSWERS = StackAnswers(stacks=3, tumor=2, no_tumor=0, refer=1)
NONE = StackAnswers(stacks=0, tumor=0, no_tumor=0, refer=0)
STACKS = {"patients": 3, "with_tumor": ANSWERS, "without": NONE, "auroc": None, "key_in_tumor": 2}
OF_FG = HospitalStacks(**STACKS, sequences={"post": SequenceStacks(**STACKS)})
HELD_OUT = {"hospital_test": {"FG": OF_FG}}


@pytest.fixture(scope="module")
def card():
    return made_card(ROWS, stacks=HELD_OUT)


def test_slices_come_by_sequence_after_the_hospital_as_a_whole(card):
    rows = [line.strip("| ").split(" | ")[:4] for line in hospitals_markdown(card).splitlines() if "| FG |" in line]
    assert rows[:3] == [
        ["FG", "all", "2", "6, 3"],
        ["FG", "T1 after contrast", "2", "4, 1"],
        ["FG", "FLAIR", "2", "2, 2"],
    ]


def test_stacks_without_any_are_left_out(card):
    lines = hospitals_markdown(card).splitlines()
    assert "| FG | T1 after contrast | 3 with a tumor | 2 | 0 | 1 | 2 |" in lines
    assert not [line for line in lines if " without |" in line]


def test_a_model_that_held_out_none_says_so():
    assert "no hospital" in hospitals_markdown(made_card())


def test_what_was_only_measured_comes_first(card):
    text = hospitals_markdown(card)
    assert text.index("Only measured") < text.index("Chosen on")
    assert text.count("| Hospital |") == 3
