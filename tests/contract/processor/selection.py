"""Which worlds a test is about: all of them, or those whose processor can do something."""

from collections.abc import Callable

import pytest

from refunds.ports import Capabilities, Dedupe, LookUp
from refunds.processors.registry import REGISTRY

KINDS = ("in memory", "simulated")
EVERY_WORLD = [f"{name} {kind}" for name in REGISTRY for kind in KINDS]


def keeps_keys(can: Capabilities) -> bool:
    return can.dedupes is Dedupe.BY_KEY


def keeps_none(can: Capabilities) -> bool:
    return not keeps_keys(can)


def shows_payments(can: Capabilities) -> bool:
    return LookUp.BY_PAYMENT in can.looks_up


def shows_refunds(can: Capabilities) -> bool:
    return LookUp.BY_REFUND in can.looks_up


def refunds_unlinked(can: Capabilities) -> bool:
    return can.unlinked


def lists_payments(can: Capabilities) -> bool:
    return can.lists_charges


def names_where(is_able: Callable[[Capabilities], bool]) -> list[str]:
    return [name for name, adapter in REGISTRY.items() if is_able(adapter.capabilities)]


def where(is_able: Callable[[Capabilities], bool]) -> pytest.MarkDecorator:
    """Run in the worlds of the processors that are able to do that."""
    worlds = [f"{name} {kind}" for name in names_where(is_able) for kind in KINDS]
    return pytest.mark.parametrize("world", worlds, indirect=True)


def unless(is_able: Callable[[Capabilities], bool]) -> pytest.MarkDecorator:
    """Run in all other worlds."""
    return where(lambda can: not is_able(can))
