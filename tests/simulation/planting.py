"""Planted defects: mistakes that the product could have, each put into it for the time of a test.

They prove that the general invariants see what they are for. No invariant knows of any of them.
"""

import contextlib
from collections.abc import Callable, Iterator
from typing import Final

Plant = Callable[[], Iterator[None]]
DEFECTS: Final[dict[str, Callable[[], contextlib.AbstractContextManager[None]]]] = {}


def defect(plant: Plant) -> Plant:
    """Keep a defect under the name of the function that plants it."""
    DEFECTS[plant.__name__] = contextlib.contextmanager(plant)
    return plant
