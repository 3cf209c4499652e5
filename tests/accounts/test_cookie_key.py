import stat
from concurrent.futures import ThreadPoolExecutor

import pytest

from braintumor.accounts.cookie_key import signing_key
from braintumor.settings import Settings, SettingsError


def test_key_of_the_settings_wins_and_nothing_is_written(tmp_path):
    key = "k" * 32
    assert signing_key(Settings(data_dir=tmp_path / "data", cookie_key=key)) == key
    assert not (tmp_path / "data").exists()


def test_key_is_made_once_for_its_owner_alone(tmp_path):
    settings = Settings(data_dir=tmp_path / "data")
    key = signing_key(settings)
    assert len(key) >= 64
    assert signing_key(settings) == key
    assert stat.S_IMODE((tmp_path / "data" / "cookie.key").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700


def test_two_installations_have_two_keys(tmp_path):
    assert signing_key(Settings(data_dir=tmp_path / "a")) != signing_key(Settings(data_dir=tmp_path / "b"))


def test_processes_that_start_together_agree_and_leave_no_drafts(tmp_path):
    settings = Settings(data_dir=tmp_path)
    with ThreadPoolExecutor(16) as pool:
        keys = set(pool.map(lambda _: signing_key(settings), range(64)))
    assert len(keys) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["cookie.key"]


@pytest.mark.parametrize("content", ["", "short", " " * 100])
def test_damaged_key_is_refused(tmp_path, content):
    (tmp_path / "cookie.key").write_text(content)
    with pytest.raises(SettingsError, match="delete it and start again"):
        signing_key(Settings(data_dir=tmp_path))
