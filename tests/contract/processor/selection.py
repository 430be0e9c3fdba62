"""Which worlds a test is about: all of them, or those whose processor can do something."""

from typing import Final

import pytest

from refund_bridge.processors.registry import REGISTRY
from tests.fakes.abilities import Ability

KINDS = ("in memory", "simulated")
ADAPTERS: Final = REGISTRY
EVERY_WORLD = [f"{name} {kind}" for name in ADAPTERS for kind in KINDS]


def where(is_able: Ability) -> pytest.MarkDecorator:
    """Run in the worlds of the processors that are able to do that."""
    able = [name for name, adapter in ADAPTERS.items() if is_able(adapter.capabilities)]
    worlds = [f"{name} {kind}" for name in able for kind in KINDS]
    return pytest.mark.parametrize("world", worlds, indirect=True)


def unless(is_able: Ability) -> pytest.MarkDecorator:
    """Run in all other worlds."""
    return where(lambda can: not is_able(can))
