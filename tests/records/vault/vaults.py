"""Vaults made for tests, and work on one that is killed."""

import multiprocessing
import random
import time
from collections.abc import Callable
from pathlib import Path

from braintumor.records.vault import Vault, open_vault
from braintumor.settings import Settings

_FORK = multiprocessing.get_context("fork")


def opened(folder: Path) -> Vault:
    return open_vault(Settings(data_dir=folder))


def plain(folder: Path) -> dict[str, bytes]:
    vault = opened(folder)
    return {name: vault.read(name) for name in vault.list()}


def kill_while(work: Callable[[Path], None], folder: Path, most_seconds: float, chance: random.Random) -> None:
    """Do work on the vault in ``folder`` over and over in a process of its own, and SIGKILL it at a random moment."""
    process = _FORK.Process(target=_repeat, args=(work, folder))
    process.start()
    time.sleep(chance.uniform(0, most_seconds))
    process.kill()
    process.join()


def _repeat(work: Callable[[Path], None], folder: Path) -> None:
    while True:
        work(folder)
