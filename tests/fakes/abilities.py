"""What processors can do, as their adapters declare it; tests choose processors by it."""

from collections.abc import Callable
from operator import attrgetter
from typing import Final

from refund_bridge.ports.processor import Capabilities
from refund_bridge.processors.registry import REGISTRY

Ability = Callable[[Capabilities], bool]

ABILITIES: Final = {name: adapter.capabilities for name, adapter in REGISTRY.items()}

keeps_keys: Ability = attrgetter("keeps_keys")
shows_payments: Ability = attrgetter("shows_payments")
shows_refunds: Ability = attrgetter("shows_refunds")
lists_payments: Ability = attrgetter("lists_charges")
refunds_unlinked: Ability = attrgetter("unlinked")


def keeps_none(can: Capabilities) -> bool:
    """Whether an instruction that is sent again is executed again."""
    return not can.keeps_keys


def names_where(is_able: Ability) -> tuple[str, ...]:
    """The names of the processors that can do that."""
    return tuple(name for name, can in ABILITIES.items() if is_able(can))
