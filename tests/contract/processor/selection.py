"""Which worlds a test is about: all of them, or those whose processor can do something."""

import pytest

from refunds.processors.registry import REGISTRY
from tests.fakes.abilities import Ability, names_where

KINDS = ("in memory", "simulated")
EVERY_WORLD = [f"{name} {kind}" for name in REGISTRY for kind in KINDS]


def where(is_able: Ability) -> pytest.MarkDecorator:
    """Run in the worlds of the processors that are able to do that."""
    worlds = [f"{name} {kind}" for name in names_where(is_able) for kind in KINDS]
    return pytest.mark.parametrize("world", worlds, indirect=True)


def unless(is_able: Ability) -> pytest.MarkDecorator:
    """Run in all other worlds."""
    return where(lambda can: not is_able(can))
