"""Planted defects: mistakes that the product could have, each added to it during a test.

They prove that the general invariants detect such mistakes. No invariant knows any of them.
"""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from tests.simulation.options import Options

Plant = Callable[[], Iterator[None]]
# What is changed of the worlds that are drawn.
Change = Callable[[Options], Options]


def as_drawn(options: Options) -> Options:
    """Change nothing."""
    return options


@dataclass(frozen=True)
class Defect:
    """A defect, and the first seed that caught it at the last search.

    The seed saves the search. If the drawing of worlds has changed, the search finds another seed.

    Attributes:
        worlds: makes happen together in one world what is rarely drawn together, for a defect that
            needs it.
    """

    planted: Callable[[], contextlib.AbstractContextManager[None]]
    caught_at: int
    worlds: Change


DEFECTS: Final[dict[str, Defect]] = {}


def defect(*, caught_at: int, worlds: Change = as_drawn) -> Callable[[Plant], Plant]:
    """Register a defect under the name of the function that plants it."""

    def keep(plant: Plant) -> Plant:
        DEFECTS[plant.__name__] = Defect(contextlib.contextmanager(plant), caught_at, worlds)
        return plant

    return keep
