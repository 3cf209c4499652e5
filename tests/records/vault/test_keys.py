import base64
import stat
from concurrent.futures import ThreadPoolExecutor

import pytest

from braintumor.records.vault import EnvironmentKeys, KeyFile, VaultError


def text(*keys):
    return " ".join(base64.b64encode(key).decode() for key in keys)


def test_made_once_for_the_owner_only(tmp_path):
    source = KeyFile(tmp_path / "keys" / "vault.key")
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: source.create(), range(16)))
    (key,) = source.read()
    assert len(key) == 32
    assert stat.S_IMODE(source.path.stat().st_mode) == 0o600
    assert [path.name for path in source.path.parent.iterdir()] == ["vault.key"]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o622, 0o610, 0o601])
def test_refused_where_others_have_a_hand_in_it(tmp_path, mode):
    source = KeyFile(tmp_path / "vault.key")
    source.create()
    source.path.chmod(mode)
    with pytest.raises(VaultError, match="chmod 600"):
        source.read()


@pytest.mark.parametrize("mode", [0o600, 0o400])
def test_accepted_where_only_the_owner_reads(tmp_path, mode):
    source = KeyFile(tmp_path / "vault.key")
    source.create()
    source.path.chmod(mode)
    assert len(source.read()) == 1


@pytest.mark.parametrize("content", [b"", b"\n", b"short", b"\xff" * 50, text(b"k" * 31).encode(), b"A" * 100_000])
def test_damaged_file_is_refused(tmp_path, content):
    path = tmp_path / "vault.key"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(VaultError):
        KeyFile(path).read()


def test_missing_file_is_refused(tmp_path):
    with pytest.raises(VaultError):
        KeyFile(tmp_path / "vault.key").read()


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (text(b"a" * 32), (b"a" * 32,)),
        (text(b"a" * 32, b"b" * 32), (b"a" * 32, b"b" * 32)),
        (text(b"a" * 16), None),
        ("not base64", None),
        (text(b"a" * 32) + " rest", None),
        (" ", None),
    ],
)
def test_keys_of_a_setting(given, expected):
    if expected:
        assert EnvironmentKeys(given).read() == expected
    else:
        with pytest.raises(VaultError):
            EnvironmentKeys(given).read()
