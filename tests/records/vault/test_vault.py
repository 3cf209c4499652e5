import hashlib
import io
import random
import resource
import stat
import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from braintumor.records.vault import Vault, VaultError, open_vault
from braintumor.records.vault.keys import KeyFile
from braintumor.records.vault.sealed import CHUNK_BYTES, HEADER_BYTES, TAG_BYTES
from braintumor.settings import Settings
from tests.records.vault.vaults import kill_while, opened, plain

SEALED = CHUNK_BYTES + TAG_BYTES
CONTENT = random.Random(1).randbytes(2 * CHUNK_BYTES + 1000)


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    return opened(tmp_path_factory.mktemp("vault"))


def stored(folder, name):
    return folder / "vault" / "scans" / name


class Dribble(io.RawIOBase):
    """A stream that gives less than it is asked for, as a socket does."""

    def __init__(self, content):
        self._content = io.BytesIO(content)

    def read(self, size=-1):
        return self._content.read(min(size, 1000))


@given(st.binary(max_size=300))
@settings(max_examples=60)
def test_round_trip_of_any_bytes(shared, content):
    assert shared.read(shared.put(content)) == content


@pytest.mark.parametrize("chunks", [0, 1, 2, 3])
@pytest.mark.parametrize("more", [-1, 0, 1])
def test_round_trip_around_the_ends_of_chunks(shared, chunks, more):
    content = random.Random(chunks).randbytes(max(0, chunks * CHUNK_BYTES + more))
    name = shared.put(Dribble(content))
    assert shared.read(name) == content
    with shared.open(name) as file:
        assert file.seek(0, io.SEEK_END) == len(content)


@given(st.lists(st.tuples(st.integers(0, len(CONTENT) + 10), st.integers(0, 3 * CHUNK_BYTES)), max_size=6))
@settings(max_examples=40)
def test_reads_at_any_place(shared, reads):
    with shared.open(shared.put(CONTENT)) as file:
        for start, size in reads:
            file.seek(start)
            assert file.read(size) == CONTENT[start : start + size]


def test_equal_content_is_stored_once_under_a_name_that_only_this_vault_knows(tmp_path):
    one, other = opened(tmp_path / "one"), opened(tmp_path / "other")
    name = one.put(CONTENT)
    assert one.put(io.BytesIO(CONTENT)) == one.name_of(CONTENT) == name
    assert list(one.list()) == [name]
    assert name != other.put(CONTENT)
    assert name != hashlib.sha256(CONTENT).hexdigest()
    assert opened(tmp_path / "one").put(CONTENT) == name


def test_deleting_is_repeatable_and_takes_the_bytes(tmp_path):
    vault = opened(tmp_path)
    name = vault.put(CONTENT)
    assert vault.contains(name)
    for _ in range(2):
        vault.delete(name)
    assert not vault.contains(name)
    assert not stored(tmp_path, name).exists()
    with pytest.raises(VaultError):
        vault.open(name)


@pytest.mark.parametrize("name", ["", "names", "../vault.key", "a" * 63, "A" * 64, "a" * 64 + "\n", "/etc/passwd"])
@pytest.mark.parametrize("verb", [Vault.open, Vault.read, Vault.delete, Vault.contains])
def test_what_is_not_a_name_is_refused(shared, verb, name):
    with pytest.raises(VaultError):
        verb(shared, name)


REGIONS = {
    "magic": 0,
    "prefix": 8,
    "slot of the key": 15,
    "first chunk": HEADER_BYTES,
    "tag of the first chunk": HEADER_BYTES + CHUNK_BYTES,
    "middle chunk": HEADER_BYTES + SEALED + 5,
    "last chunk": HEADER_BYTES + 2 * SEALED,
    "last tag": -1,
}


@pytest.mark.parametrize("at", REGIONS.values(), ids=REGIONS)
@pytest.mark.parametrize("bit", [0, 7])
def test_a_flipped_bit_is_noticed(tmp_path, at, bit):
    vault = opened(tmp_path)
    path = stored(tmp_path, vault.put(CONTENT))
    damaged = bytearray(path.read_bytes())
    damaged[at] ^= 1 << bit
    path.write_bytes(damaged)
    with pytest.raises(VaultError):
        vault.read(path.name)


def _pieces(content):
    body = content[HEADER_BYTES:]
    return content[:HEADER_BYTES], [body[start : start + SEALED] for start in range(0, len(body), SEALED)]


CUTS = {
    "nothing left": lambda head, pieces: b"",
    "half a header": lambda head, pieces: head[:20],
    "header only": lambda head, pieces: head,
    "last chunk gone": lambda head, pieces: head + b"".join(pieces[:-1]),
    "first chunk gone": lambda head, pieces: head + b"".join(pieces[1:]),
    "last byte gone": lambda head, pieces: head + b"".join(pieces)[:-1],
    "a byte more": lambda head, pieces: head + b"".join(pieces) + b"\0",
    "chunks swapped": lambda head, pieces: head + pieces[1] + pieces[0] + pieces[2],
    "chunk repeated": lambda head, pieces: head + pieces[0] + pieces[0] + pieces[2],
}


@pytest.mark.parametrize("cut", CUTS.values(), ids=CUTS)
def test_missing_moved_and_added_chunks_are_noticed(tmp_path, cut):
    vault = opened(tmp_path)
    path = stored(tmp_path, vault.put(CONTENT))
    path.write_bytes(cut(*_pieces(path.read_bytes())))
    with pytest.raises(VaultError):
        vault.read(path.name)


def test_files_that_were_exchanged_are_noticed_before_a_byte_is_read(tmp_path):
    vault = opened(tmp_path)
    one, other = (stored(tmp_path, vault.put(content)) for content in (CONTENT, CONTENT[::-1]))
    one.write_bytes(other.read_bytes())
    with pytest.raises(VaultError):
        vault.open(one.name)


def test_wrong_key_opens_nothing(tmp_path):
    name = opened(tmp_path).put(CONTENT)
    (tmp_path / "vault.key").unlink()
    with pytest.raises(VaultError):
        opened(tmp_path)
    KeyFile(tmp_path / "vault.key").create()
    with pytest.raises(VaultError):
        opened(tmp_path)
    assert stored(tmp_path, name).exists()


def test_no_plain_bytes_reach_the_disk(tmp_path):
    secret = b"DOE^JANE 1960-02-03 " * 10
    opened(tmp_path).put(secret + CONTENT)
    for path in tmp_path.rglob("*"):
        if path.is_file():
            written = path.read_bytes()
            assert b"DOE^JANE" not in written
            assert all(CONTENT[start : start + 16] not in written for start in range(0, len(CONTENT) - 16, 5000))


def test_all_is_for_the_owner_only(tmp_path):
    opened(tmp_path / "data").put(CONTENT)
    for path in (tmp_path / "data").rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


def test_memory_is_bounded(tmp_path):
    vault = opened(tmp_path)
    large = io.BytesIO(bytes(16 * 2**20))
    tracemalloc.start()
    try:
        with vault.open(vault.put(large)) as file:
            while file.read(CHUNK_BYTES):
                pass
        assert tracemalloc.get_traced_memory()[1] < 2 * 2**20
    finally:
        tracemalloc.stop()


def test_a_full_disk_leaves_nothing_behind(tmp_path):
    vault = opened(tmp_path)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2 * CHUNK_BYTES, before[1]))
    try:
        with pytest.raises(VaultError):
            vault.put(CONTENT)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not list(vault.list())
    assert not list((tmp_path / "vault" / "scans").glob(".draft-*"))
    assert vault.read(vault.put(CONTENT)) == CONTENT


def test_many_at_once_agree_on_keys_and_content(tmp_path):
    with ThreadPoolExecutor(16) as pool:
        names = set(pool.map(lambda _: opened(tmp_path).put(CONTENT), range(32)))
    assert len(names) == 1
    assert list(plain(tmp_path).values()) == [CONTENT]


def test_the_key_of_the_settings_leaves_none_on_the_disk(tmp_path):
    configured = Settings(data_dir=tmp_path, vault_key="A" * 43 + "=")
    name = open_vault(configured).put(CONTENT)
    assert open_vault(configured).read(name) == CONTENT
    assert not (tmp_path / "vault.key").exists()


SCANS = [random.Random(number).randbytes(300_000) for number in range(5)]


def store(folder):
    vault = opened(folder)
    for scan in SCANS:
        vault.put(scan)


def test_a_kill_while_storing_leaves_whole_files_only(tmp_path):
    chance = random.Random(3)
    for _ in range(40):
        kill_while(store, tmp_path, 0.05, chance)
        assert set(plain(tmp_path).values()) <= set(SCANS)
        assert not list((tmp_path / "vault" / "scans").glob(".draft-*"))
