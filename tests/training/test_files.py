import zipfile

from braintumor.training.files import deflate, write_whole


def test_a_text_takes_the_place_of_a_file(tmp_path):
    for text in ("first", "second, longer"):
        write_whole(tmp_path / "one.csv", text)
        assert (tmp_path / "one.csv").read_text() == text
    assert [path.name for path in tmp_path.iterdir()] == ["one.csv"]


def test_an_archive_becomes_smaller_and_holds_what_it_held(tmp_path):
    path, members = tmp_path / "one.zip", {"a.json": b"[0]" * 5000, "part/b.bin": bytes(range(256))}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    before = path.stat().st_size
    deflate(path)
    assert path.stat().st_size < before / 10
    with zipfile.ZipFile(path) as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == members
    assert [found.name for found in tmp_path.iterdir()] == ["one.zip"]
