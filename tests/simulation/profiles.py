"""The processors that a world may have: the registry's, each with what its adapter declares."""

from typing import Final

from refund_bridge.ports.runtime import Clock
from refund_bridge.processors.registry import REGISTRY
from refund_bridge.processors.shared.base import Adapter
from tests.fakes.abilities import ABILITIES
from tests.fakes.processor import FakeProcessor

NAMES: Final = tuple(REGISTRY)
# Processors whose refunds may show our id in their metadata, though they keep no keys. That is not
# documented, so it is no capability, and nothing may depend on it.
MAY_NAME_INSTRUCTIONS: Final = frozenset({"hedge"})


def is_told_the_merchants_reference(name: str) -> bool:
    """Whether the merchant's own reference of a payment there leads back to Stripe."""
    return REGISTRY[name].reference_of is not Adapter.reference_of


def fake_of(name: str, clock: Clock) -> FakeProcessor:
    """The processor in memory that can do what the adapter of that name can."""
    return FakeProcessor(clock, name=name, capabilities=ABILITIES[name])
