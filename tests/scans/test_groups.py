import pickle
import zipfile

import pytest

from braintumor.scans import Limits, NotJudgedError, ScanError, Series, group_files, phantom, read_group
from tests.conftest import png_bytes


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "b.png").write_bytes(png_bytes(phantom(64)))
    (tmp_path / "a.png").write_bytes(png_bytes(phantom(64)))
    (tmp_path / "notes.txt").write_text("no picture")
    (tmp_path / "odd.dat").write_bytes(b"odd")
    (tmp_path / "empty").mkdir()
    with zipfile.ZipFile(tmp_path / "c.zip", "w") as archive:
        archive.writestr("c1.png", png_bytes(phantom(64)))
        archive.writestr("c2.png", b"broken")
    return tmp_path


@pytest.mark.parametrize(
    ("paths", "groups"),
    [
        ([], []),
        (["missing.png"], ["missing.png"]),
        (["inner"], ["inner/b.png"]),
        (["empty"], ["empty"]),
        # What cannot be read comes last of its folder, so that it is named with its reason.
        (["notes.txt", "."], ["notes.txt", "a.png", "c.zip", "inner/b.png", "odd.dat"]),
    ],
)
def test_paths_stand_for_groups_of_one_file(paths, groups, folder):
    assert list(group_files(folder / path for path in paths)) == [(folder / group,) for group in groups]


@pytest.mark.parametrize(
    ("file", "sources"),
    [
        ("a.png", {"a.png": True}),
        ("c.zip", {"c.zip/c1.png": True, "c.zip/c2.png": False}),
        ("odd.dat", {"odd.dat": False}),
        ("missing.png", {"missing.png": False}),
        ("empty", {"empty": False}),
    ],
)
def test_each_scan_and_failure_has_its_full_path(file, sources, folder):
    outcomes = list(read_group((folder / file,)))
    found = {outcome.source: not isinstance(outcome, ScanError) for outcome in outcomes}
    assert found == {str(folder / name): is_scan for name, is_scan in sources.items()}


def test_files_of_one_group_are_read_together(folder):
    outcomes = list(read_group((folder / "inner" / "b.png", folder / "a.png", folder / "missing.png")))
    found = [(outcome.source, isinstance(outcome, ScanError)) for outcome in outcomes]
    assert found == [(f"{folder}/b.png", False), (f"{folder}/a.png", False), (f"{folder}/missing.png", True)]


@pytest.mark.parametrize("failure", [ScanError("Why.", "What to do.", "a.png"), NotJudgedError(Series("1", "2"), "b")])
def test_a_failure_travels_between_processes(failure):
    other = pickle.loads(pickle.dumps(failure))
    assert (type(other), str(other), vars(other)) == (type(failure), str(failure), vars(failure))


def test_a_file_too_large_for_an_archive_is_not_read(tmp_path):
    with (tmp_path / "huge.png").open("wb") as file:
        file.truncate(3 * 2**30)
    (outcome,) = read_group((tmp_path / "huge.png",))
    assert isinstance(outcome, ScanError)


def test_limits_reach_the_reader(folder):
    (outcome,) = read_group((folder / "a.png",), Limits(max_bytes=10))
    assert isinstance(outcome, ScanError)
