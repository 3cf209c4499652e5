import json
import sys
import zipfile

import nibabel
import numpy as np
import pytest
from PIL import Image

from braintumor import __version__, settings
from braintumor.accounts import Accounts
from braintumor.cli import main
from braintumor.database import open_database
from braintumor.decision import Outcome
from braintumor.scans import phantom
from braintumor.taxonomy import CLASSES
from tests.conftest import SHIPPED, png_bytes, shorten_epochs

KEYS = {
    *("study", "series", "sequence", "missing", "unread", "judged"),
    "source",
    "status",
    "error",
    "p_tumor",
    "probabilities",
    "decision",
    "finding",
    "slice",
    "outline",
    "rests_on",
    "mask",
    "segmentation",
    "no_segmentation",
    "reasons",
    "notes",
    "seconds",
    "bundle",
}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "inner").mkdir()
    (tmp_path / "a.png").write_bytes(png_bytes(phantom()))
    (tmp_path / "inner" / "b.png").write_bytes(png_bytes(phantom(tumor=False)))
    (tmp_path / "notes.txt").write_text("no picture")
    with zipfile.ZipFile(tmp_path / "c.zip", "w") as archive:
        archive.writestr("c1.png", png_bytes(phantom(seed=1)))
        archive.writestr("c2.png", b"broken")
    return tmp_path


def _rows(capsys):
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_the_version_is_said(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.strip() == __version__


def test_a_terminal_gets_a_summary_and_a_pipe_does_not(folder, capsys, monkeypatch):
    for is_terminal in (False, True):
        monkeypatch.setattr(sys.stderr, "isatty", lambda found=is_terminal: found)
        main(["predict", str(folder), "--json"])
        out, err = capsys.readouterr()
        assert len([json.loads(line) for line in out.splitlines()]) == 4
        assert ("4 scans: " in err and "1 error" in err) == is_terminal


def test_predict_prints_one_object_a_scan_with_every_key(folder, capsys):
    assert main(["predict", str(folder / "a.png"), str(folder / "inner"), "--json"]) == 0
    rows = _rows(capsys)
    assert [row["source"] for row in rows] == [str(folder / "a.png"), str(folder / "inner" / "b.png")]
    for row in rows:
        assert set(row) == KEYS
        assert row["status"] == "ok"
        assert row["error"] is None
        assert set(row["probabilities"]) == set(CLASSES)
        assert row["decision"] in list(Outcome)
        assert row["p_tumor"] == pytest.approx(1 - row["probabilities"]["notumor"], abs=1e-9)


def test_predict_walks_folders_and_archives_and_goes_on_after_a_bad_file(folder, capsys):
    assert main(["predict", str(folder), "--json"]) == 1
    rows = _rows(capsys)
    names = [row["source"].removeprefix(f"{folder}/") for row in rows]
    assert names == ["a.png", "c.zip/c1.png", "c.zip/c2.png", "inner/b.png"]
    assert all(row["source"].startswith(str(folder)) for row in rows)
    assert [row["status"] for row in rows] == ["ok", "ok", "error", "ok"]
    assert set(rows[2]) == KEYS
    assert rows[2]["error"].endswith(".")


def _sizes(folder):
    return {path.name: Image.open(path).size for path in folder.glob("*.png")}


def test_masks_have_the_scans_size_and_their_sources_name(tmp_path, capsys):
    (tmp_path / "wide.png").write_bytes(png_bytes(phantom(120)[10:110]))
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "WIDE.jpg").write_bytes(png_bytes(phantom(90)))
    (tmp_path / "bad.png").write_bytes(b"broken")
    assert main(["predict", str(tmp_path), "--json", "--masks", str(tmp_path / "out" / "masks")]) == 1
    sizes = {name.partition("-")[0]: size for name, size in _sizes(tmp_path / "out" / "masks").items()}
    # Of two names that differ in case alone the second has a key.
    assert sizes in ({"wide.png": (120, 100), "WIDE": (90, 90)}, {"WIDE.png": (90, 90), "wide": (120, 100)})
    rows = _rows(capsys)
    assert [row["mask"] is None for row in rows] == [row["status"] == "error" for row in rows]
    for row in rows:
        if row["mask"]:
            mask = np.asarray(Image.open(row["mask"]))
            assert set(np.unique(mask)) <= {0, 255}
            assert (row["outline"]["lesions"] == 0) == (not mask.any())
            assert row["outline"]["area_mm2"] is None


def test_the_mask_of_a_volume_lies_where_the_volume_does(tmp_path, capsys):
    affine = np.diag([1.0, 1.0, 4.0, 1.0])
    affine[:3, 3] = (-60, -50, -7)
    volume = np.stack([phantom(96, seed=seed) for seed in range(3)], axis=-1)
    nibabel.save(nibabel.Nifti1Image(volume, affine), tmp_path / "head.nii.gz")
    assert main(["predict", str(tmp_path / "head.nii.gz"), "--json", "--masks", str(tmp_path)]) == 0
    (row,) = _rows(capsys)
    # The folder is the volume's own, so the mask must not replace it.
    assert row["mask"] == str(tmp_path / "head-mask.nii.gz")
    mask = nibabel.load(row["mask"])
    assert mask.shape == (96, 96, 3)
    np.testing.assert_allclose(mask.affine, affine, atol=1e-4)
    assert row["outline"]["volume_ml"] == pytest.approx(np.asarray(mask.dataobj).sum() * 4 / 1000)
    assert 0 <= row["slice"] < 3


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        ([], 2),
        (["predict"], 2),
        (["no-such-verb"], 2),
        (["data"], 2),
        (["predict", "--jsn", "a.png"], 2),
        (["train", "--data", ".", "--task", "three"], 2),
        (["predict", "missing.png"], 1),
        (["predict", "."], 1),
        (["train", "--data", ".", "--weights", "missing.h5"], 2),
        (["predict", "missing.png", "--bundle", "nowhere"], 2),
        (["data", "audit", "nowhere"], 2),
        (["data", "download", "nothing"], 2),
        (["evaluate", "--data", "."], 2),
        (["train", "--data", "nowhere"], 2),
        (["train", "--data", ".", "--network", "nothing"], 2),
        (["compare"], 2),
        (["compare", "--data", "nowhere"], 2),
        (["compare", "--data", ".", "--networks", "nothing"], 2),
        (["compare", "--data", ".", "--weights", "vgg16.h5"], 2),
    ],
)
def test_exit_status_tells_what_kind_of_failure(arguments, status, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    runs = ["--runs", str(tmp_path)] if {"train", "compare"} & set(arguments) else []
    assert main([*arguments, *runs]) == status
    out, err = capsys.readouterr()
    assert "Traceback" not in out + err
    # What cannot be done is said in one sentence beside a clean output.
    assert status == 1 or (out == "" and err.count("\n") == 1)


def test_files_in_deep_folders_keep_their_own_names(tmp_path, capsys):
    deep = tmp_path / ("long folder name " * 10) / ("another " * 20)
    deep.mkdir(parents=True)
    for name in ("one.png", "two\nlines.png"):
        (deep / name).write_bytes(png_bytes(phantom()))
    assert main(["predict", str(deep), "--json"]) == 0
    assert [row["source"] for row in _rows(capsys)] == [str(deep / "one.png"), str(deep / "two\nlines.png")]


def test_a_file_too_large_for_a_picture_is_not_read(tmp_path, capsys):
    with (tmp_path / "huge.png").open("wb") as file:
        file.truncate(3 * 2**30)
    assert main(["predict", str(tmp_path / "huge.png"), "--json"]) == 1
    assert _rows(capsys)[0]["error"].startswith("This file is too large")


def test_a_second_fold_under_the_same_name_is_refused(tiny_bundle, picture_folder, capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("BRAINTUMOR_MODELS_DIR", str(tmp_path))
    settings.load.cache_clear()
    shorten_epochs(monkeypatch)
    runs = tiny_bundle.parent.parent / "runs"
    call = ["train", "--data", str(picture_folder), "--size", "48", "--name", "tiny", "--version", "0.1.0"]
    call += ["--epochs", "1", "--folds", "3", "--recipe", "untied", "--runs", str(runs)]
    try:
        assert main([*call, "--fold", "1"]) == 2
        assert "holds a run on other data" in capsys.readouterr().err
        assert not (tmp_path / "tiny").exists()
        assert main([*call, "--fold", "0"]) == 0
    finally:
        settings.load.cache_clear()


def test_predict_without_json_is_for_people(folder, capsys):
    assert main(["predict", str(folder / "a.png")]) == 0
    assert "P(tumor)" in capsys.readouterr().out


def test_audit_prints_and_writes_the_same_report(picture_folder, tmp_path, capsys):
    out = tmp_path / "audit"
    assert main(["data", "audit", str(picture_folder), "--out", str(out)]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads((out / "audit.json").read_text())
    assert printed["images"] == 60
    assert printed["distinct_pictures"] == 30
    assert (out / "index.csv").read_text().startswith("path,dataset,")


def test_evaluate_remakes_the_figures_of_the_card(tiny_bundle, picture_folder, capsys, tmp_path):
    out = tmp_path / "predictions.csv"
    assert main(["evaluate", "--bundle", str(tiny_bundle), "--data", str(picture_folder), "--out", str(out)]) == 0
    report = json.loads(capsys.readouterr().out)
    card = json.loads((tiny_bundle / "card.json").read_text())
    assert report["data"] == "the training run's own data and split"
    assert report["metrics"]["test"] == card["metrics"]["test"]
    assert report["agrees_with_card"] is True
    assert out.read_text() == (tiny_bundle / "predictions.csv").read_text()


@pytest.mark.parametrize("step", [2, 9])
def test_evaluate_says_so_when_the_data_is_other_data(step, tiny_bundle, picture_folder, tmp_path, capsys):
    for number, path in enumerate(sorted(picture_folder.rglob("*.png"))[::step]):
        target = tmp_path / "elsewhere" / path.parent.name / f"{number}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    assert main(["evaluate", "--bundle", str(tiny_bundle), "--data", str(tmp_path / "elsewhere")]) == 0
    report = json.loads(capsys.readouterr().out)
    assert "near-duplicates of training pictures are not excluded" in report["data"]
    assert report["metrics"]["external"]["images"] == len(range(0, 60, step))
    assert "agrees_with_card" not in report


def test_compare_writes_one_file_and_tells_what_was_left_out(picture_folder, tmp_path, capsys):
    call = ["compare", "--data", str(picture_folder), "--networks", "logistic", "vgg16", "--folds", "3"]
    (tmp_path / "w.h5").write_bytes(b"no weights")
    call += ["--weights", f"vgg16={tmp_path / 'w.h5'}"]
    assert main([*call, "--runs", str(tmp_path / "runs"), "--out", str(tmp_path / "out")]) == 1
    out, err = capsys.readouterr()
    report = json.loads((tmp_path / "out" / "comparison.json").read_text())
    accuracy = report["networks"]["logistic"]["figures"]["leak_free"]["accuracy"]
    assert json.loads(out) == {"logistic": {"leak_free": accuracy}}
    assert "vgg16-fold0: " in err
    assert "logistic-fold0: " not in err


def test_recover_prints_a_password_that_opens_the_account_once(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("BRAINTUMOR_DATA_DIR", str(tmp_path))
    settings.load.cache_clear()
    try:
        accounts = Accounts(open_database(settings.load()), settings.load(), rounds=4)
        accounts.create_first_administrator("ada", "Ada", "correct horse battery staple")
        assert main(["account", "recover", "ada"]) == 0
        temporary = capsys.readouterr().out.strip()
        assert accounts.authenticate("ada", temporary).must_change_password
        assert main(["account", "recover", "nobody"]) == 2
        assert "no account of that name" in capsys.readouterr().err
    finally:
        settings.load.cache_clear()


def test_the_model_of_the_settings_is_used(folder, capsys, tiny_bundle, monkeypatch):
    monkeypatch.setenv("BRAINTUMOR_MODELS_DIR", str(tiny_bundle.parent))
    monkeypatch.setenv("BRAINTUMOR_MODEL", tiny_bundle.name)
    settings.load.cache_clear()
    try:
        assert main(["predict", str(folder / "a.png"), "--json"]) == 0
    finally:
        settings.load.cache_clear()
    assert _rows(capsys)[0]["bundle"] == "tiny-0.1.0"
    assert SHIPPED.name != tiny_bundle.name


def test_predict_names_what_a_folder_holds_beside_scans(folder, capsys):
    (folder / "series").mkdir()
    (folder / "series" / "IM0001").write_bytes(bytes(128) + b"DICM" + bytes(64))
    assert main(["predict", str(folder / "inner"), str(folder / "series"), "--json"]) == 1
    assert [row["status"] for row in _rows(capsys)] == ["ok", "error"]


def test_audit_verify_says_whether_the_trail_is_whole(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("BRAINTUMOR_DATA_DIR", str(tmp_path))
    settings.load.cache_clear()
    try:
        engine = open_database(settings.load())
        Accounts(engine, settings.load(), rounds=4).create_first_administrator(
            "ada", "Ada", "correct horse battery staple"
        )
        assert main(["audit", "verify"]) == 0
        seal = capsys.readouterr().out.split()[-1]
        assert main(["audit", "verify", "--seal", seal]) == 0
        assert main(["audit", "verify", "--seal", "0" * 64]) == 1
        with engine.begin() as connection:
            connection.exec_driver_sql("DROP TRIGGER audit_refuses_update")
            connection.exec_driver_sql("UPDATE audit SET action = 'tested'")
        assert main(["audit", "verify"]) == 1
        assert "line 1" in capsys.readouterr().out
    finally:
        settings.load.cache_clear()
