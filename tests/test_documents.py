import json
import re
from dataclasses import fields

import pytest
from cyclopts import MissingArgumentError

from braintumor.bundles import read_card
from braintumor.cli.app import app
from braintumor.dashboard.comparison import read_comparison
from braintumor.reports import in_words
from braintumor.settings import ROOT, Settings
from scripts import write_command_line, write_figures
from scripts.network_figures import networks_block
from scripts.write_figures import (
    END,
    IN_README,
    START,
    block,
    documents,
    filled,
    ideas_block,
)
from tests.bundles.made_card import changed, made_card, put_card
from tests.conftest import SHIPPED
from tests.dashboard.made_comparison import write_comparison

README = ROOT / "README.md"
DOCUMENTS = [README, *sorted((ROOT / "docs").glob("*.md"))]
LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def front_matter():
    _, lines, _ = README.read_text(encoding="utf-8").split("---\n", 2)
    return dict(line.split(": ", 1) for line in lines.splitlines())


def anchors(path):
    titles = HEADING.findall(path.read_text(encoding="utf-8"))
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_relative_links_lead_somewhere(path):
    for link in LINK.findall(path.read_text(encoding="utf-8")):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (path.parent / name).resolve() if name else path
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@pytest.mark.parametrize("name", [field.name for field in fields(Settings)])
def test_every_setting_is_in_the_table(name):
    assert f"| `BRAINTUMOR_{name.upper()}` |" in (ROOT / "docs" / "deployment.md").read_text(encoding="utf-8")


def test_table_names_no_setting_that_does_not_exist():
    text = (ROOT / "docs" / "deployment.md").read_text(encoding="utf-8")
    known = {f"BRAINTUMOR_{field.name.upper()}" for field in fields(Settings)}
    assert set(re.findall(r"BRAINTUMOR_[A-Z_]+", text)) <= known


def test_front_matter_makes_a_docker_space():
    facts = front_matter()
    assert {"title", "emoji", "colorFrom", "colorTo", "license"} <= set(facts)
    assert facts["sdk"] == "docker"
    assert len(facts["short_description"]) <= 60
    assert f"STREAMLIT_SERVER_PORT={facts['app_port']}\n" in (ROOT / "Dockerfile").read_text(encoding="utf-8")


@pytest.mark.parametrize("command", ["make app", "make test"])
def test_readme_names_the_two_commands(command):
    assert re.search(rf"^{command}\b", README.read_text(encoding="utf-8"), re.MULTILINE)
    assert re.search(rf"^{command.split()[1]}:", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)


CALL = re.compile(r"python -m braintumor ((?:\\\n|[^`\n])+)")
CALLS = [
    (path, call.replace("\\\n", " ").partition(" > ")[0].split())
    for path in DOCUMENTS
    for call in CALL.findall(path.read_text(encoding="utf-8"))
    if "VERB" not in call and "..." not in call
]


@pytest.mark.parametrize(("path", "arguments"), CALLS, ids=[f"{path.name}: {' '.join(words)}" for path, words in CALLS])
def test_commands_of_the_documents_are_understood(path, arguments):
    """What documents name are whole calls, or a verb with or without some of its options."""
    try:
        command, _, _ = app.parse_args(arguments, exit_on_error=False, print_error=False)
    except MissingArgumentError:
        return
    assert command.__module__.startswith("braintumor.cli.")


def test_the_command_reference_is_what_help_says():
    text = write_command_line.PAGE.read_text(encoding="utf-8")
    assert text == write_command_line.page(), "run: make documents"


@pytest.mark.parametrize(
    "name",
    [
        "README.md",
        "docs/model-card.md",
        "docs/hospitals.md",
        "docs/leakage.md",
        "docs/benchmarks.md",
        "docs/ideas.md",
        "docs/networks.md",
        "docs/other-hospital.md",
        "docs/changes.md",
        "docs/federated.md",
    ],
)
def test_figures_in_a_document_are_those_of_their_file(name):
    found = documents()
    if ROOT / name not in found:
        pytest.skip(f"the report that {name} takes its figures from has not been written yet")
    text = (ROOT / name).read_text(encoding="utf-8")
    assert filled(text, found[ROOT / name]) == text, "run: make documents"


def test_a_document_whose_report_is_missing_is_left_alone(tmp_path, monkeypatch):
    report, document = tmp_path / "report.json", tmp_path / "document.md"
    monkeypatch.setattr(write_figures, "_REPORTED", {document: (report, lambda found: found["text"])})
    assert document not in documents()
    report.write_text('{"text": "words"}')
    assert documents()[document] == "words"


@pytest.mark.parametrize("text", ["", START, f"{END} {START}", f"{START} {END} {END}", f"{START} {START} {END}"])
def test_text_without_both_marks_is_refused(text):
    with pytest.raises(ValueError, match="each once"):
        filled(text, "")


def figure(value, low=None, high=None):
    return {"value": value, "low": low, "high": high}


@pytest.mark.parametrize("with_published", [True, False])
def test_block_tells_each_figure_with_its_interval(tmp_path, with_published):
    changes = {"metrics.hospital_test": None} if with_published else {"metrics.published_test": None}
    card = changed(read_card(SHIPPED), changes)
    text = block(put_card(tmp_path, card))
    test = card.metrics.test
    for found, is_share in (
        (test.four_class.accuracy, True),
        (test.detection.roc_auc, False),
        (test.segmentation.datasets["cheng"].dice, False),
        (test.answered.share, True),
    ):
        assert in_words(*found.floats, is_share) in text
    assert f"{test.images:,} images in {test.groups:,} groups" in text
    assert ("of these 1,130 images were themselves in this model's training set" in text) is with_published
    assert ("inflated" in text) is with_published
    assert ("docs/hospitals.md" in text) is not with_published
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len({row.count("|") for row in rows}) == 1
    assert len(rows) == 2 + len(IN_README) == 2 + 8


@pytest.mark.parametrize("card", [None, made_card()])
def test_without_figures_the_block_says_so(tmp_path, card):
    if card is not None:
        put_card(tmp_path, card)
    assert "scripts/write_figures.py" in block(tmp_path)


IDEA_COLUMNS = {"dice_cheng": "Dice, Cheng", "auc_web": "AUC, web"}


def idea(says, **measured):
    facts = {"epochs": 8, "size": 128, "seconds": 195, "images": 1719, "groups": 62}
    return {"says": says, **facts, "measured": dict.fromkeys(IDEA_COLUMNS) | measured}


def test_ideas_are_told_with_what_they_moved():
    text = ideas_block(
        {
            "classifier": idea("No map", auc_web=0.95),
            "map": idea("The start", auc_web=0.97, dice_cheng=0.5),
            "better": idea("Much better outlines", auc_web=0.9705, dice_cheng=0.55),
            "worse": idea("Worse outlines", dice_cheng=0.46),
        }
    )
    head, _, *rows = [line for line in text.splitlines() if line.startswith("|")]
    cells = {row.split(" | ")[0].removeprefix("| "): row.removesuffix(" |").split(" | ")[1:] for row in rows}
    place = {key: head.removesuffix(" |").split(" | ")[1:].index(title) for key, title in IDEA_COLUMNS.items()}
    assert {len(row) for row in cells.values()} == {len(IDEA_COLUMNS)}
    expected = {
        "No map": ("0.950 (−0.020)", "–"),
        "The start": ("0.970", "0.500"),
        "Much better outlines": ("0.971 (+0.001)", "**0.550 (+0.050)**"),
        "Worse outlines": ("–", "0.460 (−0.040)"),
    }
    assert {says: (row[place["auc_web"]], row[place["dice_cheng"]]) for says, row in cells.items()} == expected
    assert "4 short runs of 8 epochs on pictures of 128 × 128 pixels" in text
    assert "1,719 validation images in 62 groups" in text


def test_each_idea_is_told_against_the_start_that_it_names():
    text = ideas_block(
        {
            "newer": {**idea("A newer idea", auc_web=0.93), "against": "start"},
            "map": idea("The first start", auc_web=0.97),
            "older": idea("An older idea", auc_web=0.95),
            "start": {**idea("The next start", auc_web=0.90), "against": "start"},
        }
    )
    rows = [line.removesuffix(" |").split(" | ") for line in text.splitlines() if line.startswith("|")][2:]
    auc = 1 + list(IDEA_COLUMNS).index("auc_web")
    assert [(row[0].removeprefix("| "), row[auc]) for row in rows] == [
        ("The first start", "0.970"),
        ("An older idea", "0.950 (−0.020)"),
        ("The next start", "0.900"),
        ("A newer idea", "0.930 (+0.030)"),
    ]


def test_the_model_that_ships_stands_last_and_is_no_short_run():
    shipped = {**idea("As it ships", auc_web=0.99), "against": "shipped", "epochs": 54, "size": 256}
    text = ideas_block({"map": idea("The start", auc_web=0.9), "shipped": shipped})
    assert text.startswith("1 short runs of 8 epochs")
    assert "54 epochs" not in text
    assert text.splitlines()[-1].startswith("| As it ships |")
    assert "| 0.990 |" in text


def test_ideas_without_the_start_stand_without_differences():
    assert "| 0.950 |" in ideas_block({"classifier": idea("No map", auc_web=0.95)})


def test_networks_are_told_with_their_costs_and_what_leaks(tmp_path):
    folder = write_comparison(tmp_path)
    path = folder / "comparison.json"
    report = json.loads(path.read_text(encoding="utf-8"))
    lenet = report["networks"]["lenet"]
    lenet["runs"] = [run | {"epochs": 2, "ended": "shortened"} for run in lenet["runs"][1:]]
    path.write_text(json.dumps(report), encoding="utf-8")
    found = read_comparison(folder)
    text = networks_block(found)
    assert "2 of 5 folds were run (LeNet-5 1)." in text
    # In the tables of worth, classes and leaks, and that across two sets, not in that of costs, which has every run.
    assert text.count("| LeNet-5 (2 of 9 epochs) |") == 4
    assert "tested on Navoneel's set, of whose pictures 98% have a near-duplicate among the 300 trained on" in text
    assert "after training on the 300 that share no group with it" in text
    assert "75% have a near-duplicate among those trained on" in text
    assert (
        "| 64 × 64 | 2,000 | 2,500.0 M | 4.0 MB | 3.2 ms | 2 of 9, 2 of 9, 2 of 9, 2 of 9 | 2.0 min | none | CPU |"
        in text
    )
    accuracy = in_words(*found.spread("squeeze_unet", "leak_free", "accuracy"))
    assert f"| SqueezeNet U-Net | {accuracy} |" in text
    assert " points (−" in text
    assert text.endswith("- VGG16: It starts from ImageNet weights, and there is no connection.")
    tables = [block.splitlines() for block in text.split("\n\n") if block.startswith("|")]
    assert [len({row.count("|") for row in rows}) for rows in tables] == [1, 1, 1, 1, 1]
    titles, _, default, *_ = ([cell.strip() for cell in row.strip("|").split("|")] for row in tables[0])
    assert titles[1:-1] == [one.title + " ↓" * one.less_is_better for one in found.figures.values()]
    assert default[titles.index("Brier score ↓")] == in_words(
        *found.spread("squeeze_unet", "leak_free", "brier"), False
    )
    assert "Glioma: recall | Glioma: F1" in tables[1][0]
