"""Observing a payment, for the functions that learn what happened at the processor."""

from refunds.adapters.aws_clients import dynamodb_client
from refunds.adapters.dynamodb_sweeps import DynamoDbSweeps
from refunds.bootstrap.money_path import MoneyPath
from refunds.bootstrap.settling import SettlingSettings, settle_of
from refunds.observe import ObservePayment


def observe_of(path: MoneyPath, settings: SettlingSettings) -> ObservePayment:
    """The use case on the money's path."""
    return ObservePayment(
        ledger=path.ledger,
        sweeps=DynamoDbSweeps(dynamodb_client(), settings.ledger_table),
        resolver=path.execute.resolver,
        adopter=path.execute.reservation.adopter,
        recorder=path.execute.recorder,
        settle=settle_of(path, settings),
        execute=path.execute,
        clock=path.clock,
        trail=path.trail,
    )
