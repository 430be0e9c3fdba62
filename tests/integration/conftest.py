"""Three deployed systems, shared by many files, since starting one takes longer than most tests."""

from collections.abc import Generator, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from local.http_client import RefundApiClient
from local.simulators.payments import demo_payments
from local.stack import RunningStack, running_stack
from tests.conftest import needed_by
from tests.descriptions.journal import undescribed
from tests.integration.background import start_settling
from tests.integration.night import night_stack
from tests.openapi.watch import Watch

# Settling runs once a minute, so that it does not disturb other tests; new keys are known soon.
CALM = {"SettleSeconds": "60", "SecretsCacheSeconds": "1"}
# Times that are minutes to days elsewhere are seconds here. A report may be retried without limit.
HASTY = {
    "SettleSeconds": "2",
    "HoldSeconds": "10",
    "AfterHold": "failed",
    "LeaseSeconds": "25",
    "ReportLeaseSeconds": "15",
    "ReportBackoffSeconds": "1",
    "ReportMaxReceives": "100",
    "RefundRequestMaxReceives": "5",
    "RefundRequestBackoffSeconds": "1",
    "ThrottleRate": "500",
    "ThrottleBurst": "500",
}
# With the template's value, messages of a killed worker would stay hidden for six minutes.
HASTY_VISIBILITY = "20"


# For each fixture, what stops its stack.
_ends: dict[str, ExitStack] = {}


@pytest.fixture(scope="session")
def stack() -> Iterator[RunningStack]:
    """The template on the embedded cloud, with simulated providers and enforced roles."""
    with ExitStack() as end:
        _ends["stack"] = end
        running = end.enter_context(running_stack(parameters=CALM))
        running.control.seed(demo_payments())
        end.callback(every_call_is_of_the_providers_apis, running)
        yield running


@pytest.fixture(scope="session")
def hasty_stack() -> Iterator[RunningStack]:
    """Another stack, with a cloud and simulators of its own, and short times."""
    with ExitStack() as end:
        _ends["hasty_stack"] = end
        running = end.enter_context(running_stack(parameters=HASTY))
        running.client("sqs").set_queue_attributes(
            QueueUrl=running.outputs["ReportQueueUrl"],
            Attributes={"VisibilityTimeout": HASTY_VISIBILITY},
        )
        start_settling(running)  # the schedule takes over in a minute
        end.callback(every_call_is_of_the_providers_apis, running)
        yield running


@pytest.fixture(scope="session")
def troubled_stack(troubled_file: Path) -> Iterator[RunningStack]:
    """A stack on which an operator practises; `troubled_file` says how to reach it."""
    with ExitStack() as end:
        _ends["troubled_stack"] = end
        running = end.enter_context(night_stack(troubled_file))
        end.callback(every_call_is_of_the_providers_apis, running)
        yield running


@pytest.fixture(scope="session")
def troubled_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("troubled") / "stack.json"


def every_call_is_of_the_providers_apis(running: RunningStack) -> None:
    """Check, at the end of a stack, that only documented calls of providers' APIs were made."""
    assert undescribed(running.control) == []


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(
    item: pytest.Item, nextitem: pytest.Item | None
) -> Generator[None, None, None]:
    """Stop a stack after the last test that needs it; otherwise it would go on settling."""
    yield
    for name in needed_by(item) & _ends.keys():
        if nextitem is None or name not in needed_by(nextitem):
            _ends.pop(name).close()


@pytest.fixture(scope="session")
def watch() -> Iterator[Watch]:
    """Records every exchange of every caller in all tests."""
    RefundApiClient.observer = watch = Watch()
    yield watch
    RefundApiClient.observer = None


@pytest.fixture(autouse=True)
def every_exchange_keeps_to_the_openapi_document(watch: Watch) -> Iterator[None]:
    """Check, at the end of every test, its exchanges against the OpenAPI document."""
    yield
    assert watch.taken() == []


@pytest.fixture(autouse=True)
def no_faults(request: pytest.FixtureRequest) -> Iterator[None]:
    """Clear all faults before and after a test, at the stacks that it uses."""
    needed = [name for name in request.fixturenames if name == "night" or name.endswith("stack")]
    stacks: list[RunningStack] = [request.getfixturevalue(name) for name in needed]
    for one in stacks:
        one.control.clear_faults()
    yield
    for one in stacks:
        one.control.clear_faults()


@pytest.fixture
def api(stack: RunningStack) -> RefundApiClient:
    """A caller with every right."""
    return RefundApiClient(stack.api_url, stack.api_key)


@pytest.fixture
def hasty_api(hasty_stack: RunningStack) -> RefundApiClient:
    """A caller of the hasty stack with every right."""
    return RefundApiClient(hasty_stack.api_url, hasty_stack.api_key)
