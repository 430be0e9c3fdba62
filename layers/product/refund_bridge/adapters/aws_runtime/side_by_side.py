"""Makes calls at the same time, in threads that have all ended when the caller goes on."""

import contextvars
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

_A = TypeVar("_A")
_B = TypeVar("_B")


class SideBySide:
    """Runs calls side by side; on return all threads have ended.

    Otherwise a thread of a frozen function would continue in a later invocation.

    Args:
        threads: how many calls of ``each`` run at once.
    """

    def __init__(self, threads: int = 2) -> None:
        self._threads = threads

    def each(self, function: Callable[[str], object], things: Sequence[str]) -> None:
        """Call ``function`` for each of ``things``; the first error that it raises is raised."""
        with ThreadPoolExecutor(self._threads, thread_name_prefix="beside") as pool:
            for _ in pool.map(function, things):
                pass

    def both(self, first: Callable[[], _A], second: Callable[[], _B]) -> tuple[_A, _B]:
        """Both results, the second from another thread; an error of ``first`` is raised first."""
        context = contextvars.copy_context()
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="beside") as pool:
            future = pool.submit(context.run, second)
            one = first()
            return one, future.result()
