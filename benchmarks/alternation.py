"""Two ways of doing the same, timed in turn, so that both meet the machine in the same mood."""

import statistics
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")


def alternate(first: Callable[[T], object], second: Callable[[T], object], items: Sequence[T]) -> tuple[float, float]:
    """Give the median seconds that each takes for one item; both are called once beforehand."""
    for work in (first, second):
        work(items[0])
    taken: tuple[list[float], list[float]] = ([], [])
    for item in items:
        for seconds, work in zip(taken, (first, second), strict=True):
            started = time.perf_counter()
            work(item)
            seconds.append(time.perf_counter() - started)
    return statistics.median(taken[0]), statistics.median(taken[1])
