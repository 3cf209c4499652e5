import gzip

import pytest

from braintumor.scans import DEFAULT_LIMITS, PixelBudget, ScanError
from braintumor.scans.foreign_formats import is_known, refuse

PNG = b"\x89PNG\r\n\x1a\n" + bytes(40)
CONVERT, EXPORT, DOWNLOAD = "NIfTI", "PNG", "ownload"


@pytest.mark.parametrize(
    ("data", "name", "next_step"),
    [
        (b"ObjectType = Image\nNDims = 3\n" + bytes(40), "brain.mha", CONVERT),
        (b"NRRD0004\n# a comment\n" + bytes(40), "brain.nrrd", CONVERT),
        (gzip.compress(bytes(400), mtime=0), "brain.mgz", CONVERT),
        (gzip.compress(bytes(400), mtime=0), "brain.gz", CONVERT),
        (bytes(range(256)) * 4, "brain.img", CONVERT),
        (b"%PDF-1.7\n", "report.png", EXPORT),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "brain.nii.gz", "git lfs pull"),
        (b"\n <!DOCTYPE html><html><body>Sign in</body></html>", "scan.jpg", DOWNLOAD),
        (b"404: not found\n", "scan.png", DOWNLOAD),
        (PNG, "scan.png", None),
        (b"\xff\xd8\xff\xe0" + bytes(40), "scan.jpg", None),
        (b"", "scan.png", None),
    ],
)
def test_what_cannot_be_read_is_named_with_its_next_step(data, name, next_step):
    assert is_known(data, name) == (next_step is not None)
    if next_step:
        with pytest.raises(ScanError) as caught:
            refuse(data, name, "", DEFAULT_LIMITS, PixelBudget(0))
        assert next_step in caught.value.hint
