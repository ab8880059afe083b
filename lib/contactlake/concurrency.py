"""Doing independent things at the same time: Spark's driver spends most of a small write waiting."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
U = TypeVar("U")

_AT_ONCE = 4


def concurrently(tasks: Iterable[Callable[[], T]]) -> list[T]:
    """The results of `tasks` in their order. The first error is raised once every task has ended."""
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="contactlake") as pool:
        futures = [pool.submit(task) for task in tasks]
    return [future.result() for future in futures]


def both(first: Callable[[], T], second: Callable[[], U]) -> tuple[T, U]:
    """The results of two tasks, of which the second has a thread of its own meanwhile."""
    with ThreadPoolExecutor(1, thread_name_prefix="contactlake") as pool:
        future = pool.submit(second)
        return first(), future.result()
