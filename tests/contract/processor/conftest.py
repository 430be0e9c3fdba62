"""Every test of this folder runs in both worlds."""

from collections.abc import Iterator

import pytest

from local.simulators.server import RunningSimulators
from tests.contract.processor.worlds import (
    MemoryProcessorWorld,
    ProcessorWorld,
    SimulatedProcessorWorld,
)


@pytest.fixture(scope="session")
def simulators() -> Iterator[RunningSimulators]:
    with RunningSimulators() as running:
        yield running


@pytest.fixture(params=["memory", "simulator"])
def world(request: pytest.FixtureRequest) -> Iterator[ProcessorWorld]:
    if request.param == "memory":
        yield MemoryProcessorWorld()
        return
    running: RunningSimulators = request.getfixturevalue("simulators")
    running.control.reset()
    simulated = SimulatedProcessorWorld(running.control)
    yield simulated
    simulated.close()
