import pickle
import zipfile

import pytest

from braintumor.scans import Limits, NotJudgedError, ScanError, Series, files_at, phantom
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
    return tmp_path


@pytest.mark.parametrize(
    ("paths", "files"),
    [
        ([], []),
        (["missing.png"], ["missing.png"]),
        (["inner"], ["inner/b.png"]),
        (["empty"], ["empty"]),
        # What cannot be read comes last of its folder, so that it is named with its reason.
        (["notes.txt", "."], ["notes.txt", "a.png", "c.zip", "inner/b.png", "odd.dat"]),
    ],
)
def test_paths_stand_for_files_by_their_full_names(paths, files, folder):
    assert [file.name for file in files_at(folder / path for path in paths)] == [str(folder / file) for file in files]


@pytest.mark.parametrize("name", ["missing.png", "empty"])
def test_what_is_no_file_says_so_when_it_is_loaded(name, folder):
    (file,) = files_at([folder / name])
    with pytest.raises(ScanError) as caught:
        file.load()
    assert caught.value.source == str(folder / name)


def test_a_file_too_large_for_an_archive_is_not_read(tmp_path):
    with (tmp_path / "huge.png").open("wb") as file:
        file.truncate(3 * 2**30)
    (file,) = files_at([tmp_path / "huge.png"])
    with pytest.raises(ScanError):
        file.load()


def test_limits_bound_what_is_loaded(folder):
    (file,) = files_at([folder / "a.png"], Limits(max_archive_bytes=10))
    with pytest.raises(ScanError):
        file.load()


@pytest.mark.parametrize("failure", [ScanError("Why.", "What to do.", "a.png"), NotJudgedError(Series("1", "2"), "b")])
def test_a_failure_travels_between_processes(failure):
    other = pickle.loads(pickle.dumps(failure))
    assert (type(other), str(other), vars(other)) == (type(failure), str(failure), vars(failure))
