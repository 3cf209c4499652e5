import pandas as pd
import pytest

from braintumor.reports.hospitals import hospital_sentence, hospital_slices, hospital_stacks, hospitals_markdown

CARD = {
    "name": "net",
    "version": "1.0",
    "operating_point": {"threshold": 0.9, "referral": {"tumor_low": 0.3, "tumor_high": 0.9, "distance_limit": 1.0}},
    "stacks": {
        "hospital_test": {
            "FG": {
                "sequences": {
                    "post": {
                        "with_tumor": {"stacks": 3, "tumor": 2, "no_tumor": 0, "refer": 1},
                        "without": {"stacks": 0, "tumor": 0, "no_tumor": 0, "refer": 0},
                        "key_in_tumor": 2,
                    }
                }
            }
        }
    },
}


def _row(sequence, group, label, p_tumor, referred=False, split="hospital_test"):
    chances = {"p_glioma": p_tumor, "p_meningioma": 0.0, "p_pituitary": 0.0, "p_notumor": 1 - p_tumor}
    facts = {"split": split, "dataset": "lgg", "hospital": "FG", "sequence": sequence, "group": group, "label": label}
    # What is referred here is so for its distance.
    return {**facts, "in_training": False, "referred": referred, "distance": 2.0 if referred else 0.5, **chances}


ROWS = pd.DataFrame(
    [
        _row("post", "a", "glioma", 0.95),
        _row("post", "a", "notumor", 0.92),
        _row("post", "b", "notumor", 0.1),
        # Beyond the threshold, but referred for another reason: not called.
        _row("post", "b", "notumor", 0.95, referred=True),
        _row("flair", "a", "glioma", 0.1),
        _row("flair", "b", "glioma", 0.5, referred=True),
        _row("flair", "b", "notumor", 0.99, split="hospital_validation"),
    ]
)


def test_slices_are_counted_by_sequence_after_the_hospital_as_a_whole():
    table = hospital_slices(CARD, ROWS, "hospital_test")
    assert [row[:4] for row in table] == [
        ["FG", "all", "2", "6, 3"],
        ["FG", "T1 after contrast", "2", "4, 1"],
        ["FG", "FLAIR", "2", "2, 2"],
    ]
    shares = [[cell.split(" ")[0] for cell in row[4:]] for row in table]
    assert shares == [
        ["0.444", "33.3%", "33.3%", "66.7%", "33.3%"],
        ["0.833", "33.3%", "0.0%", "75.0%", "25.0%"],
        ["–", "–", "50.0%", "50.0%", "50.0%"],
    ]


def test_stacks_without_any_are_left_out():
    assert hospital_stacks(CARD, "hospital_test") == [["FG", "T1 after contrast", "3 with a tumor", "2", "0", "1", "2"]]
    assert hospital_stacks(CARD, "hospital_validation") == []


@pytest.mark.parametrize("rows", [ROWS[:0], ROWS[:0].drop(columns=["hospital", "sequence"])])
def test_a_model_that_held_out_none_says_so(rows):
    assert "no hospital" in hospitals_markdown({**CARD, "stacks": {}}, rows)


def test_what_was_only_measured_comes_first():
    text = hospitals_markdown(CARD, ROWS)
    assert text.index("Only measured") < text.index("Chosen on")
    assert text.count("| Hospital |") == 3


def test_the_sentence_holds_the_figures_of_the_split():
    figure = {"value": 0.7, "low": 0.6, "high": 0.8}
    answered = {"share": {"value": 0.5, "low": None, "high": None}, "accuracy": figure}
    said = hospital_sentence({"detection": {"roc_auc": figure}, "answered": answered})
    for part in ("0.700 (0.600 to 0.800)", "50.0% is answered", "70.0% (60.0 to 80.0) is right"):
        assert part in said
