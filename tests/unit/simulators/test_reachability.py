"""Faults by scope: one payment, many callers at once, a port that is closed."""

import socket
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest
import urllib3
from urllib3.exceptions import HTTPError, NewConnectionError

from local.simulators.client import SimulatorControl
from local.simulators.payments import CARD_JPY, CARD_SGD, demo_payments
from local.simulators.server import RunningSimulators
from tests.unit.simulators.callers import HitPayCaller

CHARGE = CARD_SGD.charge_id


def test_a_fault_may_be_meant_for_one_payment_only(
    hitpay: HitPayCaller, control: SimulatorControl
) -> None:
    control.add_fault("hitpay", "*", "status", times=None, match=CARD_JPY.charge_id)
    assert hitpay.get(f"/v1/charges/{CHARGE}").status == 200
    assert hitpay.get(f"/v1/charges/{CARD_JPY.charge_id}").status == 500
    assert hitpay.refund(payment_id=CARD_JPY.charge_id, amount="1").status == 500


def test_fifty_refunds_at_once_never_exceed_the_payment(
    hitpay: HitPayCaller, control: SimulatorControl
) -> None:
    # When fifty refunds of 3.00 are asked of 99.99 at once
    def one(_: int) -> int:
        return hitpay.refund(payment_id=CHARGE, amount="3.00").status

    with ThreadPoolExecutor(16) as pool:
        statuses = list(pool.map(one, range(50)))

    # Then exactly thirty-three go through
    assert (statuses.count(200), statuses.count(403)) == (33, 17)
    assert sum(refund.amount for refund in control.refunds(CHARGE)) == Decimal("99.00")


def test_a_closed_port_refuses_connections_and_keeps_the_books(
    hitpay: HitPayCaller, control: SimulatorControl
) -> None:
    # Given a refund, and a connection that is kept open
    assert hitpay.refund(payment_id=CHARGE, amount="1.00").status == 200

    # When the port is closed
    control.set_listening("hitpay", False)

    # Then nobody gets through, on the old connection or a new one, until it is open again
    with pytest.raises(HTTPError):
        hitpay.refund(payment_id=CHARGE, amount="1.00")
    with pytest.raises(NewConnectionError):
        urllib3.PoolManager(retries=False).request("GET", control.hitpay_url)
    control.set_listening("hitpay", True)
    assert len(control.refunds(CHARGE)) == 1


@pytest.mark.parametrize("provider", ["hitpay", "stripe"])
def test_a_reset_opens_closed_ports(control: SimulatorControl, provider: str) -> None:
    control.set_listening(provider, False)
    control.reset()
    control.seed(demo_payments())
    assert control.state(provider)


def test_a_simulator_that_has_stopped_refuses_connections() -> None:
    # Given simulators that have been stopped
    with RunningSimulators() as running:
        url = running.hitpay_url
    host, port = url.removeprefix("http://").split(":")

    # When one connects, then it is refused
    with pytest.raises(ConnectionRefusedError), socket.create_connection((host, int(port))):
        pass
    with urllib3.PoolManager(retries=False) as pool, pytest.raises(HTTPError):
        pool.request("GET", url)
