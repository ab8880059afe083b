"""Doing independent things at the same time: Spark's driver spends most of a small write waiting."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")

_AT_ONCE = 4


def concurrently(tasks: Iterable[Callable[[], T]]) -> list[T]:
    """The results of `tasks` in their order. The first error is raised once every task has ended."""
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="contactlake") as pool:
        futures = [pool.submit(task) for task in tasks]
    return [future.result() for future in futures]
