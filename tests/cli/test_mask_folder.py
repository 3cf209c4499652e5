import re
from types import SimpleNamespace

import pytest

from braintumor.cli.mask_folder import MaskFolder

KEY = "[0-9a-f]{12}"


def _finding(source, content, *, series=None, segmentation=None, bundle="network-1"):
    return SimpleNamespace(
        source=source,
        sha256=content,
        bundle=bundle,
        series=series,
        mask=f"mask of {content}".encode(),
        mask_ending=".png" if series is None else ".nii.gz",
        segmentation=segmentation,
    )


def _names(folder, *findings, sources=()):
    taker = MaskFolder(folder, sources)
    return [taker.write(finding)["mask"].rpartition("/")[2] for finding in findings]


@pytest.mark.parametrize(
    ("sources", "folder", "names"),
    [
        (["scan.png"], ".", ["scan-mask.png"]),
        (["scan.png"], "c", ["scan.png"]),
        (["a/1.png", "b/1.png"], "c", ["1.png", "1-mask.png"]),
        (["a/1.png", "b/1.png"], "b", ["1-mask.png", f"1-{KEY}.png"]),
        (["a/1.png", "a/1-mask.png"], "a", [f"1-{KEY}.png", "1-mask-mask.png"]),
        (["a/one.png", "a/ONE.png"], "c", ["one.png", "ONE-mask.png"]),
    ],
)
def test_no_mask_is_written_over_a_scan_or_another_mask(sources, folder, names, tmp_path):
    paths = [tmp_path / name for name in sources]
    for path in paths:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"scan")
    findings = [_finding(str(path), f"content {number}") for number, path in enumerate(paths)]
    written = _names(tmp_path / folder, *findings, sources=paths)
    assert len(set(written)) == len(written)
    assert all(re.fullmatch(name, found) for name, found in zip(names, written, strict=True)), written
    assert all(path.read_bytes() == b"scan" for path in paths)


def test_studies_of_several_runs_lie_side_by_side_and_a_run_again_writes_the_same_files(tmp_path):
    first, second = (
        _finding("Study 1, series 2, T1", content, series="T1", segmentation=content.encode()) for content in "ab"
    )
    names = _names(tmp_path, first) + _names(tmp_path, second)
    assert names == _names(tmp_path, first) + _names(tmp_path, second)
    masks = sorted(path.read_bytes() for path in tmp_path.glob("*.nii.gz"))
    assert masks == [b"mask of a", b"mask of b"]
    assert sorted(path.read_bytes() for path in tmp_path.glob("*.dcm")) == [b"a", b"b"]


def test_another_model_or_a_reader_loses_no_mask(tmp_path):
    (tmp_path / "scan.png").write_bytes(b"drawn by a reader")
    names = [_names(tmp_path, _finding("scan.png", "a", bundle=bundle))[0] for bundle in ("network-1", "network-1")]
    assert names == ["scan-mask.png"] * 2
    changed = SimpleNamespace(**{**vars(_finding("scan.png", "a", bundle="network-2")), "mask": b"another"})
    (name,) = _names(tmp_path, changed)
    assert re.fullmatch(f"scan-{KEY}.png", name)
    assert (tmp_path / "scan.png").read_bytes() == b"drawn by a reader"
    assert (tmp_path / "scan-mask.png").read_bytes() == b"mask of a"
