"""Observing a payment, for the functions that learn what happened at the processor."""

from refund_bridge.bootstrap.money_path import MoneyPath
from refund_bridge.bootstrap.settling import SettlingSettings, look_at_sums_of, settle_of
from refund_bridge.observing.observe_payment import ObservePayment


def observe_of(path: MoneyPath, settings: SettlingSettings) -> ObservePayment:
    """The use case on the money's path."""
    return ObservePayment(
        ledger=path.ledger,
        resolver=path.execute.resolver,
        learn=path.learn,
        look_at_sums=look_at_sums_of(path, settings),
        recorder=path.execute.recorder,
        settle=settle_of(path, settings),
        clock=path.clock,
        trail=path.trail,
    )
