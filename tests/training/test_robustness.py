import json

import pytest

from braintumor.bundles import load_bundle
from braintumor.datasets import CHANGES, DatasetError
from braintumor.training.robustness import measure_changes
from scripts.changes_plot import changes_plot
from scripts.write_figures import changes_block

CHOSEN = [change for change in CHANGES if change.name in ("RGB", "turned 180", "jet", "16-bit")]


@pytest.fixture(scope="module")
def report(tiny_bundle, picture_folder):
    return measure_changes(load_bundle(tiny_bundle), picture_folder, 4, changes=CHOSEN).as_json()


def test_every_change_is_measured_on_held_out_scans(report):
    assert json.loads(json.dumps(report)) == report | {"changes": list(report["changes"])}
    # Four with a tumor, and of the tumor-free as many as the held-out groups have.
    assert report["scans"] == {"notumor": 2, "glioma": 2, "meningioma": 1, "pituitary": 1}
    assert [row["name"] for row in report["changes"]] == [change.name for change in CHOSEN]
    assert all(row["flips"]["scans"] == 6 for row in report["changes"])


def test_the_same_gray_values_in_another_file_turn_nothing(report):
    for row in report["changes"]:
        if row["name"] in ("RGB", "16-bit"):
            assert row["holds"]
            assert not any(row["flips"][key]["count"] for key in ("false_alarms", "cleared", "withheld", "answered"))


def test_colors_are_refused_as_such(report):
    (jet,) = (row for row in report["changes"] if row["name"] == "jet")
    assert set(jet["flips"]["reasons"]) <= {"color"}
    assert jet["flips"]["withheld"]["count"] == jet["flips"]["withheld"]["of"]


def test_words_and_plot_name_every_change(report):
    text, plot = changes_block(report), changes_plot(report)
    assert all(f"| {change.says} |" in text for change in CHOSEN)
    assert all(f">{change.name}</text>" in plot for change in CHOSEN)
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len(rows) == 2 + len(CHOSEN)
    assert len({row.count("|") for row in rows}) == 1


def test_other_data_is_refused(tiny_bundle, tmp_path, picture_folder):
    (tmp_path / "glioma").mkdir()
    (tmp_path / "glioma" / "1.png").write_bytes(next(picture_folder.rglob("*.png")).read_bytes())
    with pytest.raises(DatasetError):
        measure_changes(load_bundle(tiny_bundle), tmp_path, 4, changes=CHOSEN)
