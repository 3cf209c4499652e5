import platform
from pathlib import Path

import numpy as np
import pytest

from braintumor.dashboard.allocator import release_freed_memory


def _resident_pages():
    return int(Path("/proc/self/statm").read_text().split()[1])


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be asked to")
def test_freed_memory_goes_back_to_the_system():
    # Blocks too small to be mapped on their own, with one kept at the end so that the heap cannot shrink by itself.
    blocks = [np.ones(10_000, np.uint8) for _ in range(10_000)]
    kept = blocks[-1]
    del blocks
    before = _resident_pages()
    assert release_freed_memory()
    assert _resident_pages() < before - 10_000
    assert kept.sum() == 10_000
