"""Work in forked children, as many at a time as there are processors.

A child sees everything as its parent has it at that moment, and leaves the parent as it was: so
what it imports or changes is gone with it.
"""

import os
import selectors
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

AT_ONCE: Final = os.cpu_count() or 1
# How a child tells its parent something: one line.
Tell = Callable[[str], None]
T = TypeVar("T")


@dataclass(slots=True)
class _Child(Generic[T]):
    subject: T
    process: int
    told: bytes = b""


def in_children(
    works: Iterable[tuple[T, Callable[[Tell], None]]], at_once: int = AT_ONCE
) -> Iterator[tuple[T, str]]:
    """Do each work in a child; its subject, and the last line that the child told, once it ended.

    A work is asked for when there is room for it, so that what earlier ones told may be heeded.
    """
    waiting = iter(works)
    with selectors.DefaultSelector() as running:
        while True:
            while len(running.get_map()) < at_once and (work := next(waiting, None)):
                _begin(*work, running)
            if not running.get_map():
                return
            for key, _ in running.select():
                child: _Child[T] = key.data
                if some := os.read(key.fd, 1 << 16):
                    child.told += some
                    continue
                running.unregister(key.fd)
                os.close(key.fd)
                os.waitpid(child.process, 0)
                yield child.subject, child.told.decode().rpartition("\n")[0].rpartition("\n")[2]


def be_quiet() -> None:
    """Say nothing any more, neither this process nor the tests in it."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(nowhere, stream)


def _begin(subject: T, work: Callable[[Tell], None], running: selectors.BaseSelector) -> None:
    reading, writing = os.pipe()
    process = os.fork()
    if process:
        os.close(writing)
        running.register(reading, selectors.EVENT_READ, _Child(subject, process))
        return
    try:
        be_quiet()
        with open(writing, "w") as parent:

            def tell(line: str) -> None:
                parent.write(f"{line}\n")
                parent.flush()

            work(tell)
    finally:
        # Nothing that the parent has planned for its own end happens in a child.
        os._exit(0)
