"""The processors that a world may have: the registry's, each with what its adapter declares."""

from typing import Final

from refund_bridge.ports.runtime import Clock
from refund_bridge.processors.registry import REGISTRY
from refund_bridge.processors.shared.base import Adapter
from tests.fakes.abilities import ABILITIES
from tests.fakes.processor import FakeProcessor

NAMES: Final = tuple(REGISTRY)
# Whose refunds may show our id among their metadata, though no keys are kept: not documented, so no
# ability, and nothing may depend on it.
MAY_NAME_INSTRUCTIONS: Final = frozenset({"hedge"})


def is_told_the_merchants_reference(name: str) -> bool:
    """Whether a payment there leads back to Stripe by what the merchant calls it."""
    return REGISTRY[name].reference_of is not Adapter.reference_of


def fake_of(name: str, clock: Clock) -> FakeProcessor:
    """The processor in memory that can do what the adapter of that name can."""
    return FakeProcessor(clock, name=name, capabilities=ABILITIES[name])
