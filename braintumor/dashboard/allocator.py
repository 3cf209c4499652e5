"""Keep the server's memory flat: each rerun is a thread, and glibc seldom gives back what a finished one freed."""

import ctypes
import sys


def release_freed_memory() -> bool:
    """Give memory that was freed back to the system; False where the C library is not glibc or had none to give."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        return bool(ctypes.CDLL("libc.so.6").malloc_trim(0))
    except (OSError, AttributeError):
        return False
