"""One deployed system for the whole session: starting it costs more than what is asked of it."""

from collections.abc import Iterator

import pytest

from local.http_client import RefundApiClient
from local.simulators.payments import demo_payments
from local.stack import RunningStack, running_stack


@pytest.fixture(scope="session")
def stack() -> Iterator[RunningStack]:
    """The template on the embedded cloud, the simulators at the other end, roles enforced."""
    with running_stack() as running:
        running.control.seed(demo_payments())
        yield running


@pytest.fixture(autouse=True)
def no_faults(stack: RunningStack) -> Iterator[None]:
    """Each test switches on the faults it wants, and none of another's."""
    stack.control.clear_faults()
    yield
    stack.control.clear_faults()


@pytest.fixture
def api(stack: RunningStack) -> RefundApiClient:
    """A caller with every right."""
    return RefundApiClient(stack.api_url, stack.api_key)
