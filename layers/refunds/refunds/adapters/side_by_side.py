"""Two calls at once, on two threads, both of which have ended when the caller goes on."""

import contextvars
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

_A = TypeVar("_A")
_B = TypeVar("_B")


class SideBySide:
    """Runs the second call on a thread of its own while the first runs on the caller's."""

    def both(self, first: Callable[[], _A], second: Callable[[], _B]) -> tuple[_A, _B]:
        """Both results; an error of ``first`` is raised first.

        No thread outlives the call: in a frozen function it would wake up in somebody else's.
        """
        context = contextvars.copy_context()
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="beside") as pool:
            future = pool.submit(context.run, second)
            one = first()
            return one, future.result()
