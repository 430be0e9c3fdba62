"""One pair of simulators for all tests here, reset and freshly seeded before each."""

from collections.abc import Iterator

import pytest
import stripe

from local.simulators.client import SimulatorControl
from local.simulators.payments import demo_payments
from local.simulators.server import RunningSimulators
from local.simulators.stripe import DEFAULT_TEST_KEY
from tests.unit.simulators.callers import HitPayCaller


@pytest.fixture(scope="session")
def simulators() -> Iterator[RunningSimulators]:
    with RunningSimulators() as running:
        yield running


@pytest.fixture
def control(simulators: RunningSimulators) -> SimulatorControl:
    simulators.control.reset()
    simulators.control.seed(demo_payments())
    return simulators.control


@pytest.fixture
def hitpay(control: SimulatorControl) -> Iterator[HitPayCaller]:
    caller = HitPayCaller(control.hitpay_url)
    yield caller
    caller.close()


@pytest.fixture
def stripe_client(control: SimulatorControl) -> Iterator[stripe.StripeClient]:
    http = stripe.RequestsClient(timeout=5)
    yield stripe.StripeClient(
        DEFAULT_TEST_KEY,
        base_addresses={"api": control.stripe_url},
        max_network_retries=0,
        http_client=http,
    )
    http.close()  # type: ignore[no-untyped-call]
