"""The two event buses: the one in memory, and EventBridge's on the embedded cloud."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from deployed.clients import CloudClients
from local.emulator import REGION, Emulator
from local.event_client import listening
from refund_bridge.adapters.aws_runtime import clients as aws_clients
from refund_bridge.adapters.eventbridge import EventBridgeBus
from refund_bridge.ports.events import EventBus
from tests.fakes.event_bus import FakeEventBus
from tests.fakes.world import FakeTelemetry

BUS = "refund-bridge-test"


@dataclass(frozen=True)
class Subject:
    """A bus under test, and what a subscriber has had from it: names and details."""

    bus: EventBus
    heard: Callable[[], list[tuple[str, object]]]


@pytest.fixture(scope="session")
def cloud(contract_cloud: Emulator) -> CloudClients:
    clients = contract_cloud.clients()
    clients.client("events").create_event_bus(Name=BUS)
    return clients


@pytest.fixture(params=["memory", "eventbridge"])
def subject(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Subject]:
    if request.param == "memory":
        memory = FakeEventBus()
        yield Subject(memory, lambda: [(one.name, one.detail) for one in memory.taken])
        return
    cloud: CloudClients = request.getfixturevalue("cloud")
    assert cloud.key is not None
    monkeypatch.setenv("AWS_ENDPOINT_URL", cloud.endpoint_url or "")
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    for name, value in cloud.key.environment.items():
        monkeypatch.setenv(name, value)
    aws_clients.forget_clients()
    client = aws_clients.events_client()
    aws_clients.forget_clients()
    with listening(cloud, BUS) as listener:
        yield Subject(
            EventBridgeBus(client, BUS, FakeTelemetry()),
            lambda: [(one.name, one.detail) for one in listener.heard()],
        )
    client.close()
