import base64
import random
import threading

import pytest

from braintumor.records.vault import VaultError, open_vault, rotate
from braintumor.records.vault.sealed import HEADER_BYTES, SLOTS_AT
from braintumor.settings import Settings
from tests.records.vault.vaults import kill_while, opened, plain

CONTENT = [bytes([number]) * 70_000 for number in range(12)]


@pytest.fixture
def filled(tmp_path):
    vault = opened(tmp_path)
    for content in CONTENT:
        vault.put(content)
    return tmp_path


def keys(folder):
    return (folder / "vault.key").read_text().split()


def test_rotation_changes_the_slots_only(filled):
    before = {path: path.read_bytes() for path in (filled / "vault" / "scans").glob("[!.]*")}
    old = keys(filled)
    assert rotate(Settings(data_dir=filled)) == len(CONTENT) + 1
    assert len(keys(filled)) == 1
    assert keys(filled) != old
    for path, was in before.items():
        now = path.read_bytes()
        assert (now[:SLOTS_AT], now[HEADER_BYTES:]) == (was[:SLOTS_AT], was[HEADER_BYTES:])
        assert now[SLOTS_AT:HEADER_BYTES] != was[SLOTS_AT:HEADER_BYTES]
    assert set(plain(filled).values()) == set(CONTENT)


def test_all_parts_of_the_vault_rotate(tmp_path):
    configured = Settings(data_dir=tmp_path)
    names = {part: open_vault(configured, part).put(b"scan") for part in ("scans", "desk")}
    assert names["scans"] != names["desk"]
    assert rotate(configured) == 4
    assert all(open_vault(configured, part).read(name) == b"scan" for part, name in names.items())


def test_the_old_key_opens_nothing_afterwards(filled):
    old = (filled / "vault.key").read_bytes()
    rotate(Settings(data_dir=filled))
    (filled / "vault.key").write_bytes(old)
    with pytest.raises(VaultError):
        opened(filled)


def test_names_and_a_running_server_outlive_a_rotation(filled):
    running = opened(filled)
    name = running.put(CONTENT[0])
    rotate(Settings(data_dir=filled))
    assert running.read(name) == CONTENT[0]
    assert running.put(CONTENT[0]) == name
    assert rotate(Settings(data_dir=filled)) == len(CONTENT) + 1


def test_a_file_of_an_unknown_key_keeps_the_old_keys(filled):
    stranger = opened(filled / "stranger")
    name = stranger.put(b"foreign")
    (filled / "vault" / "scans" / name).write_bytes((filled / "stranger" / "vault" / "scans" / name).read_bytes())
    with pytest.raises(VaultError):
        rotate(Settings(data_dir=filled))
    assert len(keys(filled)) == 2
    (filled / "vault" / "scans" / name).unlink()
    assert set(plain(filled).values()) == set(CONTENT)
    rotate(Settings(data_dir=filled))
    assert len(keys(filled)) == 1


def test_keys_of_the_settings_rotate_too(tmp_path):
    old, new = (base64.b64encode(bytes([number]) * 32).decode() for number in (1, 2))
    name = open_vault(Settings(data_dir=tmp_path, vault_key=old)).put(b"scan")
    assert rotate(Settings(data_dir=tmp_path, vault_key=f"{new} {old}")) == 2
    assert open_vault(Settings(data_dir=tmp_path, vault_key=new)).read(name) == b"scan"
    with pytest.raises(VaultError):
        open_vault(Settings(data_dir=tmp_path, vault_key=old))


def test_files_stored_and_read_meanwhile_are_not_lost(filled):
    vault, stop, names = opened(filled), threading.Event(), {}

    def work():
        number = 0
        while not stop.is_set():
            content = number.to_bytes(4, "big")
            names[vault.put(content)] = content
            vault.read(next(iter(names)))
            number += 1

    thread = threading.Thread(target=work)
    thread.start()
    try:
        for _ in range(5):
            rotate(Settings(data_dir=filled))
    finally:
        stop.set()
        thread.join()
    assert names
    assert all(opened(filled).read(name) == content for name, content in names.items())


def test_a_kill_while_rotating_loses_nothing(filled):
    chance = random.Random(5)
    for _ in range(40):
        kill_while(lambda folder: rotate(Settings(data_dir=folder)), filled, 0.08, chance)
        assert set(plain(filled).values()) == set(CONTENT)
    rotate(Settings(data_dir=filled))
    assert len(keys(filled)) == 1
    assert sorted(path.name for path in filled.iterdir()) == ["vault", "vault.key", "vault.key.lock"]
