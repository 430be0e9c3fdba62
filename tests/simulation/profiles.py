"""The processors that a world may have: the registry's, each with what its adapter declares."""

from collections.abc import Callable
from typing import Final

from refunds.ports import Capabilities, Clock, Dedupe, LookUp
from refunds.processors.adapter import Adapter
from refunds.processors.registry import REGISTRY
from tests.fakes.processor import FakeProcessor

NAMES: Final = tuple(REGISTRY)
ABILITIES: Final = {name: adapter.capabilities for name, adapter in REGISTRY.items()}
# Whose refunds may show our id among their metadata, though no keys are kept: not documented, so no
# ability, and nothing may depend on it.
MAY_NAME_ORDERS: Final = frozenset({"hedge"})


def names_where(is_able: Callable[[Capabilities], bool]) -> tuple[str, ...]:
    """The names of the processors that can do that."""
    return tuple(name for name, can in ABILITIES.items() if is_able(can))


def keeps_keys(can: Capabilities) -> bool:
    """Whether an order that carries our refund's id again moves nothing again."""
    return can.dedupes is Dedupe.BY_KEY


def shows_payments(can: Capabilities) -> bool:
    """Whether a payment can be read, with its refunds."""
    return LookUp.BY_PAYMENT in can.looks_up


def shows_refunds(can: Capabilities) -> bool:
    """Whether a refund can be read by its own id."""
    return LookUp.BY_REFUND in can.looks_up


def refunds_unlinked(can: Capabilities) -> bool:
    """Whether money can go to a card without a payment."""
    return can.unlinked


def is_told_the_merchants_reference(name: str) -> bool:
    """Whether a payment there leads back to Stripe by what the merchant calls it."""
    return REGISTRY[name].reference_of is not Adapter.reference_of


def fake_of(name: str, clock: Clock) -> FakeProcessor:
    """The processor in memory that can do what the adapter of that name can."""
    return FakeProcessor(clock, name=name, capabilities=ABILITIES[name])
